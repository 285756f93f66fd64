package devissuer

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// maxAccess bounds what a person lets clients do at once; that which was not used
// for longest makes room.
const maxAccess = 64

var (
	errFull = errors.New("there are too many clients that people let do something")
	// errSecret is a code or a refresh token that is not good.
	errSecret = errors.New("it was used already, has ended, was taken back or never was one: ask the person again")
)

// allowed is what a person let a client do. It never changes.
type allowed struct {
	Subject   string    `json:"sub"`
	Name      string    `json:"name,omitempty"` // what the client called itself then
	Redirect  string    `json:"redirect_uri"`
	Challenge string    `json:"code_challenge"`
	Resource  string    `json:"resource"`
	Scopes    []string  `json:"scopes,omitempty"`
	AuthTime  time.Time `json:"auth_time,omitzero"`
	ACR       string    `json:"acr,omitempty"`
	AMR       []string  `json:"amr,omitempty"`
}

// Access is what a person let a client do, for them to see and to take back.
type Access struct {
	ID, Client, Name    string
	Created, Used, Ends time.Time
}

// give lets a client do what a person allowed, and returns its code.
func (i *Issuer) give(ctx context.Context, p approval.Person, c *client, req request) (string, error) {
	now := i.now()
	body, err := json.Marshal(allowed{Subject: p.Principal.ID, Name: c.Name, Redirect: req.Redirect, Challenge: req.Challenge, Resource: i.c.Resource,
		Scopes: req.Scopes, AuthTime: p.Principal.AuthTime, ACR: p.Principal.ACR, AMR: p.AMR})
	if err != nil {
		return "", err
	}
	family := newSecret()
	a := store.Access{ID: "access_" + newSecret(), Version: 1, Family: mac(i.secret, "family", []byte(family)), Code: true, Due: now.Add(codeLife),
		Person: p.Name(), Client: c.ID, Body: body, Created: now, Used: now, Ends: now.Add(accessLife)}
	code := i.next(&a, family)
	return code, i.c.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.TrimAccess(a.Person, now, maxAccess); err != nil {
			return err
		}
		if err := tx.KeepClient(a.Client, a.Ends); err != nil {
			return err
		}
		if err := tx.InsertAccess(a); err != nil {
			return err
		}
		return tx.Append(entryOf(store.KindConnect, a, now, "let it ask in their name, after "+strings.Join(p.AMR, " ")))
	})
}

// newSecret is 130 random bits.
func newSecret() string { return strings.ToLower(rand.Text()) }

// next makes the secret that is good from now on. Its first half says whose it is
// and stays the same, so that one which comes twice is known for what it is. What
// is kept of it covers all that never changes.
func (i *Issuer) next(a *store.Access, family string) string {
	secret := family + "." + newSecret()
	a.Current = i.markOf(*a, secret)
	return secret
}

func (i *Issuer) markOf(a store.Access, secret string) []byte {
	ends, _ := a.Ends.UTC().Truncate(time.Microsecond).MarshalText()
	return mac(i.secret, "secret", []byte(secret), []byte(a.ID), []byte(a.Person), []byte(a.Client), a.Body, ends)
}

// spend takes a secret that was used, and returns the next one. Any that is not the
// one that is good ends what its family was let do: somebody else has one too.
// good says what else has to be right; if it is not, the secret is spent as well.
func (i *Issuer) spend(ctx context.Context, secret string, code bool, good func(store.Access, allowed) error) (next string, a store.Access, what allowed, err error) {
	family, _, _ := strings.Cut(secret, ".")
	if _, err := i.accessOf(ctx, family); err != nil {
		return "", a, what, err
	}
	now, refused := i.now(), error(nil)
	err = i.c.Store.Update(ctx, func(tx *store.Tx) error {
		refused, next = nil, ""
		var err error
		a, err = tx.AccessOf(mac(i.secret, "family", []byte(family)))
		if errors.Is(err, store.ErrNotFound) {
			refused = errSecret
			return nil
		}
		if err != nil {
			return err
		}
		note := ""
		switch {
		case !hmac.Equal(a.Current, i.markOf(a, secret)):
			note, refused = "a code or a refresh token came twice", errSecret
		case a.Code != code || !now.Before(a.Due) || !now.Before(a.Ends):
			note, refused = "a code or a refresh token came too late, or as the other", errSecret
		default:
			if err := json.Unmarshal(a.Body, &what); err != nil {
				return err
			}
			if refused = good(a, what); refused != nil {
				note = "a code or a refresh token came with what does not belong to it"
			}
		}
		if refused != nil {
			return end(tx, a, now, note)
		}
		next = i.next(&a, family)
		a.Code, a.Used, a.Due = false, now, now.Add(refreshLife)
		if a.Ends.Before(a.Due) {
			a.Due = a.Ends
		}
		return tx.SwapAccess(a)
	})
	if err == nil {
		err = refused
	}
	return next, a, what, err
}

// accessOf is the access of a family of secrets; errSecret if there is none. What
// anybody can send is looked up without keeping others from writing.
func (i *Issuer) accessOf(ctx context.Context, family string) (a store.Access, err error) {
	err = i.c.Store.View(ctx, func(tx *store.Tx) error {
		a, err = tx.AccessOf(mac(i.secret, "family", []byte(family)))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		err = errSecret
	}
	return a, err
}

// outlived takes back what somebody let a client do who was stopped, or ended, since,
// and refuses what was to come of it. It is asked after a secret was spent: an end
// that comes later still counts for the token itself, which is older.
func (i *Issuer) outlived(ctx context.Context, a store.Access) error {
	u, err := i.c.Holds.User(ctx, a.Person)
	if err != nil || len(u.Stops) == 0 && a.Created.After(u.Ended) && !a.Created.Before(u.Before) {
		return err
	}
	err = i.c.Store.Update(ctx, func(tx *store.Tx) error { return end(tx, a, i.now(), "the person was stopped, or ended") })
	if err == nil || errors.Is(err, store.ErrNotFound) {
		err = errSecret
	}
	return err
}

// end takes back what a person let a client do.
func end(tx *store.Tx, a store.Access, now time.Time, note string) error {
	if err := tx.EndAccess(a.Person, a.ID); err != nil {
		return err
	}
	return tx.Append(entryOf(store.KindDisconnect, a, now, note))
}

func entryOf(kind store.Kind, a store.Access, now time.Time, note string) store.Entry {
	return store.Entry{Kind: kind, Time: now, Principal: a.Person, By: a.Person, Agent: authz.ByClient + a.Client, Note: note}
}

// AccessOf lists what a person lets clients do, the newest first.
func (i *Issuer) AccessOf(ctx context.Context, who approval.Identity) (list []Access, err error) {
	p, err := i.c.Holds.Recognise(ctx, who)
	if err != nil {
		return nil, err
	}
	err = i.c.Store.View(ctx, func(tx *store.Tx) error {
		stored, err := tx.AccessBy(p.Name(), i.now())
		list = nil
		for _, a := range stored {
			var what allowed
			if err := json.Unmarshal(a.Body, &what); err != nil {
				return err
			}
			list = append(list, Access{ID: a.ID, Client: a.Client, Name: what.Name, Created: a.Created, Used: a.Used, Ends: a.Ends})
		}
		return err
	})
	return list, err
}

// Revoke takes back what a person let a client do: no refresh token of it is good
// from now on. store.ErrNotFound if they let nobody do anything of that ID.
func (i *Issuer) Revoke(ctx context.Context, who approval.Identity, id string) error {
	p, err := i.c.Holds.Recognise(ctx, who)
	if err != nil {
		return err
	}
	return i.c.Store.Update(ctx, func(tx *store.Tx) error {
		stored, err := tx.AccessBy(p.Name(), i.now())
		if err != nil {
			return err
		}
		for _, a := range stored {
			if a.ID == id {
				return end(tx, a, i.now(), "taken back on the page of logins")
			}
		}
		return store.ErrNotFound
	})
}
