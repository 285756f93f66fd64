package inbox

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/exeat/exeat/authz/account"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/words"
	"github.com/exeat/exeat/store"
)

var (
	errConnectState = errors.New("this answer is not for a connection that was begun in this login")
	errNoAccount    = errors.New("there is no such account")
)

// connecting is an account that is being connected: what was asked for, and then what
// its server answered, until the person has said that it is theirs.
type connecting struct {
	ask  account.Ask
	got  account.Got
	hold string // that needs it
}

// back is where its person goes on.
func (c *connecting) back() string {
	if c.hold != "" {
		return "/h/" + c.hold
	}
	return "/permissions"
}

func (in *Inbox) connectRoutes(mux *http.ServeMux) {
	for pattern, f := range map[string]func(http.ResponseWriter, *http.Request, session, *account.Provider) error{
		"GET /connect/{api}": in.connectPage, "POST /connect/{api}": in.connect, "GET " + account.CallbackPath + "{api}": in.connectCallback,
		"POST /connect/{api}/confirm": in.confirmConnect, "POST /connect/{api}/disconnect": in.disconnect} {
		mux.HandleFunc(pattern, in.page(func(w http.ResponseWriter, r *http.Request, s session) error {
			if in.c.Accounts == nil {
				return approval.ErrNotFound
			}
			p, ok := in.c.Accounts.Provider(r.PathValue("api"))
			if !ok {
				return errNoAccount
			}
			return f(w, r, s, p)
		}))
	}
}

type connectPage struct {
	frame
	accountRow
	Hold     string // that needs it
	Summary  string
	Approved bool   // the hold: it goes once it can
	Foreign  string // what the server said instead
}

// connectPage asks which scopes are to be connected, and says for which call.
func (in *Inbox) connectPage(w http.ResponseWriter, r *http.Request, s session, p *account.Provider) error {
	return in.showConnect(w, r, http.StatusOK, s, p, r.URL.Query().Get("hold"), "", "")
}

func (in *Inbox) showConnect(w http.ResponseWriter, r *http.Request, status int, s session, p *account.Provider, hold, problem, foreign string) error {
	row, err := in.accountRow(r, s, p)
	if err != nil {
		return err
	}
	page := connectPage{frame: in.newFrame("Connect an account", s), accountRow: row, Foreign: foreign}
	page.Error = words.T(problem)
	var needed []string
	if hold != "" {
		sight, err := in.holds.Show(r.Context(), s.who, hold, false)
		if err != nil || !sight.Own || sight.Hold.API != p.API {
			return errors.Join(approval.ErrNotFound, err)
		}
		page.Hold, page.Summary, needed = hold, sight.Hold.Summary, p.Needed(sight.Hold.Tool)
		page.Approved = sight.Hold.State == store.Approved
	}
	for i, x := range page.Scopes {
		page.Scopes[i].Needed = slices.Contains(needed, x.Name)
		page.Scopes[i].Chosen = page.Scopes[i].Needed && !x.Live || hold == "" && !x.Live && x.Life > account.WriteLife
	}
	return render(w, status, "connect.html", page)
}

type goPage struct {
	frame
	Host, URL string
}

// connect leads the browser to the server. It is a page and no redirect, since a
// policy of content would have to name each server that one leads on to.
func (in *Inbox) connect(w http.ResponseWriter, r *http.Request, s session, p *account.Provider) error {
	live, err := in.c.Accounts.Live(r.Context(), s.who.Name(), p.API)
	if err != nil {
		return err
	}
	hold := r.PostForm.Get("hold")
	ask, err := p.NewAsk(s.who.Name(), in.c.URL, r.PostForm["scope"], live)
	if err != nil {
		return in.showConnect(w, r, http.StatusUnprocessableEntity, s, p, hold, "Choose at least one thing that the account is to be connected for.", "")
	}
	if hold != "" {
		if _, err := in.holds.State(r.Context(), s.who, hold); err != nil {
			return err
		}
	}
	// Bound to this login: nobody else's answer is taken here, nor this one elsewhere.
	state := in.connects.begin(flow{browser: sumOf(s.csrf), begun: in.now(), connect: &connecting{ask: ask, hold: hold}})
	to := p.URL(ask, state)
	w.Header().Set("Refresh", "0; url="+to)
	return render(w, http.StatusOK, "connect_go.html", goPage{in.newFrame("Connect an account", s), p.Host(), to})
}

type confirmPage struct {
	frame
	account.Got
	Host, Ask string
	Other     bool       // account than the one that is connected
	Before    string     // what that is called
	Rows      []scopeRow // that were granted
}

// connectCallback takes what the server answers. Nothing is connected by it: somebody
// may have led this browser through a login of their own there.
func (in *Inbox) connectCallback(w http.ResponseWriter, r *http.Request, s session, p *account.Provider) error {
	q := r.URL.Query()
	for _, values := range q {
		if len(values) > 1 {
			return errConnectState // which one would count
		}
	}
	f, ok := in.connects.take(q.Get("state"), s.csrf, in.now())
	if !ok || f.connect.ask.API != p.API || f.connect.ask.Person != s.who.Name() || f.connect.got.API != "" {
		return errConnectState
	}
	got, err := p.Redeem(r.Context(), f.connect.ask, q)
	if err != nil {
		return in.notConnected(w, r, s, p, f.connect, err)
	}
	c := *f.connect
	c.got = got
	page := confirmPage{frame: in.newFrame("Is this your account?", s), Got: got, Host: p.Host(),
		Ask: in.connects.begin(flow{browser: sumOf(s.csrf), begun: in.now(), connect: &c})}
	was, err := in.c.Accounts.Of(r.Context(), s.who.Name(), p.API)
	if err != nil && !errors.Is(err, account.ErrNone) && !errors.Is(err, account.ErrTampered) {
		return err
	}
	page.Other, page.Before = err == nil && was.Account != got.Account, was.Account
	for _, name := range got.Scopes {
		if page.Other && !slices.Contains(got.Chosen, name) {
			continue // it was given for the account before
		}
		x, _ := p.Scope(name)
		page.Rows = append(page.Rows, scopeRow{Scope: x, Kept: !slices.Contains(got.Chosen, name)})
	}
	return render(w, http.StatusOK, "connected.html", page)
}

// notConnected says why nothing was connected. What the server wrote is shown as the
// words of others.
func (in *Inbox) notConnected(w http.ResponseWriter, r *http.Request, s session, p *account.Provider, c *connecting, err error) error {
	if in.c.Trouble != nil && !errors.Is(err, account.ErrDenied) {
		in.c.Trouble(fmt.Errorf("inbox: connect %s: %w", p.API, err))
	}
	text := "What the server answered cannot be relied on, so nothing was connected. exeat's log says why."
	foreign := ""
	switch {
	case errors.Is(err, account.ErrDenied):
		text = "Nothing was connected: the server refused, or you cancelled there."
		foreign = account.ForeignText(r.URL.Query())
	case errors.Is(err, account.ErrNoRefresh):
		text = "Nothing was connected: the server gave nothing to renew the access with. Whoever runs exeat has to ask it for that; exeat's log says how."
	}
	in.note(store.Entry{Kind: store.KindDenied, Time: in.now(), Principal: s.who.Name(), API: p.API, Code: "connect_refused", Note: brief(err)})
	return in.showConnect(w, r, http.StatusForbidden, s, p, c.hold, text, foreign)
}

// confirmConnect keeps the account that the person says is theirs.
func (in *Inbox) confirmConnect(w http.ResponseWriter, r *http.Request, s session, p *account.Provider) error {
	f, ok := in.connects.take(r.PostForm.Get("ask"), s.csrf, in.now())
	if !ok || f.connect.got.API != p.API || f.connect.got.Person != s.who.Name() {
		return errConnectState
	}
	c := f.connect
	if r.PostForm.Get("verdict") != "connect" {
		if err := p.Drop(r.Context(), c.got); err != nil && in.c.Trouble != nil {
			in.c.Trouble(fmt.Errorf("inbox: connect %s: %w", p.API, err))
		}
		http.Redirect(w, r, c.back(), http.StatusSeeOther)
		return nil
	}
	if err := in.c.Accounts.Connect(r.Context(), p, c.got, s.who.Person().Login()); err != nil {
		return err
	}
	http.Redirect(w, r, c.back(), http.StatusSeeOther)
	return nil
}

// disconnect deletes the account, here and at its server.
func (in *Inbox) disconnect(w http.ResponseWriter, r *http.Request, s session, p *account.Provider) error {
	unrevoked, err := in.c.Accounts.Disconnect(r.Context(), p, s.who.Name(), s.who.Person().Login())
	switch {
	case errors.Is(err, account.ErrNone), errors.Is(err, store.ErrNotFound):
		return errNoAccount
	case err != nil:
		return err
	case unrevoked != nil:
		if in.c.Trouble != nil {
			in.c.Trouble(fmt.Errorf("inbox: disconnect %s: %w", p.API, unrevoked))
		}
		message(w, http.StatusOK, in.newFrame("Disconnected", s), words.T("exeat has deleted what it had of this account, and could not tell %s so. Take the access back there, too.", p.Host()))
		return nil
	}
	http.Redirect(w, r, "/permissions", http.StatusSeeOther)
	return nil
}
