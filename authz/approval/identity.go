package approval

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// ErrStranger is somebody whom the service's own doorkeeper has not recognised,
// or not lately.
var ErrStranger = errors.New("you are not logged in, or not any more")

// Person is who somebody is, and how they were recognised.
type Person struct {
	Principal authz.Principal
	AMR       []string // how, RFC 8176
	Strong    bool     // by a passkey, which no page of another can ask for
	Since     time.Time
}

// Name is the person in holds and entries.
func (p Person) Name() string { return p.Principal.Name() }

// Login is the same for entries.
func (p Person) Login() *store.Login {
	return &store.Login{ACR: p.Principal.ACR, AMR: p.AMR, AuthTime: p.Principal.AuthTime}
}

// clone shares nothing with p that somebody could change later.
func (p Person) clone() Person {
	p.AMR = slices.Clone(p.AMR)
	p.Principal.Groups, p.Principal.Roles, p.Principal.Scopes = slices.Clone(p.Principal.Groups), slices.Clone(p.Principal.Roles), slices.Clone(p.Principal.Scopes)
	return p
}

// Doorkeeper makes identities. A [Service] takes those of the one that it was
// made with and no others, so only code that was given that one can say who
// somebody is: what logs people in. Code that takes an agent's calls has none.
type Doorkeeper struct {
	_ byte // two are never at one address
}

// Identity is a person whom a doorkeeper has recognised, until a time. The zero
// Identity is nobody. Outside of this package there is no other way to one than
// [Doorkeeper.Admit].
type Identity struct {
	by     *Doorkeeper
	person Person
	until  time.Time
}

// Admit vouches for a person until a time. Whether they have a passkey in their
// hand is not for the caller to say: see [Doorkeeper.AdmitByPasskey].
func (d *Doorkeeper) Admit(p Person, until time.Time) Identity {
	p = p.clone()
	p.Strong = false
	return Identity{by: d, person: p, until: until}
}

// AdmitByPasskey is Admit for somebody whose passkey has just signed in.
func (d *Doorkeeper) AdmitByPasskey(p Person, by PasskeyUse, until time.Time) (Identity, error) {
	if by.person == "" || by.person != p.Name() {
		return Identity{}, fmt.Errorf("%w: it is somebody else's", ErrPasskey)
	}
	id := d.Admit(p, until)
	id.person.AMR, id.person.Strong = slices.Clone(passkeyAMR), true
	return id, nil
}

// Person is who it is.
func (i Identity) Person() Person { return i.person.clone() }

// Name is the person in holds and entries.
func (i Identity) Name() string { return i.person.Name() }

// Strong says that a passkey recognised them.
func (i Identity) Strong() bool { return i.person.Strong }

// Recognise returns who an identity is, for others who do something in a person's
// name; ErrStranger if it is not of this service's doorkeeper, or has ended.
func (s *Service) Recognise(ctx context.Context, who Identity) (Person, error) {
	return s.admit(ctx, who)
}

// admit checks an identity at the door. Who was stopped, or ended since they were
// recognised, is not let in, whichever process was told.
func (s *Service) admit(ctx context.Context, who Identity) (Person, error) {
	if who.by == nil || who.by != s.c.Door || !s.Now().Before(who.until) {
		return Person{}, ErrStranger
	}
	p := who.person.clone()
	u, err := s.User(ctx, p.Name())
	switch {
	case err != nil:
		return Person{}, err
	case len(u.Stops) > 0:
		return Person{}, ErrUserStopped
	case u.over(p.Since):
		return Person{}, ErrStranger
	}
	return p, nil
}

// Check is what any use of an identity begins with: ErrStranger says that its login is
// over, ErrUserStopped that nobody of that name is let in.
func (s *Service) Check(ctx context.Context, who Identity) error {
	_, err := s.admit(ctx, who)
	return err
}
