package inbox

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/devissuer"
	"github.com/exeat/exeat/authz/words"
)

//go:embed templates
var files embed.FS

// Errors of the pages.
var (
	errCode    = errors.New("this login link was used already, is older than 10 minutes, or never was one")
	errGuesses = errors.New("too many login links that do not work")
	errToken   = errors.New("the form is not from this login; go back, reload the page and try again")
	errRequest = errors.New("the request is not complete")
	errLogin   = errors.New("you are not logged in, or not any more")
	errNoLogin = errors.New("there is no such login")

	errNoAccess = errors.New("there is no such access")
)

// failures say how each error is answered; anything else is internal. code
// names it for programs.
var failures = []struct {
	err    error
	status int
	code   string
	text   string
}{
	{approval.ErrBetterLogin, http.StatusForbidden, "better_login", "You may see and decide this call only after signing in again."},
	{approval.ErrNotFound, http.StatusNotFound, "not_found", "There is no such held call, or it is not yours to see."},
	{approval.ErrDecided, http.StatusConflict, "decided", "Your decision came late and changed nothing: this call was settled before."},
	{approval.ErrExpired, http.StatusConflict, "expired", "Your decision came late and changed nothing: the time of this call was over."},
	{approval.ErrForbidden, http.StatusForbidden, "forbidden", "The policies do not let you decide this call. Your attempt was recorded."},
	{approval.ErrTwice, http.StatusConflict, "twice", "You have approved this call already. Another person has to approve it, too."},
	{approval.ErrNoHelp, http.StatusForbidden, "no_help", "Your approval would not let this call go, as the policies are now, so it was not taken."},
	{approval.ErrTampered, http.StatusConflict, approval.Tampered, tamperedText},
	{approval.ErrStale, http.StatusConflict, "stale", "The database is not as its log tells: somebody changed it, or put an old one back. Nothing can be decided until whoever runs this exeat has looked, with exeat audit verify."},
	{approval.ErrDigest, http.StatusConflict, "digest", "What you decided is not this request. Read it again before you decide."},
	{approval.ErrUnseen, http.StatusConflict, "unseen", "This call has hidden values that you have not looked at. Show them before you approve it; that you looked is recorded."},
	{errUnread, http.StatusConflict, "unread", "There is something on the page of this call that you have not looked at. It is marked: look at it, then approve."},
	{errSure, http.StatusConflict, "sure", "This call deletes something. Say that you mean it, then approve."},
	{approval.ErrLacks, http.StatusConflict, "lacks", "This call needs an account that is not connected, or not for this. The person in whose name it goes has to connect it first, on the page of this call."},
	{approval.ErrConfirm, http.StatusForbidden, "confirm", "You approved many calls very fast."},
	{approval.ErrSeveral, http.StatusUnprocessableEntity, "several", "Between 1 and 20 different calls can be decided together."},
	{approval.ErrReason, http.StatusUnprocessableEntity, "reason", "The reason must be text of at most 500 characters."},
	{errCode, http.StatusForbidden, "code", "This login link was used already, is older than 10 minutes, or never was one."},
	{errGuesses, http.StatusTooManyRequests, "guesses", "Too many login links did not work within a minute. Only a link that works is taken now."},
	{errToken, http.StatusForbidden, "csrf", "The form is not from this login. Go back, reload the page and try again."},
	{approval.ErrNeedPasskey, http.StatusForbidden, "passkey_needed", "You have a passkey: approve on the page of the call, where it can sign. For anything else sign in with it."},
	{approval.ErrMorePasskey, http.StatusForbidden, "passkey_more", "You have a passkey: sign in with it to add another one."},
	{approval.ErrKeyName, http.StatusUnprocessableEntity, "passkey_name", "Give the passkey a name of at most 60 characters."},
	{approval.ErrPasskey, http.StatusForbidden, "passkey", "The passkey was not accepted. Reload the page and try again."},
	{approval.ErrTooLong, http.StatusUnprocessableEntity, "too_long", "The policies do not let it last that long. Choose a shorter time."},
	{approval.ErrNoChoice, http.StatusForbidden, "no_choice", "The policies take no grant for this call: it can only be approved this one time."},
	{approval.ErrGrantForm, http.StatusUnprocessableEntity, "grant_form", "This cannot be given: choose how far it reaches, which arguments, and how long."},
	{approval.ErrTooMany, http.StatusConflict, "too_many", "There are too many permissions for this agent already. Revoke some first."},
	{errRequest, http.StatusBadRequest, "request", "The request is not complete."},
	{errLocalOff, http.StatusForbidden, "local_off", "This inbox takes no login links: people log in with an OpenID provider, in a browser."},
	{errOIDCState, http.StatusForbidden, "oidc_state", "This answer of your provider is not for a login that was begun in this browser, was used already, or came after more than 10 minutes. Sign in again."},
	{errOIDCDenied, http.StatusForbidden, "oidc_denied", "Your provider did not let you in, or you cancelled."},
	{errOIDCAnswer, http.StatusForbidden, "oidc_answer", "What your provider answered cannot be relied on, so nobody was logged in. exeat’s log says why."},
	{errOIDCWeak, http.StatusForbidden, "oidc_weak", "Your provider did not sign you in as it was asked to: anew, or in a stronger way."},
	{errOIDCStranger, http.StatusForbidden, "oidc_stranger", "Your provider knows you, but you are not among those who may log in here. Ask whoever runs this exeat."},
	{errOIDCDown, http.StatusBadGateway, "oidc_down", "Your provider does not answer as one now. Try again in a moment; exeat’s log says what is wrong."},
	{devissuer.ErrAsk, http.StatusConflict, "ask", "This question was not put to you here, or more than 10 minutes ago. Go back to the program and start again."},
	{devissuer.ErrFresh, http.StatusForbidden, "fresh", "The program wants you to log in anew."},
	{errNoAccess, http.StatusNotFound, "no_access", "You let no such program do anything, or not any more."},
	{errConnectState, http.StatusForbidden, "connect_state", "This answer is not for a connection that you began in this login, was used already, or came after more than 10 minutes. Nothing was connected. Begin again."},
	{errNoAccount, http.StatusNotFound, "no_account", "There is no such account to connect, or it is not connected."},
	{errNoLogin, http.StatusNotFound, "no_login", "There is no such login, or not any more."},
	{approval.ErrUserStopped, http.StatusForbidden, "user_stopped", "You were stopped: you cannot log in, and nothing is executed in your name. Ask whoever runs this exeat."},
	{approval.ErrStranger, http.StatusUnauthorized, "login", "You are not logged in, or not any more."},
	{errLogin, http.StatusUnauthorized, "login", "You are not logged in, or not any more."},
}

// failure is how an error is answered.
func (in *Inbox) failure(err error) (status int, code string, text words.Text) {
	for _, f := range failures {
		if f.err == approval.ErrBetterLogin && in.c.OIDC == nil {
			continue // there is none: it is not found
		}
		if errors.Is(err, f.err) {
			if settled := (late{}); errors.As(err, &settled) {
				return f.status, f.code, words.T("%s %s", words.T(f.text), settled.outcome)
			}
			if typed := (approval.Mistyped{}); errors.As(err, &typed) {
				return f.status, f.code, mistyped(typed)
			}
			return f.status, f.code, words.T(f.text)
		}
	}
	if in.c.Trouble != nil && !errors.Is(err, context.Canceled) { // who asked has gone
		in.c.Trouble(fmt.Errorf("inbox: %w", err))
	}
	return http.StatusInternalServerError, "internal", words.T("The inbox could not do that, or cannot tell whether it did. Look at the call again: it shows what is decided.")
}

// mistyped says what a tired person has to type, and why what they typed is not it.
func mistyped(m approval.Mistyped) words.Text {
	var what any = words.T("the end of its path, or its tool")
	if m.Field != "" {
		what = m.Field
	}
	if m.Typed == "" {
		return words.T("You approved many calls very fast. To approve this one, read it and type what it says: %s.", what)
	}
	return words.T("You approved many calls very fast. You typed %s, and this call says something else: %s. Nothing was approved.", m.Typed, what)
}

// late is the answer to a verdict that changed nothing, with what was decided.
type late struct {
	error
	outcome string
}

func (l late) Unwrap() error { return l.error }

// frame is what every page has.
type frame struct {
	Title   string
	InboxOf string // what tells this inbox from others of the same person
	Lang    words.Language
	Person  string // empty if nobody is logged in
	CSRF    string
	Error   words.Text
	Refresh string // where to go by itself after Every seconds
	Every   int
}

func (in *Inbox) newFrame(title string, s session) frame {
	return frame{Title: title, InboxOf: in.c.State, Lang: s.lang, Person: s.who.Name(), CSRF: s.csrf}
}

func (f frame) language() words.Language { return f.Lang }

// render writes a page, or nothing of it if it cannot be made.
func render(w http.ResponseWriter, status int, page string, data interface{ language() words.Language }) error {
	var b bytes.Buffer
	if err := pagesIn(data.language()).ExecuteTemplate(&b, page, data); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", data.language().Tag())
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a reader that has gone needs no answer
	return nil
}

// page adapts a handler for somebody who is logged in. A POST must carry the
// session's token.
func (in *Inbox) page(f func(http.ResponseWriter, *http.Request, session) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, _, ok := in.who(r)
		if !ok {
			in.showLogin(w, r, http.StatusUnauthorized, loginPage{Back: r.URL.RequestURI()})
			return
		}
		err := error(nil)
		if r.Method == http.MethodPost {
			if r.ParseForm() != nil || !s.genuine(r.PostForm.Get("csrf")) {
				err = errToken
			}
		}
		if err == nil {
			err = f(w, r, s)
		}
		if err != nil {
			status, _, text := in.failure(err)
			message(w, status, in.newFrame(http.StatusText(status), s), text)
		}
	}
}

type messagePage struct {
	frame
	Text words.Text
}

func message(w http.ResponseWriter, status int, f frame, text words.Text) {
	if err := render(w, status, "message.html", messagePage{f, text}); err != nil {
		http.Error(w, text.String(), status)
	}
}

// refuse answers what does not get as far as a page.
func refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		writeProblem(w, status, "refused", text)
		return
	}
	http.Error(w, text, status)
}

// linesOf are the lines of a text that exeat wrote: in one of others each line
// break is marked.
func linesOf(s string) (out []indented) {
	for line := range strings.SplitSeq(strings.TrimSpace(s), "\n") {
		text := strings.TrimLeft(line, " ")
		out = append(out, indented{line[:len(line)-len(text)], text})
	}
	return out
}

type indented struct{ Indent, Text string }

// serve serves one of our own files.
func serve(name, kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		b, err := files.ReadFile("templates/" + name)
		if err != nil {
			http.Error(w, "there is no "+name, http.StatusInternalServerError)
			return
		}
		if kind != "image/png" {
			kind += "; charset=utf-8"
		}
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(b)
	}
}

// group writes a digest in groups of eight, for comparing.
func group(s string) []string {
	var out []string
	for len(s) > 8 {
		out, s = append(out, s[:8]), s[8:]
	}
	return append(out, s)
}

const tamperedText = "This call was changed in the database after it was made. It cannot be decided; nothing is sent."
