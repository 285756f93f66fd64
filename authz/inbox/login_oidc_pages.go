package inbox

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// callbackPath is where a provider sends people back to, below the inbox's URL.
const callbackPath = "/login/oidc/callback"

var (
	errOIDCState  = errors.New("this answer of the OpenID provider is not for a login that was begun here")
	errOIDCDenied = errors.New("the OpenID provider let nobody in")
	errLocalOff   = errors.New("this inbox takes no login links")
)

func (in *Inbox) oidcRoutes(mux *http.ServeMux) {
	for path, f := range map[string]http.HandlerFunc{"/login/oidc": in.oidcLogin, callbackPath: in.oidcCallback} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			if in.c.OIDC == nil {
				in.showLogin(w, r, http.StatusNotFound, loginPage{})
				return
			}
			f(w, r)
		})
	}
}

// TakesLinks reports whether people may log in by link, and sign in with a
// passkey alone. With a provider that is off unless the operator wants both: who
// can read the terminal would get past all that the provider asks for.
func (in *Inbox) TakesLinks() bool { return in.c.OIDC == nil || in.c.OIDC.c.Local }

// backForm are the pages that a login may lead back to. Nothing else is, so that
// a link cannot use the login to lead elsewhere.
var backForm = regexp.MustCompile(`^/(h/hold_[a-z2-7]{26}(/grant\?kind=(grant|denial))?|permissions|activity|settings|passkeys|sessions|push|` +
	`oauth/authorize\?[A-Za-z0-9%&=._~+:/@!$'()*,-]+)?$`)

// maxBack bounds such a page's address, in bytes: logins that were begun keep it.
const maxBack = 4 << 10

func backTo(path string) string {
	if len(path) <= maxBack && backForm.MatchString(path) {
		return path
	}
	return "/"
}

// oidcLink begins a login that leads back to a page.
func oidcLink(back string, again bool) string {
	q := url.Values{"back": {backTo(back)}}
	if again {
		q.Set("again", "1")
	}
	return "/login/oidc?" + q.Encode()
}

// secretForm is what the flow's cookie looks like.
var secretForm = regexp.MustCompile(`^[a-z2-7]{52}$`)

// flowBrowser is the secret of the cookie that binds flows to this browser.
func (in *Inbox) flowBrowser(r *http.Request) (string, bool) {
	cookies := r.CookiesNamed(in.cookieFor("exeat_login"))
	if len(cookies) != 1 || !secretForm.MatchString(cookies[0].Value) {
		return "", false
	}
	return cookies[0].Value, true
}

// oidcLogin sends the browser to the provider.
func (in *Inbox) oidcLogin(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, again := backTo(q.Get("back")), q.Get("again") != ""
	if site := r.Header.Values("Sec-Fetch-Site"); len(site) > 0 && !slices.Equal(site, []string{"same-origin"}) && !slices.Equal(site, []string{"none"}) {
		in.showLogin(w, r, http.StatusForbidden, loginPage{Back: back}) // another site has no business here
		return
	}
	p, err := in.c.OIDC.provider(r.Context())
	if err != nil {
		in.oidcFailed(w, r, back, err)
		return
	}
	browser, ok := in.flowBrowser(r)
	if !ok {
		browser = newToken() + newToken()
	}
	in.setNamed(w, in.cookieFor("exeat_login"), browser, int(flowLife.Seconds()))
	f := flow{browser: sumOf(browser), nonce: newToken() + newToken(), verifier: oauth2.GenerateVerifier(), back: back, again: again, begun: in.now()}
	state := in.c.OIDC.flows.begin(f)
	http.Redirect(w, r, p.oauth.AuthCodeURL(state, in.c.OIDC.asks(f)...), http.StatusSeeOther)
}

// asks are the parameters of a flow's authentication request.
func (o *OIDC) asks(f flow) []oauth2.AuthCodeOption {
	list := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(f.verifier), oidc.Nonce(f.nonce)}
	set := func(name, value string) { list = append(list, oauth2.SetAuthURLParam(name, value)) }
	acr := o.c.ACR
	if o.c.MaxAge > 0 {
		set("max_age", strconv.FormatInt(int64(o.c.MaxAge/time.Second), 10))
	}
	if f.again {
		acr = o.c.StepUp
		set("prompt", "login")
		set("max_age", "0") // which makes auth_time come back
	}
	if len(acr) > 0 {
		set("acr_values", strings.Join(acr, " "))
	}
	return list
}

// oidcCallback takes what the provider sends back.
func (in *Inbox) oidcCallback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	for _, values := range q {
		if len(values) > 1 {
			in.oidcFailed(w, r, "/", errOIDCState) // which one would count
			return
		}
	}
	browser, _ := in.flowBrowser(r)
	f, ok := in.c.OIDC.flows.take(q.Get("state"), browser, in.now())
	if !ok {
		in.oidcFailed(w, r, "/", errOIDCState)
		return
	}
	p, err := in.oidcPerson(r, f)
	if err == nil {
		_, err = in.start(w, r, p, in.c.OIDC.c.Issuer)
	}
	if err != nil {
		in.oidcFailed(w, r, f.back, err)
		return
	}
	http.Redirect(w, r, f.back, http.StatusSeeOther)
}

// oidcPerson is who comes back from the provider in a flow.
func (in *Inbox) oidcPerson(r *http.Request, f flow) (approval.Person, error) {
	q := r.URL.Query()
	p, err := in.c.OIDC.provider(r.Context())
	switch {
	case err != nil:
		return approval.Person{}, err
	case q.Has("iss") && q.Get("iss") != in.c.OIDC.c.Issuer, p.names && !q.Has("iss"):
		return approval.Person{}, refusedAnswer("it is not signed with the issuer's name (RFC 9207)")
	case q.Has("error"):
		return approval.Person{}, fmt.Errorf("%w: %s", errOIDCDenied, brief(errors.New(q.Get("error"))))
	case q.Get("code") == "":
		return approval.Person{}, refusedAnswer("it has no code")
	}
	return in.c.OIDC.redeem(r.Context(), p, f, q.Get("code"))
}

// oidcFailed shows why nobody was logged in, and how to try again. Who is logged
// in stays so. The operator is told more than the page says.
func (in *Inbox) oidcFailed(w http.ResponseWriter, r *http.Request, back string, err error) {
	now := in.now()
	if n := in.guesses.Add("oidc", now, time.Minute); n <= maxGuesses {
		if in.c.Trouble != nil && !errors.Is(err, errOIDCState) {
			in.c.Trouble(fmt.Errorf("inbox: %w", err))
		}
		if !errors.Is(err, errOIDCDown) {
			e := store.Entry{Kind: store.KindDenied, Time: now, Code: "login_refused", Note: brief(err)}
			if n == maxGuesses {
				e.Note += "; more of this minute are not recorded"
			}
			in.note(e)
		}
	}
	status, _, text := in.failure(err)
	page := loginPage{frame: frame{Error: text}, Back: back}
	if s, _, ok := in.who(r); ok {
		page.frame = in.newFrame("", s)
		page.Error, page.Return, page.Again = text, back, true
	}
	in.showLogin(w, r, status, page)
}

// askAgain is the page of a hold that may be seen after a better login. It tells
// nothing of the hold, but that it is there: to somebody who may well decide it.
func (in *Inbox) askAgain(w http.ResponseWriter, r *http.Request, s session, back string) {
	status, _, text := in.failure(approval.ErrBetterLogin)
	page := loginPage{frame: in.newFrame("", s), Back: back, Again: true}
	page.Error = text
	in.showLogin(w, r, status, page)
}
