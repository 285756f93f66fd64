package signals

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/issuer"
)

// endpoint is a transmitter's endpoint for polls.
type endpoint struct {
	mu     sync.Mutex
	asked  []m
	wait   chan m // receives each request's body
	answer func(n int, w http.ResponseWriter)
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	var body m
	if err != nil || json.Unmarshal(b, &body) != nil || r.Method != http.MethodPost || r.Header.Get("Authorization") != "Bearer "+bearer {
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	e.mu.Lock()
	e.asked = append(e.asked, body)
	n := len(e.asked)
	e.mu.Unlock()
	e.answer(n, w)
	select {
	case e.wait <- body:
	default:
	}
}

// polled is a world whose first issuer is polled at an endpoint.
func polled(t *testing.T, answer func(w *world, n int, out http.ResponseWriter)) (*world, *endpoint) {
	t.Helper()
	var w *world
	e := &endpoint{wait: make(chan m, 100)}
	e.answer = func(n int, out http.ResponseWriter) { answer(w, n, out) }
	srv := httptest.NewUnstartedServer(e)
	srv.Config.ErrorLog = nil
	srv.StartTLS()
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	client, err := issuer.NewClient(roots, srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	w = newWorld(t, func(c *Config) {
		c.Issuers[0].Push = nil
		c.Issuers[0].Poll = &Poll{Endpoint: srv.URL + "/poll", Token: func() string { return bearer }, Every: time.Millisecond, Client: client}
	})
	return w, e
}

// run polls until the test ends.
func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.receiver.Run(ctx)
	}()
	w.T.Cleanup(func() { cancel(); <-done })
}

func sets(w http.ResponseWriter, more bool, tokens m) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(m{"sets": tokens, "moreAvailable": more})
}

// TestPoll fetches tokens, does what they say, and acknowledges them with the next
// request; what is wrong with others it says there too.
func TestPoll(t *testing.T) {
	w, e := polled(t, func(w *world, n int, out http.ResponseWriter) {
		if n > 1 {
			sets(out, false, m{})
			return
		}
		sets(out, true, m{"a": w.idp.sign(w.T, w.idp.about(w.Clock(), risc+"account-disabled"), nil),
			"b": newTransmitter(w.T, idpURL).sign(w.T, w.idp.about(w.Clock(), risc+"account-disabled"), nil),
			"c": 7, "d": w.other.sign(w.T, w.other.about(w.Clock(), risc+"account-disabled"), nil)})
	})
	w.run()
	first, second := <-e.wait, <-e.wait
	if first["maxEvents"] != float64(pollMost) || first["returnImmediately"] != true || first["ack"] != nil {
		t.Errorf("the first request: %v", first)
	}
	if acks, _ := second["ack"].([]any); len(acks) != 1 || acks[0] != "a" {
		t.Errorf("acknowledged %v", second["ack"])
	}
	errs, _ := second["setErrs"].(map[string]any)
	for id, want := range map[string]string{"b": badKey, "c": badRequest, "d": badIssuer} {
		if e, _ := errs[id].(map[string]any); e["err"] != want || e["description"] == "" {
			t.Errorf("%s: %v", id, errs[id])
		}
	}
	if len(w.user("User::alice").Stops) != 1 || len(w.user("User::other:alice").Stops) != 0 {
		t.Error("not just alice was stopped")
	}
}

// An endpoint that repeats itself, whatever is acknowledged, is asked no more often
// than one that has nothing, and its token does something once.
func TestPollRepeats(t *testing.T) {
	var raw string
	w, _ := polled(t, func(w *world, _ int, out http.ResponseWriter) { sets(out, true, m{"a": raw}) })
	raw = w.idp.sign(t, w.idp.about(w.Clock(), risc+"account-disabled"), nil)
	from, done := w.receiver.issuers[idpURL], &answers{}
	for n, want := range []bool{true, false, false} {
		news, more, err := w.receiver.pollOnce(t.Context(), from, done)
		if err != nil || news != want || !more || len(done.Acks) != 1 {
			t.Errorf("request %d: %t, %t, %v, %v", n, news, more, err, done)
		}
	}
	if n := strings.Count(strings.Join(w.Entries(), "\n"), "stop "); n != 2 { // as a user, and as a workload
		t.Errorf("%d stops", n)
	}
}

// TestPollBad has endpoints that answer what is none. Nothing comes of it, the next
// request acknowledges nothing, and it is tried again.
func TestPollBad(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter){
		"HTML": func(w http.ResponseWriter) { io.WriteString(w, "<html>log in</html>") },
		"HTML, as JSON": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, "<html>log in</html>")
		},
		"an error": func(w http.ResponseWriter) { w.WriteHeader(500) },
		"another place": func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://127.0.0.1:1/")
			w.WriteHeader(307)
		},
		"a list": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"sets": ["x"]}`)
		},
		"a token twice": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"sets": {"a": "x", "a": "y"}}`)
		},
		"thousands": func(w http.ResponseWriter) {
			all := m{}
			for i := range 1000 {
				all[string(rune('a'+i%26))+strings.Repeat("x", i)] = "x"
			}
			sets(w, true, all)
		},
		"no end": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"sets": {"a": "`)
			for range 100 {
				if _, err := io.WriteString(w, strings.Repeat("x", 1<<16)); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, e := polled(t, func(w *world, n int, out http.ResponseWriter) {
				if n == 1 {
					answer(out)
					return
				}
				sets(out, false, m{"good": w.idp.sign(w.T, w.idp.about(w.Clock(), risc+"account-disabled"), nil)})
			})
			w.run()
			for range 2 {
				if body := <-e.wait; body["ack"] != nil || body["setErrs"] != nil {
					t.Errorf("it acknowledged %v", body)
				}
			}
			if body := <-e.wait; body["ack"] == nil {
				t.Errorf("it did not go on: %v", body)
			}
		})
	}
}

// An endpoint that hangs is waited for no longer than the client does, and not at all
// when exeat ends.
func TestPollHangs(t *testing.T) {
	free := make(chan struct{})
	w, e := polled(t, func(w *world, n int, out http.ResponseWriter) {
		if n == 1 {
			<-free
			return
		}
		sets(out, false, m{})
	})
	w.receiver.issuers[idpURL].Poll.Client.Timeout = 50 * time.Millisecond
	w.run()
	<-e.wait // the second, since the first is not answered
	close(free)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := w.receiver.pollOnce(ctx, w.receiver.issuers[idpURL], &answers{}); err == nil {
		t.Error("it asked after the end")
	}
}
