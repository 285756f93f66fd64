package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func TestForgedRequests(t *testing.T) {
	w := newWorld(t, "EdDSA")
	for name, c := range map[string]struct {
		change func(*testRequest)
		status int
		code   string
	}{
		"other method":         {func(q *testRequest) { q.method = "POST" }, 403, "wrong_method"},
		"lower-case method":    {func(q *testRequest) { q.method = "put" }, 403, "wrong_method"},
		"other path":           {func(q *testRequest) { q.target = "/pets/43?force=true&tag=a" }, 403, "wrong_target"},
		"encoded path":         {func(q *testRequest) { q.target = "/pets/%34%32?force=true&tag=a" }, 403, "wrong_target"},
		"double slash":         {func(q *testRequest) { q.target = "//pets/42?force=true&tag=a" }, 403, "wrong_target"},
		"trailing slash":       {func(q *testRequest) { q.target = "/pets/42/?force=true&tag=a" }, 403, "wrong_target"},
		"path parameter":       {func(q *testRequest) { q.target = "/pets/42;x?force=true&tag=a" }, 403, "wrong_target"},
		"query order":          {func(q *testRequest) { q.target = "/pets/42?tag=a&force=true" }, 403, "wrong_query"},
		"duplicate query":      {func(q *testRequest) { q.target = "/pets/42?force=true&tag=a&tag=a" }, 403, "wrong_query"},
		"encoded query":        {func(q *testRequest) { q.target = "/pets/42?force=true&tag=%61" }, 403, "wrong_query"},
		"no query":             {func(q *testRequest) { q.target = "/pets/42" }, 403, "wrong_query"},
		"very long target":     {func(q *testRequest) { q.target = "/" + strings.Repeat("é", 500) }, 400, "bad_target"},
		"absolute target":      {func(q *testRequest) { q.target = "http://petstore.example/pets/42?force=true&tag=a" }, 400, "bad_target"},
		"dot segments":         {func(q *testRequest) { q.target = "/x/../pets/42?force=true&tag=a" }, 400, "bad_target"},
		"encoded dots":         {func(q *testRequest) { q.target = "/x/%2e%2E/pets/42?force=true&tag=a" }, 400, "bad_target"},
		"encoded slash dots":   {func(q *testRequest) { q.target = "/x%2f..%2fpets/42" }, 400, "bad_target"},
		"backslash dots":       {func(q *testRequest) { q.target = "/x%5c..%5cpets/42" }, 400, "bad_target"},
		"braces":               {func(q *testRequest) { q.target = "/pets/{id}" }, 400, "bad_target"},
		"fragment":             {func(q *testRequest) { q.target = "/pets/42#x" }, 400, "bad_target"},
		"body byte":            {func(q *testRequest) { q.body = `{"name":"Rez"}` }, 403, "wrong_digest"},
		"body longer":          {func(q *testRequest) { q.body += " " }, 403, "wrong_digest"},
		"no body":              {func(q *testRequest) { q.body = "" }, 403, "wrong_digest"},
		"body too large":       {func(q *testRequest) { q.body = strings.Repeat("x", 64<<10+1) }, 413, "body_too_large"},
		"content type":         {func(q *testRequest) { q.contentType = "application/json; charset=utf-8" }, 403, "wrong_content_type"},
		"no content type":      {func(q *testRequest) { q.contentType = "" }, 403, "wrong_content_type"},
		"two content types":    {func(q *testRequest) { q.lines = append(q.lines, "Content-Type: text/plain") }, 400, "repeated_header"},
		"other precondition":   {func(q *testRequest) { q.lines = []string{`If-Match: "v2"`} }, 403, "wrong_header"},
		"no precondition":      {func(q *testRequest) { q.lines = nil }, 403, "wrong_header"},
		"two preconditions":    {func(q *testRequest) { q.lines = append(q.lines, `If-Match: "v2"`) }, 400, "repeated_header"},
		"idempotency key":      {func(q *testRequest) { q.lines = append(q.lines, "Idempotency-Key: 1") }, 403, "wrong_header"},
		"empty key":            {func(q *testRequest) { q.lines = append(q.lines, "Idempotency-Key: ") }, 403, "wrong_header"},
		"content encoding":     {func(q *testRequest) { q.lines = append(q.lines, "Content-Encoding: gzip") }, 415, "content_encoding"},
		"upgrade":              {func(q *testRequest) { q.lines = append(q.lines, "Connection: Upgrade", "Upgrade: websocket") }, 400, "upgrade"},
		"hop-by-hop If-Match":  {func(q *testRequest) { q.lines = append(q.lines, "Connection: close, If-Match") }, 400, "connection_header"},
		"method override":      {func(q *testRequest) { q.lines = append(q.lines, "X-HTTP-Method-Override: DELETE") }, 400, "override_header"},
		"method override _":    {func(q *testRequest) { q.lines = append(q.lines, "X_HTTP_METHOD_OVERRIDE: DELETE") }, 400, "override_header"},
		"target override":      {func(q *testRequest) { q.lines = append(q.lines, "X-Original-URL: /pets/43") }, 400, "override_header"},
		"CONNECT":              {func(q *testRequest) { q.method, q.target = "CONNECT", "petstore.example:443" }, 400, "bad_method"},
		"TRACE":                {func(q *testRequest) { q.method = "TRACE" }, 400, "bad_method"},
		"upper path":           {func(q *testRequest) { q.target = "/PETS/42?force=true&tag=a" }, 403, "wrong_target"},
		"encoded once more":    {func(q *testRequest) { q.target = "/pets/%252534%2532?force=true&tag=a" }, 403, "wrong_target"},
		"encoded slash":        {func(q *testRequest) { q.target = "/pets%2F42?force=true&tag=a" }, 403, "wrong_target"},
		"encoded question":     {func(q *testRequest) { q.target = "/pets/42%3Fforce=true&tag=a" }, 403, "wrong_target"},
		"slash at the end":     {func(q *testRequest) { q.target = "/pets/42//?force=true&tag=a" }, 403, "wrong_target"},
		"NUL in the path":      {func(q *testRequest) { q.target = "/pets/42%00?force=true&tag=a" }, 400, "bad_target"},
		"authority as target":  {func(q *testRequest) { q.target = "petstore.example:443" }, 400, "bad_target"},
		"asterisk":             {func(q *testRequest) { q.target = "*" }, 400, "bad_target"},
		"dots, encoded twice":  {func(q *testRequest) { q.target = "/x/%252e%252e/pets/42" }, 400, "bad_target"},
		"dots, encoded thrice": {func(q *testRequest) { q.target = "/x%25252f.%25252e%25252fpets/42" }, 400, "bad_target"},
		"dots with parameters": {func(q *testRequest) { q.target = "/x/..;v=1/pets/42?force=true&tag=a" }, 400, "bad_target"},
		"one dot":              {func(q *testRequest) { q.target = "/./pets/42?force=true&tag=a" }, 400, "bad_target"},
		"incomplete encoding":  {func(q *testRequest) { q.target = "/pets/%4" }, 400, ""},
		"query added":          {func(q *testRequest) { q.target += "&a=1" }, 403, "wrong_query"},
		"query removed":        {func(q *testRequest) { q.target = "/pets/42?force=true" }, 403, "wrong_query"},
		"query pair first":     {func(q *testRequest) { q.target = "/pets/42?force=true&force=true&tag=a" }, 403, "wrong_query"},
		"query, & at the end":  {func(q *testRequest) { q.target += "&" }, 403, "wrong_query"},
		"query by semicolon":   {func(q *testRequest) { q.target = "/pets/42?force=true;tag=a" }, 403, "wrong_query"},
		"query, encoded name":  {func(q *testRequest) { q.target = "/pets/42?%66orce=true&tag=a" }, 403, "wrong_query"},
		"query, encoded &":     {func(q *testRequest) { q.target = "/pets/42?force=true%26tag=a" }, 403, "wrong_query"},
		"query, second ?":      {func(q *testRequest) { q.target = "/pets/42??force=true&tag=a" }, 403, "wrong_query"},
		"empty query":          {func(q *testRequest) { q.target = "/pets/42?" }, 403, "wrong_query"},
		"first body byte":      {func(q *testRequest) { q.body = "[" + q.body[1:] }, 403, "wrong_digest"},
		"line end after body":  {func(q *testRequest) { q.body += "\r\n" }, 403, "wrong_digest"},
		"byte order mark":      {func(q *testRequest) { q.body = "\ufeff" + q.body }, 403, "wrong_digest"},
		"empty content type":   {func(q *testRequest) { q.contentType, q.lines = "", append(q.lines, "Content-Type: ") }, 403, "wrong_content_type"},
		"content type, case":   {func(q *testRequest) { q.contentType = "Application/JSON" }, 403, "wrong_content_type"},
		"content types, comma": {func(q *testRequest) { q.contentType = "application/json, text/plain" }, 403, "wrong_content_type"},
		"two preconditions, ,": {func(q *testRequest) { q.lines = []string{`If-Match: "v1", "v2"`} }, 403, "wrong_header"},
		"precondition by case": {func(q *testRequest) { q.lines = append(q.lines, `if-match: "v2"`) }, 400, "repeated_header"},
		"hop-by-hop token":     {func(q *testRequest) { q.lines = append(q.lines, "Connection: Authorization") }, 400, "connection_header"},
		"hop-by-hop type":      {func(q *testRequest) { q.lines = append(q.lines, "Connection: close", "connection: content-type") }, 400, "connection_header"},
		"h2c": {func(q *testRequest) {
			q.lines = append(q.lines, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
		}, 400, "upgrade"},
		"upgrade, unconnected": {func(q *testRequest) { q.lines = append(q.lines, "Upgrade: websocket") }, 400, "upgrade"},
	} {
		t.Run(name, func(t *testing.T) {
			compact := w.mint(testCall())
			q := newTestRequest()
			c.change(q)
			p := w.refused(t, q, c.status, c.code, "Bearer "+compact)
			if strings.Contains(p.Detail, "?force=") && c.code != "bad_target" {
				t.Errorf("the answer repeats the query: %s", p.Detail)
			}
			// A refused request does not cost its token.
			w.accepted(t, newTestRequest(), compact)
		})
	}
}

// TestForgedTokens changes the token of a request that is otherwise right. The
// forger holds the signing key unless the case is about the signature: what is
// refused then is the shape.
func TestForgedTokens(t *testing.T) {
	for _, alg := range []string{"EdDSA", "ES256"} {
		t.Run(alg, func(t *testing.T) { testForgedTokens(t, alg) })
	}
}

func testForgedTokens(t *testing.T, alg string) {
	w := newWorld(t, alg)
	private, kid := activeKey(t, w.keys)
	header, payload, _ := segments(t, w.mint(testCall()))
	sign := func(header, payload string) string { return "Bearer " + forge(t, private, header, payload) }
	// claim replaces text in the payload, which must be there.
	claim := func(old, new string) string {
		changed := strings.Replace(payload, old, new, 1)
		if changed == payload {
			t.Fatalf("the payload does not hold %s", old)
		}
		return sign(header, changed)
	}
	number := func(name string, at time.Duration) string {
		return fmt.Sprintf(`"%s":%d`, name, testStart.Add(at).Unix())
	}
	iat, exp := number("iat", 0), number("exp", 30*time.Second)
	good := strings.TrimPrefix(sign(header, payload), "Bearer ")
	parts := strings.Split(good, ".")
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	strangerEC, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: private.Public(), KeyID: kid, Algorithm: alg, Use: "sig"})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := w.keys.load()
	if err != nil {
		t.Fatal(err)
	}
	next := ring.keys[1].JWK.Key // published, but under another kid
	mac := func(key []byte) string {
		input := b64([]byte(strings.Replace(header, alg, "HS256", 1))) + "." + parts[1]
		m := hmac.New(sha256.New, key)
		m.Write([]byte(input))
		return "Bearer " + input + "." + b64(m.Sum(nil))
	}
	other := map[string]string{"EdDSA": "ES256", "ES256": "EdDSA"}[alg]
	otherHeader := strings.Replace(header, alg, other, 1)
	var confused string
	if alg == "EdDSA" {
		confused = "Bearer " + forge(t, strangerEC, otherHeader, payload)
	} else {
		confused = "Bearer " + forge(t, stranger, otherHeader, payload)
	}
	// 64 bytes leave four bits of the last character unused.
	flipped := good[:len(good)-1] + strings.NewReplacer("A", "B", "Q", "R", "g", "h", "w", "x").Replace(good[len(good)-1:])

	for name, c := range map[string]struct {
		code   string
		tokens []string
	}{
		"no token":                  {"no_token", nil},
		"two tokens":                {"many_tokens", []string{"Bearer " + good, "Bearer " + good}},
		"two in one header":         {"malformed_token", []string{"Bearer " + good + ", Bearer " + good}},
		"very long":                 {"token_too_long", []string{"Bearer " + strings.Repeat("a", 8200)}},
		"basic":                     {"not_bearer", []string{"Basic dXNlcjpwYXNz"}},
		"DPoP":                      {"not_bound", []string{"DPoP " + good}},
		"scheme only":               {"malformed_token", []string{"Bearer x"}},
		"four parts":                {"malformed_token", []string{"Bearer " + good + ".x"}},
		"five parts, a JWE":         {"malformed_token", []string{"Bearer a.b.c.d.e"}},
		"no signature":              {"malformed_token", []string{"Bearer " + parts[0] + "." + parts[1] + "."}},
		"padding":                   {"malformed_token", []string{"Bearer " + good + "=="}},
		"JSON serialization":        {"malformed_token", []string{`Bearer {"payload":"e30"}`}},
		"two, other case":           {"many_tokens", []string{"Bearer " + good, "bearer " + good}},
		"basic behind a comma":      {"malformed_token", []string{"Bearer " + good + ", Basic dXNlcjpwYXNz"}},
		"basic before a comma":      {"not_bearer", []string{"Basic dXNlcjpwYXNz, Bearer " + good}},
		"two spaces":                {"malformed_token", []string{"Bearer  " + good}},
		"no scheme":                 {"not_bearer", []string{good}},
		"quoted":                    {"malformed_token", []string{`Bearer "` + good + `"`}},
		"garbage after":             {"malformed_token", []string{"Bearer " + good + " x"}},
		"garbage in the signature":  {"bad_signature", []string{"Bearer " + good + "AAAA"}},
		"standard base64":           {"malformed_token", []string{"Bearer " + parts[0] + "." + parts[1] + "." + strings.Repeat("+/", 43)}},
		"padding inside":            {"malformed_token", []string{"Bearer " + parts[0] + "==." + parts[1] + "." + parts[2]}},
		"flattened JSON":            {"malformed_token", []string{`Bearer {"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`}},
		"several signatures":        {"malformed_token", []string{`Bearer {"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"},{"signature":"AA"}]}`}},
		"two signatures, dots":      {"malformed_token", []string{"Bearer " + good + "." + parts[2]}},
		"JWE header":                {"malformed_token", []string{"Bearer " + b64([]byte(`{"alg":"dir","enc":"A256GCM"}`)) + "..AAAA.AAAA.AAAA"}},
		"alg None":                  {"wrong_alg", []string{"Bearer " + b64([]byte(strings.Replace(header, alg, "None", 1))) + "." + parts[1] + ".AA"}},
		"alg empty":                 {"wrong_alg", []string{sign(strings.Replace(header, alg, "", 1), payload)}},
		"alg, other case":           {"wrong_alg", []string{sign(strings.Replace(header, alg, strings.ToLower(alg), 1), payload)}},
		"RS256":                     {"wrong_alg", []string{sign(strings.Replace(header, alg, "RS256", 1), payload)}},
		"PS256":                     {"wrong_alg", []string{sign(strings.Replace(header, alg, "PS256", 1), payload)}},
		"ES384":                     {"wrong_alg", []string{sign(strings.Replace(header, alg, "ES384", 1), payload)}},
		"HS256, PEM":                {"wrong_alg", []string{mac(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}},
		"HS256, JWK":                {"wrong_alg", []string{mac(jwk)}},
		"HS256, raw":                {"wrong_alg", []string{mac(der[len(der)-32:])}},
		"crit empty":                {"bad_header", []string{sign(`{"crit":[],`+header[1:], payload)}},
		"x5u":                       {"bad_header", []string{sign(`{"x5u":"http://127.0.0.1:1/",`+header[1:], payload)}},
		"x5c":                       {"bad_header", []string{sign(`{"x5c":["AAAA"],`+header[1:], payload)}},
		"zip":                       {"bad_header", []string{sign(`{"zip":"DEF",`+header[1:], payload)}},
		"own key embedded":          {"bad_header", []string{sign(`{"jwk":`+string(jwk)+`,`+header[1:], payload)}},
		"typ missing":               {"wrong_typ", []string{sign(strings.Replace(header, `"typ":"at+jwt"`, `"typ":null`, 1), payload)}},
		"typ of another profile":    {"wrong_typ", []string{sign(strings.Replace(header, "at+jwt", "application/at+jwt", 1), payload)}},
		"kid a query":               {"bad_kid", []string{sign(strings.Replace(header, kid, "a' OR '1'='1", 1), payload)}},
		"kid with NUL":              {"bad_kid", []string{sign(strings.Replace(header, kid, `a\u0000`, 1), payload)}},
		"kid a number":              {"bad_kid", []string{sign(strings.Replace(header, `"`+kid+`"`, "1", 1), payload)}},
		"signed by the next key":    {"bad_signature", []string{"Bearer " + forge(t, next, header, payload)}},
		"approval without end":      {"bad_claims", []string{claim(`"txn":`, `"urn:exeat:approval":{"id":"","by":"","at":0,"until":9223372036854775807,"once":true,"details":""},"txn":`)}},
		"header not base64":         {"malformed_token", []string{"Bearer A.A.A"}},
		"header not JSON":           {"bad_header", []string{sign("{", payload)}},
		"header an array":           {"bad_header", []string{sign("[]", payload)}},
		"alg none":                  {"wrong_alg", []string{"Bearer " + b64([]byte(strings.Replace(header, alg, "none", 1))) + "." + parts[1] + ".AA"}},
		"alg missing":               {"wrong_alg", []string{sign(`{"kid":"`+kid+`","typ":"at+jwt"}`, payload)}},
		"alg a number":              {"wrong_alg", []string{sign(`{"alg":1,"kid":"`+kid+`","typ":"at+jwt"}`, payload)}},
		"HS256, public key":         {"wrong_alg", []string{mac([]byte(kid))}},
		"HS256, DER":                {"wrong_alg", []string{mac(der)}},
		"alg of another key":        {"wrong_alg", []string{confused}},
		"duplicate alg":             {"bad_header", []string{sign(`{"alg":"none",`+header[1:], payload)}},
		"case-variant alg":          {"bad_header", []string{sign(`{"Alg":"none",`+header[1:], payload)}},
		"crit":                      {"bad_header", []string{sign(`{"crit":["exp"],"exp":1,`+header[1:], payload)}},
		"crit unknown":              {"bad_header", []string{sign(`{"crit":["foo"],"foo":1,`+header[1:], payload)}},
		"b64":                       {"bad_header", []string{sign(`{"b64":false,"crit":["b64"],`+header[1:], payload)}},
		"jku":                       {"bad_header", []string{sign(`{"jku":"http://127.0.0.1:1/",`+header[1:], payload)}},
		"embedded key":              {"bad_header", []string{sign(`{"jwk":{},`+header[1:], payload)}},
		"typ JWT":                   {"wrong_typ", []string{sign(strings.Replace(header, "at+jwt", "JWT", 1), payload)}},
		"typ upper case":            {"wrong_typ", []string{sign(strings.Replace(header, "at+jwt", "AT+JWT", 1), payload)}},
		"kid unknown":               {"unknown_kid", []string{sign(strings.Replace(header, kid, "nobody", 1), payload)}},
		"kid traversing":            {"bad_kid", []string{sign(strings.Replace(header, kid, "../../etc/passwd", 1), payload)}},
		"kid a URL":                 {"bad_kid", []string{sign(strings.Replace(header, kid, "http://127.0.0.1/", 1), payload)}},
		"kid empty":                 {"bad_kid", []string{sign(strings.Replace(header, kid, "", 1), payload)}},
		"kid very long":             {"bad_kid", []string{sign(strings.Replace(header, kid, strings.Repeat("a", 65), 1), payload)}},
		"signed by a stranger":      {"bad_signature", []string{"Bearer " + forge(t, strangerOf(alg, stranger, strangerEC), header, payload)}},
		"another payload":           {"bad_signature", []string{"Bearer " + parts[0] + "." + b64([]byte(strings.Replace(payload, "alice", "mallo", 1))) + "." + parts[2]}},
		"signature cut":             {"bad_signature", []string{"Bearer " + good[:len(good)-4]}},
		"signature zero":            {"bad_signature", []string{"Bearer " + parts[0] + "." + parts[1] + "." + b64(make([]byte, 64))}},
		"payload not JSON":          {"bad_signature", []string{sign(header, "{")}},
		"payload an array":          {"ambiguous_claims", []string{sign(header, "[]")}},
		"payload null":              {"ambiguous_claims", []string{sign(header, "null")}},
		"payload not UTF-8":         {"ambiguous_claims", []string{claim("alice", "al\xffce")}},
		"last character flipped":    {"not_canonical", []string{"Bearer " + flipped}},
		"something after":           {"bad_signature", []string{sign(header, payload+"{}")}},
		"duplicate aud":             {"ambiguous_claims", []string{claim(`"aud":`, `"aud":"https://evil.example/","aud":`)}},
		"duplicate, escaped":        {"ambiguous_claims", []string{claim(`"aud":`, `"a\u0075d":"https://evil.example/","aud":`)}},
		"duplicate, nested":         {"bad_details", []string{claim(`"target":`, `"target":"/","target":`)}},
		"case-variant and aud":      {"ambiguous_claims", []string{claim(`"aud":`, `"Aud":"https://evil.example/","aud":`)}},
		"case-variant exp":          {"ambiguous_claims", []string{claim(`"exp":`, `"EXP":`)}},
		"long s in iss":             {"ambiguous_claims", []string{claim(`"iss":`, `"iſs":`)}},
		"iss of another":            {"wrong_issuer", []string{claim(testIssuer, "https://evil.example")}},
		"iss an array":              {"wrong_issuer", []string{claim(`"`+testIssuer+`"`, `["`+testIssuer+`"]`)}},
		"no iss":                    {"wrong_issuer", []string{claim(`"iss":"`+testIssuer+`",`, ``)}},
		"aud of another":            {"wrong_audience", []string{claim(`"aud":"`+testAudience, `"aud":"https://evil.example/`)}},
		"aud an array":              {"wrong_audience", []string{claim(`"aud":"`+testAudience+`"`, `"aud":["`+testAudience+`"]`)}},
		"aud a longer string":       {"wrong_audience", []string{claim(`"aud":"`+testAudience, `"aud":"`+testAudience+`x`)}},
		"no exp":                    {"bad_times", []string{claim(exp+",", "")}},
		"no iat":                    {"bad_times", []string{claim(iat+",", "")}},
		"exp a string":              {"bad_times", []string{claim(exp, strings.Replace(exp, ":", `:"`, 1)+`"`)}},
		"exp a fraction":            {"bad_times", []string{claim(exp, exp+".5")}},
		"exp an exponent":           {"bad_times", []string{claim(exp, `"exp":2e9`)}},
		"exp huge":                  {"bad_times", []string{claim(exp, `"exp":99999999999999999999`)}},
		"exp before iat":            {"bad_times", []string{claim(exp, number("exp", -time.Second))}},
		"nbf a string":              {"bad_times", []string{claim(exp, exp+`,"nbf":"1"`)}},
		"nbf ahead":                 {"issued_in_future", []string{claim(exp, exp+","+number("nbf", 6*time.Second))}},
		"iat ahead":                 {"issued_in_future", []string{claim(iat, number("iat", 6*time.Second))}},
		"expired":                   {"expired", []string{sign(header, strings.NewReplacer(iat, number("iat", -35*time.Second), exp, number("exp", -5*time.Second)).Replace(payload))}},
		"lives too long":            {"lives_too_long", []string{claim(exp, number("exp", 61*time.Second))}},
		"no jti":                    {"bad_claims", []string{claim(`"jti":`, `"jtj":`)}},
		"jti empty":                 {"bad_claims", []string{sign(header, replaceClaim(payload, "jti", `""`))}},
		"jti very long":             {"bad_claims", []string{sign(header, replaceClaim(payload, "jti", `"`+strings.Repeat("a", 600)+`"`))}},
		"jti a number":              {"bad_claims", []string{sign(header, replaceClaim(payload, "jti", `1`))}},
		"no sub":                    {"bad_claims", []string{claim(`"sub":"user:alice",`, ``)}},
		"no client_id":              {"bad_claims", []string{claim(`"client_id":"agent:claude/7",`, ``)}},
		"no txn":                    {"bad_claims", []string{claim(`"txn":"txn_1",`, ``)}},
		"scope an array":            {"bad_claims", []string{claim(`"txn":`, `"scope":["a"],"txn":`)}},
		"approval a string":         {"bad_claims", []string{claim(`"txn":`, `"urn:exeat:approval":"yes","txn":`)}},
		"approval null":             {"bad_claims", []string{claim(`"txn":`, `"urn:exeat:approval":null,"txn":`)}},
		"approval with more":        {"bad_claims", []string{claim(`"txn":`, `"urn:exeat:approval":{"id":"","by":"","at":0,"until":0,"once":true,"details":"","x":1},"txn":`)}},
		"no details":                {"bad_details", []string{claim(`"authorization_details":`, `"details":`)}},
		"two details":               {"bad_details", []string{claim(`"authorization_details":[`, `"authorization_details":[{},`)}},
		"a second detail":           {"bad_details", []string{claim(`"type":"urn:exeat:call:1"}]`, `"type":"urn:exeat:call:1"},{}]`)}},
		"details of other type":     {"bad_details", []string{claim("urn:exeat:call:1", "urn:exeat:call:2")}},
		"details with more":         {"bad_details", []string{claim(`"identifier":`, `"datatypes":["Pet"],"identifier":`)}},
		"details misspelled":        {"bad_details", []string{claim(`"identifier":`, `"Identifier":`)}},
		"details for two methods":   {"bad_details", []string{claim(`["PUT"]`, `["PUT","DELETE"]`)}},
		"details of other location": {"bad_details", []string{claim(`"locations":["`+testAudience, `"locations":["https://evil.example/`)}},
		"details without digest":    {"bad_details", []string{claim(`"content_digest":"sha-256=`, `"content_digest":"","x":"`)}},
		"lone surrogate":            {"bad_details", []string{claim(`"identifier":"`, `"identifier":"\ud800`)}},
	} {
		t.Run(name, func(t *testing.T) {
			w.refused(t, newTestRequest(), http.StatusUnauthorized, c.code, c.tokens...)
		})
	}
	// The unchanged token passes, so the forgeries failed for their own reason.
	w.accepted(t, newTestRequest(), good)
}

func strangerOf(alg string, ed ed25519.PrivateKey, ec *ecdsa.PrivateKey) any {
	if alg == "EdDSA" {
		return ed
	}
	return ec
}

// replaceClaim puts another value where the string claim called name was.
func replaceClaim(payload, name, value string) string {
	start := strings.Index(payload, `"`+name+`":"`) + len(name) + 3
	end := start + 1 + strings.IndexByte(payload[start+1:], '"') + 1
	return payload[:start] + value + payload[end:]
}
