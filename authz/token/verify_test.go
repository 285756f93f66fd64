package token

import (
	"cmp"
	"crypto/elliptic"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// refused sends q with the token and wants the guard to refuse with status and
// code, the API to see nothing, and the answer not to repeat the token.
func (w *world) refused(t *testing.T, q *testRequest, status int, code string, authorization ...string) problem {
	t.Helper()
	var lines []string
	for _, a := range authorization {
		lines = append(lines, "Authorization: "+a)
	}
	res := w.send(q, lines...)
	if res.StatusCode != status {
		t.Errorf("status %d, want %d", res.StatusCode, status)
	}
	if got := w.taken(); len(got) != 0 {
		t.Fatalf("the API saw %+v", got)
	}
	if code == "" { // net/http refuses it before the guard sees it
		return problem{}
	}
	if w.told == nil || w.told.Code != code || w.told.Status != status {
		t.Errorf("the operator was told %+v, want %s", w.told, code)
	} else if itself := status == http.StatusForbidden || code == "spent" || code == "body_too_large"; itself && w.told.Txn != "txn_1" {
		t.Errorf("the operator was told of %s without the call's id: %+v", code, w.told)
	}
	if q.method == http.MethodHead {
		return problem{}
	}
	p := readProblem(t, res)
	if p.Type != "urn:exeat:guard:"+code || p.Status != status || p.Detail == "" || p.Title == "" {
		t.Errorf("problem %+v, want status %d and code %s", p, status, code)
	}
	for _, a := range authorization {
		for _, part := range strings.Split(a[strings.IndexByte(a, ' ')+1:], ".") {
			if len(part) > 20 && strings.Contains(p.Detail, part) {
				t.Errorf("the answer repeats the token: %s", p.Detail)
			}
		}
	}
	challenge := res.Header.Get("WWW-Authenticate")
	switch {
	case status != http.StatusUnauthorized && challenge != "":
		t.Errorf("status %d with the challenge %q", status, challenge)
	case code == "no_token" && challenge != "Bearer":
		t.Errorf("challenge %q, want Bearer alone", challenge)
	case status == http.StatusUnauthorized && code != "no_token" && !strings.HasPrefix(challenge, `Bearer error="invalid_token"`):
		t.Errorf("challenge %q, want invalid_token", challenge)
	}
	return p
}

// accepted sends q with the token and wants the API to see it, once.
func (w *world) accepted(t *testing.T, q *testRequest, compact string, lines ...string) seen {
	t.Helper()
	res := w.send(q, append(lines, "Authorization: Bearer "+compact)...)
	got := w.taken()
	if res.StatusCode != http.StatusTeapot || len(got) != 1 {
		t.Fatalf("status %d, the API saw %d requests, want 418 and 1: %+v", res.StatusCode, len(got), res.Header)
	}
	return got[0]
}

// TestMalleableBase64 asks Check itself about spellings that no header can
// carry over the wire.
func TestMalleableBase64(t *testing.T) {
	w := newWorld(t, "EdDSA")
	for name, change := range map[string]func(string) string{
		"trailing newline": func(s string) string { return s + "\n" },
		"inner newline":    func(s string) string { return s[:10] + "\r\n" + s[10:] },
		"leading space":    func(s string) string { return " " + s },
	} {
		q := newTestRequest()
		r := outgoing(t, q, "http://127.0.0.1")
		r.RequestURI = q.target
		r.Header.Set("Authorization", "Bearer "+change(w.mint(q.call())))
		if _, ref := w.verifier.Check(r); ref == nil || ref.Code != "malformed_token" {
			t.Errorf("%s: %v", name, ref)
		}
	}
}

func TestAcceptedToken(t *testing.T) {
	w := newWorld(t, "ES256")
	var claims *Claims
	var body string
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var ref *Refusal
		if claims, ref = w.verifier.Check(r); ref != nil {
			t.Error(ref)
		}
		b, _ := readBounded(r.Body)
		body = string(b)
	})
	q := newTestRequest()
	c := q.call()
	c.Scopes = []string{"pets:write"}
	c.Approval = &ApprovalClaim{ID: "hold_1", By: "user:bob", At: testStart.Unix(), Until: testStart.Unix() + 60, Details: c.Details.Digest()}
	r := outgoing(t, q, "http://127.0.0.1")
	r.RequestURI = q.target
	receipt, err := w.signed.Attach(t.Context(), c, r)
	if err != nil {
		t.Fatal(err)
	}
	h.ServeHTTP(nil, r)
	if t.Failed() {
		return
	}
	if claims.ID != receipt.JTI || claims.Txn != "txn_1" || claims.Subject != "user:alice" || claims.ClientID != "agent:claude/7" ||
		claims.Scope != "pets:write" || !claims.IssuedAt.Equal(testStart) || !claims.Expires.Equal(receipt.Expires) ||
		claims.Approval.ID != "hold_1" || claims.Details.Digest() != c.Details.Digest() || len(claims.Raw) != 13 {
		t.Errorf("claims %+v", claims)
	}
	if body != q.body {
		t.Errorf("the body after the check is %q", body)
	}
	if until := w.spent.until[testIssuer+"\x00"+receipt.JTI]; !until.Equal(receipt.Expires.Add(leeway)) {
		t.Errorf("spent until %s, want %s", until, receipt.Expires.Add(leeway))
	}
}

func TestSpentOnce(t *testing.T) {
	w := newWorld(t, "EdDSA")
	compact := w.mint(testCall())
	w.accepted(t, newTestRequest(), compact)
	w.refused(t, newTestRequest(), http.StatusUnauthorized, "spent", "Bearer "+compact)

	// ES256 has two signatures for one (r, s): both are one token.
	w = newWorld(t, "ES256")
	compact = w.mint(testCall())
	w.accepted(t, newTestRequest(), compact)
	w.refused(t, newTestRequest(), http.StatusUnauthorized, "spent", "Bearer "+highS(t, compact))
}

// highS is the same token with the other of the two signatures.
func highS(t *testing.T, compact string) string {
	t.Helper()
	header, payload, sig := segments(t, compact)
	n := elliptic.P256().Params().N
	s := new(big.Int).SetBytes(sig[32:])
	s.Sub(n, s)
	s.FillBytes(sig[32:])
	return b64([]byte(header)) + "." + b64([]byte(payload)) + "." + b64(sig)
}

func TestSpentConcurrently(t *testing.T) {
	w := newWorld(t, "EdDSA")
	compact := w.mint(testCall())
	const n = 32
	var wg sync.WaitGroup
	var mu sync.Mutex
	count := map[int]int{}
	for range n {
		wg.Go(func() {
			res := w.send(newTestRequest(), "Authorization: Bearer "+compact)
			mu.Lock()
			defer mu.Unlock()
			count[res.StatusCode]++
		})
	}
	wg.Wait()
	if count[http.StatusTeapot] != 1 || count[http.StatusUnauthorized] != n-1 || len(w.taken()) != 1 {
		t.Errorf("%d parallel uses of one token: %v", n, count)
	}
}

func TestSpendStoreDown(t *testing.T) {
	w := newWorld(t, "EdDSA")
	w.spent.err = errors.New("disk on fire at /var/lib/secret")
	p := w.refused(t, newTestRequest(), http.StatusServiceUnavailable, "spend_unavailable", "Bearer "+w.mint(testCall()))
	if strings.Contains(p.Detail, "disk") || w.told.Cause != w.spent.err {
		t.Errorf("the answer is %q, and the operator is told of %v", p.Detail, w.told.Cause)
	}
}

func TestClockLeeway(t *testing.T) {
	for _, c := range []struct {
		later time.Duration
		code  string // empty: accepted
	}{
		{-6 * time.Second, "issued_in_future"},
		{-5 * time.Second, ""},
		{0, ""},
		{34 * time.Second, ""},
		{35*time.Second - 1, ""},
		{35 * time.Second, "expired"},
		{time.Hour, "expired"},
	} {
		w := newWorld(t, "EdDSA")
		compact := w.mint(testCall())
		w.pass(c.later)
		if c.code == "" {
			w.accepted(t, newTestRequest(), compact)
		} else {
			w.refused(t, newTestRequest(), http.StatusUnauthorized, c.code, "Bearer "+compact)
		}
	}
}

func TestMaxTTL(t *testing.T) {
	w := newWorld(t, "EdDSA")
	w.verifier.MaxTTL = 10 * time.Second
	c := testCall()
	w.refused(t, newTestRequest(), http.StatusUnauthorized, "lives_too_long", "Bearer "+w.mint(c))
	c.TTL = 10 * time.Second
	w.accepted(t, newTestRequest(), w.mint(c))
}

func TestRequireApproval(t *testing.T) {
	w := newWorld(t, "EdDSA")
	w.verifier.RequireApproval = true
	private, _ := activeKey(t, w.keys)
	q := newTestRequest()
	c := q.call()
	w.refused(t, q, http.StatusForbidden, "approval_required", "Bearer "+w.mint(c))

	c.Approval = &ApprovalClaim{ID: "hold_1", By: "user:bob", Until: testStart.Unix() + 10, Details: c.Details.Digest()}
	approved := w.mint(c)
	w.accepted(t, q, w.mint(c))
	header, payload, _ := segments(t, approved)
	stolen := strings.Replace(payload, c.Details.Digest(), strings.Repeat("0", 64), 1)
	w.refused(t, q, http.StatusForbidden, "approval_mismatch", "Bearer "+forge(t, private, header, stolen))
	ended := strings.Replace(payload, fmt.Sprintf(`"until":%d`, testStart.Unix()+10), fmt.Sprintf(`"until":%d`, testStart.Unix()-1), 1)
	w.refused(t, q, http.StatusForbidden, "approval_expired", "Bearer "+forge(t, private, header, ended))
	w.pass(11 * time.Second)
	w.refused(t, q, http.StatusForbidden, "approval_expired", "Bearer "+approved)

	// The effect that was decided counts, and not the method.
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "QUERY", "get", "POST", "DELETE"} {
		q := &testRequest{method: method, target: "/pets"}
		for effect, ok := range map[string]bool{"read": true, "write": false, "delete": false} {
			c := q.call()
			c.Effect = effect
			if compact := w.mint(c); ok {
				w.accepted(t, q, compact)
			} else {
				w.refused(t, q, http.StatusForbidden, "approval_required", "Bearer "+compact)
			}
		}
	}
	get := &testRequest{method: "GET", target: "/pets"}
	header, payload, _ = segments(t, w.mint(get.call()))
	silent := strings.Replace(payload, `,"effect":"read"`, "", 1)
	w.refused(t, get, http.StatusForbidden, "approval_required", "Bearer "+forge(t, private, header, silent))
	strange := strings.Replace(payload, `"effect":"read"`, `"effect":"reading"`, 1)
	w.refused(t, get, http.StatusUnauthorized, "bad_claims", "Bearer "+forge(t, private, header, strange))
	if silent == payload || strange == payload {
		t.Fatal("the token does not say what effect the call has")
	}
	// An approval for something else is a sign of forgery wherever it is.
	w.verifier.RequireApproval = false
	w.refused(t, q, http.StatusForbidden, "approval_mismatch", "Bearer "+forge(t, private, header, strings.Replace(stolen, "until\":", "until\":9", 1)))
}

// TestEffects lets only some calls pass, by what they were decided to be.
func TestEffects(t *testing.T) {
	w := newWorld(t, "EdDSA")
	private, _ := activeKey(t, w.keys)
	for _, c := range []struct {
		effects []string
		pass    []string
	}{
		{nil, []string{"read", "write", "delete", ""}},
		{[]string{"read"}, []string{"read"}},
		{[]string{"read", "write"}, []string{"read", "write"}},
		{[]string{"delete"}, []string{"delete", ""}},
	} {
		w.verifier.Effects = c.effects
		for _, method := range []string{"GET", "POST", "DELETE"} {
			for _, effect := range []string{"read", "write", "delete", ""} {
				q := &testRequest{method: method, target: "/pets"}
				call := q.call()
				call.Effect = cmp.Or(effect, "read")
				compact := w.mint(call)
				if effect == "" { // as tokens of earlier versions
					header, payload, _ := segments(t, compact)
					compact = forge(t, private, header, strings.Replace(payload, `,"effect":"read"`, "", 1))
				}
				if slices.Contains(c.pass, effect) {
					w.accepted(t, q, compact)
				} else {
					w.refused(t, q, http.StatusForbidden, "wrong_effect", "Bearer "+compact)
				}
			}
		}
	}
}

func TestNotConfigured(t *testing.T) {
	w := newWorld(t, "EdDSA")
	for name, v := range map[string]*Verifier{
		"nothing":  {},
		"no spend": {Issuer: testIssuer, Audience: testAudience, Keys: w.verifier.Keys},
		"no keys":  {Issuer: testIssuer, Audience: testAudience, Spend: w.spent.spend},
	} {
		r := outgoing(t, newTestRequest(), "http://127.0.0.1")
		if _, ref := v.Check(r); ref == nil || ref.Status != 500 || ref.Error() != "not_configured: "+ref.Detail {
			t.Errorf("%s: %v", name, ref)
		}
	}
	// A request that did not come from a server has no raw target.
	r := outgoing(t, newTestRequest(), "http://127.0.0.1")
	r.Header.Set("Authorization", "Bearer "+w.mint(testCall()))
	if _, ref := w.verifier.Check(r); ref == nil || ref.Code != "bad_target" {
		t.Errorf("without RequestURI: %v", ref)
	}
	w.verifier.Now = nil
	r.RequestURI = newTestRequest().target
	if _, ref := w.verifier.Check(r); ref == nil {
		t.Error("a token of another year was accepted by the real clock")
	}
}

// An approval that was given for one request lets one through, however many
// tokens are made with it.
func TestApprovalIsSpent(t *testing.T) {
	w := newWorld(t, "EdDSA")
	q := newTestRequest()
	c := q.call()
	c.Approval = &ApprovalClaim{ID: "hold_1", By: "bob", At: testStart.Unix(), Until: testStart.Unix() + 60, Once: true, Details: c.Details.Digest()}
	w.accepted(t, q, w.mint(c))
	w.refused(t, q, http.StatusForbidden, "approval_spent", "Bearer "+w.mint(c))
	c.Approval.ID = "hold_2"
	w.accepted(t, q, w.mint(c))
}
