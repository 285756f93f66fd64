package approval

import (
	"context"
	"slices"
	"strings"

	"github.com/exeat/exeat/store"
)

// Other is another call on the same thing as a held one: at the same path of the same
// API, however it is spelt and whatever query it has; or one of the two deletes
// what the other is within.
type Other struct {
	ID      string `json:"id"`
	Summary string `json:"summary"`
	State   string `json:"state"`
	// Sent says that it was sent after the held one was read: what that changes is
	// not as it was shown any more.
	Sent bool `json:"sent_since,omitempty"`
	// Relation is "" if both are on the same thing, "above" if the other one deletes
	// what the held one is within, "below" if it is the other way round.
	Relation string `json:"relation,omitempty"`
}

// The relations of an [Other].
const (
	Above = "above"
	Below = "below"
)

// Bounds of looking for other calls.
const (
	maxOthers  = 5  // that are told of
	lookedBack = 10 // calls of late of the same principal, which may have been sent
)

// Others are the calls on the same thing as one that a person sees, so far as they
// may see them too: those that are open, and those that were sent since the hold
// was read. One of two calls that were read before either is sent spoils the other.
func (s *Service) Others(ctx context.Context, of Sight) (list []Other, err error) {
	h := of.Hold
	if !open(h) || h.Effect == "read" {
		return nil, nil
	}
	var found []store.Hold
	err = s.c.Store.View(ctx, func(tx *store.Tx) error {
		found = nil
		ids, err := tx.OpenNear(h.API, h.Request.Path)
		if err != nil {
			return err
		}
		for _, id := range ids {
			o, err := find(tx, id)
			if err != nil {
				return err
			}
			if _, near := Relation(h, o); o.ID == h.ID || !near {
				continue
			}
			if found = append(found, o); len(found) >= 2*maxOthers {
				break
			}
		}
		late, err := tx.Recent(h.Subject, h.API, lookedBack)
		for _, o := range late {
			if o.State == store.Done || o.State == store.Unknown {
				found = append(found, o)
			}
		}
		return err
	})
	for _, o := range found {
		related, near := Relation(h, o)
		if !near || o.ID == h.ID || len(list) == maxOthers || !s.sealed(o) {
			continue
		}
		o = asOf(o, s.Now())
		sent := o.State == store.Done || o.State == store.Sending || o.State == store.Unknown
		read := h.Created
		if h.Before != nil {
			read = h.Before.At
		}
		if !open(o) && !(sent && o.Changed.After(read)) {
			continue
		}
		if v := s.sight(o, of.person); v.Sees {
			list = append(list, Other{ID: o.ID, Summary: o.Summary, State: string(o.State), Sent: sent, Relation: related})
		}
	}
	return list, err
}

// Relation says how the call of another hold is to that of a hold, if it is: as
// [Other] has it.
func Relation(h, other store.Hold) (related string, near bool) {
	if h.Request.Origin != other.Request.Origin {
		return "", false
	}
	return relation(h, other.Effect, other.Request.Path)
}

// relation says how a call with this effect and path is to a held one, if it is.
func relation(h store.Hold, effect, path string) (related string, near bool) {
	mine, theirs := segmentsOf(h.Request.Path), segmentsOf(path)
	within := func(deep, high []string) bool {
		return len(high) > 1 && len(deep) > len(high) && slices.Equal(deep[:len(high)], high)
	}
	switch {
	case effect == "read":
		return "", false
	case slices.Equal(mine, theirs):
		return "", true
	case effect == "delete" && within(mine, theirs):
		return Above, true
	case h.Effect == "delete" && within(theirs, mine):
		return Below, true
	}
	return "", false
}

// segmentsOf are the segments of a path, as they are compared.
func segmentsOf(path string) []string { return strings.Split(store.ThingOf(path), "/") }
