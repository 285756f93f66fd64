package token

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// newGuardedAPI is an API of Go's behind w's verifier, in the place of its guard.
func newGuardedAPI(w *world, configure func(*Verifier)) {
	w.t.Helper()
	v := *w.verifier
	v.Spend = nil
	v.OnRefusal = func(r *http.Request, refused *Refusal) { w.tell(r, nil, refused) }
	configure(&v)
	h, err := v.Handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c := ClaimsOf(r.Context())
		r.Header.Set("X-Claims", strings.Join([]string{c.Subject, c.Agent, c.Scope, c.Approval.By}, " "))
		w.serveAPI(rw, r)
	}))
	if err != nil {
		w.t.Fatal(err)
	}
	w.guard.Config.Handler = h
}

// TestHandler sends requests to an API that has the verifier in it.
func TestHandler(t *testing.T) {
	for _, alg := range []string{"EdDSA", "ES256"} {
		t.Run(alg, func(t *testing.T) {
			w := newWorld(t, alg)
			newGuardedAPI(w, func(*Verifier) {})
			q := newTestRequest()
			c := q.call()
			c.Scopes = []string{"pets:write"}
			c.Approval = &ApprovalClaim{ID: "hold_1", By: "user:bob", Until: testStart.Unix() + 60, Once: true, Details: c.Details.Digest()}
			compact := w.mint(c)
			got := w.accepted(t, q, compact, "X-User: admin", "Cookie: a=b", "Accept: text/html", "X-Claims: forged")
			want := http.Header{
				"X-Claims": {"user:alice agent:claude/7 pets:write user:bob"}, "Accept": {"text/html"},
				"Content-Type": {"application/json"}, "If-Match": {`"v1"`},
			}
			if diff := cmp.Diff(want, got.Header); diff != "" || got.Body != q.body || got.Target != q.target {
				t.Errorf("the API saw %+v (-want +got):\n%s", got, diff)
			}
			w.refused(t, q, http.StatusUnauthorized, "spent", "Bearer "+compact)
			w.refused(t, q, http.StatusUnauthorized, "no_token")
			c.Approval = nil
			fresh := "Authorization: Bearer " + w.mint(c)
			for _, lines := range [][]string{{"X-HTTP-Method-Override: DELETE"}, {"Upgrade: websocket", "Connection: Upgrade"}, {"Connection: If-Match"}} {
				if res := w.send(q, append(lines, fresh)...); res.StatusCode != http.StatusBadRequest || len(w.taken()) > 0 {
					t.Errorf("%q is answered with %s", lines, res.Status)
				}
			}
		})
	}
}

// TestHandlerFails has a verifier that cannot find out whether a token was used.
func TestHandlerFails(t *testing.T) {
	t.Run("store down", func(t *testing.T) {
		w := newWorld(t, "EdDSA")
		newGuardedAPI(w, func(v *Verifier) {
			v.Spend = func(context.Context, string, string, time.Time) (bool, error) {
				return true, errors.New("redis is away")
			}
		})
		p := w.refused(t, newTestRequest(), http.StatusServiceUnavailable, "spend_unavailable", "Bearer "+w.mint(testCall()))
		if strings.Contains(p.Detail, "redis") {
			t.Errorf("the caller is told %q", p.Detail)
		}
	})
	t.Run("token from before the start", func(t *testing.T) {
		w := newWorld(t, "EdDSA")
		before := w.mint(testCall())
		w.pass(time.Millisecond) // the token's own second counts as before
		newGuardedAPI(w, func(*Verifier) {})
		w.refused(t, newTestRequest(), http.StatusServiceUnavailable, "spend_unavailable", "Bearer "+before)
		w.pass(time.Second)
		c := testCall()
		c.Approval = &ApprovalClaim{ID: "hold_1", By: "user:bob", Until: testStart.Unix() + 60, Details: c.Details.Digest()}
		w.accepted(t, newTestRequest(), w.mint(c))
	})
	t.Run("not configured", func(t *testing.T) {
		w := newWorld(t, "EdDSA")
		for name, change := range map[string]func(*Verifier){
			"issuer": func(v *Verifier) { v.Issuer = "" }, "audience": func(v *Verifier) { v.Audience = "" }, "keys": func(v *Verifier) { v.Keys = nil },
		} {
			v := *w.verifier
			change(&v)
			if h, err := v.Handler(http.NotFoundHandler()); err == nil || h != nil {
				t.Errorf("without %s there is a handler", name)
			}
		}
		if h, err := w.verifier.Handler(nil); err == nil || h != nil {
			t.Error("with nothing behind it there is a handler")
		}
	})
}

// TestHandlerConcurrently uses one token many times at once.
func TestHandlerConcurrently(t *testing.T) {
	w := newWorld(t, "EdDSA")
	newGuardedAPI(w, func(*Verifier) {})
	c := testCall()
	c.Approval = &ApprovalClaim{ID: "hold_1", By: "user:bob", Until: testStart.Unix() + 60, Details: c.Details.Digest()}
	compact := w.mint(c)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			q := newTestRequest()
			r := httptest.NewRequest(q.method, q.target, strings.NewReader(q.body))
			r.Header = http.Header{"Authorization": {"Bearer " + compact}, "Content-Type": {q.contentType}, "If-Match": {`"v1"`}}
			w.guard.Config.Handler.ServeHTTP(httptest.NewRecorder(), r)
		})
	}
	all.Wait()
	if n := len(w.taken()); n != 1 {
		t.Errorf("the API saw %d requests with one token", n)
	}
}

// TestMemory fills the memory of spent tokens.
func TestMemory(t *testing.T) {
	now := testStart
	m := newMemory(3, func() time.Time { return now })
	spend := func(iss, id string, until time.Duration) string {
		fresh, err := m.spend(t.Context(), iss, id, testStart.Add(until))
		switch {
		case err != nil && !fresh:
			return "error"
		case fresh && err == nil:
			return "fresh"
		}
		return "spent"
	}
	for i, c := range []struct {
		after   time.Duration
		iss, id string
		until   time.Duration
		want    string
	}{
		{0, "a", "1", 30 * time.Second, "fresh"},
		{0, "a", "1", 30 * time.Second, "spent"},
		{0, "b", "1", 10 * time.Second, "fresh"}, // of another issuer
		{0, "a", "2", 20 * time.Second, "fresh"},
		{0, "a", "3", 30 * time.Second, "error"}, // full
		{0, "a", "2", 20 * time.Second, "spent"}, // and still knows those
		{10 * time.Second, "b", "1", 10 * time.Second, "spent"},
		{11 * time.Second, "a", "3", 30 * time.Second, "fresh"}, // b's is over
		{11 * time.Second, "a", "4", 30 * time.Second, "error"},
		{40 * time.Second, "a", "4", 60 * time.Second, "fresh"},
	} {
		now = testStart.Add(c.after)
		if got := spend(c.iss, c.id, c.until); got != c.want {
			t.Errorf("%d: %s/%s is %s, not %s", i, c.iss, c.id, got, c.want)
		}
	}
	if len(m.ids) != 1 || len(m.queue) != 1 {
		t.Errorf("%d ids and %d times are kept, not 1", len(m.ids), len(m.queue))
	}
}

// TestDependencies holds the package to what its importers get with it.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	var modules []string
	for line := range bytes.Lines(out) {
		if m := string(bytes.TrimSpace(line)); m != "" && !slices.Contains(modules, m) {
			modules = append(modules, m)
		}
	}
	slices.Sort(modules)
	if diff := cmp.Diff([]string{"github.com/go-jose/go-jose/v4", "github.com/gowebpki/jcs", "golang.org/x/text"}, modules); diff != "" {
		t.Errorf("modules that come with this package; docs/token.md names them (-want +got):\n%s", diff)
	}
}
