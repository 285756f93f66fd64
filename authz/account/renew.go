package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/exeat/exeat/authz/credential"
	"github.com/exeat/exeat/store"
)

// Bounds of renewing. A process that dies in it keeps others waiting for a lease,
// which is longer than any request takes.
const (
	lease     = 30 * time.Second
	saveTries = 4
)

var saveWait = 100 * time.Millisecond // between the first two tries

// ErrLacks is that a person has to connect first.
var ErrLacks = errors.New("the account is not connected for this call")

// renewed is a token for one call, and what the account is connected for.
type renewed struct {
	*oauth2.Token
	connected []string
}

// renew makes an access token of a person's account, with these scopes only. Most
// servers take a refresh token once and give another with each answer, and take the
// second use of one for theft. So one renews at a time, whichever process it is in,
// and what it gets is kept before anybody else begins, even if its caller has gone.
func (b *Book) renew(ctx context.Context, p *Provider, person string, scopes []string) (renewed, error) {
	owner := rand.Text()
	row, c, err := b.take(ctx, p, person, scopes, owner)
	if err != nil {
		return renewed{}, err
	}
	ctx = context.WithoutCancel(ctx)
	form := url.Values{"refresh_token": {c.Refresh}}
	if p.Resource != "" {
		form.Set("resource", p.Resource)
	}
	t, err := p.Server.Ask(ctx, "refresh_token", form, scopes)
	switch {
	case errors.Is(err, credential.ErrGrant):
		return renewed{}, errors.Join(fmt.Errorf("%w: connect again: %w", ErrLacks, err), b.end(ctx, p, row, c))
	case err != nil:
		return renewed{}, errors.Join(err, b.save(ctx, row, c))
	}
	if t.RefreshToken != "" && len(t.RefreshToken) <= maxSecret {
		c.Refresh = t.RefreshToken
	}
	switch err := b.save(ctx, row, c); {
	case errors.Is(err, store.ErrConflict):
		// Disconnected, or connected anew, meanwhile: what was made of the old one is not used.
		return renewed{}, errors.Join(fmt.Errorf("%w: it was disconnected or connected anew meanwhile", ErrLacks), p.drop(ctx, Got{refresh: t.RefreshToken}))
	case err != nil:
		return renewed{}, fmt.Errorf("the account's new refresh token cannot be kept: %w", err)
	}
	out := renewed{Token: t}
	for s := range c.Scopes {
		out.connected = append(out.connected, s)
	}
	return out, nil
}

// take waits until nobody else renews an account, and is then who does.
func (b *Book) take(ctx context.Context, p *Provider, person string, scopes []string, owner string) (row store.Account, c Connection, err error) {
	ctx, cancel := context.WithTimeout(ctx, lease+5*time.Second)
	defer cancel()
	changed, stop := b.c.Store.Watch()
	defer stop()
	for {
		row, c, err = b.read(ctx, person, p.API)
		why, err := c.lacking(p, scopes, b.c.Now, err)
		switch {
		case err != nil:
			return row, c, err
		case why != "":
			return row, c, fmt.Errorf("%w: %s", ErrLacks, why)
		}
		wait := row.Busy.Sub(b.Now())
		if wait <= 0 || wait > lease { // longer: a clock was set back
			row.Owner, row.Busy = owner, b.Now().Add(lease)
			err = b.c.Store.Update(ctx, func(tx *store.Tx) error { return tx.SwapAccount(row) })
			if err == nil {
				row.Version++
				return row, c, nil
			}
			if !errors.Is(err, store.ErrConflict) {
				return row, c, err
			}
			continue // somebody was faster
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return row, c, fmt.Errorf("another call renews the account, and does not end: %w", ctx.Err())
		}
		timer.Stop()
	}
}

// save keeps what was renewed, and lets others go on. It tries again if the disk
// fails: a refresh token that is not kept is lost.
func (b *Book) save(ctx context.Context, row store.Account, c Connection, entries ...store.Entry) error {
	row.Owner, row.Busy = "", time.Time{}
	row, err := b.sealer.seal(row, c)
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		err = b.c.Store.Update(ctx, func(tx *store.Tx) error {
			if err := tx.SwapAccount(row); err != nil {
				return err
			}
			for _, e := range entries {
				if err := tx.Append(e); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil || errors.Is(err, store.ErrConflict) || n == saveTries {
			return err
		}
		time.Sleep(time.Duration(n) * saveWait)
	}
}

// end notes that the server renews an account no more.
func (b *Book) end(ctx context.Context, p *Provider, row store.Account, c Connection) error {
	c.Ended, c.Refresh = "its authorization server does not renew it any more", ""
	err := b.save(ctx, row, c, store.Entry{Kind: store.KindAccountEnd, Time: b.Now(), Principal: row.Person, API: row.API, Code: "invalid_grant", Note: p.Host()})
	if errors.Is(err, store.ErrConflict) { // it was connected anew meanwhile
		return nil
	}
	return err
}

// check refuses a token that is not what was asked for. wider says for what more of
// the connected scopes it is good: servers need not take a narrower scope (RFC 6749 §6).
func (r renewed) check(asked, always, also []string) (scope, wider string, err error) {
	if !strings.EqualFold(r.TokenType, "Bearer") {
		return "", "", errors.New("it is not of the type Bearer")
	}
	if !bearer.MatchString(r.AccessToken) {
		return "", "", errors.New("it holds characters that a header cannot carry")
	}
	granted, err := grantedScopes(r.Token, asked)
	if err != nil {
		return "", "", err
	}
	var more []string
	for _, s := range granted {
		switch {
		case slices.Contains(asked, s):
		case slices.Contains(r.connected, s), slices.Contains(always, s):
			more = append(more, s)
		case slices.Contains(also, s), slices.Contains(also, "*"):
		default:
			return "", "", fmt.Errorf("it has the scope %q, which nobody connected (also_granted allows it)", cut(s))
		}
	}
	if len(more) > 0 {
		wider = "the server does not narrow it: it is for " + words(more) + ", too"
	}
	return strings.Join(granted, " "), wider, nil
}
