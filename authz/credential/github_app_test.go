package credential

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz/credential/githubtest"
	"github.com/exeat/exeat/authz/token"
)

var appKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// newGitHub is a GitHub with an App that is installed at octo and at other.
func newGitHub(t testing.TB) (*githubtest.Server, *GitHubApp, string) {
	hub := &githubtest.Server{AppID: "12345", ClientID: "Iv23liAAA", Key: &appKey().PublicKey}
	hub.Install(githubtest.Installation{ID: 7, Owner: "octo", Org: true, Repos: []string{"hello", "world"},
		Permissions: map[string]string{"metadata": "read", "issues": "write", "contents": "write", "members": "read", "administration": "write", "pull_requests": "read"}})
	hub.Install(githubtest.Installation{ID: 8, Owner: "other", Repos: []string{"hello"}, Permissions: map[string]string{"metadata": "read", "issues": "read"}})
	hub.Install(githubtest.Installation{ID: 9, Owner: "gone", Repos: []string{"hello"}, Permissions: map[string]string{"metadata": "read", "issues": "write"}, Suspended: true})
	server := httptest.NewServer(hub)
	t.Cleanup(server.Close)
	app := &GitHubApp{URL: server.URL, ID: "Iv23liAAA", Key: newSigningKey(appKey(), jose.RS256, "")}
	if err := app.Check(); err != nil {
		t.Fatal(err)
	}
	return hub, app, server.URL
}

// githubCall is a call of an operation of GitHub's.
func githubCall(base, method, template string, path map[string]string) (token.Call, *http.Request) {
	target := template
	for name, value := range path {
		target = strings.ReplaceAll(target, "{"+name+"}", value)
	}
	r, err := http.NewRequest(method, base+target, strings.NewReader(`{"title":"It is broken"}`))
	if err != nil {
		panic(err)
	}
	return token.Call{Txn: "txn_1", Subject: "alice", Agent: "claude", Audience: base, Template: template, Path: path,
		Details: token.Bind(base, method, target, "application/json", nil, nil, "the_tool", "sha256:0")}, r
}

const issuesOf = "/repos/{owner}/{repo}/issues"

func repoOf(owner, repo string) map[string]string {
	return map[string]string{"owner": owner, "repo": repo}
}

// use sends a request with another credential's Authorization.
func use(t *testing.T, authorization, method, location string) int {
	r, err := http.NewRequest(method, location, strings.NewReader(`{"title":"Once more"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", authorization)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// The token of a call does that operation in that repository, and nothing that needs
// another permission or is elsewhere; after the call it does nothing.
func TestGitHubApp(t *testing.T) {
	hub, app, base := newGitHub(t)
	c, r := githubCall(base, "POST", issuesOf, repoOf("octo", "hello"))
	receipt, err := app.Attach(t.Context(), c, r)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"GET /repos/octo/hello/installation", `POST /app/installations/7/access_tokens {"repositories":["hello"],"permissions":{"issues":"write"}}`}; !cmp.Equal(want, hub.Asked()) {
		t.Errorf("asked %s", cmp.Diff(want, hub.Asked()))
	}
	left := time.Until(receipt.Expires)
	if receipt.Strategy != "github_app" || receipt.Standing || receipt.Audience != "octo/hello" || receipt.Scope != "issues:write metadata:read" ||
		receipt.Narrowed != "the repository octo/hello" || receipt.Wider != "" || left < 59*time.Minute || left > time.Hour {
		t.Errorf("receipt %+v", receipt)
	}
	bearer := r.Header.Get("Authorization")
	for request, want := range map[string]int{
		"POST /repos/octo/hello/issues":       201,
		"GET /repos/octo/hello/issues":        200,
		"GET /repos/octo/hello/pulls":         403,
		"GET /repos/octo/hello/contents/x":    403,
		"PUT /repos/octo/hello/pulls/1/merge": 403,
		"DELETE /repos/octo/hello":            403,
		"GET /orgs/octo/members":              403,
		"POST /repos/octo/world/issues":       404,
		"GET /repos/octo/world":               404,
		"POST /repos/other/hello/issues":      404,
	} {
		method, path, _ := strings.Cut(request, " ")
		if got := use(t, bearer, method, base+path); got != want {
			t.Errorf("%s: %d, want %d", request, got, want)
		}
	}
	if err := receipt.Revoke(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := use(t, bearer, "POST", base+"/repos/octo/hello/issues"); got != 401 {
		t.Errorf("after it was revoked: %d", got)
	}
	if err := receipt.Revoke(t.Context()); err != nil {
		t.Errorf("revoked twice: %v", err)
	}
}

// What each operation asks for, and what is not asked for at all.
func TestGitHubAppAsks(t *testing.T) {
	for name, c := range map[string]struct {
		method, template string
		path             map[string]string
		own              map[string]string // permissions of the configuration
		want             string            // what is asked for, or what the error says
	}{
		"a read":              {"GET", issuesOf, repoOf("octo", "world"), nil, `{"repositories":["world"],"permissions":{"issues":"read"}}`},
		"other names":         {"GET", "/repos/{account}/{name}/pulls", map[string]string{"account": "octo", "name": "hello"}, nil, `{"repositories":["hello"],"permissions":{"pull_requests":"read"}}`},
		"metadata":            {"GET", "/repos/{owner}/{repo}", repoOf("octo", "hello"), nil, `{"repositories":["hello"],"permissions":{"metadata":"read"}}`},
		"another's":           {"GET", issuesOf, repoOf("other", "hello"), nil, `{"repositories":["hello"],"permissions":{"issues":"read"}}`},
		"an organization":     {"GET", "/orgs/{org}/members", map[string]string{"org": "octo"}, nil, `{"permissions":{"members":"read"}}`},
		"its repositories":    {"GET", "/orgs/{org}/repos", map[string]string{"org": "octo"}, nil, `{"permissions":{"metadata":"read"}}`},
		"said by hand":        {"POST", "/repos/{owner}/{repo}/new-thing", repoOf("octo", "hello"), map[string]string{"issues": "write"}, `{"repositories":["hello"],"permissions":{"issues":"write"}}`},
		"in place of":         {"GET", issuesOf, repoOf("octo", "hello"), map[string]string{"pull_requests": "read"}, `{"repositories":["hello"],"permissions":{"pull_requests":"read"}}`},
		"not known":           {"POST", "/repos/{owner}/{repo}/new-thing", repoOf("octo", "hello"), nil, "it is not known which permission post /repos/{}/{}/new-thing needs, and a token with all of them is not asked for: write it in github_app: permissions: {the_tool: {NAME: read}}"},
		"not said":            {"POST", "/repos/{owner}/{repo}/pages", repoOf("octo", "hello"), nil, "several permissions for post /repos/{}/{}/pages (administration:write pages:write)"},
		"all repositories":    {"GET", "/orgs/{org}/code-scanning/alerts", map[string]string{"org": "octo"}, nil, "would be for every repository of the installation"},
		"neither":             {"GET", "/user", nil, nil, "neither a repository nor an organization"},
		"no repository":       {"GET", issuesOf, repoOf("octo", ".."), nil, "not a name that GitHub has"},
		"a path":              {"GET", issuesOf, repoOf("octo", "a/../../app"), nil, "not a name that GitHub has"},
		"no owner":            {"GET", issuesOf, repoOf("oc%2fto", "hello"), nil, "not a name that GitHub has"},
		"empty":               {"GET", issuesOf, repoOf("", "hello"), nil, "neither a repository nor an organization"},
		"not installed":       {"GET", issuesOf, repoOf("octo", "nowhere"), nil, "for octo/nowhere: GitHub answered 404: the App is not installed there"},
		"no such permission":  {"POST", issuesOf, repoOf("other", "hello"), nil, "for other/hello with issues:write: GitHub answered 422: the App's installation has not that permission"},
		"suspended":           {"POST", issuesOf, repoOf("gone", "hello"), nil, "GitHub answered 403: the installation is suspended"},
		"no organization":     {"GET", "/orgs/{org}/members", map[string]string{"org": "other"}, nil, "the organization other: GitHub answered 404"},
		"a repository of two": {"GET", "/orgs/{org}/teams/{team}/repos/{owner}/{repo}", map[string]string{"org": "octo", "team": "x", "owner": "octo", "repo": "hello"}, nil, `{"repositories":["hello"],"permissions":{"members":"read"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			hub, app, base := newGitHub(t)
			if c.own != nil {
				app.Permissions = map[string]map[string]string{"the_tool": c.own}
			}
			call, r := githubCall(base, c.method, c.template, c.path)
			r.URL.Path = "/"
			_, err := app.Attach(t.Context(), call, r)
			said := ""
			if err != nil {
				said = err.Error()
			} else if asked := hub.Asked(); len(asked) > 0 {
				said = asked[len(asked)-1]
			}
			if !strings.Contains(said, c.want) {
				t.Errorf("got %q, want %q", said, c.want)
			}
			if err != nil && r.Header.Get("Authorization") != "" {
				t.Error("a credential was attached")
			}
		})
	}
}

// What GitHub says of a token that is more than what was asked for is believed: it is
// not used, and it is revoked at once.
func TestGitHubAppRefusesWider(t *testing.T) {
	for name, c := range map[string]struct {
		change func(map[string]any)
		want   string
	}{
		"another permission": {func(a map[string]any) { a["permissions"].(map[string]string)["contents"] = "write" }, `"contents":"write", which was not asked for`},
		"more":               {func(a map[string]any) { a["permissions"].(map[string]string)["issues"] = "admin" }, `"issues":"admin"`},
		"unknown access":     {func(a map[string]any) { a["permissions"].(map[string]string)["issues"] = "all" }, `"issues":"all"`},
		"writes metadata":    {func(a map[string]any) { a["permissions"].(map[string]string)["metadata"] = "write" }, `"metadata":"write"`},
		"less":               {func(a map[string]any) { a["permissions"] = map[string]string{"metadata": "read"} }, "lacks the permission issues:write"},
		"all repositories":   {func(a map[string]any) { a["repository_selection"] = "all" }, "not narrowed"},
		"two repositories": {func(a map[string]any) {
			a["repositories"] = []map[string]any{{"full_name": "octo/hello"}, {"full_name": "octo/world"}}
		}, "other repositories"},
		"another's":     {func(a map[string]any) { a["repositories"] = []map[string]any{{"full_name": "other/hello"}} }, "other repositories"},
		"none":          {func(a map[string]any) { delete(a, "repositories") }, "other repositories"},
		"a day":         {func(a map[string]any) { a["expires_at"] = time.Now().Add(24 * time.Hour).Format(time.RFC3339) }, "within the hour"},
		"ended":         {func(a map[string]any) { a["expires_at"] = time.Now().Add(-time.Minute).Format(time.RFC3339) }, "within the hour"},
		"without end":   {func(a map[string]any) { delete(a, "expires_at") }, "within the hour"},
		"odd end":       {func(a map[string]any) { a["expires_at"] = "tomorrow" }, "not what its documentation says"},
		"no token":      {func(a map[string]any) { a["token"] = "" }, "no token"},
		"a line break":  {func(a map[string]any) { a["token"] = "ghs_x\r\nX-Admin: 1" }, "no token"},
		"odd structure": {func(a map[string]any) { a["permissions"] = []string{"issues"} }, "not what its documentation says"},
	} {
		t.Run(name, func(t *testing.T) {
			hub, app, base := newGitHub(t)
			hub.Change = c.change
			call, r := githubCall(base, "POST", issuesOf, repoOf("octo", "hello"))
			_, err := app.Attach(t.Context(), call, r)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if r.Header.Get("Authorization") != "" {
				t.Error("a credential was attached")
			}
			for _, token := range hub.Tokens() {
				if readable := !strings.Contains(c.want, "no token") && !strings.Contains(c.want, "documentation"); readable && !token.Revoked {
					t.Error("the token was left alive")
				}
			}
		})
	}
}

// GitHub that is down, slow to be told of a move, or answers something else: nothing is
// attached, and no error holds what it wrote.
func TestGitHubAppFails(t *testing.T) {
	const canary = "canary-4711"
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		want   string
	}{
		"down":        {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "GitHub cannot be reached"},
		"HTML":        {func(w http.ResponseWriter) { w.Write([]byte("<html>" + canary)) }, "not what its documentation says"},
		"error":       {jsonAnswer(500, canary), "answered 500"},
		"renamed":     {jsonAnswer(301, `{"url":"https://evil.example/"}`), "another name now"},
		"no id":       {jsonAnswer(200, `{}`), "names no installation"},
		"too often":   {func(w http.ResponseWriter) { w.Header().Set("Retry-After", "60"); w.WriteHeader(429) }, "too often"},
		"rate limit":  {func(w http.ResponseWriter) { w.Header().Set("X-RateLimit-Remaining", "0"); w.WriteHeader(403) }, "too often"},
		"not the App": {jsonAnswer(401, `{"message":"`+canary+`"}`), "this machine's clock"},
		"too much":    {func(w http.ResponseWriter) { w.Write(make([]byte, maxVendorAnswer+1)) }, "cannot be read to its end"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.answer(w) }))
			defer server.Close()
			app := &GitHubApp{URL: server.URL, ID: "1", Key: newSigningKey(appKey(), jose.RS256, "")}
			call, r := githubCall(server.URL, "GET", issuesOf, repoOf("octo", "hello"))
			_, err := app.Attach(t.Context(), call, r)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), canary) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if r.Header.Get("Authorization") != "" {
				t.Error("a credential was attached")
			}
		})
	}
}

// Where an owner's installation is, is asked once; it is another's for no repository, and
// is found again when it has moved.
func TestGitHubAppKeepsInstallations(t *testing.T) {
	hub, app, base := newGitHub(t)
	now := time.Now()
	app.Now, hub.Now = func() time.Time { return now }, func() time.Time { return now }
	get := func(owner, repo string, fresh bool) error {
		c, r := githubCall(base, "GET", issuesOf, repoOf(owner, repo))
		c.Fresh = fresh
		_, err := app.Attach(t.Context(), c, r)
		return err
	}
	looked := func() (n int) {
		for _, asked := range hub.Asked() {
			if strings.HasSuffix(asked, "/installation") {
				n++
			}
		}
		return n
	}
	for i, step := range []struct {
		owner, repo string
		fresh       bool
		before      func()
		looked      int
	}{
		{"octo", "hello", false, nil, 1},
		{"OCTO", "hello", false, nil, 1},
		{"other", "hello", false, nil, 2},
		{"octo", "world", false, nil, 3},
		{"octo", "hello", true, nil, 4},
		{"octo", "hello", false, func() { now = now.Add(githubKnown + time.Second) }, 5},
		{"octo", "hello", false, func() { app.found.put("octo/hello", 99, now) }, 6}, // it was reinstalled
	} {
		if step.before != nil {
			step.before()
		}
		if err := get(step.owner, step.repo, step.fresh); err != nil || looked() != step.looked {
			t.Errorf("step %d: looked up %d times, want %d; %v", i, looked(), step.looked, err)
		}
	}
	app.found.put("octo/hello", 8, now) // wrongly another owner's, which has a repository of that name
	if err := get("octo", "hello", false); err == nil || !strings.Contains(err.Error(), "other repositories than octo/hello") {
		t.Errorf("another owner's installation: %v", err)
	}
	app.Installation = 8
	if err := get("octo", "hello", false); err == nil || !strings.Contains(err.Error(), "other repositories than octo/hello") {
		t.Errorf("another owner's installation in the configuration: %v", err)
	}
	for i := range 3 * maxInstallations {
		app.found.put(strings.Repeat("x", i%7)+string(rune('a'+i%26))+time.Duration(i).String(), 1, now)
	}
	if n := len(app.found.by); n > maxInstallations {
		t.Errorf("%d installations are kept", n)
	}
}

// A clock that is off by a minute does no harm; the App's proof is refused beyond what
// GitHub documents, so that the server of these tests is known to look.
func TestGitHubAppClock(t *testing.T) {
	for off, want := range map[time.Duration]string{0: "", time.Minute: "", -time.Minute: "", 2 * time.Minute: "answered 401", -6 * time.Minute: "answered 401", 10 * time.Minute: "answered 401"} {
		_, app, base := newGitHub(t)
		app.Now = func() time.Time { return time.Now().Add(off) }
		c, r := githubCall(base, "GET", issuesOf, repoOf("octo", "hello"))
		if _, err := app.Attach(t.Context(), c, r); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("off by %s: %v", off, err)
		}
	}
	_, app, base := newGitHub(t)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]*SigningKey{"another key": newSigningKey(other, jose.RS256, ""), "another algorithm": newSigningKey(appKey(), jose.RS512, "")} {
		app.Key = key
		c, r := githubCall(base, "GET", issuesOf, repoOf("octo", "hello"))
		if _, err := app.Attach(t.Context(), c, r); err == nil || !strings.Contains(err.Error(), "answered 401") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A token of GitHub's goes to no other host, and not where there is a credential already.
func TestGitHubAppGoesNowhereElse(t *testing.T) {
	hub, app, base := newGitHub(t)
	c, r := githubCall("https://evil.example", "GET", issuesOf, repoOf("octo", "hello"))
	if _, err := app.Attach(t.Context(), c, r); err == nil || !strings.Contains(err.Error(), "the request goes to evil.example") {
		t.Errorf("to another host: %v", err)
	}
	c, r = githubCall(base, "GET", issuesOf, repoOf("octo", "hello"))
	r.Header.Set("authorization", "x")
	if _, err := app.Attach(t.Context(), c, r); err == nil || !strings.Contains(err.Error(), "already has") {
		t.Errorf("with a credential: %v", err)
	}
	if asked := hub.Asked(); len(asked) > 0 {
		t.Errorf("asked %q", asked)
	}
	public := &GitHubApp{}
	for host, want := range map[string]bool{"api.github.com": true, "uploads.github.com": true, "github.com": false, "evil.example": false} {
		_, r := githubCall("https://"+host, "GET", "/", nil)
		if err := public.goesTo(r.URL); (err == nil) != want {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// One's own GitHub has its API below a path.
func TestGitHubAppOfOnesOwn(t *testing.T) {
	hub, app, _ := newGitHub(t)
	server := httptest.NewServer(http.StripPrefix("/api/v3", hub))
	defer server.Close()
	app.URL = server.URL + "/api/v3/"
	c, r := githubCall(server.URL+"/api/v3", "POST", issuesOf, repoOf("octo", "hello"))
	receipt, err := app.Attach(t.Context(), c, r)
	if err != nil {
		t.Fatal(err)
	}
	if got := use(t, r.Header.Get("Authorization"), "POST", r.URL.String()); got != 201 {
		t.Errorf("used: %d", got)
	}
	if err := receipt.Revoke(t.Context()); err != nil {
		t.Error(err)
	}
	if got := use(t, r.Header.Get("Authorization"), "POST", r.URL.String()); got != 401 {
		t.Errorf("after it was revoked: %d", got)
	}
}

func TestGitHubAppCheck(t *testing.T) {
	elliptic, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*GitHubApp){
		"must be https":           func(g *GitHubApp) { g.URL = "http://github.example" },
		"client id":               func(g *GitHubApp) { g.ID = "" },
		"is RSA":                  func(g *GitHubApp) { g.Key = newSigningKey(elliptic, jose.ES256, "") },
		"positive":                func(g *GitHubApp) { g.Installation = -1 },
		"name at least one":       func(g *GitHubApp) { g.Permissions = map[string]map[string]string{"x": {}} },
		`"issues": "all" is not`:  func(g *GitHubApp) { g.Permissions = map[string]map[string]string{"x": {"issues": "all"}} },
		`"Issues": "read" is not`: func(g *GitHubApp) { g.Permissions = map[string]map[string]string{"x": {"Issues": "read"}} },
	} {
		_, app, _ := newGitHub(t)
		change(app)
		if err := app.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// Many calls at once look up one installation, and each has a token of its own.
func TestGitHubAppInParallel(t *testing.T) {
	hub, app, base := newGitHub(t)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			c, r := githubCall(base, "POST", issuesOf, repoOf("octo", "hello"))
			receipt, err := app.Attach(context.Background(), c, r)
			if err == nil {
				err = receipt.Revoke(context.Background())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	tokens := hub.Tokens()
	for _, token := range tokens {
		if !token.Revoked {
			t.Error("a token was left alive")
		}
	}
	if len(tokens) != 20 {
		t.Errorf("%d tokens", len(tokens))
	}
}

// FuzzGitHubToken reads what GitHub could answer: a token is used only as it was asked for.
func FuzzGitHubToken(f *testing.F) {
	f.Add([]byte(`{"token":"ghs_x","expires_at":"2100-01-01T00:00:00Z","permissions":{"issues":"write","metadata":"read"},"repository_selection":"selected","repositories":[{"full_name":"octo/hello"}]}`))
	f.Add([]byte(`{"token":"ghs_x","permissions":{"issues":"write"},"PERMISSIONS":{"contents":"write"}}`))
	f.Add([]byte(`<html>`))
	var answer []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusCreated)
			w.Write(answer)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	f.Cleanup(server.Close)
	soon := time.Date(2099, 12, 31, 23, 30, 0, 0, time.UTC)
	app := &GitHubApp{URL: server.URL, ID: "1", Key: newSigningKey(appKey(), jose.RS256, ""), Installation: 1, Now: func() time.Time { return soon }}
	f.Fuzz(func(t *testing.T, text []byte) {
		answer = text
		c, r := githubCall(server.URL, "POST", issuesOf, repoOf("octo", "hello"))
		receipt, err := app.Attach(t.Context(), c, r)
		if err != nil {
			if r.Header.Get("Authorization") != "" {
				t.Error("attached with an error")
			}
			return
		}
		if (receipt.Scope != "issues:write" && receipt.Scope != "issues:write metadata:read") || receipt.Audience != "octo/hello" || !receipt.Expires.After(soon) {
			t.Errorf("%s gave %+v", text, receipt)
		}
		if strings.ContainsAny(r.Header.Get("Authorization"), "\r\n\x00") {
			t.Errorf("%q", r.Header.Get("Authorization"))
		}
	})
}

// Each call costs one request for its token; the one that revokes it is after the answer.
func BenchmarkGitHubApp(b *testing.B) {
	hub, app, base := newGitHub(b)
	_ = hub
	for b.Loop() {
		c, r := githubCall(base, "POST", issuesOf, repoOf("octo", "hello"))
		if _, err := app.Attach(b.Context(), c, r); err != nil {
			b.Fatal(err)
		}
	}
}
