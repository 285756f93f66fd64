package token

import (
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
)

const contentJSON = "application/json"

// base is the request that the bad vectors change something of.
func base() testRequest {
	return testRequest{method: "PUT", target: "/v1/pets/42?notify=true&tag=a", contentType: contentJSON, body: `{"name":"Rex"}`, lines: []string{`If-Match: "v7"`}}
}

// good are requests that have to be let through.
func (w *vectorWriter) good() {
	for _, alg := range []string{"EdDSA", "ES256"} {
		for _, c := range []struct {
			name string
			q    testRequest
		}{
			{"GET with a query", testRequest{method: "GET", target: "/v1/pets?status=sold&tag=a&tag=b&limit=10"}},
			{"POST of JSON", testRequest{method: "POST", target: "/v1/pets", contentType: contentJSON, body: `{"name":"Rex","tag":"dog"}`}},
			{"PUT with a bound header", base()},
			{"DELETE", testRequest{method: "DELETE", target: "/v1/pets/42"}},
		} {
			w.add(vector{Name: c.name + ", " + alg, Verdict: "accept"}, w.draft(alg, c.q))
		}
	}
	for _, c := range []struct {
		name string
		q    testRequest
	}{
		{"POST without content", testRequest{method: "POST", target: "/v1/pets/42/wake"}},
		{"POST without content, with a content type", testRequest{method: "POST", target: "/v1/pets", contentType: contentJSON}},
		{"a method of one's own, in its own case", testRequest{method: "Purge", target: "/v1/pets"}},
		{"percent-encoded path", testRequest{method: "GET", target: "/v1/%70ets/a%2Fb%20c/%E2%82%AC"}},
		{"path of //, ; and two names alike", testRequest{method: "GET", target: "/v1//pets;d?x=1&x=2&%61=&=&&"}},
		{"empty query", testRequest{method: "GET", target: "/v1/pets?"}},
		{"content with other letters", testRequest{method: "POST", target: "/v1/pets", contentType: "application/json; charset=utf-8", body: `{"name":"Šárka 😀"}`}},
		{"content that is no text", testRequest{method: "PUT", target: "/v1/pets/42/photo", contentType: "image/png", body: "\x89PNG\r\n\x1a\n\x00\xff"}},
		{"bound header with other letters", testRequest{method: "DELETE", target: "/v1/pets/42", lines: []string{"X-Reason: \"é 😀 \u2028\" \\ <&>\t.", "Idempotency-Key: k-1"}}},
		{"bound header that is empty", testRequest{method: "DELETE", target: "/v1/pets/42", lines: []string{"X-Reason: "}}},
	} {
		d := w.draft("EdDSA", c.q)
		d.approve(fmt.Sprintf("hold_%d", w.requests), testStart.Unix()+60, true) // the digest covers each of these as well
		w.add(vector{Name: c.name, Verdict: "accept"}, d)
	}
	now := testStart.Unix()
	for _, c := range []struct {
		name     string
		iat, exp int64
	}{{"iat 5 seconds ahead", now + 5, now + 35}, {"exp 4 seconds ago", now - 34, now - 4}, {"a life of 60 seconds", now, now + 60}} {
		d := w.draft("EdDSA", base())
		d.times(c.iat, c.exp)
		w.add(vector{Name: c.name, Verdict: "accept"}, d)
	}
	d := w.draft("EdDSA", base())
	d.set("Accept", "text/html")
	d.set("User-Agent", "curl/8")
	w.add(vector{Name: "headers that no token binds", Verdict: "accept"}, d)
	d = w.draft("EdDSA", base())
	d.replace(`"txn"`, `"tenant":{"a":1},"txn"`)
	w.add(vector{Name: "a claim that nobody knows", Verdict: "accept"}, d)
	d = w.draft("EdDSA", base())
	d.replace(`"act":{"sub":"agent:claude/7","sub_profile":"ai_agent"},`, "")
	w.add(vector{Name: "without act", Verdict: "accept"}, d)
	d = w.draft("EdDSA", base())
	d.replace(`"document":"sha-256=:doc:",`, "")
	w.add(vector{Name: "without document", Verdict: "accept"}, d)
	w.approvals()
	w.twice()
}

// approvals are good and bad ones.
func (w *vectorWriter) approvals() {
	now := testStart.Unix()
	search := testRequest{method: "POST", target: "/v1/pets/search", contentType: contentJSON, body: `{"tag":"dog"}`}
	for _, c := range []struct {
		vector
		change func(*draft)
	}{
		{vector{Name: "approved, where approvals are required", Verdict: "accept"}, func(d *draft) { d.approve("hold_a1", now+60, true) }},
		{vector{Name: "approved until this second", Verdict: "accept"}, func(d *draft) { d.approve("hold_a2", now, true) }},
		{vector{Name: "not approved, where approvals are required", Verdict: "refuse", Code: "approval_required", Why: "The call was decided to be a write."}, func(*draft) {}},
		{vector{Name: "a GET that deletes, not approved", Verdict: "refuse", Code: "approval_required", Why: "The effect in the token counts, not the method."},
			func(d *draft) { *d = *w.withEffect("GET", "delete") }},
		{vector{Name: "a POST that reads, not approved", Verdict: "accept"}, func(d *draft) {
			*d = *w.draft("EdDSA", search)
			d.replace(`"effect":"write"`, `"effect":"read"`)
		}},
		{vector{Name: "no decision, not approved", Verdict: "refuse", Code: "approval_required", Why: "A token that does not say what the call is may be a write."},
			func(d *draft) { d.claims = d.claims[:strings.Index(d.claims, `,"urn:exeat:decision"`)] + "}" }},
		{vector{Name: "approval that has ended", Verdict: "refuse", Code: "approval_expired", Why: "until is past, by no leeway."}, func(d *draft) { d.approve("hold_a3", now-1, true) }},
		{vector{Name: "approval of another request", Verdict: "refuse", Code: "approval_mismatch", Why: "details is the digest of what the person saw."}, func(d *draft) {
			d.approve("hold_a4", now+60, true)
			other := base()
			other.target = "/v1/pets/43"
			d.replace(d.q.call().Details.Digest(), other.call().Details.Digest())
		}},
		{vector{Name: "approval digest in upper case", Verdict: "refuse", Code: "approval_mismatch", Why: "The digest is compared byte for byte."}, func(d *draft) {
			d.approve("hold_a5", now+60, true)
			d.replace(d.q.call().Details.Digest(), strings.ToUpper(d.q.call().Details.Digest()))
		}},
		{vector{Name: "approval with more members", Verdict: "refuse", Code: "bad_claims", Why: "What a verifier does not know may limit what was approved."}, func(d *draft) {
			d.approve("hold_a6", now+60, true)
			d.replace(`"once":true`, `"once":true,"only_on":"monday"`)
		}},
		{vector{Name: "approval that is null", Verdict: "refuse", Code: "bad_claims", Why: "It is neither absent nor an approval."},
			func(d *draft) { d.replace(`"urn:exeat:decision"`, `"urn:exeat:approval":null,"urn:exeat:decision"`) }},
		{vector{Name: "approval without once", Verdict: "refuse", Code: "bad_claims", Why: "Nothing says how often it is good."}, func(d *draft) {
			d.approve("hold_a7", now+60, true)
			d.replace(`"once":true,`, "")
		}},
		{vector{Name: "an effect that nobody knows", Verdict: "refuse", Code: "bad_claims", Why: "It can be read, write or delete."},
			func(d *draft) { d.replace(`"effect":"write"`, `"effect":"Read"`) }},
	} {
		d := w.draft("EdDSA", base())
		c.change(d)
		c.RequireApproval = true
		w.add(c.vector, d)
	}
}

// withEffect is a request whose method does not tell its effect.
func (w *vectorWriter) withEffect(method, effect string) *draft {
	d := w.draft("EdDSA", testRequest{method: method, target: "/v1/pets/42/remove"})
	d.replace(`"effect":"read"`, fmt.Sprintf(`"effect":%q`, effect))
	return d
}

// twice are requests after another that was let through.
func (w *vectorWriter) twice() {
	first := "PUT with a bound header, EdDSA"
	again := func(v vector, alg string, change func(*draft)) {
		d := w.draft(alg, base())
		d.claims = replaceClaim(d.claims, "jti", fmt.Sprintf("%q", w.idOf(v.After)))
		change(d)
		w.add(v, d)
	}
	again(vector{Name: "the same token again", Verdict: "refuse", Code: "spent", After: first, Why: "(iss, jti) is good for one request."}, "EdDSA", func(*draft) {})
	again(vector{Name: "the same token in another spelling", Verdict: "refuse", Code: "not_canonical", After: first,
		Why: "The last character has bits that base64 does not use. Whoever keeps used tokens by their text, and not by (iss, jti), lets this one through."}, "EdDSA",
		func(d *draft) { d.tokens = func(s string) []string { return []string{"Bearer " + flip(s)} } })
	again(vector{Name: "the same claims with the other signature", Verdict: "refuse", Code: "spent", After: "PUT with a bound header, ES256",
		Why: "ECDSA has two signatures, s and n − s. Whoever keeps used tokens by their text, and not by (iss, jti), lets this one through."}, "ES256", highSigned)
	for _, c := range []struct {
		name, verdict, code, why string
		once                     bool
	}{
		{"once", "refuse", "approval_spent", "The approval says once: its id is spent, too.", true},
		{"more than once", "accept", "", "", false},
	} {
		first := w.draft("EdDSA", base())
		first.approve("hold_"+c.name, testStart.Unix()+60, c.once)
		w.add(vector{Name: "approved " + c.name + ", the first time", Verdict: "accept"}, first)
		second := w.draft("EdDSA", base())
		second.approve("hold_"+c.name, testStart.Unix()+60, c.once)
		w.add(vector{Name: "approved " + c.name + ", with a second token", Verdict: c.verdict, Code: c.code, Why: c.why, After: "approved " + c.name + ", the first time"}, second)
	}
}

// idOf is the jti of a vector that was written.
func (w *vectorWriter) idOf(name string) string {
	for _, v := range w.all.Vectors {
		if v.Name == name {
			_, compact, _ := strings.Cut(v.Request.Headers[len(v.Request.Headers)-1][1], " ")
			_, payload, _ := segments(w.t, compact)
			var c struct{ JTI string }
			if err := json.Unmarshal([]byte(payload), &c); err != nil {
				w.t.Fatal(err)
			}
			return c.JTI
		}
	}
	w.t.Fatalf("no vector %q", name)
	return ""
}

// highSigned takes the other of the two signatures.
func highSigned(d *draft) {
	low := d.sign
	d.sign = func(input string) []byte {
		sig := low(input)
		s := new(big.Int).SetBytes(sig[32:])
		s.Sub(elliptic.P256().Params().N, s).FillBytes(sig[32:])
		return sig
	}
}

// times puts other times into the claims.
func (d *draft) times(iat, exp int64) {
	at := testStart.Unix()
	d.replace(fmt.Sprintf(`"iat":%d,"exp":%d`, at, at+30), fmt.Sprintf(`"iat":%d,"exp":%d`, iat, exp))
}

// otherRequests are good tokens with requests that they are not for.
func (w *vectorWriter) otherRequests() {
	target := func(s string) func(*draft) { return func(d *draft) { d.sent.Target = s } }
	header := func(name, value string) func(*draft) { return func(d *draft) { d.set(name, value) } }
	more := func(name, value string) func(*draft) {
		return func(d *draft) { d.sent.Headers = append(d.sent.Headers, [2]string{name, value}) }
	}
	body := func(s string) func(*draft) { return func(d *draft) { d.sent.Body = []byte(s) } }
	const bytesCount = "The target is compared byte for byte, before anything decodes it."
	for _, c := range []struct {
		name, code, why string
		change          func(*draft)
	}{
		{"another method", "wrong_method", "The token is for PUT.", func(d *draft) { d.sent.Method = "DELETE" }},
		{"the method in another case", "wrong_method", "Methods are case-sensitive.", func(d *draft) { d.sent.Method = "put" }},
		{"another path", "wrong_target", bytesCount, target("/v1/pets/43?notify=true&tag=a")},
		{"the path encoded in another way", "wrong_target", bytesCount, target("/v1/pets/%34%32?notify=true&tag=a")},
		{"a second slash", "wrong_target", bytesCount, target("/v1//pets/42?notify=true&tag=a")},
		{"a slash at the end", "wrong_target", bytesCount, target("/v1/pets/42/?notify=true&tag=a")},
		{"a parameter behind ;", "wrong_target", bytesCount, target("/v1/pets/42;a=b?notify=true&tag=a")},
		{"the query in another order", "wrong_query", bytesCount, target("/v1/pets/42?tag=a&notify=true")},
		{"one more name in the query", "wrong_query", bytesCount, target("/v1/pets/42?notify=true&tag=a&admin=1")},
		{"one less", "wrong_query", bytesCount, target("/v1/pets/42?notify=true")},
		{"no query", "wrong_query", bytesCount, target("/v1/pets/42")},
		{"the query encoded in another way", "wrong_query", bytesCount, target("/v1/pets/42?notify=%74rue&tag=a")},
		{"absolute form", "bad_target", "Only the origin form is bound.", target("https://petstore.example/v1/pets/42?notify=true&tag=a")},
		{"other content", "wrong_digest", "The digest is of the bytes that arrived.", body(`{"name":"Max"}`)},
		{"the same content, other spaces", "wrong_digest", "The digest is of the bytes, not of what they mean.", body(`{"name": "Rex"}`)},
		{"no content", "wrong_digest", "The token is for some.", body("")},
		{"a line end after the content", "wrong_digest", "The digest is of all the bytes.", body("{\"name\":\"Rex\"}\n")},
		{"another content type", "wrong_content_type", "The API would read the same bytes otherwise.", header("Content-Type", "application/x-www-form-urlencoded")},
		{"the content type in another case", "wrong_content_type", "It is compared byte for byte.", header("Content-Type", "Application/JSON")},
		{"the content type with a parameter", "wrong_content_type", "It is compared byte for byte.", header("Content-Type", "application/json; charset=utf-7")},
		{"no content type", "wrong_content_type", "The token is for one.", func(d *draft) { d.drop("Content-Type") }},
		{"two content types", "repeated_header", "Which of them the API believes is not known.", more("Content-Type", "text/plain")},
		{"two content types, the same", "repeated_header", "Headers that are bound may be there once.", more("Content-Type", contentJSON)},
		{"content coding", "content_encoding", "The API would unpack other content than was digested.", more("Content-Encoding", "gzip")},
		{"another If-Match", "wrong_header", "It is bound.", header("If-Match", `"v8"`)},
		{"no If-Match", "wrong_header", "It is bound.", func(d *draft) { d.drop("If-Match") }},
		{"two of If-Match", "repeated_header", "Headers that are bound may be there once.", more("If-Match", `"v7"`)},
		{"an Idempotency-Key that is not in the token", "wrong_header", "It is bound even if it is absent.", more("Idempotency-Key", "k-1")},
		{"an Idempotency-Key that is empty", "wrong_header", "It is bound even if it is absent.", more("Idempotency-Key", "")},
	} {
		d := w.draft("EdDSA", base())
		c.change(d)
		w.add(vector{Name: c.name, Verdict: "refuse", Code: c.code, Why: c.why}, d)
	}
	d := w.draft("EdDSA", testRequest{method: "DELETE", target: "/v1/pets/42"})
	d.sent.Body = []byte("x")
	w.add(vector{Name: "content where the token has none", Verdict: "refuse", Code: "wrong_digest", Why: "No content has the digest of zero bytes."}, d)
	d = w.draft("EdDSA", testRequest{method: "DELETE", target: "/v1/pets/42"})
	d.set("If-Match", `"v7"`)
	w.add(vector{Name: "an If-Match where the token has none", Verdict: "refuse", Code: "wrong_header", Why: "It is bound even if it is absent."}, d)
	d = w.draft("EdDSA", testRequest{method: "DELETE", target: "/v1/pets/42"})
	d.set("Content-Type", contentJSON)
	w.add(vector{Name: "a content type where the token has none", Verdict: "refuse", Code: "wrong_content_type", Why: "It is bound even if it is absent."}, d)
}

// otherTokens are those whose header, signature or spelling is wrong.
func (w *vectorWriter) otherTokens() {
	public, err := json.Marshal(w.all.JWKS.Keys[0])
	if err != nil {
		w.t.Fatal(err)
	}
	in := func(old, new string) func(*draft) {
		return func(d *draft) { d.header = strings.Replace(d.header, old, new, 1) }
	}
	sent := func(f func(string) []string) func(*draft) { return func(d *draft) { d.tokens = f } }
	one := func(f func(string) string) func(*draft) {
		return sent(func(s string) []string { return []string{f(s)} })
	}
	hs256 := func(key []byte) func(*draft) {
		return func(d *draft) { d.header, d.sign = strings.Replace(d.header, "EdDSA", "HS256", 1), mac(key) }
	}
	signedBy := func(alg string) func(*draft) {
		return func(d *draft) { d.sign = func(s string) []byte { return w.signature(alg, s) } }
	}
	both := func(f, g func(*draft)) func(*draft) { return func(d *draft) { f(d); g(d) } }
	const noOthers = "The header has alg, kid and typ, and no others: nothing in it may say where keys are or how to read the rest."
	const alphabet = "Base64url without padding and nothing else; take care that no pattern lets a line end pass."
	for _, c := range []struct {
		name, code, why string
		change          func(*draft)
	}{
		{"no Authorization", "no_token", "No token, no request.", sent(func(string) []string { return nil })},
		{"two Authorization headers", "many_tokens", "Another program may believe the other one.", sent(func(s string) []string { return []string{"Bearer " + s, "Basic dXNlcjpwYXNz"} })},
		{"two Authorization headers, the same", "many_tokens", "There is one.", sent(func(s string) []string { return []string{"Bearer " + s, "Bearer " + s} })},
		{"two tokens in one header", "malformed_token", "There is one.", one(func(s string) string { return "Bearer " + s + ", Bearer " + s })},
		{"another scheme", "not_bearer", "The scheme is Bearer.", one(func(s string) string { return "Basic " + s })},
		{"the scheme DPoP without a proof", "not_bound", "Its scheme says that a proof comes with it, which does not.", one(func(s string) string { return "DPoP " + s })},
		{"no scheme", "not_bearer", "The scheme is Bearer.", one(func(s string) string { return s })},
		{"a very long header", "token_too_long", "8192 bytes at most, and this before any work.", one(func(s string) string { return "Bearer " + s + strings.Repeat("A", 8192) })},
		{"padding", "malformed_token", alphabet, one(func(s string) string { return "Bearer " + s + "==" })},
		{"a line end after the token", "malformed_token", alphabet, one(func(s string) string { return "Bearer " + s + "\n" })},
		{"standard base64", "malformed_token", alphabet, one(func(s string) string { return "Bearer " + s[:len(s)-4] + "+/+/" })},
		{"four parts", "malformed_token", "A JWS in compact form has three.", one(func(s string) string { return "Bearer " + s + ".AAAA" })},
		{"no signature", "malformed_token", "A JWS in compact form has three parts.", one(func(s string) string { return "Bearer " + s[:strings.LastIndexByte(s, '.')+1] })},
		{"alg none", "wrong_alg", "alg is EdDSA or ES256.", both(in("EdDSA", "none"), func(d *draft) { d.sign = func(string) []byte { return []byte{0} } })},
		{"HS256 with the public key as JSON", "wrong_alg", "alg is EdDSA or ES256.", hs256(public)},
		{"HS256 with the public key as bytes", "wrong_alg", "alg is EdDSA or ES256.", hs256(w.all.JWKS.Keys[0].Key.(ed25519.PublicKey))},
		{"alg of the other key", "wrong_alg", "alg is that of the key that kid names.", both(in("EdDSA", "ES256"), signedBy("ES256"))},
		{"kid of the other key", "wrong_alg", "alg is that of the key that kid names.", in(w.kid["EdDSA"], w.kid["ES256"])},
		{"signed by the other key", "bad_signature", "Only the key that kid names counts.", signedBy("ES256")},
		{"unknown kid", "unknown_kid", "Only keys of the JWK Set count.", in(w.kid["EdDSA"], "nobody")},
		{"no kid", "bad_kid", "kid is required, even if the set had one key.", in(`"kid":"`+w.kid["EdDSA"]+`",`, "")},
		{"typ JWT", "wrong_typ", "An ID token must not pass for an access token.", in("at+jwt", "JWT")},
		{"no typ", "wrong_typ", "An ID token must not pass for an access token.", in(`,"typ":"at+jwt"`, "")},
		{"unknown crit", "bad_header", noOthers, in(`{`, `{"crit":["foo"],"foo":1,`)},
		{"known crit", "bad_header", noOthers, in(`{`, `{"crit":["exp"],"exp":1,`)},
		{"b64 false", "bad_header", noOthers, in(`{`, `{"b64":false,"crit":["b64"],`)},
		{"key in the header", "bad_header", noOthers, in(`{`, `{"jwk":`+string(public)+`,`)},
		{"place of keys in the header", "bad_header", noOthers, in(`{`, `{"jku":"http://127.0.0.1:1/",`)},
		{"alg twice", "bad_header", "Two readers would take different ones.", in(`{`, `{"alg":"none",`)},
		{"a bit of the signature", "bad_signature", "It does not verify.", func(d *draft) {
			good := d.sign
			d.sign = func(s string) []byte { sig := good(s); sig[5] ^= 1; return sig }
		}},
		{"signature of zeros", "bad_signature", "It does not verify.", func(d *draft) { d.sign = func(string) []byte { return make([]byte, 64) } }},
		{"other claims than were signed", "bad_signature", "It does not verify.", func(d *draft) {
			was := d.claims
			d.sign = func(string) []byte { return w.signature("EdDSA", b64([]byte(d.header))+"."+b64([]byte(was))) }
			d.replace("user:alice", "user:mallo")
		}},
	} {
		d := w.draft("EdDSA", base())
		c.change(d)
		w.add(vector{Name: c.name, Verdict: "refuse", Code: c.code, Why: c.why}, d)
	}
	w.harmless()
}

// harmless are spellings that exeat never sends, and that say nothing else.
func (w *vectorWriter) harmless() {
	d := w.draft("EdDSA", base())
	d.tokens = func(s string) []string { return []string{"Bearer " + flip(s)} }
	w.add(vector{Name: "last character in another spelling", Verdict: "either", Code: "not_canonical",
		Why: "Base64 does not use the last bits, so the bytes are the same, the jti too. Harmless where used tokens are kept by (iss, jti)."}, d)
	d = w.draft("ES256", base())
	highSigned(d)
	w.add(vector{Name: "the other ECDSA signature", Verdict: "either",
		Why: "s and n − s both verify. Harmless where used tokens are kept by (iss, jti)."}, d)
	d = w.draft("EdDSA", base())
	d.tokens = func(s string) []string { return []string{"bearer " + s} }
	w.add(vector{Name: "bearer in lower case", Verdict: "either", Why: "Schemes are case-insensitive (RFC 9110 §11.1); exeat writes Bearer."}, d)
	d = w.draft("EdDSA", base())
	d.replace(`"aud"`, `"Aud":"https://evil.example/","aud"`)
	w.add(vector{Name: "Aud beside aud", Verdict: "either", Code: "ambiguous_claims",
		Why: "A reader that tells case apart reads aud, and only that. One that does not has to refuse."}, d)
	d = w.draft("EdDSA", base())
	at := testStart.Unix() + 30
	d.replace(fmt.Sprintf(`"exp":%d`, at), fmt.Sprintf(`"exp":%d.0`, at))
	w.add(vector{Name: "exp with .0", Verdict: "either", Code: "bad_times", Why: "The same number; many readers cannot tell it apart."}, d)
}

// otherClaims are signed by the issuer's key, and say what no request may have.
func (w *vectorWriter) otherClaims() {
	now := testStart.Unix()
	in := func(old, new string) func(*draft) { return func(d *draft) { d.replace(old, new) } }
	at := func(iat, exp int64) func(*draft) { return func(d *draft) { d.times(iat, exp) } }
	exp := fmt.Sprintf(`"exp":%d`, now+30)
	const once = "Two readers would take different ones."
	const exactly = "The object has the members of the page and no others: one that a verifier does not know may limit the rest."
	for _, c := range []struct {
		name, code, why string
		change          func(*draft)
	}{
		{"another issuer", "wrong_issuer", "iss is compared byte for byte.", in(`"iss":"`+testIssuer, `"iss":"https://evil.example`)},
		{"issuer with a slash", "wrong_issuer", "iss is compared byte for byte.", in(`"iss":"`+testIssuer, `"iss":"`+testIssuer+`/`)},
		{"another audience", "wrong_audience", "aud is compared byte for byte.", in(`"aud":"`+testAudience, `"aud":"https://evil.example/`)},
		{"audience without the slash", "wrong_audience", "aud is compared byte for byte.", in(`"aud":"`+testAudience+`"`, `"aud":"https://petstore.example"`)},
		{"audience in an array", "wrong_audience", "aud is one string.", in(`"aud":"`+testAudience+`"`, `"aud":["`+testAudience+`"]`)},
		{"no audience", "wrong_audience", "aud is required.", in(`"aud":"`+testAudience+`",`, "")},
		{"expired", "expired", "Clocks may differ by 5 seconds, less than that.", at(now-35, now-5)},
		{"not yet issued", "issued_in_future", "Clocks may differ by 5 seconds, no more.", at(now+6, now+36)},
		{"nbf ahead", "issued_in_future", "exeat writes none, but one that is there counts.", in(exp, exp+fmt.Sprintf(`,"nbf":%d`, now+6))},
		{"a life of 61 seconds", "lives_too_long", "exp − iat is 60 at most.", at(now, now+61)},
		{"exp before iat", "bad_times", "exp is later than iat.", at(now, now-1)},
		{"exp a string", "bad_times", "Times are whole numbers.", in(exp, fmt.Sprintf(`"exp":"%d"`, now+30))},
		{"exp a fraction", "bad_times", "Times are whole numbers.", in(exp, exp+".5")},
		{"no exp", "bad_times", "exp is required.", in(exp+",", "")},
		{"EXP for exp", "ambiguous_claims", "exp is required, and names are told apart by case.", in(`"exp":`, `"EXP":`)},
		{"no iat", "bad_times", "iat is required.", in(fmt.Sprintf(`"iat":%d,`, now), "")},
		{"no jti", "bad_claims", "jti is required: without one nothing can be spent.", in(`"jti":`, `"id":`)},
		{"jti empty", "bad_claims", "jti is required: without one nothing can be spent.", func(d *draft) { d.claims = replaceClaim(d.claims, "jti", `""`) }},
		{"jti a number", "bad_claims", "jti is a string.", func(d *draft) { d.claims = replaceClaim(d.claims, "jti", "1") }},
		{"no sub", "bad_claims", "sub is required.", in(`"sub":"user:alice",`, "")},
		{"no client_id", "bad_claims", "client_id is required.", in(`"client_id":"claude-code",`, "")},
		{"no txn", "bad_claims", "txn is required.", in(`"txn":`, `"tx":`)},
		{"act a string", "bad_claims", "act is an object with sub and sub_profile.", in(`{"sub":"agent:claude/7","sub_profile":"ai_agent"}`, `"agent:claude/7"`)},
		{"aud twice, the good one last", "ambiguous_claims", once, in(`"aud"`, `"aud":"https://evil.example/","aud"`)},
		{"aud twice, the good one first", "ambiguous_claims", once, in(`"sub":"user`, `"aud":"https://evil.example/","sub":"user`)},
		{"aud twice, one of them escaped", "ambiguous_claims", once, in(`"aud"`, `"a\u0075d":"https://evil.example/","aud"`)},
		{"target twice", "bad_details", once, in(`"target"`, `"target":"/v1/pets/43","target"`)},
		{"no details", "bad_details", "A token without them is for any request.", in(`"authorization_details":`, `"details":`)},
		{"no object in the details", "bad_details", "There is exactly one.", func(d *draft) {
			i, j := strings.Index(d.claims, `_details":[`)+len(`_details":[`), strings.Index(d.claims, `}],"urn`)+1
			d.claims = d.claims[:i] + d.claims[j:]
		}},
		{"two objects in the details", "bad_details", "There is exactly one.", in(`"authorization_details":[`, `"authorization_details":[{"type":"urn:exeat:call:1"},`)},
		{"details of another type", "bad_details", "The type decides what the members mean.", in("urn:exeat:call:1", "urn:exeat:call:2")},
		{"details for another place", "bad_details", "locations is aud, once.", in(`"locations":["`+testAudience, `"locations":["https://evil.example/`)},
		{"details for two places", "bad_details", "locations is aud, once.", in(`"locations":[`, `"locations":["https://evil.example/",`)},
		{"details for two methods", "bad_details", "actions is one method.", in(`"actions":["PUT"]`, `"actions":["PUT","DELETE"]`)},
		{"details with more members", "bad_details", exactly, in(`"identifier"`, `"privileges":["read"],"identifier"`)},
		{"request with more members", "bad_details", exactly, in(`"target"`, `"scheme":"https","target"`)},
		{"details without an identifier", "bad_details", "It is required.", in(`"identifier":"updatePet",`, "")},
		{"details without a digest", "bad_details", "Then the content would not be bound.", in(`"content_digest":"`+digestOf(base().body)+`",`, "")},
		{"details without a target", "bad_details", "Then the target would not be bound.", in(`,"target":"`+base().target+`"`, "")},
		{"a digest by another algorithm", "wrong_digest", "It is SHA-256.", in(digestOf(base().body), "sha-512=:AAAA:")},
		{"bound to a signature that is not there", "no_signature", "With cnf the token is not for whoever has it.", in(`"txn"`, `"cnf":{"kid":"`+w.kid["EdDSA"]+`"},"txn"`)},
		{"bound to a proof that is not there", "not_dpop", "With cnf the token is not for whoever has it.", in(`"txn"`, `"cnf":{"jkt":"`+w.kid["EdDSA"]+`"},"txn"`)},
		{"bound in a way that nobody knows", "bad_claims", "With cnf the token is not for whoever has it.", in(`"txn"`, `"cnf":{"x5t#S256":"AA"},"txn"`)},
		{"payload an array", "ambiguous_claims", "The payload is one object.", func(d *draft) { d.claims = "[" + d.claims + "]" }},
		{"payload not JSON", "bad_signature", "The payload is one object.", func(d *draft) { d.claims += "}" }},
		{"payload not UTF-8", "ambiguous_claims", "Readers put different characters for such bytes.", in("alice", "al\xffce")},
	} {
		d := w.draft("EdDSA", base())
		c.change(d)
		w.add(vector{Name: c.name, Verdict: "refuse", Code: c.code, Why: c.why}, d)
	}
}
