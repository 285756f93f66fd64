package inbox

import (
	"context"
	"net/http"
	"regexp"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
)

type loginPage struct {
	frame
	Back     string // the page that a login leads to
	Provider string // with which people log in, and the link that does it; or ""
	Link     string
	Return   string // for somebody who is still logged in
	Again    bool   // somebody who is logged in is to be recognised anew
	Local    bool   // there are links and passkeys
	Keyless  bool   // and a link is all that is needed
	Passkey  string // options for a sign-in with a passkey, or ""
	Code     string
	Announce bool // offer to print a new link
	Several  bool // to one of several people
	Printed  bool // one was printed
}

func (in *Inbox) showLogin(w http.ResponseWriter, r *http.Request, status int, p loginPage) {
	p.Lang = in.language(r)
	p.Title, p.Local, p.Announce, p.Several = "Log in", in.TakesLinks(), in.c.Announce != nil, len(in.c.People) > 0
	if in.c.OIDC != nil {
		p.Provider, p.Link = in.c.OIDC.host(), oidcLink(p.Back, p.Again)
	}
	if p.Local {
		has, err := in.holds.HasPasskey(context.Background(), approval.Person{Principal: in.c.Person}.Name())
		p.Keyless = err != nil || !has
	}
	if p.Local && in.passkeys != nil && in.anyPasskey() {
		if o, err := in.passkeys.BeginSignIn(); err == nil {
			p.Passkey = options(o.Response)
			allowScript(w)
		}
	}
	if err := render(w, status, "login.html", p); err != nil {
		http.Error(w, errLogin.Error(), status)
	}
}

// anyPasskey reports whether one of those who can log in without a provider has a
// passkey. If that is not known, they may.
func (in *Inbox) anyPasskey() bool {
	for _, p := range append([]authz.Principal{in.c.Person}, in.c.People...) {
		if has, err := in.holds.HasPasskey(context.Background(), p.Name()); err != nil || has {
			return true
		}
	}
	return false
}

// codeForm is what login codes look like; nothing else is repeated on a page.
var codeForm = regexp.MustCompile(`^[a-z2-7]{26}$`)

// loginPage offers to log in with the code of the link. It spends nothing, so
// that what opens links to preview them cannot use them up.
func (in *Inbox) loginPage(w http.ResponseWriter, r *http.Request) {
	code := r.URL.Query().Get("code")
	if !codeForm.MatchString(code) {
		code = ""
	}
	in.showLogin(w, r, http.StatusOK, loginPage{Code: code})
}

func (in *Inbox) login(w http.ResponseWriter, r *http.Request) {
	err := r.ParseForm()
	if err == nil {
		_, err = in.enter(w, r, r.PostForm.Get("code"))
	}
	if err != nil {
		status, _, text := in.failure(err)
		in.showLogin(w, r, status, loginPage{frame: frame{Error: text}})
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// newLink prints a link in the terminal, to Person unless the form names somebody
// else; who asks learns nothing of it, nor who there is.
func (in *Inbox) newLink(w http.ResponseWriter, r *http.Request) {
	if in.c.Announce == nil || !in.TakesLinks() {
		in.showLogin(w, r, http.StatusNotFound, loginPage{})
		return
	}
	now := in.now()
	in.announced.Lock()
	soon := now.Sub(in.announced.at) < announceEvery
	if !soon {
		in.announced.at = now
	}
	in.announced.Unlock()
	if !soon {
		who := in.c.Person
		if name := r.FormValue("person"); name != "" {
			who, _ = in.local("User::" + name) // or nobody
		}
		if who.ID != "" {
			in.c.Announce(who.ID, in.linkFor(who))
		}
	}
	in.showLogin(w, r, http.StatusOK, loginPage{Printed: true})
}

func (in *Inbox) logout(w http.ResponseWriter, r *http.Request, _ session) error {
	_, secret, _ := in.who(r)
	in.logins.end(secret)
	in.setCookie(w, "", -1)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
	return nil
}
