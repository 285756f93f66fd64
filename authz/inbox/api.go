package inbox

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/exeat/exeat/authz/approval"
)

// csrfHeader carries the session's token in requests of a terminal. No page of
// another origin can set it.
const csrfHeader = "X-Exeat-Csrf"

// problem is an error as JSON (RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

func writeProblem(w http.ResponseWriter, status int, code, detail string) {
	writeJSON(w, status, "application/problem+json", problem{
		Type: "urn:exeat:inbox:" + code, Title: http.StatusText(status), Status: status, Detail: detail})
}

func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "the answer could not be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(b) // a reader that has gone needs no answer
}

// api adds the routes for terminals: what the pages show, under the same login
// and the same rules.
func (in *Inbox) api(mux *http.ServeMux) {
	mux.HandleFunc("POST /api/login", in.answer(in.apiLogin))
	mux.HandleFunc("GET /api/holds", in.answer(in.forPerson(in.apiHolds)))
	mux.HandleFunc("GET /api/holds/{id}", in.answer(in.forPerson(in.apiHold)))
	mux.HandleFunc("POST /api/holds/{id}/decision", in.answer(in.forPerson(in.apiDecide)))
	mux.HandleFunc("GET /api/permissions", in.answer(in.forPerson(in.apiRules)))
	mux.HandleFunc("POST /api/permissions/{id}/revoke", in.answer(in.forPerson(in.apiRevoke)))
	mux.HandleFunc("GET /api/agents", in.answer(in.forPerson(in.apiAgents)))
	mux.HandleFunc("POST /api/agents/{what}", in.answer(in.forPerson(in.apiSwitch)))
	mux.HandleFunc("GET /api/", func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, http.StatusNotFound, "not_found", "there is no such route")
	})
}

// answer writes what f returns as JSON.
func (in *Inbox) answer(f func(http.ResponseWriter, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := f(w, r)
		if err != nil {
			status, code, text := in.failure(err)
			writeProblem(w, status, code, text.String())
			return
		}
		writeJSON(w, http.StatusOK, "application/json", v)
	}
}

// forPerson adapts a handler for somebody who is logged in.
func (in *Inbox) forPerson(f func(*http.Request, session) (any, error)) func(http.ResponseWriter, *http.Request) (any, error) {
	return func(_ http.ResponseWriter, r *http.Request) (any, error) {
		s, _, ok := in.who(r)
		switch {
		case !ok:
			return nil, errLogin
		case r.Method == http.MethodPost && !s.genuine(r.Header.Get(csrfHeader)):
			return nil, errToken
		}
		return f(r, s)
	}
}

// loginAnswer is what a terminal needs besides its cookie.
type loginAnswer struct {
	CSRF   string `json:"csrf"`
	Person string `json:"person"`
}

func (in *Inbox) apiLogin(w http.ResponseWriter, r *http.Request) (any, error) {
	var body struct {
		Code string `json:"code"`
	}
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	s, err := in.enter(w, r, body.Code)
	return loginAnswer{CSRF: s.csrf, Person: s.who.Name()}, err
}

func (in *Inbox) apiHolds(r *http.Request, s session) (any, error) {
	views, _, err := in.waiting(r, s, false)
	return views, err
}

func (in *Inbox) apiHold(r *http.Request, s session) (any, error) {
	_, v, err := in.look(r, s)
	return v, err
}

// decision is a verdict as JSON. Approve has to be said either way.
type decision struct {
	Approve *bool  `json:"approve"`
	Digest  string `json:"digest"`
	Reason  string `json:"reason,omitempty"`
	Typed   string `json:"typed,omitempty"` // where an approval has to be typed
}

func (in *Inbox) apiDecide(r *http.Request, s session) (any, error) {
	var d decision
	if err := readJSON(r, &d); err != nil {
		return nil, err
	}
	if d.Approve == nil {
		return nil, errRequest
	}
	decided := in.verdict(r, s, approval.Verdict{Approve: *d.Approve, Digest: d.Digest, Reason: d.Reason, Typed: d.Typed})
	if decided != nil && !errors.Is(decided, approval.ErrDecided) {
		return nil, decided
	}
	_, v, err := in.look(r, s)
	if decided == nil || err != nil {
		return v, err
	}
	outcome := "It is " + v.State
	if v.DecidedBy != "" {
		outcome += ", decided by " + v.DecidedBy
	}
	return nil, late{decided, outcome + "."}
}

// readJSON reads the one object that a body must be.
func readJSON(r *http.Request, v any) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return errRequest
	}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if dec.Decode(v) != nil {
		return errRequest
	}
	if _, err := dec.Token(); err != io.EOF {
		return errRequest
	}
	return nil
}
