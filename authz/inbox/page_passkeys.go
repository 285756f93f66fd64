package inbox

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

func (in *Inbox) passkeyRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /passkey.js", serve("passkey.js", "text/javascript"))
	mux.HandleFunc("POST /login/passkey", in.passkeyLogin)
	mux.HandleFunc("GET /passkeys", in.page(in.passkeyPage))
	mux.HandleFunc("POST /passkeys", in.page(in.addPasskey))
	mux.HandleFunc("POST /passkeys/{id}/revoke", in.page(in.revokePasskey))
}

// allowScript lets a page run our own script: a browser asks for a passkey only
// from there. It loads and sends nothing by itself.
func allowScript(w http.ResponseWriter) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
}

// options is the form in which a page hands a ceremony to its script.
func options(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

func (in *Inbox) passkeyLogin(w http.ResponseWriter, r *http.Request) {
	err, back := errRequest, "/"
	if in.passkeys != nil && r.ParseForm() == nil {
		var use approval.PasskeyUse
		if use, err = in.passkeys.FinishSignIn(r.Context(), []byte(r.PostForm.Get("answer"))); err == nil {
			back, err = in.strengthen(w, r, use)
		}
	}
	if err != nil {
		in.note(store.Entry{Kind: store.KindDenied, Time: in.now(), Code: "login_refused", Note: "a passkey that was not accepted"})
		status, _, text := in.failure(err)
		in.showLogin(w, r, status, loginPage{frame: frame{Error: text}})
		return
	}
	if asked := backTo(r.PostForm.Get("back")); asked != "/" {
		back = asked
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}

// strengthen begins a session of the person whose passkey answered: who is
// logged in goes on as before, with the passkey; otherwise the local login must
// be one that takes them.
func (in *Inbox) strengthen(w http.ResponseWriter, r *http.Request, use approval.PasskeyUse) (back string, err error) {
	local, known := in.local(use.Name())
	p, back, how := localPerson(local, in.now()), "/", "a passkey"
	if s, _, ok := in.who(r); ok && s.who.Name() == use.Name() {
		p, back = s.who.Person(), "/passkeys"
		how = s.how + ", and a passkey"
	} else if !in.TakesLinks() || !known {
		return back, approval.ErrPasskey
	}
	end := loginEnd(&p, in.now())
	who, err := in.c.Door.AdmitByPasskey(p, use, end)
	if err == nil {
		_, err = in.startAs(w, r, who, how)
	}
	return back, err
}

type passkeysPage struct {
	frame
	Why     string // there are none here
	SignIn  string // options to sign in with one first, or ""
	Options string // to make one, or ""
	Keys    []keyRow
}

type keyRow struct {
	ID, Name      string
	Created, Used time.Time
}

func (in *Inbox) passkeyPage(w http.ResponseWriter, r *http.Request, s session) error {
	p := passkeysPage{frame: in.newFrame("Passkeys", s)}
	keys, err := in.holds.PasskeysOf(r.Context(), s.who.Name())
	if err != nil {
		return err
	}
	for _, k := range keys {
		p.Keys = append(p.Keys, keyRow{k.ID, k.Name, k.Created, k.Used})
	}
	switch {
	case in.passkeys == nil:
		p.Why = "Browsers use passkeys only on https and on http://localhost, and this inbox is at " + in.c.URL + "."
	case len(keys) > 0 && !s.who.Strong():
		p.Why = "You have a passkey: sign in with it to add another one."
		if o, err := in.passkeys.BeginSignIn(); err == nil {
			p.SignIn = options(o.Response)
			allowScript(w)
		}
	default:
		o, err := in.passkeys.BeginRegistration(r.Context(), s.who)
		if err != nil {
			return err
		}
		p.Options = options(o.Response)
		allowScript(w)
	}
	return render(w, http.StatusOK, "passkeys.html", p)
}

func (in *Inbox) addPasskey(w http.ResponseWriter, r *http.Request, s session) error {
	if in.passkeys == nil {
		return errRequest
	}
	name := strings.TrimSpace(r.PostForm.Get("name"))
	if err := in.passkeys.Register(r.Context(), s.who, name, []byte(r.PostForm.Get("answer"))); err != nil {
		return err
	}
	http.Redirect(w, r, "/passkeys", http.StatusSeeOther)
	return nil
}

func (in *Inbox) revokePasskey(w http.ResponseWriter, r *http.Request, s session) error {
	if err := in.holds.RevokeOwnPasskey(r.Context(), s.who, r.PathValue("id")); err != nil {
		return err
	}
	http.Redirect(w, r, "/passkeys", http.StatusSeeOther)
	return nil
}

// signing is what a page needs to have a choice signed; the zero value if no
// passkey is asked for.
type signing struct {
	Sign  string // options for the browser
	Until string // when they end, in seconds
}

// askToSign asks the person's passkey, if there is one, to sign a choice about a
// hold.
func (in *Inbox) askToSign(w http.ResponseWriter, r *http.Request, s session, hold, digest, choice string) (signing, error) {
	if in.passkeys == nil {
		return signing{}, nil // the page says so
	}
	until := in.now().Add(approval.DecisionLife).Truncate(time.Second)
	o, err := in.passkeys.AskToSign(r.Context(), s.who.Name(), hold, digest, choice, until)
	if err != nil || o == nil {
		return signing{}, err
	}
	allowScript(w)
	return signing{options(o.Response), strconv.FormatInt(until.Unix(), 10)}, nil
}

// signed is the passkey's answer about a choice in a form, if there is one. The
// origin is the inbox's own, never the form's.
func (in *Inbox) signed(r *http.Request, choice string) (*approval.Signed, error) {
	answer := r.PostForm.Get("answer")
	if answer == "" {
		return nil, nil
	}
	until, err := strconv.ParseInt(r.PostForm.Get("until"), 10, 64)
	if err != nil || !json.Valid([]byte(answer)) || in.passkeys == nil {
		return nil, errRequest
	}
	return &approval.Signed{Origin: in.c.URL, Choice: choice, Until: time.Unix(until, 0).UTC(), Answer: json.RawMessage(answer)}, nil
}
