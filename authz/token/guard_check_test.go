package token

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const checkSecret = "0123456789abcdef0123456789abcdef"

// checked is a guard that a proxy asks, with the API's key.
type checked struct {
	*world
	door http.Handler
}

func newChecked(t testing.TB, unseen ...UnseenBody) *checked {
	t.Helper()
	var g Guard
	w := newWorld(t, "EdDSA", func(made *Guard) {
		made.Inject = Bearer(NewSecret("real-key"))
		g = *made
	})
	door, err := g.CheckHandler(Checks{Secret: NewSecret(checkSecret), Unseen: unseen})
	if err != nil {
		t.Fatal(err)
	}
	return &checked{world: w, door: door}
}

// ask asks with header lines, as "200", or "403 code".
func (k *checked) ask(method, target, body string, lines ...string) (string, *http.Response) {
	k.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.RequestURI = target
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header[name] = append(r.Header[name], value)
	}
	rec := httptest.NewRecorder()
	k.door.ServeHTTP(rec, r)
	res := rec.Result()
	verdict := fmt.Sprint(res.StatusCode)
	if res.StatusCode != http.StatusOK {
		p := readProblem(k.t, res)
		if "urn:exeat:guard:"+res.Header.Get(CodeHeader) != p.Type || p.Status != res.StatusCode {
			k.t.Errorf("the header says %q, and the body %+v", res.Header.Get(CodeHeader), p)
		}
		if res.Header.Get("Authorization") != "" {
			k.t.Error("a refusal gives the API's key away")
		}
		verdict += " " + res.Header.Get(CodeHeader)
	}
	return verdict, res
}

// described is what nginx asks about q.
func (k *checked) described(q *testRequest, body string) []string {
	lines := append([]string{"Authorization: Bearer " + k.mint(q.call()), CheckHeader + ": " + checkSecret + " " + q.method + " " + body + " " + q.target}, q.lines...)
	if q.contentType != "" {
		lines = append(lines, "Content-Type: "+q.contentType)
	}
	return lines
}

func TestCheckPasses(t *testing.T) {
	k := newChecked(t)
	q := newTestRequest()
	get := &testRequest{method: "GET", target: "/pets?a=%2F&b"}
	for name, ask := range map[string]func() (string, *http.Response){
		"header, no body": func() (string, *http.Response) {
			return k.ask("GET", "/check", "", k.described(get, "")...)
		},
		"header, length 0": func() (string, *http.Response) {
			return k.ask("GET", "/check", "", k.described(get, "0")...)
		},
		"header, digest by the proxy": func() (string, *http.Response) {
			return k.ask("GET", "/check", "", k.described(q, contentDigest([]byte(q.body)))...)
		},
		"Traefik": func() (string, *http.Response) {
			return k.ask("GET", "/forward-auth", q.body, "Authorization: Bearer "+k.mint(q.call()), CheckHeader+": "+checkSecret,
				"X-Forwarded-Method: PUT", "X-Forwarded-Uri: "+q.target, "X-Forwarded-For: 10.0.0.1", `If-Match: "v1"`, "Content-Type: application/json")
		},
		"Envoy": func() (string, *http.Response) {
			return k.ask("PUT", "/ext-authz"+q.target, q.body, "Authorization: Bearer "+k.mint(q.call()), CheckHeader+": "+checkSecret,
				"X-Envoy-Auth-Partial-Body: false", "X-Request-Id: 1", `If-Match: "v1"`, "Content-Type: application/json")
		},
	} {
		got, res := ask()
		if got != "200" {
			t.Errorf("%s: %s", name, got)
			continue
		}
		want := http.Header{"Authorization": {"Bearer real-key"}, "Cache-Control": {"no-store"}, "X-Exeat-Txn": {"txn_1"}}
		if diff := cmp.Diff(want, res.Header); diff != "" {
			t.Errorf("%s: answer (-want +got):\n%s", name, diff)
		}
		if body, _ := io.ReadAll(res.Body); len(body) > 0 {
			t.Errorf("%s: a body: %s", name, body)
		}
	}
}

// TestCheckRefuses asks in every wrong way. Nothing of it spends the token.
func TestCheckRefuses(t *testing.T) {
	k := newChecked(t)
	q := newTestRequest()
	digest := contentDigest([]byte(q.body))
	proof := CheckHeader + ": " + checkSecret
	good := append(k.described(q, digest), "User-Agent: exeat")
	replace := func(from, to string) []string {
		var lines []string
		for _, line := range good {
			if line = strings.ReplaceAll(line, from, to); line != "" {
				lines = append(lines, line)
			}
		}
		return lines
	}
	with := func(more ...string) []string { return append(append([]string(nil), good...), more...) }
	envoy := func(more ...string) []string {
		return append([]string{good[0], proof, `If-Match: "v1"`, "Content-Type: application/json"}, more...)
	}
	for name, c := range map[string]struct {
		method, target, body string
		lines                []string
		want                 string
	}{
		"no secret":               {"GET", "/check", "", replace(checkSecret, ""), "403 not_the_proxy"},
		"wrong secret":            {"GET", "/check", "", replace(checkSecret, strings.ToUpper(checkSecret)), "403 not_the_proxy"},
		"no header":               {"GET", "/check", "", []string{good[0]}, "403 not_the_proxy"},
		"the client's header too": {"GET", "/check", "", with(proof + " GET  /pets"), "403 not_the_proxy"},
		"its twin":                {"GET", "/check", "", with("X_exeat_check: " + checkSecret + " GET  /pets"), "403 unbound_header"},
		"only the secret":         {"GET", "/check", "", []string{good[0], proof}, "403 bad_check"},
		"no target":               {"GET", "/check", "", []string{good[0], proof + " GET "}, "403 bad_check"},
		"elsewhere":               {"GET", "/", "", good, "404 unknown_check"},
		"with a query":            {"GET", "/check?x", "", good, "404 unknown_check"},
		"another method":          {"GET", "/check", "", replace(" PUT ", " DELETE "), "403 wrong_method"},
		"TRACE":                   {"GET", "/check", "", replace(" PUT ", " TRACE "), "403 bad_method"},
		"another id":              {"GET", "/check", "", replace("/pets/42", "/pets/43"), "403 wrong_target"},
		"an encoded id":           {"GET", "/check", "", replace("/pets/42", "/pets/%34%32"), "403 wrong_target"},
		"two slashes":             {"GET", "/check", "", replace("/pets/42", "//pets/42"), "403 wrong_target"},
		"dots":                    {"GET", "/check", "", replace("/pets/42", "/x/../pets/42"), "403 bad_target"},
		"encoded dots":            {"GET", "/check", "", replace("/pets/42", "/x/%2e%2E/pets/42"), "403 bad_target"},
		"an encoded slash":        {"GET", "/check", "", replace("/pets/42", "/pets%2F42"), "403 wrong_target"},
		"a full URL":              {"GET", "/check", "", replace("/pets/42", "http://x/pets/42"), "403 bad_target"},
		"a space":                 {"GET", "/check", "", replace("tag=a", "tag=a HTTP/1.1"), "403 bad_target"},
		"another query":           {"GET", "/check", "", replace("tag=a", "tag=b"), "403 wrong_query"},
		"no body said":            {"GET", "/check", "", replace(digest, ""), "403 wrong_digest"},
		"another body":            {"GET", "/check", "", replace(digest, contentDigest(nil)), "403 wrong_digest"},
		"a body by its length":    {"GET", "/check", "", replace(digest, "14"), "403 body_unseen"},
		"a body in chunks":        {"GET", "/check", "", replace(digest, "chunked"), "403 body_unseen"},
		"a body in both":          {"GET", "/check", "", replace(digest, "0chunked"), "403 body_unseen"},
		"another digest":          {"GET", "/check", "", replace("sha-256=:", "sha-512=:"), "403 body_unseen"},
		"the client's digest":     {"GET", "/check", "", append(replace(digest, "14"), "Content-Digest: "+digest), "403 unbound_header"},
		"two tokens":              {"GET", "/check", "", with("Authorization: Bearer x"), "401 many_tokens"},
		"no token":                {"GET", "/check", "", good[1:], "401 no_token"},
		"another If-Match":        {"GET", "/check", "", replace(`"v1"`, `"v2"`), "403 wrong_header"},
		"If-Match twice":          {"GET", "/check", "", with(`If-Match: "v1"`), "403 repeated_header"},
		"Idempotency-Key":         {"GET", "/check", "", with("Idempotency-Key: 1"), "403 wrong_header"},
		"an override":             {"GET", "/check", "", with("X-Http-Method-Override: DELETE"), "403 override_header"},
		"X-Original-URI":          {"GET", "/check", "", with("X-Original-Uri: /pets/43"), "403 override_header"},
		"a name of the API":       {"GET", "/check", "", with("X-User: root"), "403 unbound_header"},
		"a cookie":                {"GET", "/check", "", with("Cookie: session=1"), "403 unbound_header"},
		"the real key's twin":     {"GET", "/check", "", with("Authorization_: x"), "403 unbound_header"},
		"an upgrade":              {"GET", "/check", "", with("Upgrade: websocket"), "403 upgrade"},
		"a hop that drops":        {"GET", "/check", "", with("Connection: If-Match"), "403 connection_header"},
		"another content type":    {"GET", "/check", "", replace("application/json", "text/xml"), "403 wrong_content_type"},

		"Traefik without the method": {"GET", "/forward-auth", q.body, envoy("X-Forwarded-Uri: " + q.target), "403 not_the_proxy"},
		"Traefik with two targets":   {"GET", "/forward-auth", q.body, envoy("X-Forwarded-Method: PUT", "X-Forwarded-Uri: "+q.target, "X-Forwarded-Uri: /x"), "403 not_the_proxy"},
		"Traefik with twins":         {"GET", "/forward-auth", q.body, envoy("X-Forwarded-Method: PUT", "X-Forwarded-Uri: "+q.target, "X_forwarded_uri: /x"), "400 override_header"},
		"Traefik without the body":   {"GET", "/forward-auth", "", envoy("X-Forwarded-Method: PUT", "X-Forwarded-Uri: "+q.target), "403 wrong_digest"},
		"Traefik with another":       {"GET", "/forward-auth", "{}", envoy("X-Forwarded-Method: PUT", "X-Forwarded-Uri: "+q.target), "403 wrong_digest"},
		"Traefik and a description":  {"GET", "/forward-auth", q.body, with("X-Forwarded-Method: PUT", "X-Forwarded-Uri: "+q.target), "404 unknown_check"},

		"Envoy with a part":        {"PUT", "/ext-authz" + q.target, q.body, envoy("X-Envoy-Auth-Partial-Body: true"), "403 body_unseen"},
		"Envoy without the body":   {"PUT", "/ext-authz" + q.target, "", envoy(), "403 wrong_digest"},
		"Envoy with a large one":   {"PUT", "/ext-authz" + q.target, strings.Repeat("x", 64<<10+1), envoy(), "413 body_too_large"},
		"Envoy, another method":    {"DELETE", "/ext-authz" + q.target, q.body, envoy(), "403 wrong_method"},
		"Envoy, another path":      {"PUT", "/ext-authz//pets/42?force=true&tag=a", q.body, envoy(), "403 wrong_target"},
		"Envoy, dots":              {"PUT", "/ext-authz/../check", q.body, envoy(), "400 bad_target"},
		"Envoy, not its prefix":    {"PUT", "/ext-authzx" + q.target, q.body, envoy(), "404 unknown_check"},
		"Envoy and a description":  {"PUT", "/ext-authz" + q.target, q.body, good, "404 unknown_check"},
		"Envoy, merged If-Match":   {"PUT", "/ext-authz" + q.target, q.body, []string{good[0], proof, `If-Match: "v1","v1"`, "Content-Type: application/json"}, "403 wrong_header"},
		"Envoy, a header too much": {"PUT", "/ext-authz" + q.target, q.body, envoy("X-Tenant: theirs"), "403 unbound_header"},
	} {
		if got, _ := k.ask(c.method, c.target, c.body, c.lines...); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if got, _ := k.ask("GET", "/check", "", good...); got != "200" {
		t.Errorf("after all refusals: %s", got)
	}
	if got, _ := k.ask("GET", "/check", "", good...); got != "401 spent" {
		t.Errorf("the same again: %s", got)
	}
	k.spent.err = errors.New("disk full")
	if got, _ := k.ask("GET", "/check", "", k.described(q, digest)...); got != "503 spend_unavailable" {
		t.Errorf("without a store: %s", got)
	}
}

// TestCheckUnseenBodies lets only those bodies pass unseen that the configuration names.
func TestCheckUnseenBodies(t *testing.T) {
	var unseen []UnseenBody
	for _, s := range []string{"POST /uploads/*", "PUT /photo"} {
		u, err := ParseUnseenBody(s)
		if err != nil {
			t.Fatal(err)
		}
		unseen = append(unseen, u)
	}
	k := newChecked(t, unseen...)
	for _, c := range []struct{ method, target, body, want string }{
		{"POST", "/uploads/a", "14", "200 unseen"},
		{"POST", "/uploads/a?x=1", "chunked", "200 unseen"},
		{"PUT", "/photo", "14", "200 unseen"},
		{"PUT", "/photo/", "14", "403 body_unseen"},
		{"PUT", "/photos", "14", "403 body_unseen"},
		{"PUT", "/uploads/a", "14", "403 body_unseen"},
		{"POST", "/uploads", "14", "403 body_unseen"},
		{"POST", "/uploads%2Fa", "14", "403 body_unseen"},
		{"POST", "/uploads/../pets", "14", "403 bad_target"},
		{"POST", "/uploads/%2e%2e/pets", "14", "403 bad_target"},
		{"POST", "/uploads/a", "", "403 wrong_digest"}, // the proxy says that there is none
	} {
		q := &testRequest{method: c.method, target: c.target, contentType: "text/plain", body: "what the token says"}
		var told bool
		k.door.(*checker).OnDecision = func(_ *http.Request, c *Claims, _ *Refusal) { told = c != nil && c.BodyUnseen }
		got, _ := k.ask("GET", "/check", "", k.described(q, c.body)...)
		if told {
			got += " unseen"
		}
		if got != c.want {
			t.Errorf("%s %s with %s: %s, want %s", c.method, c.target, c.body, got, c.want)
		}
	}
	for _, bad := range []string{"", "/uploads", "POST", "POST uploads", "post /uploads", "POST /uploads*", "POST /up*loads/*", "POST /a b", "POST /a?b"} {
		if _, err := ParseUnseenBody(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestCheckInjects places the API's key where the proxy can take it from.
func TestCheckInjects(t *testing.T) {
	w := newWorld(t, "EdDSA")
	how := Checks{Secret: NewSecret(checkSecret)}
	for name, c := range map[string]struct {
		inject *Static
		lines  []string
		want   http.Header
	}{
		"nothing": {nil, nil, http.Header{}},
		"header":  {&Static{Placement{In: "header", Name: "X-Api-Key"}, NewSecret("k")}, nil, http.Header{"X-Api-Key": {"k"}}},
		"cookie":  {&Static{Placement{In: "cookie", Name: "session"}, NewSecret("k")}, []string{"Cookie: a=1; Session=mine"}, http.Header{"Cookie": {"a=1; session=k"}}},
	} {
		door, err := (&Guard{Verifier: w.verifier, Inject: c.inject}).CheckHandler(how)
		if err != nil {
			t.Fatal(err)
		}
		k := &checked{world: w, door: door}
		q := &testRequest{method: "GET", target: "/pets", lines: c.lines}
		got, res := k.ask("GET", "/check", "", k.described(q, "")...)
		res.Header.Del("Cache-Control")
		res.Header.Del("X-Exeat-Txn")
		if diff := cmp.Diff(c.want, res.Header); got != "200" || diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", name, got, diff)
		}
	}
	for name, c := range map[string]struct {
		g   Guard
		how Checks
	}{
		"no verifier":      {Guard{}, how},
		"no secret":        {Guard{Verifier: w.verifier}, Checks{}},
		"a short secret":   {Guard{Verifier: w.verifier}, Checks{Secret: NewSecret(checkSecret[:31])}},
		"a space in it":    {Guard{Verifier: w.verifier}, Checks{Secret: NewSecret(checkSecret + " x")}},
		"a line end in it": {Guard{Verifier: w.verifier}, Checks{Secret: NewSecret(checkSecret + "\n")}},
		"key in the query": {Guard{Verifier: w.verifier, Inject: &Static{Placement{In: "query", Name: "k"}, NewSecret("k")}}, how},
		"no key":           {Guard{Verifier: w.verifier, Inject: &Static{}}, how},
	} {
		if _, err := c.g.CheckHandler(c.how); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestCheckAndProxySpendOnce brings one token to both doors at once.
func TestCheckAndProxySpendOnce(t *testing.T) {
	k := newChecked(t)
	q := &testRequest{method: "DELETE", target: "/pets/1"}
	for range 20 {
		compact := "Authorization: Bearer " + k.mint(q.call())
		proof := CheckHeader + ": " + checkSecret + " DELETE  /pets/1"
		var all sync.WaitGroup
		passed := make(chan string, 32)
		for i := range 32 {
			all.Go(func() {
				if i%2 == 0 {
					if got, _ := k.ask("GET", "/check", "", compact, proof); got == "200" {
						passed <- "checked"
					}
				} else if k.send(q, compact).StatusCode == http.StatusTeapot {
					passed <- "sent"
				}
			})
		}
		all.Wait()
		close(passed)
		var how []string
		for p := range passed {
			how = append(how, p)
		}
		if reached := len(k.taken()); len(how) != 1 || (how[0] == "sent") != (reached == 1) {
			t.Fatalf("one token passed %d times: %v, and %d requests reached the API", len(how), how, reached)
		}
	}
}
