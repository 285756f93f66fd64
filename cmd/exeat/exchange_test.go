package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/exeat/exeat/authz/issuer"
	"github.com/exeat/exeat/examples/petstore"
)

// exchangeParty is an authorization server that exchanges tokens of its own, and the
// API that they are for, each with what it got.
type exchangeParty struct {
	t    *testing.T
	from *testIssuer

	mu    sync.Mutex
	down  bool
	asked []string // subject tokens
	made  []string
	got   []string // requests of the API, whole
}

func (p *exchangeParty) exchange(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		io.WriteString(w, "<h1>canary</h1>")
		return
	}
	subject := r.FormValue("subject_token")
	p.asked = append(p.asked, subject)
	jws, err := issuer.ParseJWS(subject, 8<<10)
	id, secret, _ := r.BasicAuth()
	if err != nil || id != "exeat" || secret != "s3" || r.FormValue("audience") != "petstore" {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":"invalid_grant"}`)
		return
	}
	user, _ := jws.Payload.Text("sub")
	made := strings.TrimPrefix(p.from.tokenWith(p.t, "petstore", user, "exeat", 0, map[string]any{"scope": r.FormValue("scope")}), "Bearer ")
	p.made = append(p.made, made)
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"access_token": made, "token_type": "Bearer", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})
}

func (p *exchangeParty) api(pets http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.got = append(p.got, fmt.Sprint(r.Method, r.Header))
		known := slices.Contains(p.made, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		p.mu.Unlock()
		if !known {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		pets.ServeHTTP(w, r)
	}
}

// counts are how many tokens were asked for, and how many requests came.
func (p *exchangeParty) counts() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprint(len(p.asked), " ", len(p.got))
}

func (p *exchangeParty) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

// A call goes out with a token that was made of the caller's: at once if it is allowed,
// with the token of who resumes it if a person had to approve it. Without a server, or
// without a caller's token, nothing is sent, and the hold is kept.
func TestExchangeOverHTTP(t *testing.T) {
	t.Setenv("EXCHANGE_SECRET", "s3")
	spec := petstoreFile(t)
	p := &exchangeParty{t: t, from: newTestIssuer(t)}
	as, api := httptest.NewServer(http.HandlerFunc(p.exchange)), httptest.NewServer(p.api(petstore.New()))
	defer as.Close()
	defer api.Close()
	file := filepath.Join(filepath.Dir(spec), "exeat.yaml")
	for name, text := range map[string]string{
		"p.cedar": `@id("reads") permit (principal, action in Action::"read", resource);
			@id("writes") permit (principal, action, resource) when { context has approval };
			@id("decides") permit (principal == User::"operator", action == Action::"approve", resource);`,
		"exeat.yaml": fmt.Sprintf(`
apis:
  - spec: petstore.yaml
    base_url: %s
    credential: {strategy: exchange, token_url: "%s", client_id: exeat, env: EXCHANGE_SECRET, resource: "", audience: petstore, exchange: {max_ttl: 1h}}
policy: [p.cedar]
listen: 127.0.0.1:0
user: operator
inbox: {listen: "127.0.0.1:0"}
oauth: {issuers: [{issuer: "%s", audience: ["https://exeat.example.com/mcp"], prefix: "corp|"}]}
`, api.URL, as.URL, p.from.url),
	} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(spec), name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := startConfigured(t, file)
	ours := "https://exeat.example.com/mcp"
	ann, later := p.from.token(t, ours, "ann", "claude", 0), p.from.token(t, ours, "ann", "claude", 0)
	says := func(want, counts, auth, tool, args string) string {
		t.Helper()
		_, got := s.postCall(t, auth, tool, args)
		if !strings.Contains(got, want) || strings.Contains(got, "canary") || p.counts() != counts {
			t.Errorf("%s %s: %s, want %s; asked and sent %s, want %s", tool, args, got, want, p.counts(), counts)
		}
		return got
	}
	says(`"species"`, "1 1", ann, "get_pet", firstPet)
	p.setDown(true)
	says("credential_failed", "1 1", ann, "get_pet", firstPet)
	held := handleIn.FindStringSubmatch(says("approval_pending", "1 1", ann, "delete_pet", firstPet))
	if held == nil {
		t.FailNow()
	}
	resume := `{"handle":"` + held[1] + `"}`
	p.approve(s, held[1])
	says("Approved, NOT executed", "1 1", later, "exeat_resume", resume) // the server is still down
	p.setDown(false)
	says("handle_not_found", "1 1", p.from.token(t, ours, "bob", "claude", 0), "exeat_resume", resume)
	says(`"http_status":204`, "2 2", later, "exeat_resume", resume)
	p.mu.Lock()
	defer p.mu.Unlock()
	if want := []string{strings.TrimPrefix(ann, "Bearer "), strings.TrimPrefix(later, "Bearer ")}; !slices.Equal(p.asked, want) {
		t.Errorf("exchanged %v, want %v", p.asked, want)
	}
	for _, request := range p.got {
		if strings.Contains(request, ann) || strings.Contains(request, later) {
			t.Errorf("a caller's token reached the API: %s", request)
		}
	}
	if log := s.log(); !strings.Contains(log, "answered 502") || strings.Contains(log, "canary") || strings.Contains(log, strings.TrimPrefix(ann, "Bearer ")) {
		t.Errorf("the log: %s", log)
	}
	// By stdio nobody has a token.
	if _, out := exeat(t, "", "call", "--config", file, "get_pet", firstPet); !strings.Contains(out, "credential_failed") || !strings.Contains(out, "exchange.subject") {
		t.Errorf("without a caller's token: %s", out)
	}
}

// approve approves a hold in a terminal, as whoever runs exeat.
func (p *exchangeParty) approve(s *serving, handle string) {
	p.t.Helper()
	if code, out := exeat(p.t, loginLink.FindStringSubmatch(s.log())[2]+"\n", "approvals", "login"); code != 0 {
		p.t.Fatal(code, out)
	}
	_, out := exeat(p.t, "", "approvals", "show", handle)
	_, rest, found := strings.Cut(out, "digest")
	if !found {
		p.t.Fatal(out)
	}
	if code, out := exeat(p.t, "", "approvals", "approve", handle, "--digest", strings.Fields(rest)[0]); code != 0 {
		p.t.Fatal(code, out)
	}
}
