package approval

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
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

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

// form is what page.js hands in for the browser.
func (p *pushService) form(s *site, path string) url.Values {
	return url.Values{"csrf": {s.csrf}, "endpoint": {"https://push.example.com" + path},
		"p256dh": {base64.RawURLEncoding.EncodeToString(p.key.PublicKey().Bytes())}, "auth": {base64.RawURLEncoding.EncodeToString(p.auth)}}
}

func newPush(t testing.TB, transport http.RoundTripper) *Push {
	t.Helper()
	push, err := NewPush([]byte("0123456789abcdef0123456789abcdef"), "mailto:alice@example.com", transport)
	if err != nil {
		t.Fatal(err)
	}
	return push
}

// pushSite is a site with Web Push to p.
func pushSite(t *testing.T, p *pushService, policies ...string) (*site, *Notifier) {
	s := newSite(t, policies...)
	n := s.notifier()
	n.Push = newPush(t, p.Client().Transport)
	s.inbox.Push, s.inbox.Notifier, s.Push = n.Push, n, true
	s.login()
	return s, n
}

func TestPush(t *testing.T) {
	p := newPushService(t)
	s, n := pushSite(t, p)
	s.want(s.get("/push"), 200, n.Push.public)
	if a := s.post("/push", p.form(s, "/sub/s3cr3t")); a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, a.body)
	}
	page := s.get("/push")
	s.want(page, 200, "push.example.com")
	if strings.Contains(page.body, "s3cr3t") {
		t.Error("the page shows the endpoint")
	}
	h := s.open(call(alice, "k1"))
	n.run(t)
	got := p.taken()
	want := []payload{{Title: "exeat: a call waits for you", Path: "/h/" + h.ID,
		Text: "DELETE petstore/pets/{id}: Delete a pet\nAsked by claude-desktop, which is what it calls itself.\n60 min left to decide."}}
	if len(got) == 1 {
		want[0].Tag = got[0].Tag
	}
	if diff := cmp.Diff(want, got); diff != "" || p.vapid != n.Push.public {
		t.Errorf("key %s: %s", p.vapid, diff)
	}
	// A browser that is gone is forgotten, with what waits for it.
	p.answers(http.StatusGone)
	s.open(call(alice, "k2"))
	n.run(t)
	if got := p.taken(); len(got) != 1 || strings.Contains(s.get("/push").body, "push.example.com") {
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
	s, n := pushSite(t, p)
	s.post("/push", p.form(s, "/x"))
	long := strings.Repeat("ペ", 500)
	n.Describe = func(_, tool string) (string, string, string) { return "DELETE", "/" + tool + long, tool + long }
	for i := range 2 * maxLines {
		h := call(alice, fmt.Sprint("k", i))
		h.Tool, h.Agent = fmt.Sprint("tool", i), json.RawMessage(`{"id":"`+long+`"}`)
		s.open(h)
		if i == 0 {
			n.run(t)
		}
	}
	s.pass(digestEvery)
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
	s, n := pushSite(t, p, `@id("only-bob") permit (principal == User::"bob", action == Action::"approve", resource);`)
	s.post("/push", p.form(s, "/alice"))
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

func TestSubscribe(t *testing.T) {
	p := newPushService(t)
	s, _ := pushSite(t, p)
	for name, change := range map[string]func(url.Values){
		"no token":        func(f url.Values) { f.Del("csrf") },
		"wrong token":     func(f url.Values) { f.Set("csrf", strings.Repeat("a", 26)) },
		"http":            func(f url.Values) { f.Set("endpoint", "http://push.example.com/") },
		"this machine":    func(f url.Values) { f.Set("endpoint", "https://localhost/") },
		"an address":      func(f url.Values) { f.Set("endpoint", "https://169.254.169.254/") },
		"an IPv6 address": func(f url.Values) { f.Set("endpoint", "https://[::1]/") },
		"inside":          func(f url.Values) { f.Set("endpoint", "https://metadata.google.internal/") },
		"a port":          func(f url.Values) { f.Set("endpoint", "https://push.example.com:22/") },
		"a password":      func(f url.Values) { f.Set("endpoint", "https://a:b@push.example.com/") },
		"too long":        func(f url.Values) { f.Set("endpoint", "https://push.example.com/"+strings.Repeat("x", 2048)) },
		"no key":          func(f url.Values) { f.Del("p256dh") },
		"no point":        func(f url.Values) { f.Set("p256dh", base64.RawURLEncoding.EncodeToString(make([]byte, 65))) },
		"short auth":      func(f url.Values) { f.Set("auth", "AAAA") },
	} {
		t.Run(name, func(t *testing.T) {
			f := p.form(s, "/x")
			change(f)
			if a := s.post("/push", f); a.status != http.StatusForbidden && a.status != http.StatusBadRequest {
				t.Errorf("%d", a.status)
			}
		})
	}
	if a := s.post("/push", p.form(s, "/x"), "Sec-Fetch-Site: cross-site"); a.status != http.StatusForbidden {
		t.Errorf("from another site: %d", a.status)
	}
	cookie := s.cookie
	s.cookie = ""
	if a := s.post("/push", p.form(s, "/x")); a.status != http.StatusUnauthorized {
		t.Errorf("without a login: %d", a.status)
	}
	s.cookie = cookie
	var subs []store.Subscription
	list := func() []store.Subscription {
		if err := s.Store.View(t.Context(), func(tx *store.Tx) (err error) { subs, err = tx.Subscriptions(""); return err }); err != nil {
			t.Fatal(err)
		}
		return subs
	}
	if got := list(); len(got) != 0 {
		t.Fatalf("%d browsers", len(got))
	}
	// Somebody else's cannot be ended.
	theirs := store.Subscription{ID: randomText(16), Person: "User::bob", Principal: []byte(`{}`), Endpoint: "https://push.example.com/bob", P256dh: "k", Auth: "a", Created: noon}
	if err := s.Store.Update(t.Context(), func(tx *store.Tx) error { return tx.Subscribe(theirs) }); err != nil {
		t.Fatal(err)
	}
	s.post("/push", p.form(s, "/x"))
	s.want(s.post("/push/"+theirs.ID+"/remove", url.Values{"csrf": {s.csrf}}), 404, "")
	for _, sub := range list() {
		if sub.Person == "User::alice" {
			s.want(s.post("/push/"+sub.ID+"/remove", url.Values{"csrf": {s.csrf}}), 303, "")
		}
	}
	if got := list(); len(got) != 1 || got[0].Person != "User::bob" {
		t.Errorf("left: %v", got)
	}
}

// The page runs scripts of its own and nothing else; the worker controls its
// folder only.
func TestPushPages(t *testing.T) {
	s, _ := pushSite(t, newPushService(t))
	const want = "default-src 'none'; style-src 'self'; script-src 'self'; worker-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	if got := s.get("/push").header.Get("Content-Security-Policy"); got != want {
		t.Errorf("policy %q", got)
	}
	for _, path := range []string{"/push/page.js", "/push/worker.js"} {
		a := s.get(path)
		if a.status != 200 || a.header.Get("Content-Type") != "text/javascript; charset=utf-8" || a.header.Get("Service-Worker-Allowed") != "" || strings.Contains(a.header.Get("Content-Security-Policy"), "script-src") {
			t.Errorf("%s: %d %v", path, a.status, a.header)
		}
	}
	s.inbox.Push = nil
	s.want(s.get("/push"), 200, "not switched on")
	s.want(s.post("/push", newPushService(t).form(s, "/x")), 404, "")
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
	if err := post(newPush(t, nil).client, r); !errors.Is(err, errNoHost) {
		t.Errorf("%v", err)
	}
}

// A channel that is down is named on the page, by its name and in our words.
func TestDownOnThePage(t *testing.T) {
	s, r := newSite(t).login(), newReceiver(t)
	n := s.notifier(people(t, "team-chat", r))
	s.inbox.Notifier = n
	r.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		fmt.Fprint(w, "<script>s3cr3t</script>")
	})
	s.open(call(alice, "k1"))
	if strings.Contains(s.get("/").body, "team-chat") {
		t.Error("it is called down before it was used")
	}
	n.run(t)
	a := s.get("/")
	s.want(a, 200, "The channel team-chat answered with status 502 (Bad Gateway).")
	if strings.Contains(a.body, "s3cr3t") || strings.Contains(a.body, r.URL) {
		t.Error(a.body)
	}
	// What was written into the database is text as well.
	s.sql("UPDATE channels SET problem = '<img src=x onerror=alert(1)>'")
	if found := foreign(s.get("/").body); len(found) != 0 {
		t.Errorf("the page holds %q", found)
	}
	r.answers(nil)
	s.pass(lastRetry)
	n.run(t)
	if strings.Contains(s.get("/").body, "team-chat") {
		t.Error("it is still called down")
	}
	// And no secret is in the database.
	var dump string
	if err := s.raw.QueryRow("SELECT group_concat(quote(problem) || name) || (SELECT count(*) FROM outbox) FROM channels").Scan(&dump); err != nil || strings.Contains(dump, "s3cr3t") {
		t.Errorf("%v %s", err, dump)
	}
}
