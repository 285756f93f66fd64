package token

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const opening = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// echo is an API that upgrades whatever asks, and says again what it hears.
func (w *world) echo(rw http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		w.serveAPI(rw, r)
		return
	}
	conn, buffered, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		w.t.Error(err)
		return
	}
	defer conn.Close()
	w.mu.Lock()
	w.seen = append(w.seen, seen{r.Method, r.RequestURI, r.Host, "", r.Header.Clone()})
	w.mu.Unlock()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
	io.Copy(conn, buffered)
}

// open sends a request by a connection of its own.
func (w *world) open(text string) (net.Conn, *bufio.Reader, *http.Response) {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.guard.Listener.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(conn, text)
	from := bufio.NewReader(conn)
	res, err := http.ReadResponse(from, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return conn, from, res
}

func TestGuardWebSocket(t *testing.T) {
	w := newWorld(t, "EdDSA", func(g *Guard) {
		g.Inject = Bearer(NewSecret("real-key"))
		g.Streams = Streams{WebSocket: true}
	})
	w.api.Config.Handler = http.HandlerFunc(w.echo)
	q := &testRequest{method: "GET", target: "/chat", lines: []string{"Sec-Websocket-Protocol: chat"}}
	compact := w.mint(q.call())
	head := "GET /chat HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Protocol: chat\r\nX-User: root\r\nAuthorization: Bearer "
	conn, from, res := w.open(head + compact + "\r\n" + opening + "\r\n")
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("the opening: %d", res.StatusCode)
	}
	fmt.Fprintln(conn, "hello")
	if got, err := from.ReadString('\n'); got != "hello\n" {
		t.Errorf("the API says %q (%v)", got, err)
	}
	want := http.Header{"Authorization": {"Bearer real-key"}, "Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Protocol": {"chat"}}
	if got := w.taken(); len(got) != 1 || cmp.Diff(want, got[0].Header) != "" {
		t.Errorf("the API saw %+v", got)
	}
	if _, _, res := w.open(head + compact + "\r\n" + opening + "\r\n"); readProblem(t, res).Type != "urn:exeat:guard:spent" {
		t.Error("the token opens a second one")
	}
	for name, c := range map[string]struct{ head, code string }{
		"another protocol":     {strings.Replace(opening, "websocket", "h2c", 1), "upgrade"},
		"two protocols":        {strings.Replace(opening, "Upgrade: websocket", "Upgrade: websocket\r\nUpgrade: h2c", 1), "upgrade"},
		"a list":               {strings.Replace(opening, "Upgrade: websocket", "Upgrade: websocket, h2c", 1), "upgrade"},
		"no key":               {strings.Replace(opening, "Sec-WebSocket-Key", "X", 1), "upgrade"},
		"another version":      {strings.Replace(opening, ": 13", ": 8", 1), "upgrade"},
		"a body":               {opening + "Content-Length: 5\r\n\r\nhello", "upgrade"},
		"chunks":               {opening + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", "upgrade"},
		"more that is dropped": {strings.Replace(opening, "Connection: Upgrade", "Connection: Upgrade, X-User", 1), "connection_header"},
		"no upgrade at all":    {"Connection: Upgrade\r\n", "connection_header"},
	} {
		_, _, res := w.open(head + w.mint(q.call()) + "\r\n" + c.head + "\r\n")
		if p := readProblem(t, res); p.Type != "urn:exeat:guard:"+c.code {
			t.Errorf("%s: %+v", name, p)
		}
	}
	// Another request than the token's is no more than that, and without being told to
	// the guard passes none.
	_, _, res = w.open(strings.Replace(head, "/chat", "/chat/2", 1) + w.mint(q.call()) + "\r\n" + opening + "\r\n")
	if p := readProblem(t, res); p.Type != "urn:exeat:guard:wrong_target" {
		t.Errorf("another target: %+v", p)
	}
	w.guard.Config.Handler.(*proxy).Streams.WebSocket = false
	_, _, res = w.open(head + w.mint(q.call()) + "\r\n" + opening + "\r\n")
	if p := readProblem(t, res); p.Type != "urn:exeat:guard:upgrade" {
		t.Errorf("unasked: %+v", p)
	}
	if got := w.taken(); len(got) != 0 {
		t.Errorf("the API saw %+v", got)
	}
}

// TestGuardEndsStreams lets streams live for a moment.
func TestGuardEndsStreams(t *testing.T) {
	w := newWorld(t, "EdDSA", func(g *Guard) { g.Streams = Streams{WebSocket: true, Events: true, Life: 50 * time.Millisecond} })
	gone := make(chan struct{}, 2)
	w.api.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		defer func() { gone <- struct{}{} }()
		if r.Header.Get("Upgrade") != "" {
			w.echo(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "Text/Event-Stream; charset=utf-8")
		io.WriteString(rw, "data: 1\n\n")
		http.NewResponseController(rw).Flush()
		<-r.Context().Done()
	})
	q := &testRequest{method: "GET", target: "/chat"}
	head := "GET /chat HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
	_, from, res := w.open(head + w.mint(q.call()) + "\r\n" + opening + "\r\n")
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("the opening: %d", res.StatusCode)
	}
	if _, err := from.ReadByte(); err == nil {
		t.Error("the WebSocket says something by itself")
	}
	<-gone
	_, _, res = w.open(head + w.mint(q.call()) + "\r\n\r\n")
	b, err := io.ReadAll(res.Body)
	if string(b) != "data: 1\n\n" || err == nil {
		t.Errorf("the events: %d %q, %v, want them and no proper end", res.StatusCode, b, err)
	}
	<-gone
}

// TestGuardSlowHTTP2 opens a stream whose body does not come: it ends by the deadline
// of the server, and the others of its connection go on.
func TestGuardSlowHTTP2(t *testing.T) {
	w := newWorld(t, "EdDSA")
	server := httptest.NewUnstartedServer(w.guard.Config.Handler)
	server.EnableHTTP2 = true
	server.Config.ReadTimeout = 200 * time.Millisecond
	server.StartTLS()
	t.Cleanup(server.Close)
	send := func(body io.Reader) *http.Response {
		q := &testRequest{method: "POST", target: "/pets", contentType: "text/plain", body: "hello"}
		r, err := http.NewRequest("POST", server.URL+"/pets", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "text/plain")
		r.Header.Set("Authorization", "Bearer "+w.mint(q.call()))
		res, err := server.Client().Transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		if res.ProtoMajor != 2 {
			t.Errorf("the guard speaks %s", res.Proto)
		}
		return res
	}
	never, to := io.Pipe()
	defer to.Close()
	slow := make(chan *http.Response)
	go func() { slow <- send(never) }()
	for range 3 {
		if res := send(strings.NewReader("hello")); res.StatusCode != http.StatusTeapot {
			t.Errorf("beside a slow one: %d", res.StatusCode)
		}
	}
	if p := readProblem(t, <-slow); p.Type != "urn:exeat:guard:body_unreadable" {
		t.Errorf("a body that does not come: %+v", p)
	}
	if res := send(strings.NewReader("hello")); res.StatusCode != http.StatusTeapot {
		t.Errorf("after a slow one: %d", res.StatusCode)
	}
}

// TestGuardRefusesEvents passes on no events unless it is told to.
func TestGuardRefusesEvents(t *testing.T) {
	w := newWorld(t, "EdDSA")
	w.api.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header()["Content-Type"] = []string{"text/event-stream"}
		io.WriteString(rw, "data: secret\n\n")
	})
	q := &testRequest{method: "GET", target: "/events"}
	p := w.refused(t, q, http.StatusBadGateway, "event_stream", "Bearer "+w.mint(q.call()))
	if strings.Contains(p.Detail, "secret") || w.told.Txn != "txn_1" {
		t.Errorf("%+v, and the operator was told %v", p, w.told)
	}
}

// TestGuardSendsOnceByEffect breaks connections with TLS that the guard has used
// before: what a GET was decided to do counts, and not that it is one.
func TestGuardSendsOnceByEffect(t *testing.T) {
	for effect, want := range map[string]int32{"delete": 2, "write": 2, "": 2} {
		w := newWorld(t, "EdDSA")
		var requests atomic.Int32
		api := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if requests.Add(1) > 1 {
				hangUp(rw, r)
			}
		}))
		t.Cleanup(api.Close)
		h, err := (&Guard{Verifier: w.verifier, Upstream: api.URL, Transport: api.Client().Transport}).Handler()
		if err != nil {
			t.Fatal(err)
		}
		w.guard.Config.Handler = h
		q := &testRequest{method: "GET", target: "/pets?action=delete"}
		token := func() string {
			c := q.call()
			if c.Effect = effect; effect != "" {
				return w.mint(c)
			}
			c.Effect = "read"
			private, _ := activeKey(t, w.keys)
			header, payload, _ := segments(t, w.mint(c))
			return forge(t, private, header, strings.Replace(payload, `,"effect":"read"`, "", 1))
		}
		if res := w.send(q, "Authorization: Bearer "+token()); res.StatusCode != 200 {
			t.Errorf("%q: the first: %d", effect, res.StatusCode)
		}
		if res := w.send(q, "Authorization: Bearer "+token()); res.StatusCode != 502 {
			t.Errorf("%q: a broken one: %d", effect, res.StatusCode)
		}
		if got := requests.Load(); got != want {
			t.Errorf("%q: %d requests reached the API for two tokens", effect, got)
		}
	}
}
