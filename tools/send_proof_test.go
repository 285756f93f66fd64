package tools

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/exeat/exeat/authz/dpop"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/examples/petstore"
	"github.com/exeat/exeat/store"
)

// proving is a rig whose tokens are bound by DPoP, before a guard that asks for a
// nonce in each proof.
func proving(t *testing.T, policy string) (r *rig, guard, shop *recorder) {
	t.Helper()
	dir := t.TempDir()
	keys, err := token.OpenKeys(filepath.Join(dir, "keys"), "EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	key, err := dpop.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	shop = &recorder{next: petstore.New()}
	upstream := httptest.NewServer(shop)
	t.Cleanup(upstream.Close)
	guard = &recorder{}
	base := httptest.NewServer(guard)
	t.Cleanup(base.Close)
	r = newRig(t, rigOptions{policy: policy, keys: keys, base: base.URL, credentials: &token.Signed{Issuer: "http://exeat.test", Keys: keys, DPoP: key}})
	set, err := keys.JWKS(r.Now())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "jwks.json")
	if err := os.WriteFile(file, set, 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := token.NewKeySource(file)
	if err != nil {
		t.Fatal(err)
	}
	spent, err := store.Open(t.Context(), filepath.Join(dir, "guard.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { spent.Close() })
	g := token.Guard{Upstream: upstream.URL, Verifier: &token.Verifier{Issuer: "http://exeat.test", Audience: base.URL, Keys: source, Spend: spent.Spend,
		RequireBinding: token.BindDPoP, Nonces: &dpop.Nonces{Key: []byte("key")}}}
	if guard.next, err = g.Handler(); err != nil {
		t.Fatal(err)
	}
	return r, guard, shop
}

// TestNonceIsAskedForOnce sends what the API asks for with another proof once more,
// reads and writes, whoever allowed them, and the next call with that nonce at once.
// The API sees each once.
func TestNonceIsAskedForOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		policy, tool string
		send         func(*testing.T, *rig) Result
		entries      string
	}{
		"a read":  {permitAll, "get_pet", func(t *testing.T, r *rig) Result { return r.call(t, "alice", "get_pet", `{"petId":1}`) }, "call retry outcome"},
		"a write": {permitAll, "delete_pet", func(t *testing.T, r *rig) Result { return r.call(t, "alice", "delete_pet", `{"petId":1}`) }, "call retry outcome"},
		"an approved write": {"", "delete_pet", func(t *testing.T, r *rig) Result {
			r.run(t)
			h := r.call(t, "alice", "delete_pet", `{"petId":1}`).Envelope.Handle
			if err := r.decideHold(t, h, true, ""); err != nil {
				t.Fatal(err)
			}
			return r.wait(t, h)
		}, "hold approve send retry outcome"},
	} {
		t.Run(name, func(t *testing.T) {
			r, guard, shop := proving(t, tt.policy)
			r.APIs[0].Before = SnapshotOff
			res := tt.send(t, r)
			if status := res.Envelope.HTTPStatus; status != http.StatusOK && status != http.StatusNoContent {
				t.Fatalf("got %s", res.JSON())
			}
			if got := strings.Join(r.entries(t), " "); got != tt.entries {
				t.Errorf("the log has %q", got)
			}
			if asked, did := len(guard.requests), len(shop.requests); asked != 2 || did != 1 {
				t.Errorf("the guard saw %d requests and the shop %d", asked, did)
			}
			for _, e := range r.log(t) {
				if e.Kind == store.KindRetry && !strings.Contains(e.Note, "answered with 401") {
					t.Errorf("the note is %q", e.Note)
				}
				if e.JTI != "" && (e.Credential == nil || !strings.Contains(e.Credential.Narrowed, "DPoP")) {
					t.Errorf("the entry says %+v of its credential", e.Credential)
				}
			}
			if res := r.call(t, "alice", "get_pet", `{"petId":2}`); tt.policy != "" && (res.Envelope.HTTPStatus != http.StatusOK || len(guard.requests) != 3) {
				t.Errorf("the next: %s after %d requests", res.JSON(), len(guard.requests))
			}
		})
	}
}

// TestNonceUnderAGrant counts a call that the API asked for again as one use.
func TestNonceUnderAGrant(t *testing.T) {
	r, guard, shop := proving(t, "")
	r.APIs[0].Before = SnapshotOff
	offer := anyPet
	offer.Max = 1
	mustGive(t, r, offer)
	if res := r.call(t, "alice", "delete_pet", `{"petId":2}`); res.Envelope.HTTPStatus != http.StatusNoContent || len(guard.requests) != 2 {
		t.Errorf("the one use: %s after %d requests", res.JSON(), len(guard.requests))
	}
	if res := r.call(t, "alice", "delete_pet", `{"petId":3}`); res.Envelope.Status != Pending || len(shop.requests) != 1 {
		t.Errorf("another use: %s, and the shop saw %d requests", res.JSON(), len(shop.requests))
	}
}

// TestNonceWithoutEnd does not send for ever what an API asks for again and again.
func TestNonceWithoutEnd(t *testing.T) {
	key := mustKey(t)
	var seen atomic.Int32
	api := &recorder{next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if seen.Add(1) > 20 {
			return // or a test of what has no end would have none
		}
		w.Header().Set("DPoP-Nonce", "another")
		w.Header().Set("WWW-Authenticate", `DPoP error="use_dpop_nonce"`)
		w.WriteHeader(http.StatusUnauthorized)
	})}
	keys, err := token.OpenKeys(filepath.Join(t.TempDir(), "keys"), "EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"get_pet", "delete_pet"} {
		r := newRig(t, rigOptions{policy: permitAll, api: api, keys: keys, credentials: &token.Signed{Issuer: "http://exeat.test", Keys: keys, DPoP: key}})
		api.requests = nil
		if res := r.call(t, "alice", tool, `{"petId":1}`); res.Envelope.HTTPStatus != http.StatusUnauthorized || len(api.requests) != 2 {
			t.Errorf("%s: %s after %d requests", tool, res.JSON(), len(api.requests))
		}
	}
}

func mustKey(t *testing.T) *dpop.Key {
	t.Helper()
	key, err := dpop.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}
