package token

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestGuardForwards(t *testing.T) {
	w := newWorld(t, "EdDSA", func(g *Guard) { g.Inject = Bearer(NewSecret("real-key")) })
	q := newTestRequest()
	got := w.accepted(t, q, w.mint(q.call()),
		"X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: evil", "X_Forwarded_Proto: https", "Forwarded: for=1.2.3.4", "X-Real-IP: 1.2.3.4",
		"X-Custom: dropped", "Te: trailers", "Connection: close, te", "Keep-Alive: 5", "Proxy-Authorization: Basic x", "Accept: application/json", "User-Agent: exeat")
	want := seen{
		Method: "PUT", Target: q.target, Host: w.api.Listener.Addr().String(), Body: q.body,
		Header: http.Header{
			"Authorization":  {"Bearer real-key"},
			"Content-Type":   {"application/json"},
			"Content-Length": {"14"},
			"If-Match":       {`"v1"`},
			"Accept":         {"application/json"},
			"User-Agent":     {"exeat"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the API saw (-want +got):\n%s", diff)
	}
}

// TestGuardWithoutInjection makes sure that the token does not reach the API.
func TestGuardWithoutInjection(t *testing.T) {
	w := newWorld(t, "EdDSA")
	q := &testRequest{method: "GET", target: "/pets"}
	got := w.accepted(t, q, w.mint(q.call()))
	if diff := cmp.Diff(http.Header{}, got.Header); diff != "" {
		t.Errorf("headers at the API (-want +got):\n%s", diff)
	}
}

// TestGuardTargets forwards odd targets byte for byte.
func TestGuardTargets(t *testing.T) {
	for base, targets := range map[string][]string{
		"": {
			"/", "/?", "/pets?", "//pets", "/pets//42", "/pets/%34%32", "/pets/a%2Fb", "/pets/a%2fb", "/pets/%E2%82%AC", "/pets/a%20b", "/pets/a+b",
			"/pets/42;v=1", "/pets/(a)'!*$&,=:@", "/pets/%7Bid%7D", "/pets/...", "/?a=b;c=d&e=%", "/?q=%zz", "/?a=1&a=2&", "/?q=a+b%20c", "/?q=/../x", "/?q=?x=?", "/?q={x}|y", "/?&&",
		},
		"/v1":      {"/pets", "/", "//pets", "/?a"},
		"/v1/":     {"/pets", "/"},
		"/a%2Fb/c": {"/pets/%2F"},
	} {
		w := newWorld(t, "EdDSA")
		h, err := (&Guard{Verifier: w.verifier, Upstream: w.api.URL + base}).Handler()
		if err != nil {
			t.Fatal(err)
		}
		w.guard.Config.Handler = h
		for _, target := range targets {
			q := &testRequest{method: "GET", target: target}
			got := w.accepted(t, q, w.mint(q.call()))
			if want := strings.TrimSuffix(base, "/") + target; got.Target != want {
				t.Errorf("the API saw %s, want %s", got.Target, want)
			}
		}
	}
}

func TestGuardInjects(t *testing.T) {
	for name, c := range map[string]struct {
		inject       *Static
		target       string
		bound, lines []string // that the token names, and others
		wantTarget   string
		wantKey      []string // the values of X-Api-Key
		wantCookie   string
		wantElseGone []string
	}{
		"header": {
			inject: &Static{Placement{In: "header", Name: "X-Api-Key"}, NewSecret("k")}, target: "/pets",
			lines:      []string{"X-Api-Key: mine", "x-api-key: mine too", "X_Api_Key: mine as well"},
			wantTarget: "/pets", wantKey: []string{"k"}, wantElseGone: []string{"X_api_key", "X_Api_Key"},
		},
		"query": {
			inject: &Static{Placement{In: "query", Name: "api_key"}, NewSecret("k&=1")}, target: "/pets?a=%2f&api_key=mine&b;API_KEY=mine&%61pi_key=mine",
			wantTarget: "/pets?a=%2f&b&api_key=k%26%3D1",
		},
		"query alone": {
			inject: &Static{Placement{In: "query", Name: "api_key"}, NewSecret("k")}, target: "/pets?api_key=mine",
			wantTarget: "/pets?api_key=k",
		},
		"cookie": {
			inject: &Static{Placement{In: "cookie", Name: "session"}, NewSecret("k")}, target: "/pets",
			bound:      []string{"Cookie: a=1; session=mine;b=2; Session=mine; c=3"},
			wantTarget: "/pets", wantCookie: "a=1; b=2; c=3; session=k",
		},
		"cookie, others not bound": {
			inject: &Static{Placement{In: "cookie", Name: "session"}, NewSecret("k")}, target: "/pets",
			lines:      []string{"Cookie: tenant=theirs", "Cookie: Session=mine; c=3"},
			wantTarget: "/pets", wantCookie: "session=k",
		},
		"cookie alone": {
			inject: &Static{Placement{In: "cookie", Name: "session"}, NewSecret("k")}, target: "/pets",
			lines:      []string{"Cookie: session=mine"},
			wantTarget: "/pets", wantCookie: "session=k",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "EdDSA", func(g *Guard) { g.Inject = c.inject })
			q := &testRequest{method: "GET", target: c.target, lines: c.bound}
			got := w.accepted(t, q, w.mint(q.call()), c.lines...)
			if got.Target != c.wantTarget {
				t.Errorf("the API saw %s, want %s", got.Target, c.wantTarget)
			}
			if diff := cmp.Diff(c.wantKey, got.Header["X-Api-Key"]); diff != "" {
				t.Errorf("X-Api-Key (-want +got):\n%s", diff)
			}
			if cookie := strings.Join(got.Header["Cookie"], " | "); cookie != c.wantCookie {
				t.Errorf("Cookie %q, want %q", cookie, c.wantCookie)
			}
			for _, name := range c.wantElseGone {
				if _, there := got.Header[name]; there {
					t.Errorf("the API saw the client's %s", name)
				}
			}
		})
	}
}

func TestGuardAnswers(t *testing.T) {
	w := newWorld(t, "EdDSA")
	q := newTestRequest()
	res := w.send(q, "Authorization: Bearer "+w.mint(q.call()))
	b, _ := readBounded(res.Body)
	if res.Header.Get("X-Api") != "yes" || string(b) != "short and stout" {
		t.Errorf("answer %v %q", res.Header, b)
	}
	w.taken()
	head := newTestRequest()
	head.method = "HEAD"
	w.refused(t, head, http.StatusUnauthorized, "no_token")
}

// raw sends bytes to the guard and returns its answer.
func (w *world) raw(text string) *http.Response {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.guard.Listener.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Write([]byte(text)); err != nil {
		w.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

func TestGuardBodies(t *testing.T) {
	w := newWorld(t, "EdDSA")
	q := &testRequest{method: "POST", target: "/pets", contentType: "text/plain", body: "hello"}
	head := func(lines string) string {
		return fmt.Sprintf("POST /pets HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nAuthorization: Bearer %s\r\n%s\r\n", w.mint(q.call()), lines)
	}
	res := w.raw(head("Transfer-Encoding: chunked\r\n") + "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")
	got := w.taken()
	if res.StatusCode != http.StatusTeapot || len(got) != 1 || got[0].Body != "hello" || got[0].Header.Get("Content-Length") != "5" {
		t.Errorf("chunked: status %d, the API saw %+v", res.StatusCode, got)
	}
	res = w.raw(head("Content-Length: 5\r\nExpect: 100-continue\r\n"))
	if res.StatusCode != http.StatusContinue {
		t.Errorf("Expect: status %d, want 100", res.StatusCode)
	}
	// A type that says nothing is not none: the API might guess.
	w.refused(t, &testRequest{method: "GET", target: "/pets", lines: []string{"Content-Type: "}}, http.StatusForbidden, "wrong_content_type",
		"Bearer "+w.mint((&testRequest{method: "GET", target: "/pets"}).call()))
	for name, c := range map[string]struct {
		text string
		code string
	}{
		"announced trailers": {head("Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n") + "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", "trailers"},
		"trailers":           {head("Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", "trailers"},
		"broken chunk":       {head("Transfer-Encoding: chunked\r\n") + "zz\r\nhello\r\n0\r\n\r\n", "body_unreadable"},
		"chunked, too large": {head("Transfer-Encoding: chunked\r\n") + "10001\r\n" + strings.Repeat("x", 0x10001) + "\r\n0\r\n\r\n", "body_too_large"},
		"CONNECT":            {"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", "bad_method"},
		"asterisk":           {"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", ""}, // answered by net/http
	} {
		res := w.raw(c.text)
		if len(w.taken()) != 0 {
			t.Errorf("%s: reached the API", name)
		}
		if c.code == "" {
			continue
		}
		if p := readProblem(t, res); p.Type != "urn:exeat:guard:"+c.code {
			t.Errorf("%s: %+v", name, p)
		}
	}
	r := outgoing(t, newTestRequest(), "http://127.0.0.1")
	r.RequestURI = newTestRequest().target
	r.Header.Set("Authorization", "Bearer "+w.mint(testCall()))
	r.TransferEncoding = []string{"gzip", "chunked"}
	if _, ref := w.verifier.Check(r); ref == nil || ref.Code != "transfer_encoding" {
		t.Errorf("gzip as a transfer coding: %v", ref)
	}
	// Without a limit set, it is 1 MiB.
	r.TransferEncoding = nil
	w.verifier.BodyLimit = 0
	r.ContentLength = defaultBodyLimit + 1
	if _, ref := w.verifier.Check(r); ref == nil || ref.Code != "body_too_large" {
		t.Errorf("more than the default limit: %v", ref)
	}
	r.ContentLength = 14
	r.Body = nil
	if _, ref := w.verifier.Check(r); ref == nil || ref.Code != "wrong_digest" {
		t.Errorf("no body: %v", ref)
	}
}

func TestGuardUpstreamFails(t *testing.T) {
	w := newWorld(t, "EdDSA")
	w.api.Close()
	q := newTestRequest()
	p := w.refused(t, q, http.StatusBadGateway, "upstream_failed", "Bearer "+w.mint(q.call()))
	if strings.Contains(p.Detail, "127.0.0.1") {
		t.Errorf("the answer tells where the API is: %s", p.Detail)
	}

	slow := newWorld(t, "EdDSA", func(g *Guard) {
		g.Transport = roundTrip(func(*http.Request) (*http.Response, error) { return nil, context.DeadlineExceeded })
	})
	slow.refused(t, q, http.StatusGatewayTimeout, "upstream_timeout", "Bearer "+slow.mint(q.call()))

	// An API that switches protocols without being asked is a failure.
	odd := newWorld(t, "EdDSA")
	odd.api.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"))
	})
	odd.refused(t, q, http.StatusBadGateway, "upstream_failed", "Bearer "+odd.mint(q.call()))
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestGuardFollowsNoRedirect(t *testing.T) {
	w := newWorld(t, "EdDSA", func(g *Guard) { g.Inject = Bearer(NewSecret("real-key")) })
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the guard followed a redirect") }))
	defer thief.Close()
	w.api.Config.Handler = http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect)
	q := newTestRequest()
	if res := w.send(q, "Authorization: Bearer "+w.mint(q.call())); res.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("status %d", res.StatusCode)
	}
}

func TestGuardUsesNoProxyFromTheEnvironment(t *testing.T) {
	if directTransport().Proxy != nil {
		t.Error("the transport asks for a proxy")
	}
}

func TestOnDecision(t *testing.T) {
	var mu sync.Mutex
	var told []string
	w := newWorld(t, "EdDSA", func(g *Guard) {
		g.OnDecision = func(r *http.Request, c *Claims, refused *Refusal) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case (c == nil) == (refused == nil):
				t.Errorf("told of claims %v and refusal %v", c, refused)
			case c != nil:
				told = append(told, r.Method+" "+c.Txn)
			default:
				told = append(told, r.Method+" "+refused.Code)
			}
		}
	})
	q := newTestRequest()
	compact := w.mint(q.call())
	w.accepted(t, q, compact)
	w.send(q, "Authorization: Bearer "+compact)
	w.send(q, "Upgrade: x")
	if diff := cmp.Diff([]string{"PUT txn_1", "PUT spent", "PUT upgrade"}, told); diff != "" {
		t.Errorf("decisions (-want +got):\n%s", diff)
	}
}

func TestGuardHandlerRefuses(t *testing.T) {
	w := newWorld(t, "EdDSA")
	for name, g := range map[string]*Guard{
		"no verifier":          {Upstream: "http://x"},
		"empty verifier":       {Upstream: "http://x", Verifier: &Verifier{}},
		"no upstream":          {Verifier: w.verifier},
		"upstream not a URL":   {Verifier: w.verifier, Upstream: "http://[::1"},
		"upstream relative":    {Verifier: w.verifier, Upstream: "/v1"},
		"upstream ftp":         {Verifier: w.verifier, Upstream: "ftp://x"},
		"upstream with user":   {Verifier: w.verifier, Upstream: "http://u:hunter2@x"},
		"upstream with query":  {Verifier: w.verifier, Upstream: "http://x?a"},
		"upstream fragment":    {Verifier: w.verifier, Upstream: "http://x#a"},
		"injection impossible": {Verifier: w.verifier, Upstream: "http://x", Inject: &Static{}},
	} {
		_, err := g.Handler()
		if err == nil {
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error holds the password", name)
		}
	}
}
