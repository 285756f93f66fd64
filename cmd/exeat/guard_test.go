package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz/token"
)

const (
	guardIssuer   = "https://exeat.example"
	guardAudience = "https://petstore.example/"
)

// guarded is `exeat guard`, as a program with its own server, database and keys
// from a file, in front of an API that writes down what it sees.
type guarded struct {
	t      *testing.T
	signer *token.Signed
	keys   string // the issuer's, as a document
	db     string
	args   []string
	addr   string
	log    *watched
	read   int    // of the log
	stop   func() // and waits

	mu   sync.Mutex
	seen []string // by the API
}

func newGuarded(t *testing.T, flags ...string) *guarded {
	t.Helper()
	g := &guarded{t: t}
	keys, err := token.OpenKeys(filepath.Join(t.TempDir(), "keys"), "ES256")
	if err != nil {
		t.Fatal(err)
	}
	set, err := keys.JWKS(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	jwks := filepath.Join(dir, "jwks.json")
	if err := os.WriteFile(jwks, set, 0o600); err != nil {
		t.Fatal(err)
	}
	g.keys, g.db = string(set), filepath.Join(dir, "guard.db")
	g.signer = &token.Signed{Issuer: guardIssuer, Keys: keys}
	api := httptest.NewServer(http.HandlerFunc(g.serveAPI))
	t.Cleanup(api.Close)
	t.Setenv("GUARD_TEST_KEY", "real-key")
	g.args = append([]string{"guard", "--upstream", api.URL, "--jwks", jwks, "--issuer", guardIssuer, "--audience", guardAudience,
		"--listen", "127.0.0.1:0", "--db", filepath.Join(dir, "guard.db"), "--inject-env", "GUARD_TEST_KEY", "--log", "json"}, flags...)
	g.start()
	return g
}

// enroll gives the guard the issuer's keys to rely on.
func (g *guarded) enroll() {
	g.t.Helper()
	var out strings.Builder
	if code := execute(g.t.Context(), []string{"guard", "enroll", "--issuer", guardIssuer, "--db", g.db}, strings.NewReader(g.keys), &out, &out); code != 0 {
		g.t.Fatalf("exeat guard enroll ended with %d: %s", code, &out)
	}
}

// start runs the command until g.stop or the end of the test.
func (g *guarded) start() {
	g.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	g.read = 0
	g.log = &watched{want: regexp.MustCompile(`guard for \S+ at https?://(\S+);`), found: make(chan []string, 1)}
	ended := make(chan int, 1)
	go func() { ended <- execute(ctx, g.args, strings.NewReader(""), io.Discard, g.log) }()
	g.stop = sync.OnceFunc(func() {
		cancel()
		if code := <-ended; code != 0 {
			g.t.Errorf("exeat guard ended with %d: %s", code, g.log.text.String())
		}
	})
	g.t.Cleanup(func() { g.stop() })
	select {
	case m := <-g.log.found:
		g.addr = m[1]
	case code := <-ended:
		ended <- code
		g.t.Fatalf("exeat guard did not start: %d: %s", code, g.log.text.String())
	}
}

func (g *guarded) serveAPI(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	g.mu.Lock()
	defer g.mu.Unlock()
	framing := fmt.Sprint(r.ContentLength)
	if len(r.TransferEncoding) > 0 {
		framing = strings.Join(r.TransferEncoding, ",")
	}
	g.seen = append(g.seen, fmt.Sprintf("%s %s %s [%s] %s", r.Method, r.RequestURI, r.Header.Get("Authorization"), framing, body))
	w.WriteHeader(http.StatusTeapot)
}

// taken is what the API has seen since the last time.
func (g *guarded) taken() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	seen := g.seen
	g.seen = nil
	return seen
}

// logged are the codes of the guard's log since the last time, "passed" for a
// request that was let through.
func (g *guarded) logged() (codes []string) {
	g.t.Helper()
	g.log.mu.Lock()
	defer g.log.mu.Unlock()
	text := g.log.text.String()
	for line := range strings.Lines(text[g.read:]) {
		var entry struct{ Code, Message string }
		if json.Unmarshal([]byte(line), &entry) != nil {
			continue // what it says at the start
		}
		if entry.Code == "" && entry.Message == "guard" {
			entry.Code = "passed"
		}
		codes = append(codes, entry.Code)
	}
	g.read = len(text)
	return codes
}

// text is the whole log.
func (g *guarded) text() string {
	g.log.mu.Lock()
	defer g.log.mu.Unlock()
	return g.log.text.String()
}

// token is a token for one request.
func (g *guarded) token(method, target, contentType, body string) string {
	g.t.Helper()
	compact, _, err := g.signer.Mint(token.Call{
		Txn: "txn_1", Subject: "alice", Agent: "claude", Audience: guardAudience, DecisionID: "txn_1", PolicySet: "p", Effect: "write",
		Details: token.Bind(guardAudience, method, target, contentType, nil, []byte(body), "op", ""),
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return compact
}

// raw writes text to the guard and returns the statuses of all its answers, until
// it hangs up. With cut, it is told that nothing more comes.
func (g *guarded) raw(text string, cut bool) []int {
	g.t.Helper()
	return g.rawTo(g.addr, text, cut)
}

// rawTo does so with a server before the guard.
func (g *guarded) rawTo(addr, text string, cut bool) []int {
	g.t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		g.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	go func() { // the guard may answer, and hang up, before it has read all
		io.WriteString(conn, text)
		if cut {
			conn.(*net.TCPConn).CloseWrite()
		}
	}()
	all, _ := io.ReadAll(conn) // what was answered before a reset counts
	var statuses []int
	for answers := bufio.NewReader(bytes.NewReader(all)); ; {
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			return statuses
		}
		io.Copy(io.Discard, res.Body)
		statuses = append(statuses, res.StatusCode)
	}
}

// TestGuardSmuggling writes requests whose length can be read in two ways. Each
// carries a second request, for another pet, with the same token: whichever way
// the guard reads it, the API must see only the request that was signed.
func TestGuardSmuggling(t *testing.T) {
	g := newGuarded(t)
	const hidden = "DELETE /pets/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	for _, c := range []struct {
		name, head, body string
		statuses         []int
		codes            []string // in the guard's log; nil if net/http answers itself
	}{
		{"pipelined", "Content-Length: 5\r\n", "hello" + hidden, []int{418, 401}, []string{"passed", "no_token"}},
		{"CL and TE, chunks right", "Content-Length: 99\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n" + hidden, []int{418, 401}, []string{"passed", "no_token"}},
		{"CL and TE, length right", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "hello" + hidden, []int{400}, []string{"body_unreadable"}},
		{"CL 0 and TE, chunk hidden", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + hidden, []int{403, 401}, []string{"wrong_digest", "no_token"}},
		{"TE and CL, other order", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "5\r\nhello\r\n0\r\n\r\n" + hidden, []int{418, 401}, []string{"passed", "no_token"}},
		{"two equal CL", "Content-Length: 5\r\nContent-Length: 5\r\n", "hello" + hidden, []int{418, 401}, []string{"passed", "no_token"}},
		{"two CL", "Content-Length: 5\r\nContent-Length: 42\r\n", "hello" + hidden, []int{400}, nil},
		{"two CL in one", "Content-Length: 5, 42\r\n", "hello" + hidden, []int{400}, nil},
		{"CL with a sign", "Content-Length: +5\r\n", "hello" + hidden, []int{400}, nil},
		{"CL negative", "Content-Length: -5\r\n", "hello" + hidden, []int{400}, nil},
		{"CL in hex", "Content-Length: 0x5\r\n", "hello" + hidden, []int{400}, nil},
		{"CL huge", "Content-Length: 99999999999999999999\r\n", "hello" + hidden, []int{400}, nil},
		{"CL with space before :", "Content-Length : 5\r\n", "hello" + hidden, []int{400}, nil},
		{"CL short", "Content-Length: 3\r\n", "hello" + hidden, []int{403, 401}, []string{"wrong_digest", "no_token"}},
		{"CL long", "Content-Length: 100\r\n", "hello" + hidden, []int{400}, []string{"body_unreadable"}},
		{"CL that swallows", fmt.Sprintf("Content-Length: %d\r\n", 5+len(hidden)), "hello" + hidden + hidden, []int{403, 401}, []string{"wrong_digest", "no_token"}},
		{"no length", "", "hello" + hidden, []int{403, 401}, []string{"wrong_digest", "no_token"}},
		{"TE identity", "Transfer-Encoding: identity\r\nContent-Length: 5\r\n", "hello" + hidden, []int{501}, nil},
		{"TE unknown", "Transfer-Encoding: xchunked\r\n", "5\r\nhello\r\n0\r\n\r\n" + hidden, []int{501}, nil},
		{"TE gzip", "Transfer-Encoding: gzip, chunked\r\n", "5\r\nhello\r\n0\r\n\r\n" + hidden, []int{501}, nil},
		{"TE twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n" + hidden, []int{501}, nil},
		{"TE twice, one unknown", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\nContent-Length: 5\r\n", "hello" + hidden, []int{501}, nil},
		{"TE with space before :", "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n", "hello" + hidden, []int{400}, nil},
		{"TE with a tab", "Transfer-Encoding:\tchunked\r\n", "5\r\nhello\r\n0\r\n\r\n" + hidden, []int{418, 401}, []string{"passed", "no_token"}},
		{"TE with vertical tab", "Transfer-Encoding: \x0bchunked\r\nContent-Length: 5\r\n", "hello" + hidden, []int{400}, nil},
		{"TE folded", "Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n", "5\r\nhello\r\n0\r\n\r\n" + hidden, []int{418, 401}, []string{"passed", "no_token"}},
		{"TE in quotes", "Transfer-Encoding: \"chunked\"\r\nContent-Length: 5\r\n", "hello" + hidden, []int{501}, nil},
		{"TE with NUL", "Transfer-Encoding: chunked\x00\r\nContent-Length: 5\r\n", "hello" + hidden, []int{400}, nil},
		{"TE by underscore", "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n", "hello" + hidden, []int{418, 401}, []string{"passed", "no_token"}},
		{"chunk extension", "Transfer-Encoding: chunked\r\n", "5;a=\"b\"\r\nhello\r\n0;x\r\n\r\n" + hidden, []int{418, 401}, []string{"passed", "no_token"}},
		{"chunk extension, bare LF", "Transfer-Encoding: chunked\r\n", "5;a\nhello\r\n0\r\n\r\n" + hidden, []int{400}, []string{"body_unreadable"}},
		{"chunk ended by LF", "Transfer-Encoding: chunked\r\n", "5\r\nhello\n0\r\n\r\n" + hidden, []int{400}, []string{"body_unreadable"}},
		{"chunk size in 0x", "Transfer-Encoding: chunked\r\n", "0x5\r\nhello\r\n0\r\n\r\n" + hidden, []int{400}, []string{"body_unreadable"}},
		{"chunk size huge", "Transfer-Encoding: chunked\r\n", "10000000000000005\r\nhello\r\n0\r\n\r\n" + hidden, []int{400}, []string{"body_unreadable"}},
		{"chunk longer", "Transfer-Encoding: chunked\r\n", "6\r\nhello\r\n0\r\n\r\n" + hidden, []int{400}, []string{"body_unreadable"}},
		{"no last chunk", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n", []int{400}, []string{"body_unreadable"}},
		{"trailer", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n" + hidden, []int{400, 401}, []string{"trailers", "no_token"}},
		{"trailer Authorization", "Transfer-Encoding: chunked\r\nTrailer: Authorization\r\n", "5\r\nhello\r\n0\r\nAuthorization: x\r\n\r\n" + hidden, []int{400, 401}, []string{"trailers", "no_token"}},
		{"upgrade to h2c", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 5\r\n", "hello" + hidden, []int{400, 401}, []string{"upgrade", "no_token"}},
		{"Expect", "Expect: 100-continue\r\nContent-Length: 5\r\n", "hello" + hidden, []int{100, 418, 401}, []string{"passed", "no_token"}},
		{"Expect something", "Expect: 200-ok\r\nContent-Length: 5\r\n", "hello", []int{417}, nil},
		{"two hosts", "Host: y\r\nContent-Length: 5\r\n", "hello", []int{400}, nil},
		{"line without colon", "X\r\nContent-Length: 5\r\n", "hello", []int{400}, nil},
		{"NUL in a header", "X: a\x00b\r\nContent-Length: 5\r\n", "hello", []int{400}, nil},
		{"second token hidden by CR", "X: a\rAuthorization: Bearer x\r\nContent-Length: 5\r\n", "hello", []int{400}, nil},
		{"headers too large", "X: " + strings.Repeat("x", 80<<10) + "\r\nContent-Length: 5\r\n", "hello", []int{431}, nil},
		{"body over the limit, announced", "Content-Length: 1048577\r\n", strings.Repeat("x", 1<<20+1), []int{413}, []string{"body_too_large"}},
		{"body over the limit, chunked", "Transfer-Encoding: chunked\r\n", "200000\r\n" + strings.Repeat("x", 2<<20) + "\r\n0\r\n\r\n", []int{413}, []string{"body_too_large"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			compact := g.token("POST", "/pets", "text/plain", "hello")
			cut := c.name == "CL long" || c.name == "no last chunk"
			got := g.raw("POST /pets HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nAuthorization: Bearer "+compact+"\r\n"+c.head+"\r\n"+c.body, cut)
			if diff := cmp.Diff(c.statuses, got); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.codes, g.logged()); diff != "" {
				t.Errorf("codes in the log (-want +got):\n%s", diff)
			}
			var want []string
			if len(c.codes) > 0 && c.codes[0] == "passed" {
				want = []string{"POST /pets Bearer real-key [5] hello"}
			}
			if diff := cmp.Diff(want, g.taken()); diff != "" {
				t.Errorf("what the API saw (-want +got):\n%s", diff)
			}
		})
	}
}

// TestGuardTargetForms writes request-targets that are not in origin form, and
// the first bytes of HTTP/2.
func TestGuardTargetForms(t *testing.T) {
	g := newGuarded(t)
	for _, c := range []struct {
		line   string
		status int
		code   string // empty: net/http answers itself
	}{
		{"GET http://petstore.example/pets HTTP/1.1", 400, "bad_target"},
		{"GET petstore.example:443 HTTP/1.1", 400, "bad_target"},
		{"GET * HTTP/1.1", 400, "bad_target"},
		{"OPTIONS * HTTP/1.1", 200, ""},
		{"CONNECT petstore.example:443 HTTP/1.1", 400, "bad_method"},
		{"CONNECT /pets HTTP/1.1", 400, "bad_method"},
		{"TRACE /pets HTTP/1.1", 400, "bad_method"},
		{"track /pets HTTP/1.1", 400, "bad_method"},
		{"GET /pets HTTP/2.0", 505, ""},
		{"GET /pets", 400, ""},
		{"GET /pe ts HTTP/1.1", 400, ""},
		{"PRI * HTTP/2.0", 400, "bad_target"},
	} {
		got := g.raw(c.line+"\r\nHost: petstore.example\r\nConnection: close\r\nAuthorization: Bearer "+g.token("GET", "/pets", "", "")+"\r\n\r\n", true)
		if len(got) != 1 || got[0] != c.status {
			t.Errorf("%s: answers %v, want %d", c.line, got, c.status)
		}
		if codes := strings.Join(g.logged(), " "); codes != c.code {
			t.Errorf("%s: the log says %q, want %q", c.line, codes, c.code)
		}
		if seen := g.taken(); len(seen) != 0 {
			t.Errorf("%s: the API saw %q", c.line, seen)
		}
	}
}

// TestGuardSpends uses one token 32 times at once, and once more after the
// guard was started again, with the database that it really has.
func TestGuardSpends(t *testing.T) {
	g := newGuarded(t)
	request := "DELETE /pets/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + g.token("DELETE", "/pets/1", "", "") + "\r\n\r\n"
	const n = 32
	statuses := make(chan int, n)
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for _, status := range g.raw(request, false) {
				statuses <- status
			}
		})
	}
	all.Wait()
	close(statuses)
	count := map[int]int{}
	for status := range statuses {
		count[status]++
	}
	if diff := cmp.Diff(map[int]int{http.StatusTeapot: 1, http.StatusUnauthorized: n - 1}, count); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"DELETE /pets/1 Bearer real-key [0] "}, g.taken()); diff != "" {
		t.Errorf("what the API saw (-want +got):\n%s", diff)
	}
	g.stop()
	g.start()
	if got := g.raw(request, false); len(got) != 1 || got[0] != http.StatusUnauthorized || len(g.taken()) != 0 {
		t.Errorf("after a new start: %v", got)
	}
	if codes := g.logged(); len(codes) != 1 || codes[0] != "spent" {
		t.Errorf("after a new start the log says %v", codes)
	}
}

// TestGuardWithoutItsIssuer starts while nobody serves the keys.
func TestGuardWithoutItsIssuer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close() // nobody is there now
	g := newGuarded(t)
	g.stop()
	g.enroll()
	g.args = append(g.args, "--jwks", "http://"+l.Addr().String()+"/jwks")
	g.start()
	got := g.raw("GET /pets HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "+g.token("GET", "/pets", "", "")+"\r\n\r\n", false)
	if len(got) != 1 || got[0] != http.StatusServiceUnavailable {
		t.Errorf("without keys: %v", got)
	}
	if text := g.text(); !strings.Contains(text, `"code":"keys_unavailable"`) || !strings.Contains(text, "refused") {
		t.Errorf("the log does not say that the issuer refuses connections: %s", text)
	}
}

// TestGuardUpstreamDown has no API behind the guard: the answer is the guard's
// own, the log says why, and the token is spent.
func TestGuardUpstreamDown(t *testing.T) {
	g := newGuarded(t, "--upstream", "http://127.0.0.1:1/v1")
	request := "DELETE /pets/1?secret=query HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + g.token("DELETE", "/pets/1?secret=query", "", "") + "\r\n\r\n"
	first, second := g.raw(request, false), g.raw(request, false)
	if diff := cmp.Diff([][]int{{502}, {401}}, [][]int{first, second}); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"passed", "upstream_failed", "spent"}, g.logged()); diff != "" {
		t.Errorf("codes in the log (-want +got):\n%s", diff)
	}
	text := g.text()
	if strings.Count(text, `"txn":"txn_1"`) != 3 || !strings.Contains(text, `"cause":"dial tcp 127.0.0.1:1`) {
		t.Errorf("the log does not tell of the call and the cause: %s", text)
	}
	if strings.Contains(text, "secret=query") || strings.Contains(text, "real-key") {
		t.Errorf("the log holds what it must not: %s", text)
	}
}

func TestGuardFlags(t *testing.T) {
	for _, limit := range []string{"-1", "1073741825", "9223372036854775807"} {
		var stderr strings.Builder
		code := execute(t.Context(), []string{"guard", "--upstream", "http://127.0.0.1:1", "--jwks", "https://x/.well-known/jwks.json", "--body-limit", limit},
			strings.NewReader(""), io.Discard, &stderr)
		if code == 0 || !strings.Contains(stderr.String(), "--body-limit") {
			t.Errorf("--body-limit %s: exit %d, %s", limit, code, &stderr)
		}
	}
}

// Whoever reaches the guard's port cannot fill its disk with refusals.
func TestGuardLogIsBounded(t *testing.T) {
	g := newGuarded(t)
	path := "/" + strings.Repeat("a", 50<<10)
	for range 3 * refusalsLogged {
		resp, err := http.Get("http://" + g.addr + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Fatalf("a request without a token: %d", resp.StatusCode)
		}
	}
	if text := g.text(); len(text) > 64<<10 || !strings.Contains(text, moreNotLogged) {
		t.Errorf("%d bytes of log: %.1000s", len(text), text)
	}
}
