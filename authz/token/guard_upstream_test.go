package token

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// hangUp ends the connection without an answer.
func hangUp(rw http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(rw).Hijack()
	if err == nil {
		conn.Close()
	}
}

// TestGuardSendsOnce breaks a connection that the guard has used before, which
// makes net/http repeat what looks harmless: reads, and whatever has an
// Idempotency-Key.
func TestGuardSendsOnce(t *testing.T) {
	for name, q := range map[string]*testRequest{
		"read":               {method: "GET", target: "/pets"},
		"delete with a key":  {method: "DELETE", target: "/pets/42", lines: []string{"Idempotency-Key: 1"}},
		"post with a key":    {method: "POST", target: "/pets", lines: []string{"Idempotency-Key: 1"}},
		"post, key by X-":    {method: "POST", target: "/pets", lines: []string{"X-Idempotency-Key: 1"}},
		"put, key and body":  {method: "PUT", target: "/pets", lines: []string{"Idempotency-Key: 1"}, contentType: "text/plain", body: "x"},
		"post without a key": {method: "POST", target: "/pets", contentType: "text/plain", body: "x"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "EdDSA")
			var requests atomic.Int32
			w.api.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if requests.Add(1) > 1 {
					hangUp(rw, r)
					return
				}
				w.serveAPI(rw, r)
			})
			w.accepted(t, q, w.mint(q.call()))
			compact := w.mint(q.call())
			w.refused(t, q, http.StatusBadGateway, "upstream_failed", "Bearer "+compact)
			if w.told.Cause == nil {
				t.Error("the operator is not told why")
			}
			if got := requests.Load(); got != 2 {
				t.Errorf("%d requests reached the API for two tokens", got)
			}
			// Nobody knows what the API did, so the token stays spent.
			w.refused(t, q, http.StatusUnauthorized, "spent", "Bearer "+compact)
		})
	}
}

// TestGuardDropsHeaders sends what could make the API believe somebody, or do
// something, that the token does not name.
func TestGuardDropsHeaders(t *testing.T) {
	w := newWorld(t, "EdDSA", func(g *Guard) { g.Inject = &Static{Placement{In: "header", Name: "X-User"}, NewSecret("guard")} })
	q := newTestRequest()
	got := w.accepted(t, q, w.mint(q.call()),
		"X-User: root", "x-user: root", "X_User: root", "Remote-User: root", "X-Remote-User: root", "X-Forwarded-User: root", "X-Auth-Request-User: root",
		"X-Forwarded-For: 127.0.0.1", "X-Client-IP: 127.0.0.1", "True-Client-IP: 127.0.0.1", "Via: 1.1 x", "Proxy: http://127.0.0.1:1", "X-Authorization: Bearer x",
		"Cookie: admin=1", "If_Match: *", "If_None_Match: *", "Content_Type: text/xml", "Content_Length: 1", "Transfer_Encoding: chunked", "Idempotency_Key: 1",
		"If-None-Match: *", "If-Unmodified-Since: Mon, 23 Nov 2026 12:00:00 GMT", "Range: bytes=0-1", "Prefer: respond-async", "Destination: /pets/43", "X-Tenant: theirs",
		"Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	want := http.Header{
		"Content-Length": {"14"}, "Content-Type": {"application/json"}, "If-Match": {`"v1"`}, "X-User": {"guard"},
		"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
	}
	if diff := cmp.Diff(want, got.Header); diff != "" {
		t.Errorf("headers at the API (-want +got):\n%s", diff)
	}
	// The name of another host changes nothing either.
	if got := w.raw("GET /pets HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer " + w.mint((&testRequest{method: "GET", target: "/pets"}).call()) + "\r\n\r\n"); got.StatusCode != http.StatusTeapot {
		t.Errorf("status %d", got.StatusCode)
	}
	if got := w.taken(); len(got) != 1 || got[0].Host != w.api.Listener.Addr().String() {
		t.Errorf("the API saw %+v, want its own name as the host", got)
	}
}

// TestGuardAnswerBreaksOff lets the API die in the middle of an answer: the
// caller must not take half of it for the whole, and the operator is told.
func TestGuardAnswerBreaksOff(t *testing.T) {
	failed := make(chan *Refusal, 1)
	w := newWorld(t, "EdDSA", func(g *Guard) {
		g.OnFailure = func(_ *http.Request, c *Claims, f *Refusal) {
			if c == nil {
				t.Error("a failure without claims")
			}
			failed <- f
		}
	})
	w.api.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Length", "100")
		io.WriteString(rw, "half of it")
		http.NewResponseController(rw).Flush()
		panic(http.ErrAbortHandler)
	})
	q := newTestRequest()
	r := outgoing(t, q, w.guard.URL)
	r.Header.Set("Authorization", "Bearer "+w.mint(q.call()))
	if res, err := http.DefaultClient.Do(r); err == nil {
		defer res.Body.Close()
		if b, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("a broken answer seems whole: %q", b)
		}
	}
	if f := <-failed; f.Code != "upstream_failed" || f.Cause == nil || f.Txn != "txn_1" {
		t.Errorf("the operator was told %+v (%v)", f, f.Cause)
	}
}

// TestGuardUpstreamTalksNonsense gives answers that are no HTTP, or too much.
func TestGuardUpstreamTalksNonsense(t *testing.T) {
	for name, text := range map[string]string{
		"another protocol":  "SSH-2.0-OpenSSH_9.6\r\n",
		"two lengths":       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
		"coding unknown":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nx",
		"no status":         "HTTP/1.1 OK\r\n\r\n",
		"very large header": "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2<<20) + "\r\n\r\n",
		"nothing":           "",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "EdDSA", func(g *Guard) { g.Inject = Bearer(NewSecret("real-key")) })
			w.api.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(rw).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				io.WriteString(conn, text)
			})
			q := newTestRequest()
			p := w.refused(t, q, http.StatusBadGateway, "upstream_failed", "Bearer "+w.mint(q.call()))
			if strings.Contains(p.Detail, "SSH") || strings.Contains(p.Detail, "real-key") {
				t.Errorf("the answer says %q", p.Detail)
			}
		})
	}
}
