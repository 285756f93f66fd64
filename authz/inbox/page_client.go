package inbox

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/devissuer"
	"github.com/exeat/exeat/store"
)

// answerPath is where the page that asks about a client is answered.
const answerPath = "/oauth/answer"

func (in *Inbox) clientRoutes(mux *http.ServeMux) {
	for pattern, f := range map[string]func(http.ResponseWriter, *http.Request, session) error{
		"GET " + devissuer.AuthorizePath: in.askAboutClient, "POST " + answerPath: in.answerClient, "POST /access/{id}/revoke": in.revokeAccess} {
		mux.HandleFunc(pattern, in.page(func(w http.ResponseWriter, r *http.Request, s session) error {
			if in.c.Issuer == nil {
				return approval.ErrNotFound
			}
			return f(w, r, s)
		}))
	}
}

type clientPage struct {
	frame
	devissuer.Ask
	Action string
	SignIn string // options for a passkey that has to sign in first, or ""
	Back   string // this page
}

type refusedPage struct {
	frame
	Text, Back, Host string
}

// askAboutClient asks a person whether a client may ask in their name. Nothing is
// read of its request before somebody is logged in, and nothing is allowed
// without this page.
func (in *Inbox) askAboutClient(w http.ResponseWriter, r *http.Request, s session) error {
	ask, err := in.c.Issuer.Ask(r, s.who)
	var refusal *devissuer.Refusal
	switch {
	case errors.As(err, &refusal):
		return in.clientRefused(w, r, s, refusal)
	case errors.Is(err, devissuer.ErrFresh):
		in.askAnew(w, r, s, r.URL.RequestURI())
		return nil
	case err != nil:
		return err
	}
	p := clientPage{frame: in.newFrame("May this program ask in your name?", s), Ask: ask, Action: answerPath, Back: r.URL.RequestURI()}
	script := ""
	if s.signs && !s.who.Strong() && in.passkeys != nil {
		o, err := in.passkeys.BeginSignIn()
		if err != nil {
			return err
		}
		p.SignIn, script = options(o.Response), " script-src 'self';"
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self';"+script+" form-action 'self' "+formTarget(ask.Redirect)+"; frame-ancestors 'none'; base-uri 'none'")
	return render(w, http.StatusOK, "client.html", p)
}

// formTarget is the origin that a form may lead to by a redirect, as a policy of
// content names it. It has no way to name an IPv6 address.
func formTarget(redirect string) string {
	u, err := url.Parse(redirect)
	if err != nil {
		return ""
	}
	if strings.Contains(u.Host, "[") {
		return u.Scheme + ":"
	}
	return u.Scheme + "://" + u.Host
}

// clientRefused says why a request is not put to the person. A program on their
// own machine is told at once; anybody else only if the person goes there, so that
// a request which is wrong on purpose leads nobody away from here.
func (in *Inbox) clientRefused(w http.ResponseWriter, r *http.Request, s session, refusal *devissuer.Refusal) error {
	p := refusedPage{frame: in.newFrame("Not in order", s), Text: refusal.Text, Back: refusal.Back}
	if u, err := url.Parse(refusal.Back); err == nil && refusal.Back != "" {
		if p.Host = u.Host; u.Scheme == "http" { // which only loopback addresses have
			http.Redirect(w, r, refusal.Back, http.StatusSeeOther)
			return nil
		}
	}
	return render(w, http.StatusBadRequest, "client_refused.html", p)
}

// askAnew is the login page for somebody who is logged in, not lately enough for a
// client.
func (in *Inbox) askAnew(w http.ResponseWriter, r *http.Request, s session, back string) {
	status, _, text := in.failure(devissuer.ErrFresh)
	page := loginPage{frame: in.newFrame("", s), Back: back, Again: true}
	page.Error = text
	in.showLogin(w, r, status, page)
}

func (in *Inbox) answerClient(w http.ResponseWriter, r *http.Request, s session) error {
	verdict := r.PostForm.Get("verdict")
	if verdict != "allow" && verdict != "refuse" {
		return errRequest
	}
	back, err := in.c.Issuer.Answer(r.Context(), s.who, r.PostForm.Get("ask"), verdict == "allow")
	var refusal *devissuer.Refusal
	if errors.As(err, &refusal) {
		return in.clientRefused(w, r, s, refusal)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
	return nil
}

func (in *Inbox) revokeAccess(w http.ResponseWriter, r *http.Request, s session) error {
	err := in.c.Issuer.Revoke(r.Context(), s.who, r.PathValue("id"))
	if errors.Is(err, store.ErrNotFound) {
		return errNoAccess
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/sessions", http.StatusSeeOther)
	return nil
}
