package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/exeat/exeat/store"
)

// Config is what a [Book] keeps accounts with.
type Config struct {
	Store  *store.Store
	Folder Folder
	Now    func() time.Time // nil means time.Now
	// Ended reports whether what a person's name carried has ended since a time, or
	// they were stopped.
	Ended func(ctx context.Context, person string, since time.Time) (bool, error)
}

// Book knows whose accounts are connected. Providers are added first, then it is
// opened.
type Book struct {
	c         Config
	sealer    sealer
	providers map[string]*Provider // by API
}

// NewBook is a Book with nothing in it.
func NewBook() *Book { return &Book{providers: map[string]*Provider{}} }

// Add adds a provider. An API has one.
func (b *Book) Add(p *Provider) error {
	if _, taken := b.providers[p.API]; taken {
		return fmt.Errorf("%s has more than one credential with the strategy connected: an API has one account", p.API)
	}
	b.providers[p.API] = p
	return nil
}

// keyName names the key in the key folder.
const keyName = "accounts"

// Open makes it ready for use. Without a provider, no key is made.
func (b *Book) Open(c Config) (err error) {
	if len(b.providers) == 0 {
		return nil
	}
	b.c = c
	if b.c.Now == nil {
		b.c.Now = time.Now
	}
	b.sealer.key, err = c.Folder.Secret(keyName)
	return err
}

// Provider is that of an API.
func (b *Book) Provider(api string) (*Provider, bool) {
	p, ok := b.providers[api]
	return p, ok
}

// Providers are all, by their APIs' names.
func (b *Book) Providers() (list []*Provider) {
	for _, name := range slices.Sorted(maps.Keys(b.providers)) {
		list = append(list, b.providers[name])
	}
	return list
}

// Now is the time that lives of scopes end by.
func (b *Book) Now() time.Time { return b.c.Now().UTC().Truncate(time.Microsecond) }

// ErrNone is that a person has connected no account.
var ErrNone = errors.New("no account is connected")

// Of is what a person has connected for an API; ErrNone if that is nothing.
func (b *Book) Of(ctx context.Context, person, api string) (Connection, error) {
	_, c, err := b.read(ctx, person, api)
	return c, err
}

// read is a person's row and what is in it. What ended with the person's name is
// marked so.
func (b *Book) read(ctx context.Context, person, api string) (row store.Account, c Connection, err error) {
	if b.c.Store == nil {
		return row, c, errors.New("accounts are not open in this process")
	}
	err = b.c.Store.View(ctx, func(tx *store.Tx) (err error) {
		row, err = tx.AccountOf(person, api)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return row, c, ErrNone
	}
	if err != nil {
		return row, c, err
	}
	id, err := b.current(person, api)
	if err != nil {
		return row, c, err
	}
	if row.ID != id {
		return row, c, ErrTampered
	}
	if c, err = b.sealer.open(row); err != nil || b.c.Ended == nil {
		return row, c, err
	}
	over, err := b.c.Ended(ctx, person, c.Since)
	if over && c.Ended == "" {
		c.Ended = "what was in this person's name was ended"
	}
	return row, c, err
}

// Live are the scopes that a person has connected and that can be used, by name. An
// account that was not connected, or changed, has none.
func (b *Book) Live(ctx context.Context, person, api string) ([]string, error) {
	c, err := b.Of(ctx, person, api)
	if errors.Is(err, ErrNone) || errors.Is(err, ErrTampered) {
		return nil, nil
	}
	var list []string
	for name := range c.Scopes {
		if c.Live(name, b.Now()) {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list, err
}

// Connect keeps what a person came back with, who has said that it is the right
// account. Those scopes that they chose are good from now on; others keep their ends,
// if the account is the same.
func (b *Book) Connect(ctx context.Context, p *Provider, g Got, login *store.Login) error {
	_, was, err := b.read(ctx, g.Person, g.API)
	if err != nil && !errors.Is(err, ErrNone) && !errors.Is(err, ErrTampered) {
		return err
	}
	now := b.Now()
	c := Connection{Account: g.Account, Scopes: map[string]Given{}, Since: now, Refresh: g.refresh}
	for _, s := range g.Scopes {
		switch {
		case slices.Contains(g.Chosen, s):
			c.Scopes[s] = Given{At: now, Until: now.Add(p.life(s))}
		case was.Live(s, now) && was.Account == g.Account:
			c.Scopes[s] = was.Scopes[s]
		}
	}
	row, err := b.sealer.seal(store.Account{ID: "account_" + strings.ToLower(rand.Text()), Version: 1, Person: g.Person, API: g.API}, c)
	if err != nil {
		return err
	}
	// First beside the keys: if the rest fails, nothing is connected.
	if err := b.setCurrent(g.Person, g.API, row.ID); err != nil {
		return err
	}
	note := fmt.Sprintf("%s: %s", p.Host(), words(slices.Sorted(maps.Keys(c.Scopes))))
	if was.Refresh != "" && was.Account != g.Account { // for many servers one of the same account ends the new one, too
		if err := p.drop(ctx, Got{refresh: was.Refresh}); err != nil {
			note += "; the account before was not revoked there: " + err.Error()
		}
	}
	return b.c.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutAccount(row); err != nil {
			return err
		}
		return tx.Append(store.Entry{Kind: store.KindAccount, Time: now, Principal: g.Person, By: g.Person, API: g.API, Note: note, Login: login})
	})
}

// Disconnect deletes a person's account and has its server revoke it. unrevoked is why
// that could not be done; what is here is deleted all the same.
func (b *Book) Disconnect(ctx context.Context, p *Provider, person string, login *store.Login) (unrevoked, err error) {
	row, _, err := b.read(ctx, person, p.API)
	if err != nil && !errors.Is(err, ErrTampered) {
		return nil, err
	}
	if err := b.setCurrent(person, p.API, ""); err != nil {
		return nil, err
	}
	unrevoked = b.revoke(ctx, p, row)
	e := store.Entry{Kind: store.KindAccountEnd, Time: b.Now(), Principal: person, By: person, API: p.API, Note: p.Host(), Login: login}
	if unrevoked != nil {
		e.Note += "; not revoked there: " + unrevoked.Error()
	}
	last := row
	err = b.c.Store.Update(ctx, func(tx *store.Tx) (err error) {
		if last, err = tx.AccountOf(person, p.API); err != nil {
			return err
		}
		if err := tx.DeleteAccount(person, p.API); err != nil {
			return err
		}
		return tx.Append(e)
	})
	if err == nil && (last.ID != row.ID || last.Version != row.Version) { // a call renewed it meanwhile
		unrevoked = errors.Join(unrevoked, b.revoke(ctx, p, last))
	}
	return unrevoked, err
}

// revoke has the server end what is in a row.
func (b *Book) revoke(ctx context.Context, p *Provider, row store.Account) error {
	c, err := b.sealer.open(row)
	if err != nil || c.Refresh == "" {
		return err
	}
	return p.Server.RevokeRefresh(context.WithoutCancel(ctx), c.Refresh)
}

// lacking says what a person has to do before their account is good for scopes.
func (b *Book) lacking(ctx context.Context, p *Provider, person string, scopes []string) (string, error) {
	c, err := b.Of(ctx, person, p.API)
	return c.lacking(p, scopes, b.c.Now, err)
}

// lacking is the same for what was read with an error.
func (c Connection) lacking(p *Provider, scopes []string, now func() time.Time, err error) (string, error) {
	at := fmt.Sprintf("%s at %s", p.API, p.Host())
	switch {
	case errors.Is(err, ErrNone):
		return fmt.Sprintf("an account of %s has to be connected first, in exeat's inbox", at), nil
	case errors.Is(err, ErrTampered):
		return fmt.Sprintf("connect again: what was kept of the account of %s cannot be relied on", at), nil
	case err != nil:
		return "", err
	case c.Ended != "":
		return fmt.Sprintf("connect again: the account of %s was connected, and that has ended (%s)", at, c.Ended), nil
	}
	var over, missing []string
	for _, s := range scopes {
		_, had := c.Scopes[s]
		switch {
		case c.Live(s, now()):
		case had:
			over = append(over, s)
		default:
			missing = append(missing, s)
		}
	}
	switch {
	case len(missing) > 0:
		return fmt.Sprintf("connect more: the account of %s is connected without %s", at, words(append(missing, over...))), nil
	case len(over) > 0:
		return fmt.Sprintf("connect anew: the time of %s is over, for the account of %s", words(over), at), nil
	}
	return "", nil
}
