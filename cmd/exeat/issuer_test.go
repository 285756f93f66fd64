package main

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/oauth2"
)

// program is an OAuth client that knows nothing but the URL of the MCP server, and
// the browser of its user.
type program struct {
	t       *testing.T
	browser *http.Client
	meta    struct {
		Authorize string `json:"authorization_endpoint"`
		Token     string `json:"token_endpoint"`
		Register  string `json:"registration_endpoint"`
		Issuer    string
	}
	resource, client string
}

// fetch reads JSON.
func (p *program) fetch(out any, resp *http.Response, err error) int {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		p.t.Fatal(resp.Status, err)
	}
	return resp.StatusCode
}

var metadataParam = regexp.MustCompile(`resource_metadata="([^"]+)"`)

// discover finds the authorization server from a 401, and registers there.
func (p *program) discover(mcp string) {
	p.t.Helper()
	resp, err := http.Post(mcp, "application/json", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
	if err != nil {
		p.t.Fatal(err)
	}
	resp.Body.Close()
	m := metadataParam.FindStringSubmatch(strings.Join(resp.Header.Values("WWW-Authenticate"), " "))
	if resp.StatusCode != 401 || m == nil {
		p.t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	var resource struct {
		Resource string
		Servers  []string `json:"authorization_servers"`
	}
	resp, err = http.Get(m[1])
	if p.fetch(&resource, resp, err); len(resource.Servers) != 1 {
		p.t.Fatalf("%+v", resource)
	}
	p.resource = resource.Resource
	issuer, err := url.Parse(resource.Servers[0])
	if err != nil {
		p.t.Fatal(err)
	}
	path := issuer.Path
	issuer.Path = "/.well-known/oauth-authorization-server" + path
	resp, err = http.Get(issuer.String())
	if p.fetch(&p.meta, resp, err); p.meta.Issuer != resource.Servers[0] {
		p.t.Fatalf("%+v", p.meta)
	}
	var registered struct {
		ID string `json:"client_id"`
	}
	resp, err = http.Post(p.meta.Register, "application/json", strings.NewReader(`{"client_name":"a program","redirect_uris":["http://127.0.0.1/cb"],"token_endpoint_auth_method":"none"}`))
	if status := p.fetch(&registered, resp, err); status != 201 {
		p.t.Fatal(status)
	}
	p.client = registered.ID
}

// page opens a page in the browser, which follows no redirect to the program.
func (p *program) page(resp *http.Response, err error) (text, location string) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return html.UnescapeString(string(b)), resp.Header.Get("Location")
}

var fieldForm = regexp.MustCompile(`name="(csrf|ask|code)" value="([^"]+)"`)

// fill is the form of a page.
func fill(page string, more ...string) url.Values {
	form := url.Values{}
	for _, m := range fieldForm.FindAllStringSubmatch(page, -1) {
		form.Set(m[1], m[2])
	}
	for n := 0; n < len(more); n += 2 {
		form.Set(more[n], more[n+1])
	}
	return form
}

// logIn opens a link of the terminal.
func (p *program) logIn(link string) {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.browser = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	page, _ := p.page(p.browser.Get(link))
	if _, to := p.page(p.browser.PostForm(link[:strings.Index(link, "?")], fill(page))); to != "/" {
		p.t.Fatalf("the link does not log in: %q", to)
	}
}

// authorize has the browser's user let the program ask in their name, and returns
// its tokens.
func (p *program) authorize() (access, refresh string) {
	p.t.Helper()
	const redirect = "http://127.0.0.1:4711/cb"
	verifier := oauth2.GenerateVerifier()
	q := url.Values{"response_type": {"code"}, "client_id": {p.client}, "redirect_uri": {redirect}, "state": {"s"}, "resource": {p.resource},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"}}
	page, _ := p.page(p.browser.Get(p.meta.Authorize + "?" + q.Encode()))
	_, location := p.page(p.browser.PostForm(strings.Replace(p.meta.Authorize, "/authorize", "/answer", 1), fill(page, "verdict", "allow")))
	back, err := url.Parse(location)
	if err != nil || !strings.HasPrefix(location, redirect) || back.Query().Get("iss") != p.meta.Issuer {
		p.t.Fatalf("%q: %s", location, page)
	}
	return p.token(url.Values{"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {redirect}, "code_verifier": {verifier}})
}

func (p *program) token(form url.Values) (access, refresh string) {
	p.t.Helper()
	form.Set("client_id", p.client)
	form.Set("resource", p.resource)
	var got struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	resp, err := http.PostForm(p.meta.Token, form)
	p.fetch(&got, resp, err)
	return "Bearer " + got.Access, got.Refresh
}

// log is what was printed up to now.
func (s *serving) log() string {
	s.printed.mu.Lock()
	defer s.printed.mu.Unlock()
	return s.printed.text.String()
}

var loginLink = regexp.MustCompile(`log in once, as (\S+), with (\S+)`)

// With one line two people's programs find their way to tokens, each calls as its
// person and may what that person may, and no more once they are ended.
func TestOwnIssuer(t *testing.T) {
	dir := filepath.Dir(petstoreFile(t))
	for name, text := range map[string]string{
		"p.cedar": `@id("keepers") permit (principal in Group::"keepers", action == Petstore::Action::"get_pet", resource) when { context.agent.verified };
			@id("owner") permit (principal == User::"operator", action == Petstore::Action::"list_pets", resource);
			@id("scoped") permit (principal == User::"operator", action == Petstore::Action::"delete_pet", resource) when { principal.scopes.contains("pets") && context has approval };`,
		"exeat.yaml": `
apis: [{spec: petstore.yaml, base_url: "http://127.0.0.1:1", credential: {strategy: none}}]
policy: [p.cedar]
listen: 127.0.0.1:0
user: operator
people: [{name: bob, groups: [keepers]}]
inbox: {listen: "127.0.0.1:0"}
oauth: {scopes: [pets, more], issuers: [{issuer: dev}]}
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := startConfigured(t, filepath.Join(dir, "exeat.yaml"))
	p := &program{t: t}
	p.discover(s.url)
	if p.resource != s.url {
		t.Errorf("the resource is %s, MCP at %s", p.resource, s.url)
	}
	link := loginLink.FindStringSubmatch(s.log())
	if link == nil || link[1] != "operator" {
		t.Fatalf("no link in %s", s.log())
	}
	p.logIn(link[2])
	operator, refresh := p.authorize()

	inbox := link[2][:strings.Index(link[2], "/login")]
	if _, err := http.PostForm(inbox+"/login/link", url.Values{"person": {"bob"}}); err != nil {
		t.Fatal(err)
	}
	links := loginLink.FindAllStringSubmatch(s.log(), -1)
	if last := links[len(links)-1]; last[1] != "bob" {
		t.Fatalf("no link for bob in %s", s.log())
	}
	other := &program{t: t}
	other.discover(s.url)
	other.logIn(links[len(links)-1][2])
	bob, _ := other.authorize()
	for _, c := range []struct{ name, auth, tool, args, want string }{
		{"bob reads", bob, "get_pet", `{"petId":1}`, "upstream_unreachable"},
		{"bob lists", bob, "list_pets", `{}`, "tool not found"},
		{"the operator lists", operator, "list_pets", `{}`, "upstream_unreachable"},
		{"the operator reads", operator, "get_pet", `{"petId":1}`, "tool not found"},
		{"the operator deletes, by scope", operator, "delete_pet", `{"petId":1}`, "approval_pending"},
		{"a refresh token", "Bearer " + refresh, "list_pets", `{}`, "invalid_token"},
	} {
		if status, got := s.postCall(t, c.auth, c.tool, c.args); !strings.Contains(got, c.want) {
			t.Errorf("%s: %d %s, want %s", c.name, status, got, c.want)
		}
	}
	// exeat's own tokens and the issuer's are signed with different keys.
	var ours, issuers struct {
		Keys []struct{ Kid string }
	}
	resp, err := http.Get(strings.TrimSuffix(s.url, "/mcp") + "/.well-known/jwks.json")
	p.fetch(&ours, resp, err)
	resp, err = http.Get(p.meta.Issuer + "/jwks.json")
	p.fetch(&issuers, resp, err)
	if len(ours.Keys) == 0 || len(issuers.Keys) == 0 || ours.Keys[0].Kid == issuers.Keys[0].Kid {
		t.Errorf("%v %v", ours, issuers)
	}
	var out strings.Builder
	if code := execute(t.Context(), []string{"users", "stop", "bob"}, strings.NewReader(""), &out, &out); code != 0 {
		t.Fatal(out.String())
	}
	if status, got := s.postCall(t, bob, "get_pet", `{"petId":1}`); strings.Contains(got, "upstream") {
		t.Errorf("after bob was stopped: %d %s", status, got)
	}
	if access, refresh := p.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "scope": {"more"}}); refresh == "" {
		t.Errorf("the operator's program does not go on: %s", access)
	} else if resp, got := s.post(t, access, "delete_pet", `{"petId":1}`); resp.StatusCode != 403 || !strings.Contains(resp.Header.Get("WWW-Authenticate"), `scope="pets"`) {
		t.Errorf("a client whose token lacks a scope is not told which: %s %v %s", resp.Status, resp.Header, got)
	}
	if log := s.log(); strings.Contains(log, "registered route") || strings.Contains(log, strings.TrimPrefix(operator, "Bearer ")) {
		t.Errorf("the log has what does not belong there: %s", log)
	}
}

// Below the path prefix of a public URL clients find all that they look for, the
// resource's metadata and the issuer's.
func TestOwnIssuerBelowPrefix(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	file := filepath.Join(filepath.Dir(petstoreFile(t)), "exeat.yaml")
	if err := os.WriteFile(file, []byte(`
apis: [{spec: petstore.yaml, base_url: "http://127.0.0.1:1", credential: {strategy: none}}]
listen: `+at+`
public_url: http://`+at+`/agents
user: operator
inbox: {listen: "127.0.0.1:0"}
oauth: {issuers: [{issuer: dev}]}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	s, p := startConfigured(t, file), &program{t: t}
	p.discover(s.url)
	if want := "http://" + at + "/agents"; s.url != want+"/mcp" || p.resource != s.url || p.meta.Issuer != want+"/oauth" {
		t.Errorf("MCP at %s, %+v", s.url, p)
	}
	for _, path := range []string{"/.well-known/oauth-protected-resource/agents/mcp", "/.well-known/oauth-protected-resource", "/agents/.well-known/oauth-protected-resource"} {
		resp, err := http.Get("http://" + at + path)
		var got struct{ Resource string }
		if p.fetch(&got, resp, err); got.Resource != s.url {
			t.Errorf("%s: %+v", path, got)
		}
	}
	p.logIn(loginLink.FindStringSubmatch(s.log())[2])
	access, _ := p.authorize()
	if status, got := s.postCall(t, access, "list_pets", `{}`); !strings.Contains(got, "upstream_unreachable") {
		t.Errorf("%d %s", status, got)
	}
}

// The own issuer takes no other keys, and is there once.
func TestOwnIssuerConfig(t *testing.T) {
	for text, want := range map[string]string{
		`oauth: {issuers: [{issuer: dev}]}`:                                         "",
		`oauth: {issuers: [{issuer: dev}, {issuer: "https://a", prefix: "a|"}]}`:    "",
		`oauth: {issuers: [{issuer: dev, prefix: x}]}`:                              "takes no other keys",
		`oauth: {issuers: [{issuer: dev, audience: [x]}]}`:                          "takes no other keys",
		`oauth: {issuers: [{issuer: dev}, {issuer: dev}]}`:                          "is there twice",
		`{inbox: {oidc: {issuer: "https://b"}}, oauth: {issuers: [{issuer: dev}]}}`: "",
	} {
		file := filepath.Join(t.TempDir(), "exeat.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := loadConfig(file)
		if err == nil {
			_, err = cfg.withDefaults()
		}
		if got := fmt.Sprint(err); (err == nil) != (want == "") || !strings.Contains(got, want) && want != "" {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// The official TypeScript SDKs find their way by themselves, hold a call and refresh
// their tokens, if the environment says where they are:
//
//	EXEAT_NODE=…/node_modules go test -run OwnIssuerSDK ./cmd/exeat
func TestOwnIssuerSDK(t *testing.T) {
	modules := os.Getenv("EXEAT_NODE")
	if modules == "" {
		t.Skip("EXEAT_NODE names no folder of node modules")
	}
	dir := filepath.Dir(petstoreFile(t))
	file := filepath.Join(dir, "exeat.yaml")
	if err := os.WriteFile(file, []byte(`
apis: [{spec: petstore.yaml, base_url: "http://127.0.0.1:1", credential: {strategy: none}}]
listen: 127.0.0.1:0
user: operator
inbox: {listen: "127.0.0.1:0"}
oauth: {issuers: [{issuer: dev}]}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, era := range []string{"1", "2"} {
		t.Run(era, func(t *testing.T) {
			s := startConfigured(t, file)
			out, err := exec.CommandContext(t.Context(), "node", "testdata/sdk.mjs", modules, era, s.url, loginLink.FindStringSubmatch(s.log())[2]).CombinedOutput()
			if err != nil || !regexp.MustCompile(`^held: approval_pending hold_\w+\ntools: true, refreshed: true\n$`).Match(out) {
				t.Errorf("%v: %s", err, out)
			}
			s.end()
		})
	}
}
