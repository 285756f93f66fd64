package inbox

import (
	"errors"
	"net/http"
	"time"

	"github.com/exeat/exeat/authz/account"
	"github.com/exeat/exeat/authz/plaintext"
)

// accountRow is what a person has connected for one API.
type accountRow struct {
	API, Host string
	Connected bool
	Account   string // what its server calls it
	Since     time.Time
	Problem   string // why it is of no use
	Scopes    []scopeRow
}

// scopeRow is one scope of an API, and until when it is connected.
type scopeRow struct {
	account.Scope
	Live   bool
	Until  time.Time // it is, or was, connected; zero if it never was
	Needed bool      // by the call that is shown
	Chosen bool      // unless the person says otherwise
	Kept   bool      // it keeps its end
}

// Lasts says how long it is good for once it is connected.
func (x scopeRow) Lasts() string { return plaintext.Duration(x.Life) }

// More reports whether there is something to connect.
func (a accountRow) More() bool {
	for _, x := range a.Scopes {
		if !x.Live {
			return true
		}
	}
	return a.Problem != ""
}

func (in *Inbox) accountRow(r *http.Request, s session, p *account.Provider) (accountRow, error) {
	row := accountRow{API: p.API, Host: p.Host()}
	c, err := in.c.Accounts.Of(r.Context(), s.who.Name(), p.API)
	switch {
	case errors.Is(err, account.ErrNone):
	case errors.Is(err, account.ErrTampered):
		row.Connected, row.Problem = true, "What the database has of it was changed, or put back. It is not used."
	case err != nil:
		return row, err
	default:
		row.Connected, row.Account, row.Since = true, c.Account, c.Since
		if c.Ended != "" {
			row.Problem = "It has ended: " + c.Ended + "."
		}
	}
	for _, x := range p.Scopes {
		one := scopeRow{Scope: x, Live: c.Live(x.Name, in.c.Accounts.Now())}
		if g, ok := c.Scopes[x.Name]; ok {
			one.Until = g.Until
		}
		row.Scopes = append(row.Scopes, one)
	}
	return row, nil
}

// accounts are what a person has connected, or can.
func (in *Inbox) accounts(r *http.Request, s session) (rows []accountRow, err error) {
	if in.c.Accounts == nil {
		return nil, nil
	}
	for _, p := range in.c.Accounts.Providers() {
		row, err := in.accountRow(r, s, p)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}
