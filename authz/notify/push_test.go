package notify

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// pushService is a push service and the browser behind it, with keys of its own.
// It serves TLS as push.example.com.
type pushService struct {
	*httptest.Server
	key    *ecdh.PrivateKey
	auth   []byte
	mu     sync.Mutex
	status int
	got    []payload
	vapid  string
}

func newPushService(t *testing.T) *pushService {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &pushService{key: key, auth: []byte("0123456789abcdef"), status: http.StatusCreated}
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		m, err := p.open(r, body)
		if err != nil {
			t.Error(err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.got = append(p.got, m)
		w.WriteHeader(p.status)
	}))
	t.Cleanup(p.Close)
	return p
}

// open decrypts a payload as a browser does (RFC 8188 §2, RFC 8291 §3.4), and
// checks who sent it as a push service does (RFC 8292).
func (p *pushService) open(r *http.Request, body []byte) (m payload, err error) {
	if len(body) < 86 || r.Header.Get("Content-Encoding") != "aes128gcm" || r.Header.Get("TTL") == "" {
		return m, errors.New("not a push message")
	}
	salt, idlen := body[:16], int(body[20])
	sender, sealed := body[21:21+idlen], body[21+idlen:]
	public, err := ecdh.P256().NewPublicKey(sender)
	if err != nil {
		return m, err
	}
	secret, err := p.key.ECDH(public)
	if err != nil {
		return m, err
	}
	derive := func(secret, salt []byte, info string, n int) []byte {
		b, kdfErr := hkdf.Key(sha256.New, secret, salt, info, n)
		err = errors.Join(err, kdfErr)
		return b
	}
	ikm := derive(secret, p.auth, "WebPush: info\x00"+string(p.key.PublicKey().Bytes())+string(sender), 32)
	block, blockErr := aes.NewCipher(derive(ikm, salt, "Content-Encoding: aes128gcm\x00", 16))
	if err = errors.Join(err, blockErr); err != nil {
		return m, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return m, err
	}
	plain, err := gcm.Open(nil, derive(ikm, salt, "Content-Encoding: nonce\x00", 12), sealed, nil)
	if err != nil {
		return m, err
	}
	plain = bytes.TrimRight(plain, "\x00")
	if err := json.Unmarshal(bytes.TrimSuffix(plain, []byte{2}), &m); err != nil {
		return m, err
	}
	return m, p.sender(r)
}

func (p *pushService) sender(r *http.Request) error {
	token, key, ok := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "vapid t="), ", k=")
	parts := strings.Split(token, ".")
	point, err := base64.RawURLEncoding.DecodeString(key)
	if !ok || err != nil || len(parts) != 3 || len(point) != 65 {
		return fmt.Errorf("Authorization is %q", r.Header.Get("Authorization"))
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(sig) != 64 {
		return errors.New("the signature is not one of ES256")
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil || !ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
		return errors.New("the signature does not verify")
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || !strings.Contains(string(claims), `"aud":"https://push.example.com"`) || !strings.Contains(string(claims), `"sub":"mailto:alice@example.com"`) {
		return fmt.Errorf("the claims are %s", claims)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.vapid = key
	return nil
}

func (p *pushService) taken() (got []payload) {
	p.mu.Lock()
	defer p.mu.Unlock()
	got, p.got = p.got, nil
	return got
}

func (p *pushService) answers(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
}

func newPush(t testing.TB, transport http.RoundTripper) *Push {
	t.Helper()
	push, err := NewPush([]byte("0123456789abcdef0123456789abcdef"), "mailto:alice@example.com", transport)
	if err != nil {
		t.Fatal(err)
	}
	return push
}

// pushWorld is a world with Web Push to p.
func pushWorld(t *testing.T, p *pushService, policies ...string) (*world, *Notifier) {
	w := newWorld(t, policies...)
	n := w.notifier()
	w.restart(func(c *approval.Config) { c.Push = true })
	n.c.Holds, n.c.Push = w.Service, newPush(t, p.Client().Transport)
	return w, n
}

// subscribe is what the inbox stores for the browser of p.
func (w *world) subscribe(p *pushService, who authz.Principal, path string) {
	w.T.Helper()
	principal, err := json.Marshal(who)
	if err != nil {
		w.T.Fatal(err)
	}
	sub := store.Subscription{ID: rand.Text(), Person: who.Type + "::" + who.ID, Principal: principal, Endpoint: "https://push.example.com" + path,
		P256dh: base64.RawURLEncoding.EncodeToString(p.key.PublicKey().Bytes()), Auth: base64.RawURLEncoding.EncodeToString(p.auth), Created: w.Clock()}
	if err := w.DB.Update(w.T.Context(), func(tx *store.Tx) error { return tx.Subscribe(sub) }); err != nil {
		w.T.Fatal(err)
	}
}

func (w *world) subscriptions() int {
	w.T.Helper()
	n := 0
	if err := w.DB.View(w.T.Context(), func(tx *store.Tx) error {
		subs, err := tx.Subscriptions("")
		n = len(subs)
		return err
	}); err != nil {
		w.T.Fatal(err)
	}
	return n
}

func TestPush(t *testing.T) {
	p := newPushService(t)
	s, n := pushWorld(t, p)
	s.subscribe(p, alice, "/sub/s3cr3t")
	h := s.open(call(alice, "k1"))
	n.run(t)
	got := p.taken()
	want := []payload{{Title: "exeat: a call waits for you", Path: "/h/" + h.ID,
		Text: "DELETE petstore/pets/{id}: Delete a pet\nAsked by claude-desktop, which is what it calls itself.\n60 min left to decide."}}
	if len(got) == 1 {
		want[0].Tag = got[0].Tag
	}
	if diff := cmp.Diff(want, got); diff != "" || p.vapid != n.c.Push.public {
		t.Errorf("key %s: %s", p.vapid, diff)
	}
	// A browser that is gone is forgotten, with what waits for it.
	p.answers(http.StatusGone)
	s.open(call(alice, "k2"))
	n.run(t)
	if got := p.taken(); len(got) != 1 || s.subscriptions() != 0 {
		t.Errorf("it is not forgotten after %d messages", len(got))
	}
	s.open(call(alice, "k3"))
	n.run(t)
	if got := p.taken(); len(got) != 0 {
		t.Error("it is still told")
	}
}

// The longest messages that there are fit into what push services take (RFC 8030
// §7.2) and Telegram does, in any script.
func TestLongestMessages(t *testing.T) {
	p := newPushService(t)
	s, n := pushWorld(t, p)
	s.subscribe(p, alice, "/x")
	long := strings.Repeat("ペ", 500)
	n.c.Describe = func(_, tool string) (string, string, string) { return "DELETE", "/" + tool + long, tool + long }
	for i := range 2 * maxLines {
		h := call(alice, fmt.Sprint("k", i))
		h.Tool, h.Agent = fmt.Sprint("tool", i), json.RawMessage(`{"id":"`+long+`"}`)
		s.open(h)
		if i == 0 {
			n.run(t)
		}
	}
	s.Pass(digestEvery)
	n.run(t)
	got := p.taken()
	if len(got) != 2 || !strings.HasPrefix(got[1].Title, "exeat: 9 calls") || !strings.Contains(got[1].Text, "and 4 kinds more") {
		t.Fatalf("%d messages: %v", len(got), got)
	}
	for _, m := range got {
		if len(m.Text) > 2500 {
			t.Errorf("%d bytes", len(m.Text))
		}
	}
}

// Nobody is told of a call that they could not see in the inbox.
func TestPushOnlyToThoseWhoSee(t *testing.T) {
	p := newPushService(t)
	s, n := pushWorld(t, p, `@id("only-bob") permit (principal == User::"bob", action == Action::"approve", resource);`)
	s.subscribe(p, alice, "/alice")
	s.open(call(bob, "k1"))
	n.run(t)
	if got := p.taken(); len(got) != 0 {
		t.Errorf("alice is told of bob's call: %v", got)
	}
	s.open(call(alice, "k2"))
	n.run(t)
	if got := p.taken(); len(got) != 1 {
		t.Errorf("alice is told %d times of her own", len(got))
	}
}

// Who was stopped, or ended, is told nothing more in the browsers that they had.
func TestPushEndsWithItsUser(t *testing.T) {
	for _, stop := range []bool{false, true} {
		p := newPushService(t)
		s, n := pushWorld(t, p)
		s.subscribe(p, alice, "/before")
		s.Pass(time.Second)
		if _, err := s.EndUser(t.Context(), approval.End{Subject: "User::alice", By: approval.Operator("root"), Cause: "by-hand", Stop: stop}); err != nil {
			t.Fatal(err)
		}
		s.Pass(time.Second)
		s.open(call(alice, "k1"))
		n.run(t)
		if got := p.taken(); len(got) != 0 {
			t.Errorf("stopped %t: told %v", stop, got)
		}
		s.subscribe(p, alice, "/after")
		s.open(call(alice, "k2"))
		n.run(t)
		if got := p.taken(); (len(got) == 0) != stop {
			t.Errorf("stopped %t: who subscribed after it is told %v", stop, got)
		}
	}
}

func TestPushAddresses(t *testing.T) {
	for _, a := range []string{"127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "::1", "fe80::1", "fd00::1", "0.0.0.0", "224.0.0.1", "64:ff9b::7f00:1"} {
		if public(netip.MustParseAddr(a)) {
			t.Errorf("%s is public", a)
		}
	}
	for _, a := range []string{"1.1.1.1", "2606:4700::1111"} {
		if !public(netip.MustParseAddr(a)) {
			t.Errorf("%s is not public", a)
		}
	}
	// The transport that is used refuses before it connects.
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was reached") }))
	defer srv.Close()
	r, err := http.NewRequestWithContext(t.Context(), "POST", srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := post(newPush(t, nil).client, r); !errors.Is(err, errNoHost) {
		t.Errorf("%v", err)
	}
}
