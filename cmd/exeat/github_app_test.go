package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz/credential/githubtest"
)

// thief is a GitHub where somebody sees the token of each write that comes, and tries
// it elsewhere at once.
type thief struct {
	hub   *githubtest.Server
	mu    sync.Mutex
	tries map[string]int // status of each request
}

func (s *thief) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/issues") {
		s.mu.Lock()
		for _, request := range []string{"GET /repos/octo/hello/issues", "GET /repos/octo/hello/pulls", "PUT /repos/octo/hello/pulls/1/merge", "DELETE /repos/octo/hello", "POST /repos/octo/world/issues", "GET /orgs/octo/members"} {
			method, path, _ := strings.Cut(request, " ")
			stolen := httptest.NewRequest(method, path, strings.NewReader(`{"title":"stolen"}`))
			stolen.Header.Set("Authorization", r.Header.Get("Authorization"))
			stolen.Header.Set("User-Agent", "thief")
			got := httptest.NewRecorder()
			s.hub.ServeHTTP(got, stolen)
			s.tries[request] = got.Code
		}
		s.mu.Unlock()
	}
	s.hub.ServeHTTP(w, r)
}

// newGitHubFiles is a folder with an App's key and a configuration of GitHub's own
// document, with calls that go to a GitHub of ours.
func newGitHubFiles(t *testing.T) (*thief, string) {
	spec, err := filepath.Abs("../../../shared/specs/github.json")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(spec); err != nil {
		t.Skip("GitHub's document is not here")
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s := &thief{hub: &githubtest.Server{AppID: "12345", ClientID: "Iv23liAAA", Key: &key.PublicKey}, tries: map[string]int{}}
	s.hub.Install(githubtest.Installation{ID: 7, Owner: "octo", Org: true, Repos: []string{"hello", "world"},
		Permissions: map[string]string{"metadata": "read", "issues": "write", "contents": "write", "members": "read", "administration": "write", "pull_requests": "write"}})
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	for name, text := range map[string]string{
		"app.pem": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
		"exeat.yaml": fmt.Sprintf(`user: alice
inbox: {listen: "127.0.0.1:0"}
apis:
  - spec: %s
    base_url: %s
    include: [issues/create, issues/get, issues/update, issues/list-for-repo, repos/get, repos/create-fork, users/get-authenticated, orgs/list-members]
    credential: {strategy: github_app, file: app.pem, github_app: {app_id: Iv23liAAA, url: %[2]s}}
`, spec, server.URL),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s, filepath.Join(dir, "exeat.yaml")
}

// An agent's write to GitHub, by GitHub's own document, waits for a person and is sent
// with a token that does this in this repository and nothing else, and nothing at all
// once the call is over.
func TestGitHubAppHeldWrite(t *testing.T) {
	s, file := newGitHubFiles(t)
	releaseAfter(t, file, "issues_create", `{"owner":"octo","repo":"hello","body":{"title":"It is broken"}}`, func() {
		if len(s.hub.Tokens()) != 0 {
			t.Error("there was a token before a person had decided")
		}
	})
	if want := []string{"octo/hello: It is broken"}; !cmp.Equal(want, s.hub.Issues()) {
		t.Errorf("issues %q", s.hub.Issues())
	}
	want := map[string]int{"GET /repos/octo/hello/issues": 200, // a permission to write is one to read
		"GET /repos/octo/hello/pulls": 403, "PUT /repos/octo/hello/pulls/1/merge": 403, "DELETE /repos/octo/hello": 403, "POST /repos/octo/world/issues": 404, "GET /orgs/octo/members": 403}
	if diff := cmp.Diff(want, s.tries); diff != "" {
		t.Errorf("what the token of the call did elsewhere (-want +got):\n%s", diff)
	}
	for _, token := range s.hub.Tokens() {
		if !token.Revoked || !cmp.Equal(token.Repos, []string{"hello"}) || !cmp.Equal(token.Permissions, map[string]string{"issues": "write", "metadata": "read"}) {
			t.Errorf("a token was left: %+v", token)
		}
	}
	_, log := exeat(t, "", "audit", "export")
	for _, part := range []string{`"strategy":"github_app"`, `"scope":"issues:write metadata:read"`, `"narrowed":"the repository octo/hello"`, `"kind":"spent"`} {
		if !strings.Contains(log, part) {
			t.Errorf("the log has no %s: %s", part, log)
		}
	}
	if strings.Contains(log, "ghs_") {
		t.Error("a token is in the log")
	}
}

// What a change is shown with is read with a token that reads.
func TestGitHubAppReadsForThePerson(t *testing.T) {
	s, file := newGitHubFiles(t)
	releaseAfter(t, file, "issues_update", `{"owner":"octo","repo":"hello","issue_number":1,"body":{"title":"It works"}}`, func() {})
	allowed := map[string]int{}
	for _, token := range s.hub.Tokens() {
		allowed[token.Permissions["issues"]]++
		if !token.Revoked {
			t.Errorf("a token was left: %+v", token)
		}
	}
	if allowed["read"] == 0 || allowed["write"] != 1 || len(allowed) != 2 {
		t.Errorf("tokens: %v", allowed)
	}
}

// releaseAfter makes a call that waits for a person, and approves it once while has looked.
func releaseAfter(t *testing.T, file, tool, args string, while func()) {
	t.Helper()
	printed := &watched{want: regexp.MustCompile(`log in once, as (\S+), with (\S+)`), found: make(chan []string, 1)}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "call", "--wait", "--config", file, tool, args)
	cmd.Args[0] = "exeat" // TestMain sees the name
	cmd.Stdout, cmd.Stderr = printed, printed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case link := <-printed.found:
		if code, out := exeat(t, link[2]+"\n", "approvals", "login"); code != 0 {
			t.Fatal(code, out)
		}
	case err := <-ended:
		t.Fatalf("%v: %s", err, printed.text.String())
	}
	handle := ""
	for handle == "" { // it is held soon after the inbox is open
		_, list := exeat(t, "", "approvals", "list")
		handle = regexp.MustCompile(`hold_\w+`).FindString(list)
	}
	while()
	if code, out := exeat(t, "y\n", "approvals", "approve", handle); code != 0 {
		t.Fatal(code, out)
	}
	if err := <-ended; err != nil {
		t.Fatalf("%v: %s", err, printed.text.String())
	}
	if strings.Contains(printed.text.String(), "ghs_") {
		t.Error("a token was printed")
	}
}

// What cannot be narrowed is not sent, and the operator hears what to write.
func TestGitHubAppRefusesWhatIsNotKnown(t *testing.T) {
	s, file := newGitHubFiles(t)
	code, out := exeat(t, "", "call", "--config", file, "users_get_authenticated", `{}`)
	if code == 0 || !strings.Contains(out, "credential_failed") || !strings.Contains(out, "neither a repository nor an organization") {
		t.Errorf("%d %s", code, out)
	}
	if len(s.hub.Tokens()) != 0 {
		t.Errorf("%d tokens", len(s.hub.Tokens()))
	}
	_, out = exeat(t, "", "doctor", "--config", file)
	for _, want := range []string{"neither a repository nor an organization in their path: use another credential for them (credential_for). Refused for want of it (1): users_get_authenticated",
		"GitHub names several permissions for them, and not whether one is enough: write it in github_app: permissions. Refused for want of it (1): repos_create_fork"} {
		if !strings.Contains(out, want) {
			t.Errorf("doctor does not say %q: %s", want, out)
		}
	}
}
