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

// settingsPolicy lets the page have the manifest and its icons: the browser installs from
// here, and from no other page.
const settingsPolicy = "default-src 'none'; style-src 'self'; manifest-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

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
	w.Header().Set("Content-Security-Policy", settingsPolicy)
	return render(w, http.StatusOK, "settings.html", p)
}

// appRoutes serve what makes the inbox an app that a phone can install: its manifest
// (W3C Web Application Manifest) and its icons. They tell nobody anything.
func appRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /app/manifest.webmanifest", serve("app/manifest.webmanifest", "application/manifest+json"))
	mux.HandleFunc("GET /app/icon.svg", serve("app/icon.svg", "image/svg+xml"))
	mux.HandleFunc("GET /app/icon-192.png", serve("app/icon-192.png", "image/png"))
	mux.HandleFunc("GET /app/icon-512.png", serve("app/icon-512.png", "image/png"))
}
