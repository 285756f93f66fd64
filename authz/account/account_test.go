package account

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"github.com/exeat/exeat/store"
)

func (w *world) over(_ context.Context, person string, since time.Time) (bool, error) {
	at, ok := w.ended[person]
	return ok && !since.After(at), nil
}

func TestEachCallHasItsScopesOnly(t *testing.T) {
	w := newWorld(t)
	if why := w.lacks(ann, "pets:read"); !strings.Contains(why, "has to be connected first") {
		t.Errorf("before: %q", why)
	}
	w.connect(ann, "pets:read", "pets:write")
	for _, scope := range []string{"pets:read", "pets:write", "pets:read"} {
		bearer, receipt, err := attach(t, w.Book, w.p, callOf(ann, scope))
		if err != nil || !strings.HasPrefix(bearer, "Bearer token-for-a-call-") {
			t.Fatalf("%q, %v", bearer, err)
		}
		if receipt.Strategy != "connected" || receipt.Scope != scope || receipt.Wider != "" || receipt.Standing || receipt.Expires.IsZero() || receipt.Issuer != w.p.Server.Host() {
			t.Errorf("%+v", receipt)
		}
	}
	if n := len(w.server.asked); n != 3 || w.server.asked[2].Get("scope") != "pets:read" {
		t.Errorf("the server was asked %d times: %v", n, w.server.asked)
	}
	// Somebody else's calls get nothing of it.
	if bearer, _, err := attach(t, w.Book, w.p, callOf(bob, "pets:read")); !errors.Is(err, ErrLacks) || bearer != "" {
		t.Errorf("bob: %q, %v", bearer, err)
	}
	if d := cmp.Diff([]store.Kind{store.KindAccount}, kinds(w.entries())); d != "" {
		t.Error(d)
	}
}

func kinds(list []store.Entry) (out []store.Kind) {
	for _, e := range list {
		out = append(out, e.Kind)
	}
	return out
}

func TestEachScopeHasALifeOfItsOwn(t *testing.T) {
	w := newWorld(t)
	w.connect(ann, "pets:read")
	if why := w.lacks(ann, "pets:write"); !strings.Contains(why, "connect more") || !strings.Contains(why, "pets:write") {
		t.Errorf("%q", why)
	}
	*w.clock = w.clock.Add(48 * time.Hour)
	w.connect(ann, "pets:write")
	for after, want := range map[time.Duration][2]string{
		0: {}, 20*time.Minute - time.Second: {},
		20 * time.Minute: {"", "connect anew"}, 24*time.Hour - time.Second: {"", "connect anew"},
		24 * time.Hour: {"connect anew", "connect anew"}, // three days after it was given: more did not renew it
		-2 * time.Hour: {"", "connect anew"},             // a clock that was set back gives nothing
	} {
		was := *w.clock
		*w.clock = was.Add(after)
		for i, scope := range []string{"pets:read", "pets:write"} {
			if why := w.lacks(ann, scope); (why == "") != (want[i] == "") || !strings.Contains(why, want[i]) {
				t.Errorf("%s after %s: %q, want %q", scope, after, why, want[i])
			}
			if _, _, err := attach(t, w.Book, w.p, callOf(ann, scope)); errors.Is(err, ErrLacks) != (want[i] != "") {
				t.Errorf("%s after %s: %v", scope, after, err)
			}
		}
		*w.clock = was
	}
}

// Two processes, and many calls in each: a server that takes each refresh token once
// never sees one twice.
func TestManyRenewAtOnce(t *testing.T) {
	w := newWorld(t)
	w.connect(ann, "pets:read")
	other, err := store.Open(t.Context(), w.path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	b2, p2 := w.process(other)
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			b, p := w.Book, w.p
			if i%2 == 1 {
				b, p = b2, p2
			}
			if _, _, err := attach(t, b, p, callOf(ann, "pets:read")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(w.server.asked) != 12 || w.lacks(ann, "pets:read") != "" {
		t.Errorf("%d refreshes, %q", len(w.server.asked), w.lacks(ann, "pets:read"))
	}
}

func TestHangingUpLosesNoToken(t *testing.T) {
	w := newWorld(t)
	w.connect(ann, "pets:read")
	ctx, cancel := context.WithCancel(t.Context())
	w.server.before = cancel // the caller goes while the server answers
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://api/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&Connected{w.Book, w.p}).Attach(ctx, callOf(ann, "pets:read"), r); err != nil {
		t.Errorf("what was begun is seen through: %v", err)
	}
	w.server.before = nil
	if _, _, err := attach(t, w.Book, w.p, callOf(ann, "pets:read")); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

// A process that died while it renewed keeps others waiting no longer than a lease.
func TestALeaseRunsOut(t *testing.T) {
	w := newWorld(t)
	w.connect(ann, "pets:read")
	if _, _, err := w.take(t.Context(), w.p, ann, []string{"pets:read"}, "dead"); err != nil {
		t.Fatal(err)
	}
	*w.clock = w.clock.Add(lease)
	if _, _, err := attach(t, w.Book, w.p, callOf(ann, "pets:read")); err != nil {
		t.Error(err)
	}
}

func TestWhatChangesWhileItIsRenewed(t *testing.T) {
	for name, tt := range map[string]struct {
		meanwhile func(w *world)
		after     string
	}{
		"disconnected":    {func(w *world) { _, _ = w.Disconnect(w.t.Context(), w.p, ann, nil) }, "has to be connected first"},
		"connected anew":  {func(w *world) { w.connect(ann, "pets:read") }, ""},
		"stopped as user": {func(w *world) { w.ended[ann] = *w.clock }, "connect again"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.connect(ann, "pets:read")
			var once sync.Once
			w.server.before = func() { once.Do(func() { tt.meanwhile(w) }) }
			if bearer, _, err := attach(t, w.Book, w.p, callOf(ann, "pets:read")); name != "stopped as user" && (!errors.Is(err, ErrLacks) || bearer != "") {
				t.Errorf("%q, %v", bearer, err)
			}
			if why := w.lacks(ann, "pets:read"); (why == "") != (tt.after == "") || !strings.Contains(why, tt.after) {
				t.Errorf("%q, want %q", why, tt.after)
			}
			if _, _, err := attach(t, w.Book, w.p, callOf(ann, "pets:read")); (err == nil) != (tt.after == "") {
				t.Errorf("then: %v", err)
			}
		})
	}
}

func TestTheServerEndsAnAccount(t *testing.T) {
	w := newWorld(t)
	w.connect(ann, "pets:read")
	for _, f := range w.server.families {
		f.ended = true
	}
	_, _, err := attach(t, w.Book, w.p, callOf(ann, "pets:read"))
	if !errors.Is(err, ErrLacks) || strings.Contains(err.Error(), "secret-of-the-server") || strings.Contains(err.Error(), "refresh-token") {
		t.Errorf("%v", err)
	}
	if why := w.lacks(ann, "pets:read"); !strings.Contains(why, "connect again") {
		t.Errorf("%q", why)
	}
	list := w.entries()
	if last := list[len(list)-1]; last.Kind != store.KindAccountEnd || last.Code != "invalid_grant" || last.Principal != ann {
		t.Errorf("%+v", last)
	}
	if n := len(w.server.asked); n != 1 {
		t.Errorf("asked %d times", n)
	}
	w.connect(ann, "pets:read")
	if _, _, err := attach(t, w.Book, w.p, callOf(ann, "pets:read")); err != nil {
		t.Errorf("connected again: %v", err)
	}
}

func TestWhatAServerAnswersInstead(t *testing.T) {
	text := func(status int, kind, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
			return true
		}
	}
	for name, tt := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request) bool
		scope  func(string) string
		want   string // of the error; empty: none
		wider  string
	}{
		"down":             {answer: text(503, "text/plain", "refresh-token-1"), want: "answered 503"},
		"HTML":             {answer: text(200, "text/html", "<p>refresh-token-1"), want: "not a token"},
		"another type":     {answer: text(200, "application/json", `{"access_token":"a","token_type":"DPoP"}`), want: "Bearer"},
		"a header in it":   {answer: text(200, "application/json", `{"access_token":"a\r\nX: y","token_type":"Bearer"}`), want: "characters"},
		"all scopes":       {scope: func(string) string { return "pets:read pets:write" }, wider: "it is for pets:write, too"},
		"one of nobody":    {scope: func(asked string) string { return asked + " admin" }, want: "nobody connected"},
		"what it asked":    {scope: func(asked string) string { return asked }},
		"no refresh token": {answer: text(200, "application/json", `{"access_token":"a","token_type":"Bearer"}`)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.connect(ann, "pets:read", "pets:write")
			w.server.answer, w.server.scope = tt.answer, tt.scope
			_, receipt, err := attach(t, w.Book, w.p, callOf(ann, "pets:read"))
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) || !strings.Contains(receipt.Wider, tt.wider) || (receipt.Wider == "") != (tt.wider == "") {
				t.Errorf("%v, %+v", err, receipt)
			}
			if err != nil && (strings.Contains(err.Error(), "refresh-token") || errors.Is(err, ErrLacks)) {
				t.Errorf("%v", err)
			}
			w.server.answer, w.server.scope = nil, nil
			if _, _, err := attach(t, w.Book, w.p, callOf(ann, "pets:read")); err != nil {
				t.Errorf("the next one: %v", err)
			}
		})
	}
}

func TestAnswersThatConnectNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(w *world, a *Ask, answer url.Values)
		want   error
	}{
		"another issuer":            {func(_ *world, _ *Ask, v url.Values) { v.Set("iss", "https://evil.example") }, ErrAnswer},
		"no issuer":                 {func(_ *world, _ *Ask, v url.Values) { v.Del("iss") }, ErrAnswer},
		"an error":                  {func(_ *world, _ *Ask, v url.Values) { v.Set("error", "access_denied") }, ErrDenied},
		"an error of another":       {func(_ *world, _ *Ask, v url.Values) { v.Set("error", "access_denied"); v.Del("iss") }, ErrAnswer},
		"no code":                   {func(_ *world, _ *Ask, v url.Values) { v.Del("code") }, ErrAnswer},
		"somebody else's code":      {func(_ *world, a *Ask, _ url.Values) { a.Verifier = strings.Repeat("x", 43) }, ErrAnswer},
		"another redirect":          {func(_ *world, a *Ask, _ url.Values) { a.Redirect = "http://evil/" }, ErrAnswer},
		"none of the scopes":        {func(w *world, _ *Ask, _ url.Values) { w.server.scope = func(string) string { return "other" } }, ErrDenied},
		"nothing to renew it with":  {func(w *world, _ *Ask, _ url.Values) { w.server.answer = noRefresh }, ErrNoRefresh},
		"all right, for comparison": {func(*world, *Ask, url.Values) {}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ask, err := w.p.NewAsk(ann, "http://inbox", []string{"pets:read"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			answer := w.server.code(w.p.URL(ask, "s"))
			tt.change(w, &ask, answer)
			if _, err := w.p.Redeem(t.Context(), ask, answer); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			if w.lacks(ann, "pets:read") == "" {
				t.Error("connected")
			}
		})
	}
}

func noRefresh(w http.ResponseWriter, _ *http.Request) bool {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"access_token":"a","token_type":"Bearer"}`)
	return true
}

func TestDisconnectRevokesAndDeletes(t *testing.T) {
	w := newWorld(t)
	w.connect(ann, "pets:read")
	if unrevoked, err := w.Disconnect(t.Context(), w.p, ann, nil); unrevoked != nil || err != nil {
		t.Fatal(unrevoked, err)
	}
	for refresh, f := range w.server.families {
		if !f.ended {
			t.Errorf("%s is good still", refresh)
		}
	}
	if why := w.lacks(ann, "pets:read"); !strings.Contains(why, "has to be connected first") {
		t.Errorf("%q", why)
	}
	w.connect(ann, "pets:read")
	w.server.Close()
	if unrevoked, err := w.Disconnect(t.Context(), w.p, ann, nil); unrevoked == nil || err != nil {
		t.Errorf("a server that is down: %v, %v", unrevoked, err)
	}
	if why := w.lacks(ann, "pets:read"); !strings.Contains(why, "has to be connected first") {
		t.Errorf("deleted all the same: %q", why)
	}
}

func TestAnEndedUserHasNoAccount(t *testing.T) {
	w := newWorld(t)
	w.connect(ann, "pets:read")
	w.ended[ann] = w.clock.Add(time.Second)
	if why := w.lacks(ann, "pets:read"); !strings.Contains(why, "connect again") {
		t.Errorf("%q", why)
	}
	if _, _, err := attach(t, w.Book, w.p, callOf(ann, "pets:read")); !errors.Is(err, ErrLacks) || len(w.server.asked) > 0 {
		t.Errorf("%v, %v", err, w.server.asked)
	}
	*w.clock = w.clock.Add(time.Minute)
	w.connect(ann, "pets:read")
	if _, _, err := attach(t, w.Book, w.p, callOf(ann, "pets:read")); err != nil {
		t.Error(err)
	}
}

// Who can write the database has no account from it, and cannot give one to another.
func TestRowsOfAccountsAreBound(t *testing.T) {
	type row struct {
		id, person string
		sealed     []byte
	}
	for name, attack := range map[string]func(w *world, db *sql.DB, was, now row) error{
		"ann's row as bob's": func(_ *world, db *sql.DB, _, now row) error {
			_, err := db.Exec("UPDATE accounts SET person = $1 WHERE id = $2", bob, now.id)
			return err
		},
		"ann's secret in bob's row": func(w *world, db *sql.DB, _, now row) error {
			w.connect(bob, "pets:read")
			_, err := db.Exec("UPDATE accounts SET sealed = $1 WHERE person = $2", now.sealed, bob)
			return err
		},
		"an old row put back": func(_ *world, db *sql.DB, was, _ row) error {
			_, err := db.Exec("UPDATE accounts SET id = $1, sealed = $2 WHERE person = $3", was.id, was.sealed, ann)
			return err
		},
		"an old secret put back": func(_ *world, db *sql.DB, was, _ row) error {
			_, err := db.Exec("UPDATE accounts SET sealed = $1 WHERE person = $2", was.sealed, ann)
			return err
		},
		"a bit": func(_ *world, db *sql.DB, _, now row) error {
			now.sealed[len(now.sealed)-1] ^= 1
			_, err := db.Exec("UPDATE accounts SET sealed = $1 WHERE person = $2", now.sealed, ann)
			return err
		},
		"put back after disconnecting": func(w *world, db *sql.DB, _, now row) error {
			if _, err := w.Disconnect(w.t.Context(), w.p, ann, nil); err != nil {
				return err
			}
			_, err := db.Exec("INSERT INTO accounts VALUES ($1, 1, $2, 'pets', $3, '', 0)", now.id, ann, now.sealed)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			db, err := sql.Open("sqlite", w.path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			read := func() (r row) {
				if err := db.QueryRow("SELECT id, person, sealed FROM accounts WHERE person = $1", ann).Scan(&r.id, &r.person, &r.sealed); err != nil {
					t.Fatal(err)
				}
				return r
			}
			w.connect(ann, "pets:read", "pets:write")
			was := read()
			w.connect(ann, "pets:read")
			if err := attack(w, db, was, read()); err != nil {
				t.Fatal(err)
			}
			asked := len(w.server.asked)
			for _, who := range []string{ann, bob} {
				if name == "ann's secret in bob's row" && who == ann {
					continue // hers is as it was
				}
				if bearer, _, err := attach(t, w.Book, w.p, callOf(who, "pets:read")); !errors.Is(err, ErrLacks) || bearer != "" || len(w.server.asked) > asked {
					t.Errorf("%s: %q, %v", who, bearer, err)
				}
			}
		})
	}
}

func TestTheDatabaseHoldsNoSecret(t *testing.T) {
	w := newWorld(t)
	w.connect(ann, "pets:read")
	if _, _, err := attach(t, w.Book, w.p, callOf(ann, "pets:read")); err != nil {
		t.Fatal(err)
	}
	copied := w.path + ".copy"
	if _, err := store.Backup(t.Context(), w.path, copied); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{w.path, w.path + "-wal", copied} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"refresh-token", "token-for-a-call", "client-secret"} {
			if strings.Contains(string(text), secret) {
				t.Errorf("%s holds %s", file, secret)
			}
		}
	}
}

func TestProviderCheck(t *testing.T) {
	for name, change := range map[string]func(*Provider){
		"http elsewhere":      func(p *Provider) { p.AuthorizeURL = "http://auth.example/authorize" },
		"no URL":              func(p *Provider) { p.AuthorizeURL = "" },
		"no client":           func(p *Provider) { p.ClientID = "" },
		"a life of nothing":   func(p *Provider) { p.Scopes[0].Life = 0 },
		"a life too long":     func(p *Provider) { p.Scopes[0].Life = 10000 * time.Hour },
		"two scopes in one":   func(p *Provider) { p.Scopes[0].Name = "a b" },
		"one of the always":   func(p *Provider) { p.Always = []string{"openid email"} },
		"a parameter of ours": func(p *Provider) { p.Params = map[string]string{"state": "x"} },
	} {
		p := newWorld(t).p
		if change(p); p.Check() == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// BenchmarkConnected is what a call costs beside its one request to the server, which
// is here too: two commits, since one process renews at a time.
func BenchmarkConnected(b *testing.B) {
	w := newWorld(b)
	w.connect(ann, "pets:read")
	c := callOf(ann, "pets:read")
	for b.Loop() {
		if _, _, err := attach(b, w.Book, w.p, c); err != nil {
			b.Fatal(err)
		}
	}
	if n := len(w.server.asked); n != b.N {
		b.Fatalf("%d requests for %d calls", n, b.N)
	}
}

// What a token is for is known before it is used: a scope that cannot be read may be
// any.
func TestAScopeThatCannotBeRead(t *testing.T) {
	for name, scope := range map[string]string{"a number": "42", "an object": `{"a":1}`, "numbers": `["pets:read",7]`} {
		w := newWorld(t)
		w.connect(ann, "pets:read")
		w.server.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			rw.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(rw, `{"access_token":"a","token_type":"Bearer","scope":%s}`, scope)
			return true
		}
		if bearer, receipt, err := attach(t, w.Book, w.p, callOf(ann, "pets:read")); err == nil || bearer != "" {
			t.Errorf("%s: %q is used: %+v", name, bearer, receipt)
		}
	}
}

// A call that renews while its person disconnects leaves nothing that is good at the
// server, whoever of the two is the first.
func TestDisconnectRevokesWhatWasRenewedMeanwhile(t *testing.T) {
	w := newWorld(t)
	w.connect(ann, "pets:read")
	other, p := w.process(w.db)
	w.keysChange = func() {
		w.keysChange = nil
		if _, _, err := attach(t, other, p, callOf(ann, "pets:read")); err != nil {
			t.Errorf("the call: %v", err)
		}
	}
	w.server.revoked = nil
	if unrevoked, err := w.Disconnect(t.Context(), w.p, ann, nil); unrevoked != nil || err != nil {
		t.Fatal(unrevoked, err)
	}
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	for refresh, f := range w.server.families {
		if f.current == refresh && !slices.Contains(w.server.revoked, refresh) {
			t.Errorf("%s is good still, revoked were %v", refresh, w.server.revoked)
		}
	}
}

// What cannot be opened cannot be revoked, and its person is told so.
func TestDisconnectSaysWhatItCouldNotRevoke(t *testing.T) {
	w := newWorld(t)
	w.connect(ann, "pets:read")
	if err := w.db.Update(t.Context(), func(tx *store.Tx) error {
		row, err := tx.AccountOf(ann, "pets")
		if err != nil {
			return err
		}
		row.Sealed[20] ^= 1
		return tx.SwapAccount(row)
	}); err != nil {
		t.Fatal(err)
	}
	if unrevoked, err := w.Disconnect(t.Context(), w.p, ann, nil); unrevoked == nil || err != nil {
		t.Errorf("%v, %v", unrevoked, err)
	}
}

// What was deleted, or replaced, is not in the file any more, sealed or not.
func TestDeletedAccountsLeaveNoRow(t *testing.T) {
	w := newWorld(t)
	var old [][]byte
	note := func() {
		if err := w.db.View(t.Context(), func(tx *store.Tx) error {
			row, err := tx.AccountOf(ann, "pets")
			old = append(old, row.Sealed)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	w.connect(ann, "pets:read")
	note()
	if _, _, err := attach(t, w.Book, w.p, callOf(ann, "pets:read")); err != nil {
		t.Fatal(err)
	}
	note()
	w.connect(ann, "pets:read")
	note()
	if _, err := w.Disconnect(t.Context(), w.p, ann, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.db.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	for n, sealed := range old {
		if bytes.Contains(text, sealed) || bytes.Contains(text, sealed[len(sealed)/2:]) {
			t.Errorf("the file has the deleted row %d", n)
		}
	}
}

// The name that a person is shown is one that its server vouches for: whoever leads
// them to another account chooses what else it is called.
func TestNameOfAnAccount(t *testing.T) {
	for claims, want := range map[string]string{
		`{"sub":"7","email":"ann@shop.example"}`:                                       "ann@shop.example",
		`{"sub":"7","email":"ann@shop.example","email_verified":true}`:                 "ann@shop.example",
		`{"sub":"7","email":"ann@shop.example","email_verified":false}`:                "7",
		`{"sub":"7","email":"ann@shop.example","email_verified":"false","name":"Ann"}`: "Ann (7)",
		`{"sub":"7","preferred_username":"ann@shop.example","name":"Ann"}`:             "ann@shop.example (7)",
		`{"name":"Ann"}`: "Ann",
		`{}`:             "",
	} {
		id := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
		if got := accountName((&oauth2.Token{}).WithExtra(map[string]any{"id_token": id})); got != want {
			t.Errorf("%s: %q, want %q", claims, got, want)
		}
	}
}
