package signals

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/approval/approvaltest"
	"github.com/exeat/exeat/authz/issuer"
	"github.com/exeat/exeat/store"
)

// TestEvents has what each event does to somebody who has an approved call that
// another process on the same database is about to send.
func TestEvents(t *testing.T) {
	for uri, want := range map[string]struct{ ended, stopped bool }{
		caep + "session-revoked":       {true, false},
		caep + "credential-change":     {true, false},
		caep + "token-claims-change":   {true, false},
		risc + "sessions-revoked":      {true, false},
		risc + "credential-compromise": {true, false},
		risc + "account-disabled":      {true, true},
		risc + "account-purged":        {true, true},
		risc + "account-enabled":       {},
		ssf + "verification":           {},
		ssf + "stream-updated":         {},
		caep + "device-compliance":     {},
		"https://example.com/x":        {},
	} {
		t.Run(lastPart(uri), func(t *testing.T) {
			w := newWorld(t, nil)
			h := w.approved()
			w.Pass(time.Second)
			if status, code := w.push(w.idp.sign(t, w.idp.about(w.Clock(), uri), nil)); status != 202 {
				t.Fatalf("%d %s", status, code)
			}
			u := w.user("User::alice")
			if got := !u.Ended.IsZero(); got != want.ended {
				t.Errorf("ended %t", got)
			}
			if got := len(u.Stops) > 0; got != want.stopped {
				t.Errorf("stopped %t", got)
			}
			_, err := w.holds.Claim(t.Context(), []string{"petstore"}, approvaltest.AnyHold, "me", time.Minute)
			if got := errors.Is(err, approval.ErrNotFound); got != want.ended {
				t.Errorf("the send: %v", err)
			}
			if got := w.Stored(h.ID).State == store.Refused; got != want.ended {
				t.Errorf("the call is %s", w.Stored(h.ID).State)
			}
			if !strings.Contains(w.told(), lastPart(uri)+": ") {
				t.Errorf("told %q", w.told())
			}
			if before, err := w.holds.RevokedBefore(t.Context(), "User::alice"); err != nil || before.IsZero() == want.ended {
				t.Errorf("tokens from before %s, %v", before, err)
			}
		})
	}
}

// An event whose time cannot be read is of the time at which it was told: drafts of CAEP
// had milliseconds. One of a time to come is of now.
func TestEventTimes(t *testing.T) {
	for name, c := range map[string]struct {
		at   func(now time.Time) any
		want time.Duration // after now
	}{
		"milliseconds": {func(now time.Time) any { return now.UnixMilli() }, time.Second},
		"a text":       {func(time.Time) any { return "yesterday" }, time.Second},
		"no time":      {func(time.Time) any { return nil }, time.Second},
		"an hour ago":  {func(now time.Time) any { return now.Add(-time.Hour).Unix() }, time.Second - time.Hour},
		"in an hour":   {func(now time.Time) any { return now.Add(time.Hour).Unix() }, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			now := w.Clock()
			claims := w.idp.about(now, caep+"session-revoked")
			claims["events"] = m{caep + "session-revoked": m{"event_timestamp": c.at(now)}}
			if status, code := w.push(w.idp.sign(t, claims, nil)); status != 202 {
				t.Fatalf("%d %s", status, code)
			}
			if got := w.user("User::alice").Before; !got.Equal(now.Add(c.want)) {
				t.Errorf("tokens from before %s, and it is %s", got, now)
			}
		})
	}
}

// An account that is enabled again goes on; an older event, or one of another issuer,
// lifts nothing.
func TestEnabledAgain(t *testing.T) {
	w := newWorld(t, nil)
	push := func(x *transmitter, event string, at time.Time) {
		t.Helper()
		w.Pass(time.Second)
		c := x.about(w.Clock(), risc+event)
		c["events"] = m{risc + event: m{"event_timestamp": at.Unix()}}
		if status, code := w.push(x.sign(t, c, nil)); status != 202 {
			t.Fatalf("%d %s", status, code)
		}
	}
	stopped := func(want bool) {
		t.Helper()
		if got := len(w.user("User::alice").Stops) > 0; got != want {
			t.Errorf("stopped %t, want %t", got, want)
		}
	}
	now := w.Clock()
	push(w.idp, "account-disabled", now)
	push(w.other, "account-enabled", now)
	stopped(true)
	push(w.idp, "account-enabled", now.Add(-time.Hour))
	stopped(true)
	push(w.idp, "account-enabled", now)
	stopped(false)
}

// TestForged has tokens that nothing comes of.
func TestForged(t *testing.T) {
	b64 := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	revoked := caep + "session-revoked"
	for name, c := range map[string]struct {
		token func(w *world, c m) string
		want  string
	}{
		"signed by another": {func(w *world, c m) string { return newTransmitter(t, idpURL).sign(t, c, nil) }, badKey},
		"signed by another known issuer": {func(w *world, c m) string {
			return w.other.sign(t, c, nil)
		}, badKey},
		"signature of other claims": {func(w *world, c m) string {
			good := strings.Split(w.idp.sign(t, c, nil), ".")
			c["jti"] = "another"
			return good[0] + "." + b64(c) + "." + good[2]
		}, badKey},
		"no signature": {func(_ *world, c m) string {
			return b64(m{"alg": "none", "typ": "secevent+jwt"}) + "." + b64(c) + "."
		}, badKey},
		"the public key as a secret": {func(w *world, c m) string {
			head := b64(m{"alg": "HS256", "typ": "secevent+jwt", "kid": "k1"}) + "." + b64(c)
			secret, err := json.Marshal(jose.JSONWebKey{Key: w.idp.key.Public(), KeyID: "k1"})
			if err != nil {
				t.Fatal(err)
			}
			mac := hmac.New(sha256.New, secret)
			mac.Write([]byte(head))
			return head + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
		}, badKey},
		"an unknown key":       {func(w *world, c m) string { return w.idp.sign(t, c, m{"kid": "../../k1"}) }, badKey},
		"an ID token":          {func(w *world, c m) string { return w.idp.sign(t, c, m{"typ": "JWT"}) }, badRequest},
		"an access token":      {func(w *world, c m) string { return w.idp.sign(t, c, m{"typ": "at+jwt"}) }, badRequest},
		"a critical header":    {func(w *world, c m) string { return w.idp.sign(t, c, m{"crit": []string{"x"}, "x": 1}) }, badRequest},
		"of no known issuer":   {func(w *world, c m) string { c["iss"] = "https://evil.example.com"; return w.idp.sign(t, c, nil) }, badIssuer},
		"for another receiver": {func(w *world, c m) string { c["aud"] = "https://elsewhere.example.com"; return w.idp.sign(t, c, nil) }, badAudience},
		"for nobody":           {func(w *world, c m) string { delete(c, "aud"); return w.idp.sign(t, c, nil) }, badAudience},
		"old": {func(w *world, c m) string {
			c["iat"] = w.Clock().Add(-maxAge - time.Minute).Unix()
			return w.idp.sign(t, c, nil)
		}, badRequest},
		"of a time to come":       {func(w *world, c m) string { c["iat"] = w.Clock().Add(time.Hour).Unix(); return w.idp.sign(t, c, nil) }, badRequest},
		"expired":                 {func(w *world, c m) string { c["exp"] = w.Clock().Add(-time.Hour).Unix(); return w.idp.sign(t, c, nil) }, badRequest},
		"no iat":                  {func(w *world, c m) string { delete(c, "iat"); return w.idp.sign(t, c, nil) }, badRequest},
		"no jti":                  {func(w *world, c m) string { delete(c, "jti"); return w.idp.sign(t, c, nil) }, badRequest},
		"no events":               {func(w *world, c m) string { c["events"] = m{}; return w.idp.sign(t, c, nil) }, badRequest},
		"events that are a list":  {func(w *world, c m) string { c["events"] = []string{revoked}; return w.idp.sign(t, c, nil) }, badRequest},
		"an event that is a text": {func(w *world, c m) string { c["events"] = m{revoked: "now"}; return w.idp.sign(t, c, nil) }, badRequest},
		"about nobody":            {func(w *world, c m) string { delete(c, "sub_id"); return w.idp.sign(t, c, nil) }, badRequest},
		"somebody of another issuer": {func(w *world, c m) string {
			c["sub_id"] = m{"format": "iss_sub", "iss": otherURL, "sub": "bob"}
			return w.idp.sign(t, c, nil)
		}, badRequest},
		"by the prefix of another": {func(w *world, c m) string {
			c["sub_id"] = m{"format": "iss_sub", "iss": idpURL, "sub": "other:bob"}
			return w.idp.sign(t, c, nil)
		}, badRequest},
		"a user of another, complex": {func(w *world, c m) string {
			c["sub_id"] = m{"format": "complex", "user": m{"format": "iss_sub", "iss": otherURL, "sub": "bob"}}
			return w.idp.sign(t, c, nil)
		}, badRequest},
		"a session of nobody": {func(w *world, c m) string {
			c["sub_id"] = m{"format": "complex", "session": m{"format": "opaque", "id": "s"}}
			return w.idp.sign(t, c, nil)
		}, badRequest},
		"a mail address, not taken": {func(w *world, c m) string {
			c["sub_id"] = m{"format": "email", "email": "alice@example.com"}
			return w.idp.sign(t, c, nil)
		}, badRequest},
		"an opaque id, not taken": {func(w *world, c m) string {
			c["sub_id"] = m{"format": "opaque", "id": "alice"}
			return w.idp.sign(t, c, nil)
		}, badRequest},
		"a name that shows otherwise": {func(w *world, c m) string {
			c["sub_id"] = m{"format": "iss_sub", "iss": idpURL, "sub": "ali\u202ece"}
			return w.idp.sign(t, c, nil)
		}, badRequest},
		"no token": {func(*world, m) string { return "hello" }, badRequest},
		"nothing":  {func(*world, m) string { return "" }, badRequest},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			status, code := w.push(c.token(w, w.idp.about(w.Clock(), revoked)))
			if status != 400 || code != c.want {
				t.Errorf("%d %s, want %s", status, code, c.want)
			}
			entries := w.Entries()
			if len(entries) != 1 || !strings.HasPrefix(entries[0], "denied signal_refused") {
				t.Errorf("entries %v", entries)
			}
		})
	}
}

// TestReplayed sends a token again, also to another process that has just started: it
// is taken and does nothing.
func TestReplayed(t *testing.T) {
	w := newWorld(t, nil)
	raw := w.idp.sign(t, w.idp.about(w.Clock(), risc+"account-disabled"), nil)
	send := func() {
		t.Helper()
		if status, code := w.push(raw); status != 202 {
			t.Fatalf("%d %s", status, code)
		}
	}
	send()
	w.Pass(time.Second)
	if ok, err := w.holds.StartUser(t.Context(), approval.End{Subject: "User::alice", By: approval.Operator("root")}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	send()
	w.restart()
	w.Pass(maxAge - time.Hour)
	send()
	if u := w.user("User::alice"); len(u.Stops) > 0 {
		t.Errorf("stopped again: %+v", u)
	}
	w.Pass(2 * time.Hour)
	if status, _ := w.push(raw); status != 400 {
		t.Errorf("later than ids are remembered: %d", status)
	}
	// The same id of another issuer is another token.
	c := w.other.about(w.Clock(), risc+"account-disabled")
	c["jti"] = "same"
	w.push(w.other.sign(t, c, nil))
	c = w.idp.about(w.Clock(), risc+"account-disabled")
	c["jti"] = "same"
	w.push(w.idp.sign(t, c, nil))
	if len(w.user("User::alice").Stops) != 1 || len(w.user("User::other:alice").Stops) != 1 {
		t.Error("one of two issuers was taken for the other")
	}
}

// TestSubjects has the forms in which an issuer that may use all of them names people.
func TestSubjects(t *testing.T) {
	for name, sub := range map[string]m{
		"iss_sub":           {"format": "iss_sub", "iss": otherURL, "sub": "bob"},
		"opaque":            {"format": "opaque", "id": "bob"},
		"email":             {"format": "email", "email": "bob"},
		"a session of his":  {"format": "complex", "user": m{"format": "iss_sub", "iss": otherURL, "sub": "bob"}, "session": m{"format": "opaque", "id": "s1"}},
		"as drafts have it": {"user": m{"format": "iss_sub", "iss": otherURL, "sub": "bob"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			c := w.other.about(w.Clock(), caep+"session-revoked")
			c["sub_id"] = sub
			if status, code := w.push(w.other.sign(t, c, nil)); status != 202 {
				t.Fatalf("%d %s", status, code)
			}
			if u := w.user("User::other:bob"); u.Ended.IsZero() {
				t.Error("nothing of his ended")
			}
			if u := w.user("User::bob"); !u.Ended.IsZero() {
				t.Error("something of another's ended")
			}
		})
	}
}

// TestPushHTTP has requests that are wrong before their token is.
func TestPushHTTP(t *testing.T) {
	w := newWorld(t, nil)
	raw := w.idp.sign(t, w.idp.about(w.Clock(), caep+"session-revoked"), nil)
	for name, c := range map[string]struct {
		raw    string
		header []string
		status int
		code   string
	}{
		"another bearer":       {raw, []string{"Authorization", "Bearer guessed"}, 401, notYou},
		"no bearer":            {raw, []string{"Authorization", ""}, 401, notYou},
		"another scheme":       {raw, []string{"Authorization", "Basic " + bearer}, 401, notYou},
		"another content type": {raw, []string{"Content-Type", "application/jwt"}, 400, badRequest},
		"a megabyte":           {strings.Repeat("a", 1<<20), nil, 413, badRequest},
	} {
		if status, code := w.push(c.raw, c.header...); status != c.status || code != c.code {
			t.Errorf("%s: %d %s", name, status, code)
		}
	}
	if u := w.user("User::alice"); !u.Ended.IsZero() {
		t.Error("something ended")
	}
	if status, code := w.push(raw); status != 202 {
		t.Errorf("the token itself: %d %s", status, code)
	}
}

// A body that does not come is not waited for longer than a while, and one that
// breaks off is no token.
func TestPushBreaksOff(t *testing.T) {
	w := newWorld(t, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw := w.idp.sign(t, w.idp.about(w.Clock(), caep+"session-revoked"), nil)
	_, err = conn.Write([]byte("POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + bearer + "\r\nContent-Type: application/secevent+jwt\r\nContent-Length: 5000\r\n\r\n" + raw))
	if err == nil {
		err = conn.(*net.TCPConn).CloseWrite()
	}
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1024)
	n, _ := conn.Read(b)
	if !strings.HasPrefix(string(b[:n]), "HTTP/1.1 400 ") {
		t.Errorf("answered %q", b[:n])
	}
	if u := w.user("User::alice"); !u.Ended.IsZero() {
		t.Error("something ended")
	}
}

// Where keys cannot be read, or the database cannot be written, a token is asked for
// again, and works then.
func TestComesAgain(t *testing.T) {
	down := true
	var idp *transmitter
	w := newWorld(t, func(c *Config) {
		good := c.Issuers[0].Keys
		c.Issuers[0].Keys = keysFunc(func(ctx context.Context, kid string, alg jose.SignatureAlgorithm) ([]jose.JSONWebKey, error) {
			if down {
				return nil, errors.New("the issuer does not answer")
			}
			return good.Keys(ctx, kid, alg)
		})
	})
	idp = w.idp
	raw := idp.sign(t, idp.about(w.Clock(), caep+"session-revoked"), nil)
	if status, _ := w.push(raw); status != 503 {
		t.Fatalf("without keys: %d", status)
	}
	down = false
	w.SQL("INSERT INTO clock (id, at) VALUES (1, 0)")
	if _, err := w.Raw.Exec("CREATE TRIGGER full BEFORE UPDATE ON clock BEGIN SELECT RAISE(ABORT, 'full'); END"); err != nil {
		t.Fatal(err)
	}
	if status, _ := w.push(raw); status != 503 {
		t.Fatalf("without a database: %d", status)
	}
	if _, err := w.Raw.Exec("DROP TRIGGER full"); err != nil {
		t.Fatal(err)
	}
	if status, code := w.push(raw); status != 202 {
		t.Fatalf("again: %d %s", status, code)
	}
	if u := w.user("User::alice"); u.Ended.IsZero() {
		t.Error("nothing ended")
	}
}

type keysFunc func(context.Context, string, jose.SignatureAlgorithm) ([]jose.JSONWebKey, error)

func (f keysFunc) Keys(ctx context.Context, kid string, alg jose.SignatureAlgorithm) ([]jose.JSONWebKey, error) {
	return f(ctx, kid, alg)
}

// A flood of tokens that are refused leaves a few entries.
func TestFlood(t *testing.T) {
	w := newWorld(t, nil)
	for range 3 * refusedNoted {
		w.push("x")
	}
	if n := len(w.Entries()); n != refusedNoted {
		t.Errorf("%d entries", n)
	}
}

// TestNew has what cannot be used.
func TestNew(t *testing.T) {
	client, err := issuer.NewClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		"nothing that they could end": func(c *Config) { c.Holds = nil },
		"has no audience":             func(c *Config) { c.Issuers[0].Audience = "" },
		"there twice":                 func(c *Config) { c.Issuers[1].URL = idpURL },
		"its keys or its people":      func(c *Config) { c.Issuers[0].Keys = nil },
		"set push or poll":            func(c *Config) { c.Issuers[0].Push = nil },
		`subjects has "phone"`:        func(c *Config) { c.Issuers[0].Subjects = []string{"phone"} },
		"poll.endpoint is not https":  func(c *Config) { c.Issuers[0].Poll = &Poll{Endpoint: "http://127.0.0.1/x", Every: 1, Client: client} },
		"poll has no interval":        func(c *Config) { c.Issuers[0].Poll = &Poll{Endpoint: "https://idp.example.com/x", Client: client} },
		"is not a URL like":           func(c *Config) { c.Issuers[0].Poll = &Poll{Endpoint: "idp", Every: 1, Client: client} },
		"it has no URL":               func(c *Config) { c.Issuers[0].URL = "" },
	} {
		w := newWorld(t, nil)
		c := w.config
		change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
