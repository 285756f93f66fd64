package tools

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/store"
)

// permitAll is a policy under which nothing waits.
const permitAll = `permit (principal, action in Action::"call_tool", resource);`

// recorder notes the requests that reach an API.
type recorder struct {
	next http.Handler

	mu       sync.Mutex
	requests []*http.Request
}

func (a *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.requests = append(a.requests, r)
	a.mu.Unlock()
	a.next.ServeHTTP(w, r)
}

// methods are those of the requests so far.
func (a *recorder) methods() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for _, r := range a.requests {
		out = append(out, r.Method)
	}
	return strings.Join(out, " ")
}

// jti is the id of the token that a request came with.
func jti(t testing.TB, r *http.Request) string {
	t.Helper()
	parts := strings.Split(r.Header.Get("Authorization"), ".")
	if len(parts) != 3 {
		t.Fatalf("the request has the Authorization %q", r.Header.Get("Authorization"))
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		ID string `json:"jti"`
	}
	if err := json.Unmarshal(b, &claims); err != nil {
		t.Fatal(err)
	}
	return claims.ID
}

// log are the entries of calls, in order.
func (r *rig) log(t testing.TB) (out []store.Entry) {
	t.Helper()
	r.entries(t)
	if err := r.Store.Entries(context.Background(), 0, func(e store.Entry) error {
		if e.Kind != store.KindLogin {
			out = append(out, e)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// raw answers with these bytes and closes the connection.
func raw(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			io.WriteString(conn, answer)
			conn.Close()
		}
	}
}

// inTurn gives each request the next handler, and the last one to all others.
func inTurn(handlers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		h := handlers[0]
		if len(handlers) > 1 {
			handlers = handlers[1:]
		}
		mu.Unlock()
		h(w, r)
	}
}

// says answers with a status, Retry-After (if not empty) and a small body.
func says(status int, after string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, `{"a":1}`)
	}
}

func TestMisbehavingAPI(t *testing.T) {
	const read, write, search = "get_pet", "delete_pet", "search_pets"
	tests := []struct {
		name, tool string
		api        http.HandlerFunc
		code       Code
		http       int
		after      int    // retry_after_seconds
		says       string // a part of reason or note
		methods    string // of the requests that reached the API; a write's GET is the look at it
		log        string
	}{
		{"dies before it answers", read, dying, UpstreamUnreachable, 0, 0, "broke", "GET GET GET", "call retry retry outcome:upstream_unreachable"},
		{"dies once", read, inTurn(dying, says(200, "")), "", 200, 0, "", "GET GET", "call retry outcome"},
		{"dies before it answers", write, dying, OutcomeUnknown, 0, 0, "may have been executed", "DELETE GET GET GET", "call outcome:outcome_unknown call retry retry outcome:upstream_unreachable"},
		{"dies in the headers", read, raw("HTTP/1.1 200 OK\r\nContent-Ty"), UpstreamUnreachable, 0, 0, "", "GET GET GET", "call retry retry outcome:upstream_unreachable"},
		{"dies in the headers", write, raw("HTTP/1.1 204 No Conte"), OutcomeUnknown, 0, 0, "may have been executed", "DELETE GET GET GET", "call outcome:outcome_unknown call retry retry outcome:upstream_unreachable"},
		{"dies in the body", read, raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), UpstreamUnreachable, 200, 0, "began to answer", "GET GET GET", "call retry retry outcome:upstream_unreachable"},
		{"dies in the body", write, inTurn(raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), says(404, "")), OutcomeUnknown, 200, 0, "began to answer", "DELETE GET", "call outcome:outcome_unknown call outcome"},
		{"dies in the body of a refusal", write, raw("HTTP/1.1 409 No\r\nContent-Length: 100\r\n\r\n{"), "", 409, 0, "is left out", "DELETE", "call outcome"},
		{"answers with no HTTP", read, raw("SSH-2.0-OpenSSH\r\n"), UpstreamUnreachable, 0, 0, "", "GET GET GET", "call retry retry outcome:upstream_unreachable"},

		{"busy once", read, inTurn(says(429, ""), says(200, "")), "", 200, 0, "", "GET GET", "call retry outcome"},
		{"busy for a second", read, inTurn(says(503, "1"), says(200, "")), "", 200, 0, "", "GET GET", "call retry outcome"},
		{"busy all the time", read, says(503, "2"), "", 503, 2, "", "GET GET GET", "call retry retry outcome"},
		{"busy for long", read, says(429, "3600"), "", 429, 3600, "", "GET", "call outcome"},
		{"busy for ever", read, says(429, "99999999999999999999999"), "", 429, 86400, "", "GET", "call outcome"},
		{"busy until a day", read, says(503, time.Now().Add(1000*time.Hour).UTC().Format(http.TimeFormat)), "", 503, 86400, "", "GET", "call outcome"},
		{"busy, but it is a search", search, says(503, ""), "", 503, 0, "", "POST", "call outcome"},
		{"busy", write, says(429, "7"), "", 429, 7, "", "DELETE", "call outcome"},
		{"overloaded", write, says(503, ""), "", 503, 0, "may have been executed", "DELETE", "call outcome"},
		{"breaks", read, says(500, "5"), "", 500, 0, "", "GET", "call outcome"},
		{"breaks", write, says(500, "5"), "", 500, 0, "may have been executed", "DELETE", "call outcome"},
		{"behind a proxy that gives up", read, says(504, ""), "", 504, 0, "", "GET GET GET", "call retry retry outcome"},
		{"behind a proxy that gives up", write, says(502, ""), "", 502, 0, "may have been executed", "DELETE", "call outcome"},
	}
	current := &exchangeable{}
	r := newRig(t, rigOptions{policy: permitAll, api: current})
	var before int // entries of earlier rows
	for _, tt := range tests {
		t.Run(tt.tool+" "+tt.name, func(t *testing.T) {
			api := &recorder{next: tt.api}
			current.be(api)
			r.slept = nil
			args := `{"petId":1}`
			if tt.tool == search {
				args = `{"body":{"text":"rex"}}`
			}
			res := r.Call(t.Context(), caller("alice"), tt.tool, []byte(args))
			e := res.Envelope
			if e.Code != tt.code || e.HTTPStatus != tt.http || e.RetryAfter != tt.after || !strings.Contains(e.Reason+e.Note, tt.says) {
				t.Errorf("got %s", res.JSON())
			}
			if got := api.methods(); got != tt.methods {
				t.Errorf("the API got %s, want %s", got, tt.methods)
			}
			entries := r.entries(t)
			if got := strings.Join(entries[before:], " "); got != tt.log {
				t.Errorf("the log has %q, want %q", got, tt.log)
			}
			before = len(entries)
			for i, d := range r.slept {
				if most := firstWait << i; d > most && d.Truncate(time.Second) != d || d < most/2 && d < time.Second {
					t.Errorf("wait %d was %s", i, d)
				}
			}
		})
	}
}

// Every try of a read leaves with a token of its own, and the log has them all.
func TestEachTryHasItsOwnToken(t *testing.T) {
	api := &recorder{next: says(503, "")}
	r := newRig(t, rigOptions{api: api})
	r.Call(t.Context(), caller("alice"), "get_pet", []byte(`{"petId":1}`))
	var sent, logged, notes []string
	for _, req := range api.requests {
		sent = append(sent, jti(t, req))
	}
	for _, e := range r.log(t) {
		if e.Kind != store.KindOutcome {
			logged, notes = append(logged, e.JTI), append(notes, e.Note)
		}
	}
	if d := cmp.Diff(sent, logged); d != "" || len(sent) != reading.tries || len(slices.Compact(slices.Sorted(slices.Values(sent)))) != reading.tries {
		t.Errorf("sent %v, logged %v", sent, logged)
	}
	if d := cmp.Diff([]string{"", "request 2 of this call, since the one before was answered with 503", "request 3 of this call, since the one before was answered with 503"}, notes); d != "" {
		t.Error(d)
	}
}

// net/http repeats a GET when a connection that it used before breaks. The API
// must not see the token of the first one again.
func TestTheTransportRepeatsNoToken(t *testing.T) {
	keeping := says(200, "")
	api := &recorder{next: inTurn(keeping, dying, keeping)}
	r := newRig(t, rigOptions{api: api})
	for range 2 {
		if res := r.Call(t.Context(), caller("alice"), "get_pet", []byte(`{"petId":1}`)); res.Envelope.HTTPStatus != 200 {
			t.Fatalf("%s", res.JSON())
		}
	}
	var sent []string
	for _, req := range api.requests {
		sent = append(sent, jti(t, req))
	}
	if len(sent) != 3 || len(slices.Compact(slices.Sorted(slices.Values(sent)))) != 3 {
		t.Errorf("three requests came with the tokens %v", sent)
	}
	if got := strings.Join(r.entries(t), " "); got != "call outcome call retry outcome" {
		t.Errorf("the log has %q", got)
	}
}

func TestUnreachable(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	dial := func(err error) http.RoundTripper {
		return &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if err == nil {
				<-ctx.Done()
				err = ctx.Err()
			}
			return nil, err
		}}
	}
	tests := []struct {
		name      string
		transport http.RoundTripper // nil is the real one
		base      string
		code      Code
		says      string
		tries     int // of a read
	}{
		{"nobody listens", nil, "http://127.0.0.1:1", UpstreamUnreachable, "nothing was executed", 3},
		{"the name is not known", dial(&net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}), "", UpstreamUnreachable, "nothing was executed", 1},
		{"the resolver is down", dial(&net.DNSError{Err: "server misbehaving", Name: "x", IsTemporary: true}), "", UpstreamUnreachable, "nothing was executed", 3},
		{"slow to accept", dial(nil), "", UpstreamTimeout, "nothing was executed", 1},
		{"self-signed", nil, tlsServer(t, "127.0.0.1", time.Hour, nil), UpstreamUnreachable, "could not prove who it is", 1},
		{"expired", trusting(t, "127.0.0.1", -time.Hour), "tls", UpstreamUnreachable, "could not prove who it is", 1},
		{"another name", trusting(t, "192.0.2.1", time.Hour), "tls", UpstreamUnreachable, "could not prove who it is", 1},
	}
	for _, tt := range tests {
		for tool, sends := range map[string]int{"get_pet": tt.tries, "delete_pet": 1} {
			t.Run(tool+" "+tt.name, func(t *testing.T) {
				o := rigOptions{policy: permitAll, base: tt.base}
				transport := tt.transport
				if s, ok := transport.(trusted); ok {
					o.base, transport = s.url, s.Transport
				}
				r := newRig(t, o)
				if transport != nil {
					r.sendBy(transport)
				}
				if tt.code == UpstreamTimeout {
					r.Timeout = 20 * time.Millisecond // passes in any case
				}
				res := r.Call(t.Context(), caller("alice"), tool, []byte(`{"petId":1}`))
				if e := res.Envelope; e.Code != tt.code || !strings.Contains(e.Reason, tt.says) || e.Lookup != nil {
					t.Errorf("got %s", res.JSON())
				}
				want := "call" + strings.Repeat(" retry", sends-1) + " outcome:" + string(tt.code)
				if got := strings.Join(r.entries(t), " "); got != want {
					t.Errorf("the log has %q, want %q", got, want)
				}
			})
		}
	}
	t.Run("a certificate that is right", func(t *testing.T) {
		s := trusting(t, "127.0.0.1", time.Hour)
		r := newRig(t, rigOptions{base: s.url})
		r.sendBy(s.Transport)
		if res := r.Call(t.Context(), caller("alice"), "get_pet", []byte(`{"petId":1}`)); res.Envelope.HTTPStatus != 200 {
			t.Errorf("got %s", res.JSON())
		}
	})
}

// trusted is a transport that trusts the certificate of the server at url.
type trusted struct {
	*http.Transport
	url string
}

func trusting(t *testing.T, ip string, valid time.Duration) trusted {
	pool := x509.NewCertPool()
	url := tlsServer(t, ip, valid, pool)
	return trusted{&http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}, url}
}

// tlsServer answers on loopback with a certificate for an address; nothing may
// get to its handler unless that is right.
func tlsServer(t *testing.T, ip string, valid time.Duration, pool *x509.CertPool) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(valid)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: end.Add(-2 * time.Hour), NotAfter: end,
		IPAddresses: []net.IP{net.ParseIP(ip)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if pool != nil {
		pool.AddCert(cert)
	}
	right := pool != nil && ip == "127.0.0.1" && valid > 0
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !right {
			t.Errorf("%s %s was sent to a server that is not the API", r.Method, r.URL)
		}
		says(200, "")(w, r)
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.URL
}

// slowly answers part of something and then no more until the client is gone.
func slowly(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if answer != "" {
			conn, rw, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			io.WriteString(conn, answer)
			io.Copy(io.Discard, rw)
			return
		}
		<-r.Context().Done()
	}
}

func TestSlowAPI(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	const stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"
	tests := []struct {
		name, tool string
		api        http.HandlerFunc
		code       Code
		http       int
		says       string
	}{
		{"no answer", "get_pet", slowly(""), UpstreamTimeout, 0, "in time"},
		{"no answer", "delete_pet", inTurn(slowly(""), says(404, "")), OutcomeUnknown, 0, "may have been executed"},
		{"half a head", "get_pet", slowly("HTTP/1.1 200 OK\r\nConte"), UpstreamTimeout, 0, "in time"},
		{"only 1xx", "get_pet", slowly(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 5)), UpstreamTimeout, 0, "in time"},
		{"another protocol", "get_pet", inTurn(slowly("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), slowly("")), UpstreamTimeout, 0, "in time"},
		{"another protocol", "delete_pet", inTurn(slowly("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), says(404, "")), OutcomeUnknown, 0, "may have been executed"},
		{"an endless stream", "get_pet", slowly(stream), "", 200, "with 1 whole items; there may be more"},
		{"an endless stream", "delete_pet", slowly(stream), "", 200, "with 1 whole items; there may be more"},
	}
	for _, tt := range tests {
		t.Run(tt.tool+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			api := &recorder{next: tt.api}
			r := newRig(t, rigOptions{policy: permitAll, api: api})
			r.Timeout = 2 * time.Second
			res := r.Call(t.Context(), caller("alice"), tt.tool, []byte(`{"petId":1}`))
			if e := res.Envelope; e.Code != tt.code || e.HTTPStatus != tt.http || !strings.Contains(e.Reason+e.Note, tt.says) {
				t.Errorf("got %s", res.JSON())
			}
			if got := api.methods(); got != "GET" && (tt.name != "an endless stream" || got != "DELETE") && got != "DELETE GET" && (tt.name != "another protocol" || got != "GET GET") {
				t.Errorf("the API got %s", got)
			}
		})
	}
}

// A client that leaves does not take a write with it; a read ends.
func TestClientLeavesWhileSending(t *testing.T) {
	begun, finish := make(chan string, 10), make(chan struct{})
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		begun <- r.Method
		if r.Method == http.MethodGet {
			<-r.Context().Done()
			return
		}
		<-finish
		w.WriteHeader(http.StatusNoContent)
	})
	t.Run("a write", func(t *testing.T) {
		r := newRig(t, rigOptions{policy: permitAll, api: api})
		r.Timeout = time.Minute
		ctx, leave := context.WithCancel(t.Context())
		answer := make(chan Result)
		go func() { answer <- r.Call(ctx, caller("alice"), "delete_pet", []byte(`{"petId":1}`)) }()
		<-begun
		leave()
		finish <- struct{}{}
		if res := <-answer; res.Envelope.HTTPStatus != http.StatusNoContent {
			t.Errorf("got %s", res.JSON())
		}
		if e := r.log(t); len(e) != 2 || e[1].Kind != "outcome" || e[1].Status != http.StatusNoContent {
			t.Errorf("the log has %+v", e)
		}
	})
	t.Run("a read", func(t *testing.T) {
		r := newRig(t, rigOptions{policy: permitAll, api: api})
		r.Timeout = time.Minute
		ctx, leave := context.WithCancel(t.Context())
		answer := make(chan Result)
		go func() { answer <- r.Call(ctx, caller("alice"), "get_pet", []byte(`{"petId":1}`)) }()
		<-begun
		leave()
		if res := <-answer; res.Envelope.Code != CallCancelled {
			t.Errorf("got %s", res.JSON())
		}
		if got := strings.Join(r.entries(t), " "); got != "call outcome:call_cancelled" {
			t.Errorf("the log has %q", got)
		}
	})
	t.Run("a release", func(t *testing.T) {
		r := newRig(t, rigOptions{api: api})
		r.APIs[0].Before = SnapshotOff
		r.Timeout = time.Minute
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() { defer close(stopped); r.Run(ctx) }()
		h := r.Call(t.Context(), caller("alice"), "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
		if err := r.decideHold(t, h, true, ""); err != nil {
			t.Fatal(err)
		}
		<-begun
		stop()
		finish <- struct{}{}
		<-stopped // not before the outcome is recorded
		if res := r.Resume(t.Context(), caller("alice"), h, 0, ""); res.Envelope.HTTPStatus != http.StatusNoContent || res.Disposition != ApprovedExecuted {
			t.Errorf("got %s", res.JSON())
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 500, time.UTC)
	for text, want := range map[string]int{
		"": 0, "0": 0, "1": 1, "120": 120, " 5 ": 5, "86401": 86400, "99999999999999999999": 86400, "-1": 0, "1.5": 0, "1e9": 0, "soon": 0, "+5": 0,
		"Sun, 01 Mar 2026 12:00:10 GMT": 10, "Sun, 01 Mar 2026 11:59:10 GMT": 0, "Sun, 01 Mar 9999 12:00:00 GMT": 86400, "Sun, 01 Mar 0001 12:00:00 GMT": 0,
		"Sunday, 01-Mar-26 12:00:10 GMT": 10,
	} {
		resp := &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {text}}}
		if got := retryAfter(resp, now); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
}

// The real wait between two tries ends with the call's time, or before it.
func TestSleepEndsWithTheCall(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	if err := sleep(ctx, 2*time.Hour); err == nil {
		t.Error("it waits for longer than there is time")
	}
	cancel()
	if err := sleep(ctx, time.Minute); err == nil {
		t.Error("it waits for a call that is over")
	}
	if err := sleep(t.Context(), time.Nanosecond); err != nil {
		t.Error(err)
	}
}
