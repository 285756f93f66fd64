package approval

import (
	"context"
	"strings"

	"github.com/exeat/exeat/store"
)

// Other is another call on the same thing as a held one: the same path of the same
// API.
type Other struct {
	ID      string `json:"id"`
	Summary string `json:"summary"`
	State   string `json:"state"`
	// Sent says that it was sent after the held one was read: what that changes is
	// not as it was shown any more.
	Sent bool `json:"sent_since,omitempty"`
}

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
		outlines, err := tx.Outlines(store.HoldFilter{APIs: []string{h.API}, States: openStates})
		if err != nil {
			return err
		}
		for _, o := range outlines {
			// An outline has no path, but its summary has: "DELETE /pets/1: Delete a pet".
			_, at, _ := strings.Cut(o.Summary, " ")
			if o.ID == h.ID || at != h.Request.Path && !strings.HasPrefix(at, h.Request.Path+": ") {
				continue
			}
			if o, err = find(tx, o.ID); err != nil {
				return err
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
		same := o.ID != h.ID && o.Effect != "read" && o.Request.Origin == h.Request.Origin && o.Request.Path == h.Request.Path
		if !same || len(list) == maxOthers || !s.sealed(o) {
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
		if v := s.sight(o, of.person); v.Own || v.May {
			list = append(list, Other{ID: o.ID, Summary: o.Summary, State: string(o.State), Sent: sent})
		}
	}
	return list, err
}
