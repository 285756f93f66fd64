package main

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
	"golang.org/x/oauth2"

	"github.com/exeat/exeat/examples/petstore"
)

// keycloak is a running Keycloak with the realm of examples/keycloak, and an exeat
// that is configured as there.
type keycloak struct {
	t     *testing.T
	url   string // of Keycloak
	realm string // its issuer
	mcp   string
	inbox string
	bin   string
	file  string
	over  *http.Transport // trusts exeat's certificate
	log   *signalled
	shop  *tokenShop
	given []string // all tokens that people's programs were given
}

// signalled is what exeat prints; it notes the signals that it took.
type signalled struct {
	watched
	events chan string
}

var signalLine = regexp.MustCompile(`event=(\S+).*jti=|jti=.*event=(\S+)`)

func (s *signalled) Write(b []byte) (int, error) {
	for _, m := range signalLine.FindAllStringSubmatch(string(b), -1) {
		select {
		case s.events <- cmp.Or(m[1], m[2]):
		default:
		}
	}
	return s.watched.Write(b)
}

// ask makes a request of the administrator.
func (k *keycloak) ask(method, path string, body, out any) {
	k.t.Helper()
	resp, err := http.PostForm(k.url+"/realms/master/protocol/openid-connect/token", url.Values{"grant_type": {"password"}, "client_id": {"admin-cli"},
		"username": {"admin"}, "password": {"admin"}})
	if err != nil {
		k.t.Fatal(err)
	}
	defer resp.Body.Close()
	var token struct {
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&token); err != nil || token.Access == "" {
		k.t.Fatalf("the administrator cannot log in: %s %v", resp.Status, err)
	}
	text, isText := body.([]byte)
	if !isText {
		text, _ = json.Marshal(body)
	}
	req, err := http.NewRequestWithContext(k.t.Context(), method, k.url+"/admin/realms"+path, bytes.NewReader(text))
	if err != nil {
		k.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token.Access)
	req.Header.Set("Content-Type", "application/json")
	resp, err = http.DefaultClient.Do(req)
	if err != nil {
		k.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 && !(method == "DELETE" && resp.StatusCode == 404) {
		k.t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, answer, err)
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			k.t.Fatal(err)
		}
	}
}

// id is that of somebody or something at Keycloak.
func (k *keycloak) id(path string) string {
	k.t.Helper()
	var list []struct{ ID string }
	if k.ask("GET", "/exeat/"+path, nil, &list); len(list) != 1 {
		k.t.Fatalf("%s: %v", path, list)
	}
	return list[0].ID
}

// newKeycloak makes the realm anew and starts exeat, both as the example says but
// for the ports.
func newKeycloak(t *testing.T) *keycloak {
	t.Helper()
	k := &keycloak{t: t, url: os.Getenv("EXEAT_KEYCLOAK")}
	certs := os.Getenv("EXEAT_KEYCLOAK_CERT")
	if k.url == "" || certs == "" {
		t.Skip("EXEAT_KEYCLOAK is the URL of a Keycloak, EXEAT_KEYCLOAK_CERT a folder with server.pem, which it trusts, and server.key: .ci/keycloak has both")
	}
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	k.shop = &tokenShop{issuer: k.url + "/realms/exeat", pets: petstore.New()}
	shop := httptest.NewServer(k.shop)
	t.Cleanup(shop.Close)
	mcpPort, inboxPort := freePort(t), freePort(t)
	k.realm, k.mcp, k.inbox = k.url+"/realms/exeat", "https://localhost:"+mcpPort+"/mcp", "https://localhost:"+inboxPort
	ports := strings.NewReplacer("localhost:8420", "localhost:"+mcpPort, "localhost:8421", "localhost:"+inboxPort, "http://localhost:8080", k.url,
		"http://127.0.0.1:9100", shop.URL, "../petstore/openapi.yaml", "petstore.yaml")
	for name, from := range map[string]string{"exeat.yaml": "exeat.yaml", "policy.cedar": "policy.cedar", "realm.json": "realm.json", "petstore.yaml": "../petstore/openapi.yaml"} {
		text, err := os.ReadFile(filepath.Join("../../examples/keycloak", from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(ports.Replace(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"server.pem", "server.key"} {
		text, err := os.ReadFile(filepath.Join(certs, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"signals.token": "signals-token\n", "keycloak.secret": "exeat-secret\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	realm, err := os.ReadFile(filepath.Join(dir, "realm.json"))
	if err != nil {
		t.Fatal(err)
	}
	k.ask("DELETE", "/exeat", nil, nil)
	k.ask("POST", "", realm, nil)
	pool := x509.NewCertPool()
	pool.AddCert(readCertificate(t, filepath.Join(dir, "server.pem")))
	k.over = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(k.over.CloseIdleConnections)
	k.file = filepath.Join(dir, "exeat.yaml")
	k.start(dir)
	return k
}

// start runs the real program.
func (k *keycloak) start(dir string) {
	k.t.Helper()
	k.bin = filepath.Join(dir, "exeat-program")
	if out, err := exec.Command("go", "build", "-o", k.bin, ".").CombinedOutput(); err != nil {
		k.t.Fatalf("%v: %s", err, out)
	}
	k.log = &signalled{watched: watched{want: regexp.MustCompile(`MCP at (\S+) with access tokens`), found: make(chan []string, 1)}, events: make(chan string, 64)}
	cmd := exec.CommandContext(k.t.Context(), k.bin, "http", "--config", k.file)
	cmd.Stdout, cmd.Stderr = k.log, k.log
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	k.t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		if k.t.Failed() {
			k.t.Log(k.log.text.String())
		}
	})
	select {
	case m := <-k.log.found:
		if m[1] != k.mcp {
			k.t.Fatalf("MCP at %s, not %s", m[1], k.mcp)
		}
	case err := <-ended:
		ended <- err
		k.t.Fatalf("exeat ended: %v", err)
	}
}

// run is another command of the same program.
func (k *keycloak) run(args ...string) string {
	k.t.Helper()
	out, err := exec.CommandContext(k.t.Context(), k.bin, args...).CombinedOutput()
	if err != nil {
		k.t.Fatalf("exeat %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// hear waits until exeat has taken a signal.
func (k *keycloak) hear(event string) {
	k.t.Helper()
	for late := time.After(2 * time.Minute); ; {
		select {
		case got := <-k.log.events:
			if strings.HasSuffix(got, event) {
				return
			}
		case <-late:
			k.t.Fatalf("Keycloak signals no %s", event)
		}
	}
}

// person has a browser.
type person struct {
	*keycloak
	name     string
	password string
	browser  *http.Client
}

func (k *keycloak) person(name string) *person {
	k.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		k.t.Fatal(err)
	}
	return &person{k, name, name + "-password", &http.Client{Transport: k.over, Jar: openJar{jar}, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Port() == "39999" {
			return http.ErrUseLastResponse // that is the agent
		}
		return nil
	}}}
}

// open opens a page, and logs in to Keycloak if that asks for it.
func (p *person) open(page string) (*http.Response, string) {
	p.t.Helper()
	resp, err := p.browser.Get(page)
	for {
		if err != nil {
			p.t.Fatal(err)
		}
		text, err2 := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err2 != nil {
			p.t.Fatal(err2)
		}
		m := keycloakForm.FindStringSubmatch(string(text))
		if m == nil {
			return resp, string(text)
		}
		if strings.Contains(resp.Request.URL.Path, "login-actions") {
			p.t.Fatalf("%s cannot log in: %s", p.name, text)
		}
		resp, err = p.browser.PostForm(html.UnescapeString(m[1]), url.Values{"username": {p.name}, "password": {p.password}})
	}
}

// logIn logs in to the inbox.
func (p *person) logIn() {
	p.t.Helper()
	resp, page := p.open(p.inbox + "/login/oidc?back=/")
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Request.URL.String(), p.inbox+"/") || !strings.Contains(page, p.name+"@example.com") {
		p.t.Fatalf("%s is not logged in: %s %s %s", p.name, resp.Status, resp.Request.URL, page)
	}
}

// loggedIn reports whether the inbox still knows the browser.
func (p *person) loggedIn() bool {
	p.t.Helper()
	resp, err := p.browser.Get(p.inbox + "/activity")
	if err != nil {
		p.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode == 200 && resp.Request.URL.Path == "/activity"
}

// token lets a program have an access token in the person's name.
func (p *person) token(program string) string {
	p.t.Helper()
	const redirect = "http://127.0.0.1:39999/callback"
	verifier := oauth2.GenerateVerifier()
	q := url.Values{"response_type": {"code"}, "client_id": {program}, "redirect_uri": {redirect}, "scope": {"openid"}, "state": {"s"}, "resource": {p.mcp},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"}}
	if program == "elsewhere" {
		q.Del("resource")
	}
	resp, page := p.open(p.realm + "/protocol/openid-connect/auth?" + q.Encode())
	back, err := resp.Location()
	if err != nil || back.Query().Get("code") == "" {
		p.t.Fatalf("%s lets %s have no code: %s %v %s", p.name, program, resp.Status, back, page)
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {redirect}, "client_id": {program},
		"code_verifier": {verifier}}
	if q.Has("resource") {
		form.Set("resource", p.mcp)
	}
	resp, err = http.PostForm(p.realm+"/protocol/openid-connect/token", form)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct {
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got.Access == "" {
		p.t.Fatalf("no token for %s: %s %v", program, resp.Status, err)
	}
	p.given = append(p.given, got.Access)
	return got.Access
}

// claims are what a token says.
func claims(t *testing.T, token string) string {
	t.Helper()
	part := strings.Split(token, ".")[1]
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// call makes a tool call of one of the eras.
type call func(k *keycloak, token, tool, args string) string

func newEra(k *keycloak, token, tool, args string) string {
	k.t.Helper()
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + args + `,` +
		`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"x","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`
	req, err := http.NewRequestWithContext(k.t.Context(), "POST", k.mcp, strings.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	for name, v := range map[string]string{"Authorization": "Bearer " + token, "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool} {
		req.Header.Set(name, v)
	}
	resp, err := k.over.RoundTrip(req)
	if err != nil {
		k.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	return resp.Status + " " + string(text)
}

// oldEra opens a session for the call with mcp-go's client.
func oldEra(k *keycloak, token, tool, args string) string {
	k.t.Helper()
	c, err := client.NewStreamableHttpClient(k.mcp, transport.WithHTTPBasicClient(&http.Client{Transport: k.over}),
		transport.WithHTTPHeaders(map[string]string{"Authorization": "Bearer " + token}))
	if err != nil {
		k.t.Fatal(err)
	}
	defer c.Close()
	var hello mcp.InitializeRequest
	hello.Params.ProtocolVersion = "2025-11-25"
	hello.Params.ClientInfo = mcp.Implementation{Name: "x", Version: "1"}
	if err := c.Start(k.t.Context()); err != nil {
		return err.Error()
	}
	if _, err := c.Initialize(k.t.Context(), hello); err != nil {
		return err.Error()
	}
	var req mcp.CallToolRequest
	req.Params.Name, req.Params.Arguments = tool, json.RawMessage(args)
	res, err := c.CallTool(k.t.Context(), req)
	if err != nil {
		return err.Error()
	}
	b, err := json.Marshal(res)
	if err != nil {
		k.t.Fatal(err)
	}
	return string(b)
}

var (
	handleIn    = regexp.MustCompile(`"handle":"([^"]+)"`)
	approvalURL = regexp.MustCompile(`"approval_url":"([^"]+)"`)
	holdForm    = regexp.MustCompile(`name="(csrf|digest)" value="([^"]+)"`)
)

// hold makes a call that has to wait, and returns its handle and page.
func (k *keycloak) hold(era call, token, tool, args string) (handle, page string) {
	k.t.Helper()
	got := era(k, token, tool, args)
	h, u := handleIn.FindStringSubmatch(got), approvalURL.FindStringSubmatch(got)
	if !strings.Contains(got, "approval_pending") || h == nil || u == nil || !strings.HasPrefix(u[1], k.inbox+"/h/") {
		k.t.Fatalf("%s is not held: %s", tool, got)
	}
	return h[1], u[1]
}

// approve approves a call on its page, if that offers it; it returns the page that
// comes of it.
func (p *person) approve(page string) (text string, offered bool) {
	p.t.Helper()
	resp, text := p.open(page)
	form := url.Values{"verdict": {"approve"}, "sure": {"yes"}}
	for _, m := range holdForm.FindAllStringSubmatch(text, -1) {
		form.Set(m[1], html.UnescapeString(m[2]))
	}
	for _, m := range seenBox.FindAllStringSubmatch(text, -1) {
		form.Add("seen", m[1])
	}
	if resp.StatusCode != 200 || !form.Has("digest") {
		return text, false
	}
	req, err := http.NewRequestWithContext(p.t.Context(), "POST", page, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", p.inbox)
	resp, err = p.browser.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b), resp.StatusCode == 200
}
