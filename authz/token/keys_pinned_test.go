package token

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// document is what the issuer publishes now.
func (w *world) document() []byte {
	w.t.Helper()
	set, err := w.keys.JWKS(w.now())
	if err != nil {
		w.t.Fatal(err)
	}
	return set
}

func (w *world) rotate(times int) {
	w.t.Helper()
	for range times {
		if err := w.keys.Rotate(w.now()); err != nil {
			w.t.Fatal(err)
		}
	}
}

// altered is the published document with some of its members changed.
func altered(t *testing.T, document []byte, change func(d map[string]any)) []byte {
	t.Helper()
	var d map[string]any
	if err := json.Unmarshal(document, &d); err != nil {
		t.Fatal(err)
	}
	change(d)
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPinnedKeys puts documents before a guard that enrolled the issuer's keys:
// whoever answers, only what those keys signed is believed, and nothing older.
func TestPinnedKeys(t *testing.T) {
	for _, alg := range []string{"EdDSA", "ES256"} {
		w := newWorld(t, alg)
		early := w.document()
		w.rotate(3)
		w.enroll(false)
		third := w.document()
		w.rotate(2)
		fifth := w.document()
		mallory := newWorld(t, alg)
		mallory.rotate(5)
		foreign := mallory.document()
		fresh := newWorld(t, alg).document()
		pinned := w.pins.kept
		steps := func(d map[string]any) []any { return d["exeat_rotations"].([]any) }
		for name, c := range map[string]struct {
			document []byte
			refused  string // nothing if it is taken
			spoil    []byte // what is pinned, if not the third
		}{
			"the same":                    {document: third},
			"two rotations later":         {document: fifth},
			"before the enrolment":        {document: early, refused: "older than those that are enrolled"},
			"another's":                   {document: foreign, refused: "not signed by a key that is enrolled"},
			"another's, never rotated":    {document: fresh, refused: "older than those that are enrolled"},
			"another's, of the right age": {document: altered(t, fresh, func(d map[string]any) { d["exeat_seq"] = 3 }), refused: "somebody else may answer"},
			"a step left out": {document: altered(t, fifth, func(d map[string]any) {
				d["exeat_rotations"] = append(steps(d)[:3:3], steps(d)[4])
			}), refused: "only the last 4 rotations are kept"},
			"more than it proves": {document: altered(t, fifth, func(d map[string]any) { d["exeat_seq"] = 6 }), refused: "proves 5"},
			"no steps":            {document: altered(t, fifth, func(d map[string]any) { delete(d, "exeat_rotations") }), refused: "proves 3"},
			"a step of another": {document: altered(t, fifth, func(d map[string]any) {
				var m map[string]any
				json.Unmarshal(foreign, &m)
				steps(d)[3] = steps(m)[3]
			}), refused: "not signed by a key that is enrolled"},
			"a step whose content was changed": {document: altered(t, fifth, func(d map[string]any) {
				parts := strings.Split(steps(d)[3].(string), ".")
				var m map[string]any
				json.Unmarshal(foreign, &m)
				parts[1] = strings.Split(steps(m)[3].(string), ".")[1]
				steps(d)[3] = strings.Join(parts, ".")
			}), refused: "does not verify"},
			"a token for a step": {document: altered(t, fifth, func(d map[string]any) {
				parts := strings.Split(steps(d)[3].(string), ".")
				parts[0] = strings.Split(w.mint(testCall()), ".")[0]
				steps(d)[3] = strings.Join(parts, ".")
			}), refused: "typ"},
			"nothing enrolled":      {document: third, spoil: []byte{}, refused: "no keys are enrolled"},
			"pins that are no JSON": {document: third, spoil: []byte("{"), refused: "damaged"},
			"pins without keys":     {document: third, spoil: []byte(`{"seq":3,"keys":[]}`), refused: "damaged"},
			"pins with odd keys":    {document: third, spoil: []byte(`{"seq":3,"keys":[{"jwk":{"kty":"oct","k":"AAAA"}}]}`), refused: "damaged"},
		} {
			pins := memoryPins{kept: pinned}
			if c.spoil != nil {
				pins.kept = c.spoil
			}
			before := string(pins.kept)
			_, err := pins.pins().accept(t.Context(), c.document, w.now())
			switch {
			case c.refused == "" && err != nil:
				t.Errorf("%s, %s: %v", alg, name, err)
			case c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)):
				t.Errorf("%s, %s: %v; want it refused: %s", alg, name, err, c.refused)
			case c.refused != "" && string(pins.kept) != before:
				t.Errorf("%s, %s: it was refused, and what is pinned has changed", alg, name)
			}
		}
	}
}

// TestPinsGoOn rotates while the guard is down, as often as is kept and once more.
func TestPinsGoOn(t *testing.T) {
	w := newWorld(t, "ES256")
	w.rotate(maxRotations)
	if _, err := w.pins.pins().accept(t.Context(), w.document(), w.now()); err != nil {
		t.Fatalf("after %d rotations: %v", maxRotations, err)
	}
	w.pass(overlap + time.Second)
	w.rotate(maxRotations + 1)
	if _, err := w.pins.pins().accept(t.Context(), w.document(), w.now()); err == nil || !strings.Contains(err.Error(), "rotated 33 times") {
		t.Fatalf("one rotation more than is kept: %v", err)
	}
	if _, err := Enroll(t.Context(), w.pins.pins(), w.document(), false, w.now()); err == nil || !strings.Contains(err.Error(), "--replace") {
		t.Errorf("enrolled over other keys: %v", err)
	}
	w.enroll(true)
	w.accepted(t, newTestRequest(), w.mint(testCall()))
}

// TestRetiredPinEnds uses a token of a key that retired, then of one whose time is over.
func TestRetiredPinEnds(t *testing.T) {
	w := newWorld(t, "EdDSA")
	private, _ := activeKey(t, w.keys)
	header, _, _ := segments(t, w.mint(testCall()))
	w.rotate(1)
	w.accepted(t, newTestRequest(), w.mint(testCall()))
	w.pass(refreshAfter + time.Second)
	_, payload, _ := segments(t, w.mint(testCall()))
	w.refused(t, newTestRequest(), http.StatusUnauthorized, "unknown_kid", "Bearer "+forge(t, private, header, payload))
	// Nor can it name keys to follow.
	step, err := sealRotation(rotation{Seq: 2, At: w.now().Unix(), Keys: nil}, mustActive(t, w.keys))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readRotation(step); err == nil {
		t.Error("a rotation to no keys can be read")
	}
}

func mustActive(t *testing.T, k *Keys) (key jose.JSONWebKey) {
	t.Helper()
	r, err := k.load()
	if err != nil {
		t.Fatal(err)
	}
	return r.keys[0].JWK
}

// TestNewPinnedSourceWithoutPins refuses to start on the word of an address.
func TestNewPinnedSourceWithoutPins(t *testing.T) {
	var none memoryPins
	if _, err := NewPinnedSource(t.Context(), "http://127.0.0.1:1/", none.pins()); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("without enrolled keys: %v", err)
	}
	down := none.pins()
	down.Load = func(ctx context.Context) ([]byte, error) { return nil, errors.New("disk") }
	if _, err := NewPinnedSource(t.Context(), "http://127.0.0.1:1/", down); err == nil {
		t.Error("pins that cannot be read count as good")
	}
}

// TestTakenPort has somebody else answer at the issuer's address.
func TestTakenPort(t *testing.T) {
	mallory := newWorld(t, "EdDSA")
	taken := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.Write(mallory.document()) }))
	defer taken.Close()
	w := newWorld(t, "EdDSA")
	w.accepted(t, newTestRequest(), w.mint(testCall()))
	source, err := NewPinnedSource(t.Context(), taken.URL, w.pins.pins())
	if err != nil {
		t.Fatal(err)
	}
	w.verifier.Keys.read = source.read
	w.pass(refreshEvery)
	q := newTestRequest()
	q.method, q.target = "DELETE", "/pets/1"
	call := q.call()
	call.Approval = &ApprovalClaim{ID: "hold_1", By: "alice", At: w.now().Unix(), Until: w.now().Add(time.Hour).Unix(), Once: true, Details: call.Details.Digest()}
	forged, _, err := (&Signed{Issuer: testIssuer, Keys: mallory.keys, Now: w.now}).Mint(call)
	if err != nil {
		t.Fatal(err)
	}
	w.refused(t, q, http.StatusServiceUnavailable, "keys_unavailable", "Bearer "+forged)
	if w.told.Cause == nil || !strings.Contains(w.told.Cause.Error(), "somebody else may answer") {
		t.Errorf("the operator is told %v", w.told.Cause)
	}
	if got := w.taken(); len(got) != 0 {
		if got[len(got)-1].Method == "DELETE" {
			t.Errorf("the API saw %v", got)
		}
	}
}

// TestKeyFileWithoutItsRotations refuses a key file whose rotations do not lead to its keys.
func TestKeyFileWithoutItsRotations(t *testing.T) {
	w := newWorld(t, "EdDSA")
	w.rotate(2)
	b, _, err := readPrivate(filepath.Join(w.keys.dir, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(d map[string]any){
		"no rotations":  func(d map[string]any) { delete(d, "rotations") },
		"another count": func(d map[string]any) { d["seq"] = 7 },
		"only the first": func(d map[string]any) {
			d["rotations"] = d["rotations"].([]any)[:1]
		},
	} {
		if _, err := parseKeys(altered(t, b, change)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
