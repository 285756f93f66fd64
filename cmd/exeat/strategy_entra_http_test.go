package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// contexts are the authentication contexts (acrs) of an access token.
func contexts(bearer string) string {
	parts := strings.Split(bearer, ".")
	if len(parts) != 3 {
		return ""
	}
	text, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct{ ACRs string }
	json.Unmarshal(text, &claims)
	return claims.ACRs
}

// newOnBehalf is Entra's token endpoint and an API that takes its tokens, as far as a
// step-up needs them: the API changes nothing for a login without the context c1, and
// Entra gives that only to a login that has it.
func newOnBehalf(t *testing.T) (url string, deleted func() int) {
	var mu sync.Mutex
	n := 0
	mux := http.NewServeMux()
	mux.HandleFunc("POST /contoso/oauth2/v2.0/token", func(w http.ResponseWriter, r *http.Request) {
		has := contexts(r.FormValue("assertion"))
		w.Header().Set("Content-Type", "application/json")
		var asked struct {
			AccessToken struct{ ACRs struct{ Value string } } `json:"access_token"`
		}
		json.Unmarshal([]byte(r.FormValue("claims")), &asked)
		switch {
		case r.FormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || r.FormValue("requested_token_use") != "on_behalf_of" || r.FormValue("client_secret") != "s3":
			w.WriteHeader(400)
			io.WriteString(w, `{"error":"invalid_request"}`)
		case asked.AccessToken.ACRs.Value != "" && has != asked.AccessToken.ACRs.Value:
			w.WriteHeader(400)
			fmt.Fprintf(w, `{"error":"interaction_required","claims":%q}`, `{"access_token":{"acrs":{"essential":true,"value":"`+asked.AccessToken.ACRs.Value+`"}}}`)
		default:
			fmt.Fprintf(w, `{"access_token":"obo-%s","token_type":"Bearer","expires_in":3600,"scope":"pets"}`, asked.AccessToken.ACRs.Value)
		}
	})
	mux.HandleFunc("/pets/{id}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch auth := r.Header.Get("Authorization"); {
		case !strings.HasPrefix(auth, "Bearer obo-"):
			w.WriteHeader(401)
		case r.Method == "GET":
			io.WriteString(w, `{"id":1,"name":"Rex","species":"cat","status":"available"}`)
		case auth != "Bearer obo-c1":
			claims := base64.StdEncoding.EncodeToString([]byte(`{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`))
			w.Header().Set("WWW-Authenticate", `Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", error="insufficient_claims", claims="`+claims+`"`)
			w.WriteHeader(401)
		default:
			mu.Lock()
			defer mu.Unlock()
			n++
			w.WriteHeader(204)
		}
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL, func() int { mu.Lock(); defer mu.Unlock(); return n }
}

// A held call whose API wants another login waits for it: the client is told which
// claims to ask for, and the call goes once with the token that has them.
func TestEntraStepUpOverHTTP(t *testing.T) {
	issuer, spec := newTestIssuer(t), petstoreFile(t)
	dir := filepath.Dir(spec)
	entra, deleted := newOnBehalf(t)
	t.Setenv("ENTRA_SECRET", "s3")
	writeFiles(t, dir, map[string]string{
		"p.cedar": `@id("reads") permit (principal, action == Petstore::Action::"get_pet", resource);
			@id("deletes") permit (principal, action == Petstore::Action::"delete_pet", resource) when { context has approval };
			@id("own") permit (principal, action == Action::"approve", resource) when { resource.requester == principal };`,
		"exeat.yaml": fmt.Sprintf(`
apis:
  - spec: petstore.yaml
    base_url: "%s"
    credential: {strategy: entra_obo, token_url: "%s/contoso/oauth2/v2.0/token", client_id: exeat, auth: body, env: ENTRA_SECRET, scopes: [pets]}
policy: [p.cedar]
listen: 127.0.0.1:0
db: exeat.db
keys: keys
inbox: {listen: "127.0.0.1:0"}
oauth: {issuers: [{issuer: "%s", prefix: "corp|", audience: ["https://exeat.example.com/mcp"]}]}
`, entra, entra, issuer.url)})
	file := filepath.Join(dir, "exeat.yaml")
	s := startConfigured(t, file)
	ours := "https://exeat.example.com/mcp"
	ann := issuer.token(t, ours, "ann", "claude", 0)
	if status, got := s.postCall(t, ann, "get_pet", `{"petId":1}`); !strings.Contains(got, `"http_status":200`) && !strings.Contains(got, `\"http_status\":200`) {
		t.Fatalf("a read: %d %s", status, got)
	}
	_, got := s.postCall(t, ann, "delete_pet", `{"petId":1}`)
	m := regexp.MustCompile(`hold_[a-z0-9]+`).FindString(got)
	if m == "" {
		t.Fatalf("it is not held: %s", got)
	}
	approveElsewhere(t, file, m, "corp|ann")

	resume := `{"handle":"` + m + `","wait_seconds":30}`
	resp, got := s.post(t, ann, "exeat_resume", resume)
	challenge := regexp.MustCompile(`error="insufficient_claims".* claims="([^"]+)"`).FindStringSubmatch(resp.Header.Get("WWW-Authenticate"))
	if resp.StatusCode != http.StatusUnauthorized || challenge == nil || deleted() != 0 {
		t.Fatalf("%d %v %s", resp.StatusCode, resp.Header, got)
	}
	if claims, err := base64.StdEncoding.DecodeString(challenge[1]); err != nil || string(claims) != `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}` {
		t.Errorf("claims %s", claims)
	}
	if resp, _ := s.post(t, ann, "exeat_resume", resume); resp.StatusCode != http.StatusUnauthorized || deleted() != 0 {
		t.Errorf("with the same token: %d", resp.StatusCode)
	}
	strong := issuer.tokenWith(t, ours, "ann", "claude", 0, map[string]any{"acrs": "c1"})
	if status, got := s.postCall(t, strong, "exeat_resume", resume); !strings.Contains(got, "204") || deleted() != 1 {
		t.Errorf("with what is wanted: %d %s, deleted %d times", status, got, deleted())
	}
	if printed := s.printed.text.String(); strings.Contains(printed, strings.TrimPrefix(strong, "Bearer ")) || strings.Contains(printed, "obo-") {
		t.Error("a token is in the log")
	}
}

// approveElsewhere is a person in another process who approves a hold.
func approveElsewhere(t *testing.T, file, id, user string) {
	t.Helper()
	cfg, err := loadConfig(file)
	if err == nil {
		cfg, err = cfg.withDefaults()
	}
	if err != nil {
		t.Fatal(err)
	}
	g, err := openGateway(t.Context(), cfg, io.Discard, doors{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	var h store.Hold
	if err := g.store.View(t.Context(), func(tx *store.Tx) (err error) { h, err = tx.Hold(id); return err }); err != nil {
		t.Fatal(err)
	}
	parties, err := approval.PartiesOf(h)
	if err != nil || parties.Principal.ID != user {
		t.Fatal(parties.Principal, err)
	}
	who := g.door.Admit(approval.Person{Principal: parties.Principal, AMR: []string{"otp"}}, time.Now().Add(time.Hour))
	if _, err := approval.One(g.holds.Decide(t.Context(), who, approval.Verdict{Approve: true, Hold: h.ID, Digest: h.Digest})); err != nil {
		t.Fatal(err)
	}
}
