package token

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/exeat/exeat/authz/dpop"
)

// bindings are the ways in which a token can be bound to who sends its request.
var bindings = []string{BindSignature, BindDPoP}

// newBoundWorld is a world whose tokens are bound. Its clock is the machine's, which
// proofs are made by.
func newBoundWorld(t testing.TB, alg, binding string, configure ...func(*Guard)) *world {
	t.Helper()
	w := newWorld(t, alg, configure...)
	w.clock.Store(time.Now().UnixNano())
	w.bind(binding)
	return w
}

func (w *world) bind(binding string) {
	w.t.Helper()
	w.signed.SignRequests, w.signed.DPoP = binding == BindSignature, nil
	if binding == BindDPoP {
		var err error
		if w.signed.DPoP, err = dpop.NewKey(); err != nil {
			w.t.Fatal(err)
		}
	}
}

// leave is the request q as it leaves with its credential.
func (w *world) leave(q *testRequest, change ...func(*Call)) *testRequest {
	w.t.Helper()
	r, err := http.NewRequest(q.method, "https://petstore.example"+q.target, strings.NewReader(q.body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header = q.header()
	if q.contentType != "" {
		r.Header.Set("Content-Type", q.contentType)
	}
	c := q.call()
	for _, f := range change {
		f(&c)
	}
	if _, err := w.signed.Attach(w.t.Context(), c, r); err != nil {
		w.t.Fatal(err)
	}
	left := *q
	left.lines = nil
	for name, values := range r.Header {
		if name != "Content-Type" {
			left.lines = append(left.lines, name+": "+values[0])
		}
	}
	slices.Sort(left.lines)
	return &left
}

func (q *testRequest) value(name string) string { return q.header().Get(name) }

func (q *testRequest) drop(names ...string) {
	q.lines = slices.DeleteFunc(slices.Clone(q.lines), func(line string) bool {
		own, _, _ := strings.Cut(line, ":")
		return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, own) })
	})
}

func (q *testRequest) set(name, value string) {
	q.drop(name)
	q.lines = append(q.lines, name+": "+value)
}

// sub replaces in one header what matches.
func (q *testRequest) sub(name, pattern, with string) {
	q.set(name, regexp.MustCompile(pattern).ReplaceAllLiteralString(q.value(name), with))
}

// ask sends q and returns the code of the refusal, "" if it got through.
func (w *world) ask(q *testRequest) string {
	w.t.Helper()
	res := w.send(q)
	if res.StatusCode == http.StatusTeapot {
		return ""
	}
	return strings.TrimPrefix(readProblem(w.t, res).Type, "urn:exeat:guard:")
}

// TestBoundRequests lets requests of all shapes through, once, and the API does not
// see what proved who sent them.
func TestBoundRequests(t *testing.T) {
	for _, alg := range []string{"EdDSA", "ES256"} {
		for _, binding := range bindings {
			t.Run(alg+" "+binding, func(t *testing.T) {
				w := newBoundWorld(t, alg, binding, func(g *Guard) { g.Verifier.RequireBinding = binding })
				for _, q := range []*testRequest{
					newTestRequest(),
					{method: "GET", target: "/pets"},
					{method: "GET", target: "/pets?"},
					{method: "GET", target: "/pets/a%2Fb;v=1?q=%20x&q=&=a"},
					{method: "POST", target: "/", contentType: "text/plain", body: "x", lines: []string{"Idempotency-Key: a b", "X-Zeta: 1", "X-Alpha: a, b"}},
					{method: "DELETE", target: "/pets/42"},
				} {
					left := w.leave(q)
					if code := w.ask(left); code != "" {
						t.Errorf("%s %s is refused: %s (%v)", q.method, q.target, code, w.told)
						continue
					}
					saw := w.taken()[0].Header
					for _, name := range []string{"Authorization", "Signature", "Signature-Input", "Content-Digest", "Dpop"} {
						if saw.Get(name) != "" {
							t.Errorf("the API saw %s", name)
						}
					}
					if code := w.ask(left); code != map[string]string{BindSignature: "spent", BindDPoP: "invalid_dpop_proof"}[binding] {
						t.Errorf("sent again: %q", code)
					}
				}
			})
		}
	}
}

// TestSignedRequestAttacks changes a signed request on its way.
func TestSignedRequestAttacks(t *testing.T) {
	for _, alg := range []string{"EdDSA", "ES256"} {
		t.Run(alg, func(t *testing.T) {
			w := newBoundWorld(t, alg, BindSignature)
			other := newBoundWorld(t, alg, BindSignature)
			for name, tt := range map[string]struct {
				want   string
				change func(*testRequest)
			}{
				"body replaced":                  {"wrong_digest", func(q *testRequest) { q.body = `{"name":"Max"}` }},
				"body and digest replaced":       {"wrong_content_digest", func(q *testRequest) { q.body = `{}`; q.set("Content-Digest", contentDigest([]byte(`{}`))) }},
				"digest of another algorithm":    {"wrong_content_digest", func(q *testRequest) { q.set("Content-Digest", "sha-512=:AAAA:") }},
				"two digests in one":             {"wrong_content_digest", func(q *testRequest) { q.set("Content-Digest", q.value("Content-Digest")+", md5=:AAAA:") }},
				"method":                         {"wrong_method", func(q *testRequest) { q.method = "POST" }},
				"path":                           {"wrong_target", func(q *testRequest) { q.target = strings.Replace(q.target, "42", "43", 1) }},
				"path in another encoding":       {"wrong_target", func(q *testRequest) { q.target = strings.Replace(q.target, "42", "%34%32", 1) }},
				"query in another order":         {"wrong_query", func(q *testRequest) { q.target = "/pets/42?tag=a&force=true" }},
				"no query":                       {"wrong_query", func(q *testRequest) { q.target = "/pets/42" }},
				"content type":                   {"wrong_content_type", func(q *testRequest) { q.contentType = "text/json" }},
				"bound header":                   {"wrong_header", func(q *testRequest) { q.set("If-Match", `"v2"`) }},
				"bound header dropped":           {"wrong_header", func(q *testRequest) { q.drop("If-Match") }},
				"bound header twice":             {"repeated_header", func(q *testRequest) { q.lines = append(q.lines, `If-Match: "v1"`) }},
				"signature twice":                {"repeated_header", func(q *testRequest) { q.lines = append(q.lines, "Signature: "+q.value("Signature")) }},
				"input twice":                    {"repeated_header", func(q *testRequest) { q.lines = append(q.lines, "Signature-Input: "+q.value("Signature-Input")) }},
				"digest twice":                   {"repeated_header", func(q *testRequest) { q.lines = append(q.lines, "Content-Digest: "+q.value("Content-Digest")) }},
				"signature stripped":             {"no_signature", func(q *testRequest) { q.drop("Signature", "Signature-Input", "Content-Digest") }},
				"only the signature stripped":    {"no_signature", func(q *testRequest) { q.drop("Signature") }},
				"only the input stripped":        {"no_signature", func(q *testRequest) { q.drop("Signature-Input") }},
				"as DPoP":                        {"not_bound", func(q *testRequest) { q.sub("Authorization", "^Bearer", "DPoP") }},
				"the scheme in small letters":    {"wrong_signature", func(q *testRequest) { q.sub("Authorization", "^Bearer", "bearer") }},
				"covers less":                    {"wrong_signature_input", func(q *testRequest) { q.sub("Signature-Input", ` "content-digest"`, "") }},
				"covers nothing":                 {"wrong_signature_input", func(q *testRequest) { q.sub("Signature-Input", `\(.*\)`, "()") }},
				"covers in another order":        {"wrong_signature_input", func(q *testRequest) { q.sub("Signature-Input", `"@method" "@authority"`, `"@authority" "@method"`) }},
				"covers with a parameter":        {"wrong_signature_input", func(q *testRequest) { q.sub("Signature-Input", `"@path"`, `"@path";req`) }},
				"no tag":                         {"wrong_signature_input", func(q *testRequest) { q.sub("Signature-Input", `;tag="[^"]*"`, "") }},
				"another tag":                    {"wrong_signature_input", func(q *testRequest) { q.sub("Signature-Input", `tag="[^"]*"`, `tag="other"`) }},
				"created earlier":                {"wrong_signature_input", func(q *testRequest) { q.sub("Signature-Input", `created=\d`, "created=0") }},
				"expires later":                  {"wrong_signature_input", func(q *testRequest) { q.sub("Signature-Input", `expires=\d`, "expires=9") }},
				"another nonce":                  {"wrong_signature_input", func(q *testRequest) { q.sub("Signature-Input", `nonce="[^"]*"`, `nonce="AAAA"`) }},
				"another alg":                    {"wrong_signature_input", func(q *testRequest) { q.sub("Signature-Input", `alg="[^"]*"`, `alg="hmac-sha256"`) }},
				"another key id":                 {"wrong_signature_input", func(q *testRequest) { q.sub("Signature-Input", `keyid="[^"]*"`, `keyid="AAAA"`) }},
				"another label":                  {"wrong_signature_input", func(q *testRequest) { q.sub("Signature-Input", `^exeat`, `sig1`) }},
				"a second input":                 {"wrong_signature_input", func(q *testRequest) { q.set("Signature-Input", q.value("Signature-Input")+`, b=();tag="x"`) }},
				"the label twice":                {"wrong_signature_input", func(q *testRequest) { q.set("Signature-Input", `exeat=(), `+q.value("Signature-Input")) }},
				"another label of the signature": {"wrong_signature", func(q *testRequest) { q.sub("Signature", `^exeat`, `sig1`) }},
				"a second signature":             {"wrong_signature", func(q *testRequest) { q.set("Signature", q.value("Signature")+`, b=:AAAA:`) }},
				"an empty signature":             {"wrong_signature", func(q *testRequest) { q.set("Signature", `exeat=::`) }},
				"a signature that is no bytes":   {"wrong_signature", func(q *testRequest) { q.set("Signature", `exeat="AAAA"`) }},
				"a signature without its end":    {"wrong_signature", func(q *testRequest) { q.sub("Signature", `:$`, "") }},
				"a signature with bits at its end": {"wrong_signature", func(q *testRequest) {
					value := []byte(q.value("Signature"))
					value[len(value)-4]++ // of its last character four bits count for nothing
					q.set("Signature", string(value))
				}},
				"a signature of another request": {"wrong_signature", func(q *testRequest) {
					q.set("Signature", w.leave(newTestRequest()).value("Signature"))
				}},
				"signature and input of another": {"wrong_signature_input", func(q *testRequest) {
					another := w.leave(newTestRequest())
					q.set("Signature", another.value("Signature"))
					q.set("Signature-Input", another.value("Signature-Input"))
				}},
				"the token of another": {"wrong_signature_input", func(q *testRequest) { q.set("Authorization", w.leave(newTestRequest()).value("Authorization")) }},
				"the key of another issuer": {"wrong_signature", func(q *testRequest) {
					private, _ := activeKey(t, other.keys)
					forgeSignature(t, q, private)
				}},
			} {
				t.Run(name, func(t *testing.T) {
					q := w.leave(newTestRequest())
					good := *q
					tt.change(q)
					if code := w.ask(q); code != tt.want {
						t.Errorf("the code is %q, want %q: %v", code, tt.want, w.told)
					}
					if code := w.ask(&good); code != "" {
						t.Errorf("what was refused cost the token: %s", code)
					}
					if n := len(w.taken()); n != 1 {
						t.Errorf("the API saw %d requests", n)
					}
				})
			}
		})
	}
}

// forgeSignature signs q again with another key.
func forgeSignature(t testing.TB, q *testRequest, private any) {
	t.Helper()
	params := strings.TrimPrefix(q.value("Signature-Input"), "exeat=")
	r := message{q.method, "petstore.example", q.target, q.header()}
	r.header.Set("Content-Type", q.contentType)
	base, err := r.base(q.call().Details.covered()[:7], params)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := signBytes(jose.JSONWebKey{Key: private}, base)
	if err != nil {
		t.Fatal(err)
	}
	q.set("Signature", sfSignature(signature))
}

// TestSignedRequestTimes ends a signature with its token, and spends both together.
func TestSignedRequestTimes(t *testing.T) {
	w := newBoundWorld(t, "EdDSA", BindSignature)
	q := w.leave(newTestRequest())
	w.pass(DefaultTTL + leeway + time.Second)
	if code := w.ask(q); code != "expired" {
		t.Errorf("late: %q", code)
	}
	q = w.leave(newTestRequest())
	w.pass(-2 * leeway)
	if code := w.ask(q); code != "issued_in_future" {
		t.Errorf("early: %q", code)
	}
}

// TestSignedForAnotherHost refuses a request that was signed for another host, to
// which it may have been sent, and signs what RFC 9421 calls the authority.
func TestSignedForAnotherHost(t *testing.T) {
	for _, binding := range bindings {
		for origin, want := range map[string]string{
			"":                                "",
			"https://PETSTORE.example:443":    "",
			"https://evil.example":            map[string]string{BindSignature: "wrong_signature", BindDPoP: "invalid_dpop_proof"}[binding],
			"https://petstore.example:8443/x": map[string]string{BindSignature: "wrong_signature", BindDPoP: "invalid_dpop_proof"}[binding],
			"urn:petstore":                    "not_configured",
		} {
			w := newBoundWorld(t, "EdDSA", binding, func(g *Guard) { g.Verifier.Origin = origin })
			if code := w.ask(w.leave(newTestRequest())); code != want {
				t.Errorf("%s at %s: %q, want %q", binding, origin, code, want)
			}
		}
	}
}

// TestRotatedSignature signs the token and the request with one key, whatever
// happens to the keys meanwhile, and takes it while the old key is published.
func TestRotatedSignature(t *testing.T) {
	w := newBoundWorld(t, "EdDSA", BindSignature)
	before := w.leave(newTestRequest())
	if err := w.keys.Rotate(w.now()); err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]*testRequest{"before": before, "after": w.leave(newTestRequest())} {
		if code := w.ask(q); code != "" {
			t.Errorf("signed %s the rotation: %s", name, code)
		}
	}
}

// TestDPoPAttacks changes the proof of a request, or leaves it out.
func TestDPoPAttacks(t *testing.T) {
	w := newBoundWorld(t, "EdDSA", BindDPoP)
	thief, err := dpop.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	const here = "https://petstore.example/pets/42"
	prove := func(key *dpop.Key, method, url, token string) func(*testRequest) {
		return func(q *testRequest) {
			if token == "" {
				_, token, _ = strings.Cut(q.value("Authorization"), " ")
			}
			proof, err := key.Proof(method, url, token, "")
			if err != nil {
				t.Fatal(err)
			}
			q.set("DPoP", proof)
		}
	}
	own := w.signed.DPoP
	for name, tt := range map[string]struct {
		want   string
		change func(*testRequest)
	}{
		"Bearer in place of DPoP":     {"not_dpop", func(q *testRequest) { q.sub("Authorization", "^DPoP", "Bearer") }},
		"Bearer without a proof":      {"not_dpop", func(q *testRequest) { q.sub("Authorization", "^DPoP", "Bearer"); q.drop("DPoP") }},
		"no proof":                    {"invalid_dpop_proof", func(q *testRequest) { q.drop("DPoP") }},
		"two proofs":                  {"invalid_dpop_proof", func(q *testRequest) { q.lines = append(q.lines, "DPoP: "+q.value("DPoP")) }},
		"no JWT":                      {"invalid_dpop_proof", func(q *testRequest) { q.set("DPoP", "x") }},
		"the token as its proof":      {"invalid_dpop_proof", func(q *testRequest) { q.set("DPoP", strings.TrimPrefix(q.value("Authorization"), "DPoP ")) }},
		"another htm":                 {"invalid_dpop_proof", prove(own, "GET", here, "")},
		"another htu":                 {"invalid_dpop_proof", prove(own, "PUT", here+"3", "")},
		"another host in htu":         {"invalid_dpop_proof", prove(own, "PUT", "https://evil.example/pets/42", "")},
		"another ath":                 {"invalid_dpop_proof", prove(own, "PUT", here, "other")},
		"another key":                 {"wrong_dpop_key", prove(thief, "PUT", here, "")},
		"the proof of another call":   {"invalid_dpop_proof", func(q *testRequest) { q.set("DPoP", w.leave(newTestRequest()).value("DPoP")) }},
		"body replaced":               {"wrong_digest", func(q *testRequest) { q.body = `{"name":"Max"}` }},
		"query in another order":      {"wrong_query", func(q *testRequest) { q.target = "/pets/42?tag=a&force=true" }},
		"path in another encoding":    {"wrong_target", func(q *testRequest) { q.target = strings.Replace(q.target, "42", "%34%32", 1) }},
		"a token that is not bound":   {"not_bound", func(q *testRequest) { q.set("Authorization", "DPoP "+w.unbound().mint(newTestRequest().call())) }},
		"a signature beside the rest": {"", func(q *testRequest) { q.set("Signature", "x=:AAAA:"); q.set("Signature-Input", "x=()") }},
	} {
		t.Run(name, func(t *testing.T) {
			q := w.leave(newTestRequest())
			good := *q
			tt.change(q)
			if code := w.ask(q); code != tt.want {
				t.Errorf("the code is %q, want %q: %v", code, tt.want, w.told)
			}
			if tt.want == "" {
				return
			}
			if code := w.ask(&good); code != "" && name != "body replaced" {
				t.Errorf("what was refused cost the token: %s", code)
			}
		})
	}
	// The store that remembers tokens remembers proofs; without it nothing passes.
	q := w.leave(newTestRequest())
	w.spent.err = http.ErrServerClosed
	if code := w.ask(q); code != "spend_unavailable" {
		t.Errorf("without a store: %q", code)
	}
}

// unbound is w with tokens that are good for whoever sends them.
func (w *world) unbound() *world {
	return &world{t: w.t, signed: &Signed{Issuer: testIssuer, Keys: w.keys, Now: w.now}}
}

// TestRequireBinding does not take tokens that are good for whoever sends them where
// that is not enough, nor those that are bound in another way.
func TestRequireBinding(t *testing.T) {
	for _, required := range bindings {
		w := newBoundWorld(t, "EdDSA", "", func(g *Guard) { g.Verifier.RequireBinding = required })
		for _, binding := range append(bindings, "") {
			w.bind(binding)
			want := "not_bound"
			if binding == required {
				want = ""
			}
			if code := w.ask(w.leave(newTestRequest())); code != want {
				t.Errorf("%q where %q is required: %q, want %q", binding, required, code, want)
			}
		}
	}
}

// TestUnknownBinding refuses a token that is bound in a way that this verifier does
// not know.
func TestUnknownBinding(t *testing.T) {
	w := newBoundWorld(t, "EdDSA", "")
	private, kid := activeKey(t, w.keys)
	for _, cnf := range []string{`{}`, `null`, `[]`, `""`, `{"x5t#S256":"x"}`, `{"jkt":"x","x5t#S256":"x"}`, `{"kid":"a b"}`, `{"kid":""}`, `{"jkt":1}`, `{"KID":"x"}`} {
		q := newTestRequest()
		_, payload, _ := segments(t, w.mint(q.call()))
		token := forge(t, private, `{"alg":"EdDSA","kid":"`+kid+`","typ":"at+jwt"}`, strings.Replace(payload, `{`, `{"cnf":`+cnf+`,`, 1))
		q.set("Authorization", "Bearer "+token)
		if code := w.ask(q); code != "bad_claims" {
			t.Errorf("%s: %q", cnf, code)
		}
	}
}

// TestDPoPNonce asks for a nonce once, and tells how that goes on.
func TestDPoPNonce(t *testing.T) {
	w := newBoundWorld(t, "EdDSA", BindDPoP, func(g *Guard) { g.Verifier.Nonces = &dpop.Nonces{Key: []byte("key")} })
	attach := func() (*testRequest, Receipt) {
		q := newTestRequest()
		r, _ := http.NewRequest(q.method, "https://petstore.example"+q.target, strings.NewReader(q.body))
		r.Header = q.header()
		r.Header.Set("Content-Type", q.contentType)
		receipt, err := w.signed.Attach(t.Context(), q.call(), r)
		if err != nil {
			t.Fatal(err)
		}
		q.set("Authorization", r.Header.Get("Authorization"))
		q.set("DPoP", r.Header.Get("DPoP"))
		return q, receipt
	}
	q, receipt := attach()
	res := w.send(q)
	if got := res.Header.Get("WWW-Authenticate"); res.StatusCode != 401 || !strings.HasPrefix(got, `DPoP error="use_dpop_nonce", algs="ES256 `) || res.Header.Get("DPoP-Nonce") == "" {
		t.Fatalf("%d %q %q", res.StatusCode, got, res.Header.Get("DPoP-Nonce"))
	}
	if !receipt.Answered(res) {
		t.Fatal("the answer does not ask for another try")
	}
	q, receipt = attach()
	res = w.send(q)
	if res.StatusCode != http.StatusTeapot || receipt.Answered(res) || res.Header.Get("DPoP-Nonce") == "" {
		t.Fatalf("%d %v", res.StatusCode, w.told)
	}
	// What comes with each answer spares the next call the question.
	given := res.Header.Get("DPoP-Nonce")
	q, _ = attach()
	if _, payload, _ := segments(t, q.value("DPoP")); !strings.Contains(payload, `"nonce":"`+given+`"`) {
		t.Errorf("the next proof has another nonce than %s: %s", given, payload)
	}
	if code := w.ask(q); code != "" {
		t.Error(code)
	}
	w.unboundAnswer(t)
}

// unboundAnswer sees that who needs no nonce is given none.
func (w *world) unboundAnswer(t *testing.T) {
	t.Helper()
	w.bind("")
	if res := w.send(w.leave(newTestRequest())); res.StatusCode != http.StatusTeapot || res.Header.Get("DPoP-Nonce") != "" {
		t.Errorf("%d %q", res.StatusCode, res.Header.Get("DPoP-Nonce"))
	}
}

// TestAttachKeepsItsHeaders does not let an argument set what proves who sends.
func TestAttachKeepsItsHeaders(t *testing.T) {
	for binding, names := range map[string][]string{BindSignature: {"Content-Digest", "signature-input", "Signature", "Authorization"}, BindDPoP: {"DPoP", "dpop", "authorization"}} {
		w := newBoundWorld(t, "EdDSA", binding)
		for _, name := range names {
			q := newTestRequest()
			r, _ := http.NewRequest(q.method, "https://petstore.example"+q.target, strings.NewReader(q.body))
			r.Header = q.header()
			r.Header.Set("Content-Type", q.contentType)
			r.Header[name] = []string{"x"}
			if _, err := w.signed.Attach(t.Context(), q.call(), r); err == nil || !strings.Contains(err.Error(), "already has the header") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestCheckOfSenders answers a proxy that asks about bound requests, with all headers
// that prove who sends them; beside a token that does not ask for them they are
// headers that nobody checked.
func TestCheckOfSenders(t *testing.T) {
	for _, binding := range bindings {
		k := newChecked(t)
		k.clock.Store(time.Now().UnixNano())
		lines := func(q *testRequest) []string {
			return append(q.lines, "Content-Type: "+q.contentType, CheckHeader+": "+checkSecret+" "+q.method+" "+contentDigest([]byte(q.body))+" "+q.target)
		}
		canonical := func(q *testRequest) *testRequest { // as net/http reads it
			for i, line := range q.lines {
				name, value, _ := strings.Cut(line, ": ")
				q.lines[i] = http.CanonicalHeaderKey(name) + ": " + value
			}
			return q
		}
		k.bind(binding)
		q := canonical(k.leave(newTestRequest()))
		if got, _ := k.ask("GET", "/check", "", lines(q)...); got != "200" {
			t.Errorf("%s: %s", binding, got)
		}
		if got, _ := k.ask("GET", "/check", "", lines(q)...); got == "200" {
			t.Errorf("%s again: %s", binding, got)
		}
		q = k.leave(newTestRequest())
		q.drop("Signature", "DPoP")
		want := map[string]string{BindSignature: "401 no_signature", BindDPoP: "401 invalid_dpop_proof"}[binding]
		if got, _ := k.ask("GET", "/check", "", lines(canonical(q))...); got != want {
			t.Errorf("%s without it: %s", binding, got)
		}
		proven := k.leave(newTestRequest())
		k.bind("")
		proven.set("Authorization", "Bearer "+k.mint(newTestRequest().call()))
		if got, _ := k.ask("GET", "/check", "", lines(canonical(proven))...); got != "403 unbound_header" {
			t.Errorf("%s beside a token that does not ask for it: %s", binding, got)
		}
	}
}
