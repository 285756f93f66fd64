package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

const hookSecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// receiver is a channel's other end: it keeps what it gets and answers as told.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []string // bodies
	ids    []string // webhook-id
	answer func(http.ResponseWriter, *http.Request)
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		answer := r.answer
		r.got, r.ids = append(r.got, string(body)), append(r.ids, q.Header.Get("webhook-id"))
		r.mu.Unlock()
		if id := q.Header.Get("webhook-id"); id != "" && !verified(q.Header, body) {
			t.Errorf("the signature of %s does not verify", id)
		}
		if answer != nil {
			answer(w, q)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// verified checks a signature as standardwebhooks.com tells receivers to.
func verified(h http.Header, body []byte) bool {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(hookSecret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(h.Get("webhook-id") + "." + h.Get("webhook-timestamp") + "."))
	mac.Write(body)
	want := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, s := range strings.Fields(h.Get("webhook-signature")) {
		if version, sum, _ := strings.Cut(s, ","); version == "v1" && hmac.Equal([]byte(sum), []byte(want)) {
			return true
		}
	}
	return false
}

func (r *receiver) answers(f func(http.ResponseWriter, *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// taken are the bodies since the last call.
func (r *receiver) taken() (got, ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	got, ids, r.got, r.ids = r.got, r.ids, nil, nil
	return got, ids
}

func status(code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// people is a channel for people that leads to r; the URL holds a secret.
func people(t testing.TB, name string, r *receiver) *Channel {
	t.Helper()
	c, err := NewChannel(name, "generic+"+r.URL+"/hook/s3cr3t-path?template=json&$token=s3cr3t-query&@Authorization=s3cr3t-header")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func machine(t testing.TB, name string, r *receiver) *Channel {
	t.Helper()
	c, err := NewWebhook(name, r.URL+"/s3cr3t-path", hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// notifier is one that runs by hand.
func (w *world) notifier(channels ...*Channel) *Notifier {
	w.T.Helper()
	w.restart(func(c *approval.Config) {
		for _, x := range channels {
			c.Notify = append(c.Notify, x.Name)
		}
	})
	n, err := New(Config{Holds: w.Service, Store: w.DB, Channels: channels, URL: "http://127.0.0.1:8421",
		Describe: func(string, string) (string, string, string) { return "DELETE", "/pets/{id}", "Delete a pet" },
		Trouble:  func(err error) { w.T.Log("trouble:", err) }})
	if err != nil {
		w.T.Fatal(err)
	}
	return n
}

// run does one round and waits for what it started.
func (n *Notifier) run(t testing.TB) time.Time {
	t.Helper()
	next, err := n.round(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n.tries.Wait()
	return next
}

func (w *world) health(name string) (h store.ChannelHealth) {
	w.T.Helper()
	if err := w.DB.View(w.T.Context(), func(tx *store.Tx) (err error) { h, err = tx.Health(name); return err }); err != nil {
		w.T.Fatal(err)
	}
	return h
}

func TestWebhookRetries(t *testing.T) {
	w, r := newWorld(t), newReceiver(t)
	n := w.notifier(machine(t, "siem", r))
	h := w.open(call(alice, "k1"))
	r.answers(status(503))
	n.run(t)
	_, first := r.taken()
	n.run(t)
	if got, _ := r.taken(); len(first) != 1 || len(got) != 0 {
		t.Fatalf("tried %d times, then %d more at once", len(first), len(got))
	}
	if got := w.health("siem"); got.Failures != 1 || got.Waiting != 1 || got.Problem != "answered with status 503 (Service Unavailable)" {
		t.Errorf("%+v", got)
	}
	r.answers(nil)
	w.Pass(12 * time.Second)
	n.run(t)
	got, again := r.taken()
	if diff := cmp.Diff(first, again); diff != "" || len(got) != 1 {
		t.Fatalf("the id of the second try: %s", diff)
	}
	var body struct {
		Type string         `json:"type"`
		Data map[string]any `json:"data"`
	}
	if err := json.Unmarshal([]byte(got[0]), &body); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"hold": h.ID, "api": "petstore", "tool": "delete_pet", "effect": "delete", "method": "DELETE", "path": "/pets/{id}",
		"summary": "Delete a pet", "subject": "User::alice", "agent": "claude-desktop", "agent_verified": false, "expires": "2026-11-23T13:00:00Z", "url": "http://127.0.0.1:8421/h/" + h.ID}
	if diff := cmp.Diff(want, body.Data); diff != "" || body.Type != "hold.opened" {
		t.Errorf("%s: %s", body.Type, diff)
	}
	if got := w.health("siem"); got.Waiting != 0 || got.Problem != "" || got.Sent.IsZero() {
		t.Errorf("%+v", got)
	}
	w.Pass(time.Minute)
	n.run(t)
	if got, _ := r.taken(); len(got) != 0 {
		t.Error("it is sent twice")
	}
}

// A channel that never works is given up for a call, and shown.
func TestGivenUp(t *testing.T) {
	w, r := newWorld(t), newReceiver(t)
	n := w.notifier(machine(t, "siem", r))
	w.restart(func(c *approval.Config) { c.TTL = 24 * time.Hour })
	n.c.Holds = w.Service
	w.open(call(alice, "k1"))
	r.answers(status(500))
	for range 3 * maxTries {
		n.run(t)
		w.Pass(15 * time.Minute)
	}
	if got, _ := r.taken(); len(got) != maxTries {
		t.Errorf("%d tries", len(got))
	}
	if got := w.health("siem"); got.Failed != 1 || got.Waiting != 0 {
		t.Errorf("%+v", got)
	}
}

func TestFailures(t *testing.T) {
	elsewhere := newReceiver(t)
	release := make(chan struct{})
	tests := []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request)
		want   error
	}{
		{"500", status(500), statusError(500)},
		{"404", status(404), statusError(404)},
		{"redirect", func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, elsewhere.URL+"/steal", http.StatusFound)
		}, errRedirect},
		{"redirect of the body", func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, elsewhere.URL+"/steal", http.StatusTemporaryRedirect)
		}, errRedirect},
		{"hangs", func(_ http.ResponseWriter, q *http.Request) {
			select {
			case <-release:
			case <-q.Context().Done():
			}
		}, errSlow},
		{"closes", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, errOther},
		{"says the secret", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(418)
			fmt.Fprint(w, "bad token s3cr3t-query for s3cr3t-path")
		}, statusError(418)},
		{"answers without end", func(w http.ResponseWriter, q *http.Request) {
			for q.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}, nil},
	}
	for _, tt := range tests {
		r := newReceiver(t)
		r.answers(tt.answer)
		for name, c := range map[string]*Channel{"people": people(t, "p", r), "machine": machine(t, "m", r)} {
			t.Run(tt.name+" "+name, func(t *testing.T) {
				ctx := t.Context()
				if tt.want == errSlow {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, 100*time.Millisecond)
					defer cancel()
				}
				err := c.Send(ctx, Message{ID: "msg_1", Title: "t", Text: "x", Link: "http://127.0.0.1/", at: noon})
				if !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				if err != nil && strings.Contains(fmt.Sprintf("%+v", err), "s3cr3t") {
					t.Errorf("the error tells the secret: %v", err)
				}
			})
		}
	}
	close(release)
	if got, _ := elsewhere.taken(); len(got) != 0 {
		t.Errorf("another host got %q", got)
	}
	down := newReceiver(t)
	p, m := people(t, "p", down), machine(t, "m", down)
	down.Close()
	for _, c := range []*Channel{p, m} {
		if err := c.Send(t.Context(), Message{ID: "1", Title: "t", Text: "x", at: noon}); !errors.Is(err, errRefused) {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// A call is held, and another channel told, while one hangs: the hung one is
// released only after both.
func TestHungChannel(t *testing.T) {
	w, hung, fine := newWorld(t), newReceiver(t), newReceiver(t)
	hanging, release, told := make(chan struct{}), make(chan struct{}), make(chan struct{}, 2)
	hung.answers(func(http.ResponseWriter, *http.Request) { close(hanging); <-release })
	fine.answers(func(http.ResponseWriter, *http.Request) { told <- struct{}{} })
	n := w.notifier(machine(t, "hung", hung), machine(t, "fine", fine))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	w.open(call(alice, "k1"))
	<-hanging
	<-told
	w.open(call(alice, "k2"))
	<-told
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	close(release)
	n.tries.Wait()
	if got := w.health("hung"); got.Waiting != 2 {
		t.Errorf("%+v: what hung is to be sent again", got)
	}
}

// Two processes send each message once; a crash between claim and send repeats
// it under the same id.
func TestTwoNotifiers(t *testing.T) {
	w, r := newWorld(t), newReceiver(t)
	a := w.notifier(machine(t, "siem", r))
	db, err := store.Open(t.Context(), w.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c := w.config
	c.Store = db
	other, err := approval.New(c)
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(Config{Holds: other, Store: db, Channels: a.c.Channels, URL: a.c.URL})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		w.open(call(alice, fmt.Sprint("k", i)))
	}
	crashed := claimAs(t, w, "siem", "crashed", 3)
	for range 10 {
		var both sync.WaitGroup
		for _, n := range []*Notifier{a, b} {
			both.Go(func() { n.run(t) })
		}
		both.Wait()
	}
	_, ids := r.taken()
	slices.Sort(ids)
	if len(ids) != 9 || len(slices.Compact(slices.Clone(ids))) != 9 {
		t.Errorf("sent %d messages: %v", len(ids), ids)
	}
	w.Pass(sendLease)
	b.run(t)
	_, again := r.taken()
	slices.Sort(again)
	slices.Sort(crashed)
	if diff := cmp.Diff(crashed, again); diff != "" {
		t.Error("after the crash:", diff)
	}
}

func claimAs(t *testing.T, w *world, channel, owner string, most int) (ids []string) {
	t.Helper()
	if err := w.DB.Update(t.Context(), func(tx *store.Tx) error {
		ids = nil
		list, err := tx.Claim(channel, owner, w.Clock(), w.Clock().Add(sendLease), most)
		for _, n := range list {
			ids = append(ids, n.ID)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return ids
}

// Nobody is told of a call that is decided, or changed behind exeat's back.
func TestNotTold(t *testing.T) {
	w, r := newWorld(t), newReceiver(t)
	n := w.notifier(machine(t, "siem", r))
	h := w.open(call(alice, "k1"))
	w.approve(h)
	other := w.open(call(alice, "k2"))
	w.SQL("UPDATE holds SET fixed = CAST(replace(CAST(fixed AS TEXT), 'claude', 'malice') AS BLOB) WHERE id = ?", other.ID)
	n.run(t)
	if got, _ := r.taken(); len(got) != 0 {
		t.Errorf("told of %q", got)
	}
	if got := w.health("siem"); got.Waiting != 0 {
		t.Errorf("%+v", got)
	}
}
