package signals

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/approval/approvaltest"
	"github.com/exeat/exeat/authz/issuer"
	"github.com/exeat/exeat/store"
)

const (
	idpURL   = "https://idp.example.com"
	otherURL = "https://other.example.com"
	audience = "https://exeat.example.com/signals"
	bearer   = "agreed-on"
)

// transmitter signs tokens as an issuer does.
type transmitter struct {
	url string
	key *ecdsa.PrivateKey
}

func newTransmitter(t testing.TB, url string) *transmitter {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &transmitter{url, key}
}

// keys are its keys as it publishes them.
func (x *transmitter) keys(t testing.TB) Keys {
	t.Helper()
	source, err := issuer.NewSource(issuer.Config{URL: x.url, Local: func(context.Context) ([]byte, error) {
		return json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: x.key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	}})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// m is a JSON object.
type m = map[string]any

// sign signs claims, with a header that has these members besides.
func (x *transmitter) sign(t testing.TB, claims m, header m) string {
	t.Helper()
	opts := (&jose.SignerOptions{}).WithType("secevent+jwt").WithHeader("kid", "k1")
	for name, value := range header {
		opts.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: x.key}, opts)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(b)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// about are the claims of a token with one event about alice.
func (x *transmitter) about(now time.Time, uri string) m {
	return m{"iss": x.url, "aud": audience, "jti": rand.Text(), "iat": now.Unix(),
		"sub_id": m{"format": "iss_sub", "iss": x.url, "sub": "alice"}, "events": m{uri: m{"event_timestamp": now.Unix()}}}
}

// world is a receiver on a database of its own, with two transmitters.
type world struct {
	*approvaltest.World
	holds      *approval.Service // of the process that sends
	door       *approval.Doorkeeper
	config     Config
	receiver   *Receiver
	url        string // of the receiver
	idp, other *transmitter

	mu     sync.Mutex
	events []Event
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{World: approvaltest.New(t), door: new(approval.Doorkeeper), idp: newTransmitter(t, idpURL), other: newTransmitter(t, otherURL)}
	w.holds = w.process(w.DB)
	push := &Push{Token: func() string { return bearer }}
	w.config = Config{Now: w.Clock, Observe: func(e Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, e)
	}, Issuers: []Issuer{
		{URL: idpURL, Audience: audience, Keys: w.idp.keys(t), Push: push, Named: func(sub string) (string, error) {
			if strings.HasPrefix(sub, "other:") {
				return "", errors.New("it would be somebody of another issuer")
			}
			return sub, nil
		}},
		{URL: otherURL, Audience: audience, Keys: w.other.keys(t), Push: push, Subjects: []string{IssuerSubject, Opaque, Email}, Named: func(sub string) (string, error) { return "other:" + sub, nil }},
	}}
	if change != nil {
		change(&w.config)
	}
	w.restart()
	return w
}

// process is the holds of another process on the same database.
func (w *world) process(db *store.Store) *approval.Service {
	w.T.Helper()
	s, err := approval.New(approval.Config{Store: db, Engine: w.Engine, Key: approvaltest.Key, Now: w.Clock, Door: w.door})
	if err != nil {
		w.T.Fatal(err)
	}
	return s
}

// restart is a receiver in a process of its own.
func (w *world) restart() {
	w.T.Helper()
	db, err := store.Open(w.T.Context(), w.Path)
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() { db.Close() })
	w.config.Store, w.config.Holds = db, w.process(db)
	if w.receiver, err = New(w.config); err != nil {
		w.T.Fatal(err)
	}
	srv := httptest.NewServer(w.receiver)
	w.T.Cleanup(srv.Close)
	w.url = srv.URL
}

// told are the texts of what was observed.
func (w *world) told() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, e := range w.events {
		b.WriteString(e.Kind + ": " + e.Text + "\n")
	}
	return b.String()
}

// push sends a token and returns the status and the error code of the answer.
func (w *world) push(raw string, header ...string) (int, string) {
	w.T.Helper()
	req, err := http.NewRequestWithContext(w.T.Context(), http.MethodPost, w.url, strings.NewReader(raw))
	if err != nil {
		w.T.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/secevent+jwt")
	req.Header.Set("Authorization", "Bearer "+bearer)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.T.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.T.Fatal(err)
	}
	var body struct {
		Err         string `json:"err"`
		Description string `json:"description"`
	}
	if len(b) > 0 && (json.Unmarshal(b, &body) != nil || body.Description == "") {
		w.T.Errorf("the answer %s is not in the form of RFC 8935", b)
	}
	return res.StatusCode, body.Err
}

// user is what the log says of somebody.
func (w *world) user(subject string) approval.UserState {
	w.T.Helper()
	u, err := w.holds.User(w.T.Context(), subject)
	if err != nil {
		w.T.Fatal(err)
	}
	return u
}

// approved is a call of somebody that waits to be sent.
func (w *world) approved() store.Hold {
	w.T.Helper()
	h, err := w.holds.Open(w.T.Context(), approvaltest.Call(approvaltest.Alice, rand.Text()))
	if err != nil {
		w.T.Fatal(err)
	}
	who := w.door.Admit(approval.Person{Principal: approvaltest.Alice, Since: w.holds.Now()}, w.holds.Now().Add(time.Hour))
	if _, err := approval.One(w.holds.Decide(w.T.Context(), who, approval.Verdict{Hold: h.ID, Digest: h.Digest, Approve: true})); err != nil {
		w.T.Fatal(err)
	}
	return h
}
