package inbox

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/account"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/devissuer"
	"github.com/exeat/exeat/authz/notify"
	"github.com/exeat/exeat/authz/tally"
	"github.com/exeat/exeat/store"
)

// Config is what an [Inbox] is made of.
type Config struct {
	Holds *approval.Service
	// Door is the doorkeeper of the holds: those who log in here are let in there.
	Door  *approval.Doorkeeper
	Store *store.Store // of the holds, for its log and for browsers
	// Person is who the local login logs in: the one user of this machine. People
	// are others who can log in like that, by a link that Person hands on.
	Person authz.Principal
	People []authz.Principal
	// URL is the inbox's own origin, e.g. http://127.0.0.1:8421: what the Host
	// and Origin headers must name.
	URL string
	// State, if not empty, tells this inbox from others of the same person: each
	// page names it.
	State string
	// Announce, if not nil, shows a new login link of a person in the terminal.
	// The login page then offers to ask for one, at most one each 30 s.
	Announce func(person, link string)
	// OIDC, if not nil, lets people log in with an OpenID provider, and nobody by
	// link unless it says so.
	OIDC *OIDC
	// Issuer, if not nil, is the authorization server of this process, whose login
	// this is.
	Issuer *devissuer.Issuer
	// Accounts, if not nil, are those that people connect here for the APIs.
	Accounts *account.Book
	// Trouble, if not nil, is told of errors that people are not shown.
	Trouble func(error)
	// Push, if not nil, lets people have messages in their browsers. Notifier,
	// if not nil, is whose failing channels the pages name.
	Push     *notify.Push
	Notifier *notify.Notifier
}

// Inbox is the pages where a person decides, for a listener of their own.
type Inbox struct {
	c        Config
	holds    *approval.Service
	passkeys *approval.Passkeys // nil where browsers use none

	streams   streams
	logins    logins
	connects  flows // accounts that are being connected
	guesses   tally.Counter
	announced struct {
		sync.Mutex
		at time.Time
	}
}

// New is an Inbox. The error says what of the configuration it cannot work with.
func New(c Config) (*Inbox, error) {
	if u, err := url.Parse(c.URL); err != nil || u.Host == "" || c.Holds == nil || c.Door == nil || c.Store == nil {
		return nil, fmt.Errorf("inbox: there are no holds, no doorkeeper, no store or no address in %q", c.URL)
	}
	in := &Inbox{c: c, holds: c.Holds}
	if keys, err := approval.NewPasskeys(c.Holds, c.URL); err == nil {
		in.passkeys = keys // elsewhere the page says why there are none
	}
	return in, nil
}

// URL is the inbox's own origin.
func (in *Inbox) URL() string { return in.c.URL }

// Bounds of requests to the inbox.
const (
	maxForm       = 16 << 10 // bytes of a POST
	announceEvery = 30 * time.Second
	maxGuesses    = 20 // login codes a minute that are wrong
)

func (in *Inbox) now() time.Time { return in.holds.Now() }

func (in *Inbox) secure() bool { return strings.HasPrefix(in.c.URL, "https://") }

// LoginLink returns a new link that logs Person in once, within ten minutes. It is
// for the terminal of the person, never for anything that an agent reads.
func (in *Inbox) LoginLink() string { return in.linkFor(in.c.Person) }

func (in *Inbox) linkFor(p authz.Principal) string {
	return in.c.URL + "/login?code=" + in.logins.newCode(p, in.now())
}

// local is the person of that name who can log in without a provider.
func (in *Inbox) local(name string) (authz.Principal, bool) {
	for _, p := range append([]authz.Principal{in.c.Person}, in.c.People...) {
		if p.Name() == name {
			return p, true
		}
	}
	return authz.Principal{}, false
}

// HoldURL is the page of one hold; it carries no authority.
func (in *Inbox) HoldURL(id string) string { return in.c.URL + "/h/" + url.PathEscape(id) }

// Handler returns the pages and, for terminals, the same as JSON. Pages that
// stay open end with ctx.
func (in *Inbox) Handler(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /style.css", serve("style.css", "text/css"))
	mux.HandleFunc("GET /login", in.loginPage)
	mux.HandleFunc("POST /login", in.login)
	mux.HandleFunc("POST /login/link", in.newLink)
	mux.HandleFunc("GET /{$}", in.page(in.list))
	mux.HandleFunc("GET /h/{id}", in.page(in.hold))
	mux.HandleFunc("POST /h/{id}", in.page(in.decide))
	mux.HandleFunc("GET /h/{id}/grant", in.page(in.grantForm))
	mux.HandleFunc("POST /h/{id}/grant", in.page(in.give))
	in.fileRoutes(mux)
	mux.HandleFunc("GET /live.js", serve("live.js", "text/javascript"))
	mux.HandleFunc("GET /page.js", serve("page.js", "text/javascript"))
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, r *http.Request) { in.live(w, r, ctx.Done()) })
	mux.HandleFunc("GET /several", in.page(in.several))
	mux.HandleFunc("POST /several", in.page(in.decideSeveral))
	mux.HandleFunc("GET /permissions", in.page(in.permissions))
	mux.HandleFunc("POST /permissions/{id}/revoke", in.page(in.revokeRule))
	mux.HandleFunc("POST /agents/{key}/{what}", in.page(in.switchAgent))
	mux.HandleFunc("GET /activity", in.page(in.activity))
	mux.HandleFunc("GET /activity/{txn}", in.page(in.chain))
	mux.HandleFunc("POST /logout", in.page(in.logout))
	mux.HandleFunc("GET /settings", in.page(in.settings))
	appRoutes(mux)
	mux.HandleFunc("POST /language", in.page(in.chooseLanguage))
	in.pushRoutes(mux)
	in.passkeyRoutes(mux)
	in.sessionRoutes(mux)
	in.oidcRoutes(mux)
	in.clientRoutes(mux)
	in.connectRoutes(mux)
	mux.HandleFunc("GET /", in.page(func(http.ResponseWriter, *http.Request, session) error { return approval.ErrNotFound }))
	in.api(mux)
	return in.guard(mux)
}

// guard stands before every page: it sets the headers that keep a page to
// itself and refuses what another site, a rebound name or a script elsewhere
// sends.
func (in *Inbox) guard(next http.Handler) http.Handler {
	host := ""
	if u, err := url.Parse(in.c.URL); err == nil {
		host = u.Host
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		switch {
		case host == "" || !strings.EqualFold(r.Host, host):
			refuse(w, r, http.StatusMisdirectedRequest, "this is the inbox of "+in.c.URL+"; open it by that address")
		case r.Method != http.MethodGet && r.Method != http.MethodHead && !in.sameOrigin(r):
			refuse(w, r, http.StatusForbidden, "the request comes from another site")
		case r.ContentLength > maxForm:
			refuse(w, r, http.StatusRequestEntityTooLarge, "the request is too large")
		default:
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
			next.ServeHTTP(w, r)
		}
	})
}

// sameOrigin reports whether nothing says that a page of another origin sent
// the request. Since our pages send no referrer, browsers send "Origin: null"
// from them; then Sec-Fetch-Site must say where from. A program that sends
// neither has to know the session's token.
func (in *Inbox) sameOrigin(r *http.Request) bool {
	site, origin := r.Header.Values("Sec-Fetch-Site"), r.Header.Values("Origin")
	if len(site) > 1 || len(origin) > 1 {
		return false
	}
	if len(site) == 1 && site[0] != "same-origin" {
		return false
	}
	if len(origin) == 1 && origin[0] != in.c.URL {
		return origin[0] == "null" && len(site) == 1
	}
	return true
}

// genuine reports whether a POST carries the session's token.
func (s session) genuine(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(s.csrf)) == 1
}

// enter spends a code, records the login and starts a session, which replaces
// the one that the browser had.
func (in *Inbox) enter(w http.ResponseWriter, r *http.Request, code string) (session, error) {
	if !in.TakesLinks() {
		return session{}, errLocalOff
	}
	now := in.now()
	who, ok := in.logins.spend(code, now)
	if !ok {
		return session{}, in.countGuess(now)
	}
	// RFC 8176 "otp": the link holds a one-time password.
	return in.start(w, r, localPerson(who, now, "otp"), "a one-time link")
}

// localPerson is somebody whom the local login logs in, as recognised just now.
func localPerson(who authz.Principal, now time.Time, amr ...string) approval.Person {
	p := approval.Person{Principal: who, AMR: amr}
	p.Principal.AuthTime = now
	return p
}

// loginEnd is when a login of a person ends, however much it is used. Who was
// recognised before goes on from then.
func loginEnd(p *approval.Person, now time.Time) time.Time {
	if p.Since.IsZero() {
		p.Since = now
	}
	return p.Since.Add(absoluteEnd)
}

// start begins the session of somebody who was just recognised.
func (in *Inbox) start(w http.ResponseWriter, r *http.Request, p approval.Person, how string) (session, error) {
	end := loginEnd(&p, in.now())
	return in.startAs(w, r, in.c.Door.Admit(p, end), how)
}

// startAs records a login and begins its session, which replaces the one that
// the browser had.
func (in *Inbox) startAs(w http.ResponseWriter, r *http.Request, who approval.Identity, how string) (session, error) {
	now, p := in.now(), who.Person()
	if err := in.holds.Check(r.Context(), who); err != nil {
		if errors.Is(err, approval.ErrUserStopped) && in.guesses.Add(p.Name(), now, time.Minute) <= maxGuesses {
			in.note(store.Entry{Kind: store.KindDenied, Time: now, Principal: p.Name(), Code: "login_refused", Note: "this user was stopped"})
		}
		return session{}, err
	}
	err := in.c.Store.Update(r.Context(), func(tx *store.Tx) error {
		return tx.Append(store.Entry{Kind: store.KindLogin, Time: now, Principal: p.Name(), By: p.Name(), Note: "inbox, by " + how, Login: p.Login()})
	})
	if err != nil {
		return session{}, err
	}
	if _, secret, ok := in.who(r); ok {
		in.logins.end(secret)
	}
	secret, s := in.logins.begin(session{who: who, since: p.Since, how: how, agent: browserName(r)}, now)
	in.setCookie(w, secret, int(absoluteEnd.Seconds()))
	return s, nil
}

// note writes an entry of something that was refused. If that fails, it is
// refused all the same.
func (in *Inbox) note(e store.Entry) { _ = in.c.Store.Log(e)() }

// countGuess records a login that failed and says how it is answered. A right code
// is taken however many wrong ones came before: it has 128 bits, so no rate of
// guessing finds it, and a limit that stopped it too would let any process of
// this machine keep the person out.
func (in *Inbox) countGuess(now time.Time) error {
	n := in.guesses.Add("", now, time.Minute)
	e := store.Entry{Kind: store.KindDenied, Time: now, Code: "login_refused", Note: "a login link that does not work"}
	switch {
	case n < maxGuesses:
	case n == maxGuesses:
		e.Note += "; more of this minute are not recorded"
		if in.c.Trouble != nil {
			in.c.Trouble(fmt.Errorf("inbox: somebody tries login links: %d within a minute did not work", n))
		}
	default:
		return errGuesses
	}
	in.note(e)
	return errCode
}

// look shows a hold, if the person may see it.
func (in *Inbox) look(r *http.Request, s session) (store.Hold, HoldView, error) {
	sight, err := in.holds.Show(r.Context(), s.who, r.PathValue("id"), reveals(r))
	if err != nil {
		return store.Hold{}, HoldView{}, err
	}
	v := in.view(sight)
	v.Others, err = in.holds.Others(r.Context(), sight)
	return sight.Hold, v, err
}

// reveals reports whether a person asks for hidden values. A page of another site
// that leads their browser here asks for nothing: what it opens in the background
// nobody has looked at.
func reveals(r *http.Request) bool {
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" {
			return false
		}
	}
	return r.URL.Query().Get("reveal") == "1"
}

// view is what a person sees of a hold that they are shown in full.
func (in *Inbox) view(sight approval.Sight) HoldView {
	v := full(sight.Hold)
	if !sight.Revealed {
		v.mask(sight.Hold)
	}
	v.Revealed = sight.Revealed && len(sight.Hold.Masked) > 0
	v.finish()
	v.MayDecide, v.StepUp, v.Unseen, v.Lacks = sight.MayDecide, in.stepUp(sight), sight.Unseen, sight.Lacks
	v.Approvals, v.Approving, v.Why = sight.Given, string(sight.Weight), sight.Why
	return v
}

// stepUp is what could let a person decide a hold who may not, as far as there is
// a way to it here.
func (in *Inbox) stepUp(sight approval.Sight) string {
	if sight.StepUp == approval.StepUpPasskey && in.passkeys == nil {
		return ""
	}
	return string(sight.StepUp)
}
