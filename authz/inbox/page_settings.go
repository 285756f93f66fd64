package inbox

import (
	"net/http"

	"github.com/exeat/exeat/authz/devissuer"
	"github.com/exeat/exeat/store"
)

// settingsPage is what a person can set up, and what there is of each.
type settingsPage struct {
	frame
	Passkeys, Browsers, Logins int
	CanPasskey, CanPush        bool // here
	Accounts                   []accountRow
	Access                     []devissuer.Access // programs that may ask in their name
}

// First reports whether one of the two first steps is still to be made.
func (p settingsPage) First() bool {
	return p.CanPasskey && p.Passkeys == 0 || p.CanPush && p.Browsers == 0
}

// Connected counts the accounts that are.
func (p settingsPage) Connected() (n int) {
	for _, a := range p.Accounts {
		if a.Connected {
			n++
		}
	}
	return n
}

// settings gathers what has a page of its own.
func (in *Inbox) settings(w http.ResponseWriter, r *http.Request, s session) error {
	p := settingsPage{frame: in.newFrame("Settings", s), CanPasskey: in.passkeys != nil, CanPush: in.c.Push != nil, Logins: len(in.logins.of(s.who.Name(), in.now()))}
	keys, err := in.holds.PasskeysOf(r.Context(), s.who.Name())
	if err != nil {
		return err
	}
	p.Passkeys = len(keys)
	if err := in.c.Store.View(r.Context(), func(tx *store.Tx) error {
		subs, err := tx.Subscriptions(s.who.Name())
		p.Browsers = len(subs)
		return err
	}); err != nil {
		return err
	}
	if p.Accounts, err = in.accounts(r, s); err != nil {
		return err
	}
	if in.c.Issuer != nil {
		if p.Access, err = in.c.Issuer.AccessOf(r.Context(), s.who); err != nil {
			return err
		}
	}
	return render(w, http.StatusOK, "settings.html", p)
}
