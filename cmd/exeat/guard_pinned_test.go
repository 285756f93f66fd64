package main

import (
	"database/sql"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/token"
)

// TestGuardTakenPort has another user of the machine take the port that the guard
// reads keys from, and send it an approved DELETE of their own making. Then the
// issuer comes back, with keys that were rotated meanwhile.
func TestGuardTakenPort(t *testing.T) {
	var answers atomic.Value // the document that is served
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answers.Load().(string)) }))
	defer served.Close()
	g := newGuarded(t, "--require-approval")
	g.stop()
	g.enroll()
	g.args = append(g.args, "--jwks", served.URL+"/.well-known/jwks.json")

	mallory, err := token.OpenKeys(filepath.Join(t.TempDir(), "keys"), "ES256")
	if err != nil {
		t.Fatal(err)
	}
	answers.Store(string(publish(t, mallory)))
	for _, when := range []string{"at once", "after a new start"} {
		g.start()
		if got := g.raw(deletePet(t, &token.Signed{Issuer: guardIssuer, Keys: mallory}), false); len(got) != 1 || got[0] != http.StatusServiceUnavailable {
			t.Errorf("%s: a forged, approved DELETE was answered with %v", when, got)
		}
		if text := g.text(); !strings.Contains(text, "somebody else may answer there") {
			t.Errorf("%s: the log does not say so: %s", when, text)
		}
		g.stop()
	}
	for range 3 {
		if err := g.signer.Keys.Rotate(time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	answers.Store(string(publish(t, g.signer.Keys)))
	g.start()
	if got := g.raw(deletePet(t, g.signer), false); len(got) != 1 || got[0] != http.StatusTeapot {
		t.Errorf("after three rotations: %v: %s", got, g.text())
	}
	if seen := g.taken(); len(seen) != 1 {
		t.Errorf("the API saw %q", seen)
	}
}

// publish is what the keys' owner serves.
func publish(t *testing.T, keys *token.Keys) []byte {
	t.Helper()
	set, err := keys.JWKS(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// deletePet is a request with a token that says a person approved it.
func deletePet(t *testing.T, signer *token.Signed) string {
	t.Helper()
	details := token.Bind(guardAudience, "DELETE", "/pets/1", "", nil, nil, "op", "")
	compact, _, err := signer.Mint(token.Call{Txn: "txn_1", Subject: "alice", Agent: "claude", Audience: guardAudience, Details: details, Effect: "delete",
		Approval: &token.ApprovalClaim{ID: "hold_1", By: "alice", At: time.Now().Unix(), Until: time.Now().Add(time.Minute).Unix(), Once: true, Details: details.Digest()}})
	if err != nil {
		t.Fatal(err)
	}
	return "DELETE /pets/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + compact + "\r\n\r\n"
}

// TestGuardSpoiledPins spoils what the guard was given: it refuses to start, and
// one that runs refuses what it would have to ask for.
func TestGuardSpoiledPins(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for name, c := range map[string]struct{ statement, says string }{
		"deleted":   {"DELETE FROM pins", "exeat guard enroll --issuer " + guardIssuer},
		"emptied":   {"UPDATE pins SET keys = ''", "exeat guard enroll --issuer " + guardIssuer},
		"cut short": {"UPDATE pins SET keys = substr(keys, 1, 100)", "damaged"},
		"no keys":   {`UPDATE pins SET keys = '{"seq":0,"keys":[]}'`, "damaged"},
	} {
		g := newGuarded(t)
		g.stop()
		g.enroll()
		db, err := sql.Open("sqlite", g.db)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(c.statement); err != nil {
			t.Fatal(err)
		}
		db.Close()
		var out strings.Builder
		code := execute(t.Context(), append(g.args, "--jwks", "http://"+l.Addr().String()), strings.NewReader(""), &out, &out)
		if code == 0 || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: exit %d, %s", name, code, &out)
		}
	}
}
