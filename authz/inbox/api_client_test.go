package inbox

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/exeat/exeat/authz/approval"
)

func TestClient(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	link := s.inbox.LoginLink()
	c, err := Login(ctx, link)
	if err != nil {
		t.Fatal(err)
	}
	if c.Origin != s.inbox.c.URL || c.Person != "User::alice" {
		t.Errorf("logged in to %s as %s", c.Origin, c.Person)
	}
	if _, err := Login(ctx, link); err == nil || !strings.Contains(err.Error(), "used already") {
		t.Errorf("the link again: %v", err)
	}
	// A terminal keeps its login between commands.
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	c = &Client{}
	if err := json.Unmarshal(b, c); err != nil {
		t.Fatal(err)
	}
	if holds, err := c.Holds(ctx); err != nil || holds == nil || len(holds) != 0 {
		t.Errorf("holds %v, %v", holds, err)
	}

	want := call(alice, "k1")
	want.Request.ContentType, want.Request.Body = "application/json", []byte(`{"a":"<é>"}`)
	want.Request.Header = map[string][]string{"If-Match": {`"x"`}}
	h := s.open(want)
	view := HoldView{ID: h.ID, State: "pending", Effect: "delete", Summary: h.Summary, API: "petstore", Tool: "delete_pet",
		Subject: "User::alice", Agent: "claude-desktop",
		Session: "stdio s1", Policies: h.Policies, Reason: h.Reason, Digest: h.Digest, Created: h.Created, Expires: h.Expires, MayDecide: true}
	holds, err := c.Holds(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]HoldView{view}, holds); d != "" {
		t.Errorf("list (-want +got):\n%s", d)
	}
	view.Origin = "https://api.example.com"
	view.Method, view.URL, view.ContentType, view.BodySize = "DELETE", "https://api.example.com/pets/42?force=true", "application/json", 12
	view.Header, view.Body, view.Args, view.ToAsk, view.ToType = h.Request.Header, string(h.Request.Body), h.Args, "id", "42"
	sum, id := sha256.Sum256(h.Request.Body), "42"
	view.BodySHA256 = hex.EncodeToString(sum[:])
	view.Before = &BeforeView{Sent: []DiffLine{{Op: "same", Path: []string{"id"}, Is: &id}}}
	view.Approving, view.Why = "sends", "allowed by policy writes-wait-for-a-person"
	got, err := c.Hold(ctx, h.ID)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(view, got, cmpopts.IgnoreUnexported(BeforeView{})); d != "" {
		t.Errorf("hold (-want +got):\n%s", d)
	}
}

func TestClientDecides(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	c, err := Login(ctx, s.inbox.LoginLink())
	if err != nil {
		t.Fatal(err)
	}
	h := s.open(call(alice, "k1"))
	if _, err := c.Decide(ctx, h.ID, approval.Verdict{Approve: true, Digest: "0"}); !errors.Is(err, approval.ErrDigest) || errors.Is(err, approval.ErrDecided) {
		t.Errorf("another digest: %v", err)
	}
	if _, err := c.Decide(ctx, h.ID, approval.Verdict{Digest: h.Digest, Reason: strings.Repeat("x", 501)}); !errors.Is(err, approval.ErrReason) {
		t.Errorf("a long reason: %v", err)
	}
	got, err := c.Decide(ctx, h.ID, approval.Verdict{Digest: h.Digest, Reason: "no"})
	if err != nil || got.State != "denied" || got.Denial != "no" || got.DecidedBy != "User::alice" || !got.Decided.Equal(s.Clock()) || got.MayDecide {
		t.Errorf("denied: %+v, %v", got, err)
	}
	if _, err := c.Decide(ctx, h.ID, approval.Verdict{Approve: true, Digest: h.Digest}); !errors.Is(err, approval.ErrDecided) {
		t.Errorf("twice: %v", err)
	}
	h = s.open(call(alice, "k2"))
	if got, err := c.Decide(ctx, h.ID, approval.Verdict{Approve: true, Digest: h.Digest}); err != nil || got.State != "approved" || !got.Expires.Equal(s.Clock().Add(5*time.Minute)) {
		t.Errorf("approved: %+v, %v", got, err)
	}
	hidden := s.open(call(bob, "k4"))
	if _, err := c.Decide(ctx, hidden.ID, approval.Verdict{Approve: true, Digest: hidden.Digest}); !errors.Is(err, approval.ErrNotFound) {
		t.Errorf("what is not this person's to see: %v", err)
	}
	if _, err := c.Hold(ctx, "../holds"); !errors.Is(err, approval.ErrNotFound) {
		t.Errorf("an odd handle: %v", err)
	}
	other := *c
	other.CSRF = strings.Repeat("a", 26)
	h = s.open(call(alice, "k3"))
	if _, err := other.Decide(ctx, h.ID, approval.Verdict{Approve: true, Digest: h.Digest}); err == nil || s.Stored(h.ID).Version != 1 {
		t.Errorf("without the token: %v", err)
	}
	s.Pass(idleEnd)
	var refused *Error
	if _, err := c.Holds(ctx); !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized || refused.Code != "login" {
		t.Errorf("after the session: %v", err)
	}
}

func TestLoginLinks(t *testing.T) {
	for _, link := range []string{"", "x", "http://127.0.0.1:1/", "http://127.0.0.1:1/login", "file:///login?code=x", "http:///login?code=x", "%"} {
		if _, err := Login(t.Context(), link); err == nil || !strings.Contains(err.Error(), "not a login link") {
			t.Errorf("%q: %v", link, err)
		}
	}
	if _, err := Login(t.Context(), "http://127.0.0.1:1/login?code=secret"); err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("nobody there: %v", err)
	}
}

// What is not a terminal's own request decides nothing.
func TestAPIRefuses(t *testing.T) {
	s := newSite(t).login()
	h := s.open(call(alice, "k1"))
	const jsonType = "Content-Type: application/json"
	token := csrfHeader + ": " + s.csrf
	good := `{"approve":true,"digest":"` + h.Digest + `"}`
	for name, tt := range map[string]struct {
		body    string
		headers []string
		status  int
		code    string
	}{
		"no token":        {good, []string{jsonType}, 403, "csrf"},
		"wrong token":     {good, []string{jsonType, csrfHeader + ": a"}, 403, "csrf"},
		"another type":    {good, []string{"Content-Type: text/plain", token}, 400, "request"},
		"a form":          {"approve=true", []string{token}, 400, "request"},
		"no verdict":      {`{"digest":"` + h.Digest + `"}`, []string{jsonType, token}, 400, "request"},
		"unknown member":  {`{"approve":true,"digest":"` + h.Digest + `","x":1}`, []string{jsonType, token}, 400, "request"},
		"more after it":   {good + good, []string{jsonType, token}, 400, "request"},
		"no digest":       {`{"approve":true}`, []string{jsonType, token}, 409, "digest"},
		"another site":    {good, []string{jsonType, token, "Origin: https://evil.example"}, 403, "refused"},
		"another host":    {good, []string{jsonType, token, "Host: evil.example"}, 421, "refused"},
		"a bearer token":  {good, []string{jsonType, token, "Cookie: ", "Authorization: Bearer x"}, 401, "login"},
		"no session":      {good, []string{jsonType, token, "Cookie: exeat_inbox=x"}, 401, "login"},
		"no JSON at all":  {"", []string{jsonType, token}, 400, "request"},
		"token in cookie": {good, []string{jsonType, "Cookie: " + s.cookie + "; csrf=" + s.csrf}, 403, "csrf"},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.send("POST", "/api/holds/"+h.ID+"/decision", tt.body, tt.headers...)
			var p problem
			if err := json.Unmarshal([]byte(a.body), &p); err != nil {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if a.status != tt.status || p.Status != tt.status || p.Type != "urn:exeat:inbox:"+tt.code || a.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("got %d %+v, want %d %s", a.status, p, tt.status, tt.code)
			}
			if s.Stored(h.ID).Version != 1 {
				t.Error("it was decided")
			}
		})
	}
}
