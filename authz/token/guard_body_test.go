package token

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
)

// large is a body that does not fit into the memory that the guard has for one.
var large = strings.Repeat("0123456789abcdef", (bodyInMemory+8*bodyBlock)/16)

// partial is an API that writes down how each request came, and whether to its end.
type partial struct {
	mu     sync.Mutex
	bodies []int64
	ends   []error
	answer func(http.ResponseWriter, *http.Request) bool // instead; nil for none
	done   chan struct{}
}

func (p *partial) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.answer != nil && p.answer(w, r) {
		return
	}
	n, err := io.Copy(io.Discard, r.Body)
	p.mu.Lock()
	p.bodies, p.ends = append(p.bodies, n), append(p.ends, err)
	p.mu.Unlock()
	p.done <- struct{}{}
	fmt.Fprintf(w, "%d", n)
}

// newLarge is a guard for large bodies, in the way that is given.
func newLarge(t *testing.T, bodies Bodies) (*world, *partial) {
	t.Setenv("TMPDIR", t.TempDir())
	w := newWorld(t, "EdDSA", func(g *Guard) {
		g.Bodies = bodies
		g.Verifier.BodyLimit = 2 << 20
	})
	api := &partial{done: make(chan struct{}, 16)}
	w.api.Config.Handler = api
	return w, api
}

// left are the files that the guard has left behind.
func left(t *testing.T) []os.DirEntry {
	t.Helper()
	files, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestLargeBodies(t *testing.T) {
	for _, bodies := range []Bodies{BodiesInMemory, BodiesInFiles, BodiesStreamed} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s chunked=%t", bodies, chunked), func(t *testing.T) {
				w, api := newLarge(t, bodies)
				for _, size := range []int{0, 1, bodyInMemory - 1, bodyInMemory, bodyInMemory + 1, bodyInMemory + bodyBlock, bodyInMemory + bodyBlock + 1, len(large)} {
					q := &testRequest{method: "POST", target: "/pets", contentType: "text/plain", body: large[:size]}
					res := w.sendBody(q.body, w.mint(q.call()), chunked)
					<-api.done
					if got, _ := io.ReadAll(res.Body); res.StatusCode != 200 || string(got) != fmt.Sprint(size) {
						t.Errorf("%d bytes: %d, the API saw %s", size, res.StatusCode, got)
					}
					if !chunked && size > 0 && api.ends[len(api.ends)-1] != nil {
						t.Errorf("%d bytes: the API says %v", size, api.ends)
					}
				}
				if files := left(t); len(files) != 0 {
					t.Errorf("the guard left %v", files)
				}
			})
		}
	}
}

// sendBody posts a body to the guard.
func (w *world) sendBody(body, compact string, chunked bool) *http.Response {
	w.t.Helper()
	var from io.Reader = strings.NewReader(body)
	if chunked {
		from = io.MultiReader(from)
	}
	r, err := http.NewRequest("POST", w.guard.URL+"/pets", from)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "text/plain")
	r.Header.Set("Authorization", "Bearer "+compact)
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { res.Body.Close() })
	return res
}

// TestLargeBodyIsAnother brings other bodies than the token's: from a file the API sees
// nothing, from a stream less than all and never the end, and the token is spent.
func TestLargeBodyIsAnother(t *testing.T) {
	signed := &testRequest{method: "POST", target: "/pets", contentType: "text/plain", body: large}
	for name, body := range map[string]string{
		"the last byte":   large[:len(large)-1] + "X",
		"the first byte":  "X" + large[1:],
		"a byte missing":  large[:len(large)-1],
		"a byte too much": large + "X",
		"a whole block":   large[:len(large)-bodyBlock],
	} {
		for _, chunked := range []bool{false, true} {
			w, api := newLarge(t, BodiesInFiles)
			compact := w.mint(signed.call())
			res := w.sendBody(body, compact, chunked)
			if p := readProblem(t, res); p.Type != "urn:exeat:guard:wrong_digest" || p.Status != 403 {
				t.Errorf("%s from a file: %+v", name, p)
			}
			if len(api.bodies) != 0 || len(left(t)) != 0 {
				t.Errorf("%s from a file: the API saw %v, and there is %v", name, api.bodies, left(t))
			}
			if p := readProblem(t, w.sendBody(large, compact, chunked)); p.Type != "urn:exeat:guard:spent" {
				t.Errorf("%s from a file, again: %+v", name, p)
			}

			w, api = newLarge(t, BodiesStreamed)
			compact = w.mint(signed.call())
			if p := readProblem(t, w.sendBody(body, compact, chunked)); p.Type != "urn:exeat:guard:wrong_digest" || w.told.Code != "wrong_digest" || w.told.Txn != "txn_1" {
				t.Errorf("%s streamed: %+v, and the operator was told %v", name, p, w.told)
			}
			<-api.done
			if api.ends[0] == nil || api.bodies[0] >= int64(len(body)) {
				t.Errorf("%s streamed: the API saw %d of %d bytes and %v", name, api.bodies[0], len(body), api.ends[0])
			}
			if p := readProblem(t, w.sendBody(large, compact, chunked)); p.Type != "urn:exeat:guard:spent" {
				t.Errorf("%s streamed, again: %+v", name, p)
			}
		}
	}
}

// TestLargeBodyRefusedBefore does not read what is refused anyway.
func TestLargeBodyRefusedBefore(t *testing.T) {
	for _, bodies := range []Bodies{BodiesInFiles, BodiesStreamed} {
		w, api := newLarge(t, bodies)
		signed := &testRequest{method: "POST", target: "/pets", contentType: "text/plain", body: large}
		head := func(target, compact, more string) string {
			return "POST " + target + " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: text/plain\r\nAuthorization: Bearer " + compact + "\r\n" + more + "\r\n"
		}
		for name, c := range map[string]struct{ text, code string }{
			"another target":   {head("/dogs", w.mint(signed.call()), "Content-Length: 1310720\r\n"), "wrong_target"},
			"over the limit":   {head("/pets", w.mint(signed.call()), "Content-Length: 2097153\r\n"), "body_too_large"},
			"another header":   {head("/pets", w.mint(signed.call()), "If-Match: *\r\nContent-Length: 1310720\r\n"), "wrong_header"},
			"a content coding": {head("/pets", w.mint(signed.call()), "Content-Encoding: gzip\r\nContent-Length: 1310720\r\n"), "content_encoding"},
		} {
			if p := readProblem(t, w.raw(c.text)); p.Type != "urn:exeat:guard:"+c.code { // the first answer is no 100
				t.Errorf("%s: %+v", name, p)
			}
		}
		if res := w.raw(head("/pets", w.mint(signed.call()), "Content-Length: 1310720\r\n")); res.StatusCode != http.StatusContinue {
			t.Errorf("what is not refused: %d", res.StatusCode)
		}
		over := strings.Repeat("x", 2<<20+1)
		if p := readProblem(t, w.sendBody(over, w.mint((&testRequest{method: "POST", target: "/pets", contentType: "text/plain", body: over}).call()), true)); p.Type != "urn:exeat:guard:body_too_large" {
			t.Errorf("over the limit in chunks: %+v", p)
		}
		if bodies == BodiesInFiles && len(api.bodies) != 0 {
			t.Errorf("the API saw %v", api.bodies)
		}
	}
}

// TestLargeBodyWithTrailers ends a stream with what nobody signed.
func TestLargeBodyWithTrailers(t *testing.T) {
	for _, bodies := range []Bodies{BodiesInFiles, BodiesStreamed} {
		w, api := newLarge(t, bodies)
		signed := &testRequest{method: "POST", target: "/pets", contentType: "text/plain", body: large}
		conn, err := net.Dial("tcp", w.guard.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /pets HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nAuthorization: Bearer %s\r\n\r\n%x\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n",
			w.mint(signed.call()), len(large), large)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if p := readProblem(t, res); p.Type != "urn:exeat:guard:trailers" {
			t.Errorf("%s: %+v", bodies, p)
		}
		if bodies == BodiesStreamed {
			if <-api.done; api.ends[0] == nil {
				t.Error("the API saw the end")
			}
		}
	}
}

// TestLargeBodyBreaksOff lets the client go in the middle.
func TestLargeBodyBreaksOff(t *testing.T) {
	for _, bodies := range []Bodies{BodiesInFiles, BodiesStreamed} {
		w, api := newLarge(t, bodies)
		failed := make(chan *Refusal, 4)
		w.guard.Config.Handler.(*proxy).OnFailure = func(_ *http.Request, _ *Claims, f *Refusal) { failed <- f }
		w.guard.Config.Handler.(*proxy).OnDecision = func(_ *http.Request, _ *Claims, f *Refusal) {
			if f != nil {
				failed <- f
			}
		}
		signed := &testRequest{method: "POST", target: "/pets", contentType: "text/plain", body: large}
		conn, err := net.Dial("tcp", w.guard.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /pets HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nAuthorization: Bearer %s\r\n\r\n%s",
			len(large), w.mint(signed.call()), large[:bodyInMemory+4*bodyBlock])
		conn.Close()
		f := <-failed
		if f.Txn != "txn_1" || bodies == BodiesInFiles && f.Code != "body_unreadable" {
			t.Errorf("%s: the operator was told %+v", bodies, f)
		}
		if bodies == BodiesStreamed {
			if <-api.done; api.ends[0] == nil {
				t.Error("the API saw the end")
			}
		}
		if files := left(t); len(files) != 0 {
			t.Errorf("the guard left %v", files)
		}
	}
}

// TestEarlyAnswers lets the API answer before it has the body: an error is passed on,
// and nothing else, since what the API did was not what the token allows.
func TestEarlyAnswers(t *testing.T) {
	for status, want := range map[int]int{200: 502, 202: 502, 302: 502, 400: 400, 413: 413, 503: 503} {
		w, api := newLarge(t, BodiesStreamed)
		api.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			rc := http.NewResponseController(rw)
			rc.EnableFullDuplex()
			rw.WriteHeader(status)
			rc.Flush()
			io.Copy(io.Discard, r.Body)
			return true
		}
		signed := &testRequest{method: "POST", target: "/pets", contentType: "text/plain", body: large}
		from, to := io.Pipe()
		r, err := http.NewRequest("POST", w.guard.URL+"/pets", from)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "text/plain")
		r.Header.Set("Authorization", "Bearer "+w.mint(signed.call()))
		go io.WriteString(to, large[:bodyInMemory+4*bodyBlock]) // and no more
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != want {
			t.Errorf("%d before the body was there: the guard answers %d, want %d", status, res.StatusCode, want)
		}
		res.Body.Close()
		to.CloseWithError(errors.New("enough"))
	}
}

// TestLargeBodyWithoutRoom has nowhere to keep a body.
func TestLargeBodyWithoutRoom(t *testing.T) {
	w, api := newLarge(t, BodiesInFiles)
	t.Setenv("TMPDIR", "/dev/null/none")
	signed := &testRequest{method: "POST", target: "/pets", contentType: "text/plain", body: large}
	if p := readProblem(t, w.sendBody(large, w.mint(signed.call()), false)); p.Type != "urn:exeat:guard:spool_unavailable" || p.Status != 503 {
		t.Errorf("%+v", p)
	}
	if len(api.bodies) != 0 {
		t.Errorf("the API saw %v", api.bodies)
	}
}

// TestSlowBodyOutlivesItsToken lets the token's time pass while the body comes: a token
// that is spent that late could be forgotten before another use of it.
func TestSlowBodyOutlivesItsToken(t *testing.T) {
	w := newWorld(t, "EdDSA")
	q := newTestRequest()
	r := outgoing(t, q, "http://guard")
	r.RequestURI = q.target
	r.Header.Set("Authorization", "Bearer "+w.mint(q.call()))
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(q.body), readerFunc(func([]byte) (int, error) {
		w.pass(2 * MaxTTL)
		return 0, io.EOF
	})))
	if _, ref := w.verifier.Check(r); ref == nil || ref.Code != "expired" {
		t.Errorf("a body that took its time: %v", ref)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
