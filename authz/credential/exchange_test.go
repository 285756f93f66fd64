package credential

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz/issuer"
	"github.com/exeat/exeat/authz/token"
)

// exchanger is an authorization server that exchanges tokens as RFC 8693 says. It
// signs with a key of its own.
type exchanger struct {
	t    testing.TB
	key  *SigningKey
	url  string
	keys *token.Keys // whose assertions it takes; it reads them from their JWKS
	// change changes the claims and the answer of a token before it leaves.
	change func(claims, answer map[string]any)

	mu      sync.Mutex
	forms   []url.Values
	revoked []string
	paths   []string
}

const exeatName = "https://exeat.example"

func newExchanger(t testing.TB) *exchanger {
	t.Helper()
	file := filepath.Join(t.TempDir(), "as.pem")
	writeECKey(t, file)
	key, err := ReadSigningKey(file, "as-1")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := token.OpenKeys(filepath.Join(t.TempDir(), "keys"), "")
	if err != nil {
		t.Fatal(err)
	}
	as := &exchanger{t: t, key: key, keys: keys}
	server := httptest.NewServer(as)
	t.Cleanup(server.Close)
	as.url = server.URL
	return as
}

func (as *exchanger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		as.t.Error(err)
	}
	as.mu.Lock()
	as.forms, as.paths = append(as.forms, r.PostForm), append(as.paths, r.URL.Path)
	if r.URL.Path == "/revoke" {
		as.revoked = append(as.revoked, r.PostForm.Get("token"))
	}
	as.mu.Unlock()
	if r.URL.Path == "/revoke" {
		return
	}
	refuse := func(code string) {
		jsonAnswer(400, `{"error":"`+code+`","error_description":"canary"}`)(w)
	}
	subject, from, ok := as.subject(r.PostForm.Get("subject_token"), r.PostForm.Get("subject_token_type"))
	id, secret, _ := r.BasicAuth()
	switch {
	case id != "exeat" || secret != "s3":
		refuse("invalid_client")
		return
	case r.PostForm.Get("grant_type") != grantExchange || r.PostForm.Get("requested_token_type") != map[string]string{"/txn": typeTxnToken}[r.URL.Path] && r.URL.Path == "/txn" ||
		r.URL.Path != "/txn" && r.PostForm.Get("requested_token_type") != typeAccessToken:
		refuse("unsupported_grant_type")
		return
	case !ok:
		refuse("invalid_grant")
		return
	}
	now := time.Now()
	claims := map[string]any{"iss": as.url, "sub": subject, "aud": r.PostForm.Get("audience") + r.PostForm.Get("resource"), "scope": r.PostForm.Get("scope"),
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": "1", "from": from}
	if actor := r.PostForm.Get("actor_token"); actor != "" {
		name, _, ok := as.subject(actor, r.PostForm.Get("actor_token_type"))
		if !ok {
			refuse("invalid_request")
			return
		}
		claims["act"] = map[string]any{"sub": name}
	}
	answer := map[string]any{"issued_token_type": typeAccessToken, "token_type": "Bearer", "expires_in": 60}
	if details := r.PostForm.Get("authorization_details"); details != "" {
		claims["authorization_details"] = json.RawMessage(details)
		answer["authorization_details"] = json.RawMessage(details)
	}
	if as.change != nil {
		as.change(claims, answer)
	}
	if answer["access_token"] == nil {
		answer["access_token"] = as.sign(claims)
	}
	text, err := json.Marshal(answer)
	if err != nil {
		as.t.Error(err)
	}
	jsonAnswer(200, string(text))(w)
}

func (as *exchanger) sign(claims map[string]any) string {
	signed, err := as.key.Sign("at+jwt", claims)
	if err != nil {
		as.t.Error(err)
	}
	return signed
}

// subject checks a token: one of its own, or what exeat says.
func (as *exchanger) subject(raw, kind string) (subject, from string, ok bool) {
	jws, err := issuer.ParseJWS(raw, 8<<10)
	if err != nil {
		return "", "", false
	}
	subject, _ = jws.Payload.Text("sub")
	from, _ = jws.Payload.Text("iss")
	until, _ := jws.Payload.Time("exp")
	if kind == typeAccessToken {
		return subject, from, from == as.url
	}
	text, err := as.keys.JWKS(time.Now())
	if err != nil {
		as.t.Error(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(text, &set); err != nil {
		as.t.Error(err)
	}
	audience, _ := jws.Payload.Text("aud")
	return subject, from, (kind == typeJWT || kind == typeSelfSigned) && jws.Typ == "JWT" && jws.SignedBy(set.Keys) && from == exeatName && audience == as.url && time.Until(until) <= time.Minute
}

// asker is what exchanges at as, for the petstore.
func (as *exchanger) asker() *Exchange {
	none := ""
	return &Exchange{Server: &Server{TokenURL: as.url + "/token", Auth: SecretAuth{"exeat", token.NewSecret("s3"), false}, RevokeURL: as.url + "/revoke"},
		Wants: Wants{Resource: &none, Params: url.Values{"audience": {"petstore"}}}}
}

func (as *exchanger) assertion() *Assertion {
	return &Assertion{Issuer: exeatName, Audience: as.url, Keys: as.keys}
}

// exchangeCall is a call of somebody who came with a token of as.
func (as *exchanger) call() token.Call {
	c := testCall()
	c.Scopes = []string{"pets:write"}
	c.Caller = token.NewSecret(as.sign(map[string]any{"iss": as.url, "sub": "ann-1", "aud": "exeat", "scope": "openid pets:read pets:write"}))
	return c
}

func TestExchange(t *testing.T) {
	as := newExchanger(t)
	for name, tt := range map[string]struct {
		set      func(*Exchange)
		subject  string // of the token that the API gets
		narrowed string
	}{
		"the caller's token": {func(*Exchange) {}, "ann-1", ""},
		"an assertion":       {func(x *Exchange) { x.Subject = as.assertion() }, "alice", ""},
		"with the agent":     {func(x *Exchange) { x.Actor = as.assertion() }, "ann-1", "it names the agent"},
		"for one request":    {func(x *Exchange) { x.Details = true }, "ann-1", "authorization_details name this request"},
		"for a resource":     {func(x *Exchange) { x.Resource, x.Params = nil, nil }, "ann-1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			x := as.asker()
			if tt.set(x); x.Check() != nil || x.NeedsCaller() != (x.Subject == nil) {
				t.Fatal(x.Check(), x.NeedsCaller())
			}
			c, r := as.call(), outgoing(t)
			receipt, err := x.Attach(t.Context(), c, r)
			if err != nil {
				t.Fatal(err)
			}
			sent := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			got, err := issuer.ParseJWS(sent, maxToken)
			if err != nil || sent == c.Caller.Reveal() {
				t.Fatal(sent, err)
			}
			subject, _ := got.Payload.Text("sub")
			audience := "petstore"
			if x.Params == nil {
				audience = testAudience
			}
			if subject != tt.subject || receipt.Audience != audience || receipt.Scope != "pets:write" || receipt.Narrowed != tt.narrowed || receipt.Wider != "" ||
				receipt.Strategy != "exchange" || receipt.Issuer != x.Server.Host() || time.Until(receipt.Expires) > time.Minute || receipt.Standing {
				t.Errorf("sub %s, %+v", subject, receipt)
			}
			if err := receipt.Revoke(t.Context()); err != nil || as.revoked[len(as.revoked)-1] != sent {
				t.Errorf("%v, revoked %v", err, as.revoked)
			}
		})
	}
}

// What comes back is more than was asked for, or something else.
func TestExchangeChecksWhatComesBack(t *testing.T) {
	as := newExchanger(t)
	set := func(name string, value any) func(claims, answer map[string]any) {
		return func(claims, _ map[string]any) { claims[name] = value }
	}
	answers := func(name string, value any) func(claims, answer map[string]any) {
		return func(_, answer map[string]any) { answer[name] = value }
	}
	without := func(name string) func(claims, answer map[string]any) {
		return func(claims, answer map[string]any) { delete(claims, name); delete(answer, name) }
	}
	for name, tt := range map[string]struct {
		change  func(claims, answer map[string]any)
		set     func(*Exchange)
		want    string // of the error
		notable bool   // wider: note takes it
	}{
		"wider scope":             {set("scope", "pets:write admin"), nil, `the scope "admin"`, true},
		"wider scope, by name":    {set("scp", []string{"pets:write", "admin"}), nil, `the scope "admin"`, true},
		"wider scope in answer":   {answers("scope", "pets:write admin"), nil, `the scope "admin"`, true},
		"scopes as a list":        {answers("scope", []string{"pets:write", "admin"}), nil, `the scope "admin"`, true},
		"nobody, by the same":     {without("sub"), nil, "does not say in whose name", false},
		"scopes as an object":     {answers("scope", map[string]any{"admin": true}), nil, "scope is no text", false},
		"scopes beside":           {answers("scope", "pets:write email"), func(x *Exchange) { x.AlsoGranted = []string{"email"} }, "", false},
		"other audience":          {set("aud", "payroll"), nil, `it is for "payroll"`, true},
		"one more audience":       {set("aud", []string{"petstore", "exeat"}), nil, `it is for "exeat"`, true},
		"no audience":             {without("aud"), nil, "whom it is for", true},
		"longer by exp":           {set("exp", time.Now().Add(time.Hour).Unix()), nil, "max_ttl", true},
		"longer by expires_in":    {answers("expires_in", 3600), nil, "max_ttl", true},
		"as long as allowed":      {set("exp", time.Now().Add(time.Hour).Unix()), func(x *Exchange) { x.MaxTTL = 2 * time.Hour }, "", false},
		"a clock an hour off":     {func(c, _ map[string]any) { c["iat"], c["exp"] = time.Now().Unix()+3600, time.Now().Unix()+3660 }, nil, "", false},
		"no end":                  {func(c, a map[string]any) { delete(c, "exp"); delete(a, "expires_in") }, nil, "how long it lives", true},
		"opaque":                  {answers("access_token", "opaque-1"), nil, "whom it is for", true},
		"opaque, of an agent":     {answers("access_token", "opaque-1"), func(x *Exchange) { x.Actor = as.assertion() }, "introspect_url", false},
		"details ignored":         {without("authorization_details"), func(x *Exchange) { x.Details = true }, "ignored", true},
		"details of another call": {set("authorization_details", []token.Details{token.Bind(testAudience, "GET", "/pets/1", "", nil, nil, "x", "")}), func(x *Exchange) { x.Details = true }, "other authorization_details", true},
		"details with more":       {answers("authorization_details", []any{map[string]any{"type": token.DetailsType, "privileges": []string{"all"}}}), func(x *Exchange) { x.Details = true }, "other authorization_details", true},
		"details that are none":   {set("authorization_details", "all"), func(x *Exchange) { x.Details = true }, "cannot be read", false},
		"agent ignored":           {without("act"), func(x *Exchange) { x.Actor = as.assertion() }, "ignores who acts", false},
		"another agent":           {set("act", map[string]any{"sub": "cursor"}), func(x *Exchange) { x.Actor = as.assertion() }, `"cursor"`, false},
		"the agent within":        {set("act", map[string]any{"sub": "cursor", "act": map[string]any{"sub": "claude"}}), func(x *Exchange) { x.Actor = as.assertion() }, `"cursor"`, false},
		"another subject":         {set("sub", "bob-2"), nil, "in the name of another", false},
		"another, by assertion":   {set("sub", "bob-2"), func(x *Exchange) { x.Subject = as.assertion() }, "same_subject", false},
		"the same by another":     {func(c, _ map[string]any) { c["sub"], c["email"] = "9f2a", "alice" }, func(x *Exchange) { x.Subject, x.SameSubject = as.assertion(), "email" }, "", false},
		"nobody":                  {without("sub"), func(x *Exchange) { x.Subject = as.assertion() }, "does not say in whose name", false},
		"bound to a key":          {set("cnf", map[string]any{"jkt": "x"}), nil, "cnf", false},
		"bound to a certificate":  {set("cnf", map[string]any{"x5t#S256": "x"}), nil, "cnf", false},
		"no type":                 {without("issued_token_type"), nil, "issued_token_type", false},
		"an ID token":             {answers("issued_token_type", "urn:ietf:params:oauth:token-type:id_token"), nil, "issued_token_type", false},
		"a refresh token":         {answers("issued_token_type", "urn:ietf:params:oauth:token-type:refresh_token"), nil, "issued_token_type", false},
		"not an access token":     {answers("token_type", "N_A"), nil, `of type "N_A"`, false},
		"DPoP unasked":            {answers("token_type", "DPoP"), nil, `of type "DPoP"`, false},
		"a line break":            {answers("access_token", "a\r\nX: y"), nil, "characters", false},
		"a token too long":        {answers("access_token", strings.Repeat("a", maxToken+1)), nil, "too many", false},
		"claims twice":            {answers("access_token", "eyJhbGciOiJub25lIn0.eyJhdWQiOiJwZXRzdG9yZSIsImF1ZCI6IngifQ.AA"), nil, "cannot be read", false},
		"a subject of a megabyte": {set("sub", strings.Repeat("s", 1000)), nil, "cannot be read", false},
	} {
		t.Run(name, func(t *testing.T) {
			as.change = tt.change
			for _, note := range []bool{false, true} {
				x := as.asker()
				if tt.set != nil {
					tt.set(x)
				}
				x.NoteWider = note
				r, before := outgoing(t), len(as.revoked)
				receipt, err := x.Attach(t.Context(), as.call(), r)
				if tt.want == "" || note && tt.notable {
					if err != nil || note && tt.notable != (receipt.Wider != "") || r.Header.Get("Authorization") == "" {
						t.Errorf("note %v: %v, wider %q", note, err, receipt.Wider)
					}
					if note && !strings.Contains(receipt.Wider, strings.TrimSuffix(tt.want, "ed")) && tt.notable {
						t.Errorf("noted %q, want %q", receipt.Wider, tt.want)
					}
					continue
				}
				if err == nil || !strings.Contains(err.Error(), tt.want) || r.Header.Get("Authorization") != "" {
					t.Errorf("note %v: error %v, want %q", note, err, tt.want)
				}
				if len(as.revoked) != before+1 {
					t.Errorf("what is not used was not revoked")
				}
			}
		})
	}
	as.change = nil
	c := as.call()
	as.change = answers("access_token", c.Caller.Reveal())
	if _, err := as.asker().Attach(t.Context(), c, outgoing(t)); err == nil || !strings.Contains(err.Error(), "the very token") {
		t.Errorf("the caller's token comes back: %v", err)
	}
}

// Servers that fail, in whatever way: an error with what to do, one request, nothing
// attached, nothing of what they wrote, in bounded time and memory.
func TestExchangeFailures(t *testing.T) {
	const canary = "canary-4711"
	good := `"access_token":"` + canary + `","issued_token_type":"` + typeAccessToken + `","token_type":"Bearer"`
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	z.Write([]byte(`{"access_token":"`))
	for range 1 << 10 {
		z.Write(bytes.Repeat([]byte("a"), 64<<10))
	}
	z.Close()
	off := func(d time.Duration, answer func(http.ResponseWriter)) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Date", time.Now().Add(d).UTC().Format(http.TimeFormat))
			answer(w)
		}
	}
	typed := func(kind, body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.Header().Set("Content-Type", kind); w.Write([]byte(body)) }
	}
	for name, tt := range map[string]struct {
		answer func(http.ResponseWriter)
		want   string
	}{
		"HTML with 200":  {typed("text/html", "<h1>"+canary), `answers with "text/html"`},
		"HTML with 502":  {func(w http.ResponseWriter) { w.WriteHeader(502); w.Write([]byte("<h1>" + canary)) }, "answered 502"},
		"500":            {jsonAnswer(500, `{"error":"`+canary+`"}`), "answered 500"},
		"a form":         {typed("application/x-www-form-urlencoded", "access_token=a&issued_token_type=x"), "and not JSON"},
		"text":           {typed("text/plain", "access_token=a&token_type=bearer"), "and not JSON"},
		"no type at all": {func(w http.ResponseWriter) { w.Header()["Content-Type"] = nil; w.Write([]byte("{" + good + "}")) }, "and not JSON"},
		"half an answer": {typed("application/json", "{"+good), "not a token"},
		"a list":         {typed("application/json", "["+good+"]"), "not a token"},
		"nothing":        {typed("application/json", ""), "not a token"},
		"no token":       {typed("application/json", `{"issued_token_type":"x"}`), "not a token"},
		"a giant":        {typed("application/json", `{"access_token":"`+strings.Repeat("a", 3<<20)+`"}`), "not a token"},
		"a bomb": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			typed("application/json", bomb.String())(w)
		}, "not a token"},
		"broken gzip": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			typed("application/json", canary)(w)
		}, ""},
		"a redirect":        {func(w http.ResponseWriter) { w.Header().Set("Location", "/elsewhere"); w.WriteHeader(307) }, "answered 307"},
		"hangs up":          {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "cannot be reached"},
		"another grant":     {jsonAnswer(400, `{"error":"unsupported_grant_type","error_description":"`+canary+`"}`), "unsupported_grant_type"},
		"ended token":       {jsonAnswer(400, `{"error":"invalid_grant","error_description":"`+canary+`"}`), "it does not take the token"},
		"clock ahead":       {off(time.Minute, jsonAnswer(400, `{"error":"invalid_grant"}`)), "differ by"},
		"clock behind":      {off(-time.Minute, jsonAnswer(401, `{"error":"invalid_client"}`)), "differ by"},
		"other target":      {jsonAnswer(400, `{"error":"invalid_target"}`), "resource says"},
		"an error with 200": {jsonAnswer(200, `{"error":"invalid_grant",`+good+`}`), "invalid_grant"},
	} {
		t.Run(name, func(t *testing.T) {
			as := newExchanger(t)
			var requests atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { requests.Add(1); tt.answer(w) }))
			defer server.Close()
			x, r := as.asker(), outgoing(t)
			x.Server.TokenURL, x.Server.RevokeURL = server.URL, ""
			_, err := x.Attach(t.Context(), as.call(), r)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), canary) || r.Header.Get("Authorization") != "" {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// A server that does not answer ends with the caller's patience, or with exeat's.
func TestExchangeWaitsNoLonger(t *testing.T) {
	as := newExchanger(t)
	asked, release := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { close(asked); <-release }))
	defer server.Close()
	defer close(release)
	x := as.asker()
	x.Server.TokenURL, x.Server.RevokeURL = server.URL, ""
	ctx, cancel := contextUntil(t, asked)
	defer cancel()
	if _, err := x.Attach(ctx, as.call(), outgoing(t)); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("error %v", err)
	}
	x.Server.TokenURL = "http://127.0.0.1:1/"
	if _, err := x.Attach(t.Context(), as.call(), outgoing(t)); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("a server that is down: %v", err)
	}
}

// Without a token that can be exchanged nothing is asked for.
func TestExchangeNeedsAToken(t *testing.T) {
	as := newExchanger(t)
	for name, tt := range map[string]struct {
		change func(*token.Call)
		want   []string
	}{
		"stdio": {func(c *token.Call) { c.Caller = token.Secret{} }, []string{"exeat http", "exchange.subject", "credential_for"}},
		"bound": {func(c *token.Call) { c.CallerBound = true }, []string{"bound to a key", "exchange.subject"}},
	} {
		c := as.call()
		tt.change(&c)
		r := outgoing(t)
		_, err := as.asker().Attach(t.Context(), c, r)
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
		x := as.asker()
		x.Subject = as.assertion()
		if _, err := x.Attach(t.Context(), c, r); err != nil {
			t.Errorf("%s, by assertion: %v", name, err)
		}
	}
	if len(as.forms) != 2 {
		t.Errorf("%d requests", len(as.forms))
	}
	r := outgoing(t)
	r.Header["authorization"] = []string{"Bearer of-the-agent"}
	if _, err := as.asker().Attach(t.Context(), as.call(), r); err == nil {
		t.Error("a request with a credential was sent on")
	}
}

// Whoever reads exeat's keys takes what it signs across a rotation, and nothing of it
// is an access token.
func TestExchangeAcrossRotation(t *testing.T) {
	as := newExchanger(t)
	x := as.asker()
	x.Subject, x.Actor = as.assertion(), as.assertion()
	for range 3 {
		if _, err := x.Attach(t.Context(), as.call(), outgoing(t)); err != nil {
			t.Fatal(err)
		}
		if err := as.keys.Rotate(time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	c := as.call()
	c.AuthTime, c.ACR, c.AMR = time.Unix(1_700_000_000, 0), "phr", []string{"hwk"}
	signed, _, err := subjectToken(x.Subject, c, false)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := issuer.ParseJWS(signed, maxToken)
	if err != nil || jws.IsType("at+jwt") {
		t.Fatal(jws, err)
	}
	got := map[string]string{}
	for name, value := range jws.Payload {
		got[name] = string(value)
	}
	maps.DeleteFunc(got, func(name, _ string) bool { return name == "iat" || name == "exp" || name == "jti" })
	want := map[string]string{"iss": `"` + exeatName + `"`, "sub": `"alice"`, "aud": `"` + as.url + `"`, "txn": `"txn_1"`, "auth_time": "1700000000", "acr": `"phr"`, "amr": `["hwk"]`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := as.keys.SignType("application/AT+JWT", []byte("{}")); err == nil {
		t.Error("an access token was signed as something else")
	}
}

func TestExchangeCheck(t *testing.T) {
	as := newExchanger(t)
	none := ""
	for name, tt := range map[string]struct {
		set  func(*Exchange)
		want string
	}{
		"for nobody":        {func(x *Exchange) { x.Wants = Wants{Resource: &none} }, "whom the token is for"},
		"no end":            {func(x *Exchange) { x.MaxTTL = -1 }, "a life"},
		"no server's name":  {func(x *Exchange) { x.Subject = &Assertion{Issuer: exeatName, Keys: as.keys} }, "issuer"},
		"no name":           {func(x *Exchange) { x.Actor = &Assertion{Audience: as.url, Keys: as.keys} }, "public_url"},
		"a parameter of it": {func(x *Exchange) { x.Params.Set("subject_token", "x") }, "set already"},
		"clear text":        {func(x *Exchange) { x.Server.IntrospectURL = "http://as.example/" }, "introspection endpoint"},
	} {
		x := as.asker()
		tt.set(x)
		if err := x.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	x := as.asker()
	x.Subject = &Assertion{Issuer: exeatName, Audience: as.url}
	if _, err := x.Attach(t.Context(), as.call(), outgoing(t)); err == nil || errors.Is(err, http.ErrAbortHandler) {
		t.Error("signed without a key")
	}
}
