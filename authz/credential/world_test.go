package credential

import (
	"net/http"
	"strings"
	"testing"

	"github.com/exeat/exeat/authz/token"
)

const testAudience = "https://petstore.example/"

// testCall is the call of these tests: a person's agent changes a pet.
func testCall() token.Call {
	return token.Call{Txn: "txn_1", Subject: "alice", Agent: "claude", Audience: testAudience, Effect: "write",
		Template: "/pets/{petId}", Path: map[string]string{"petId": "42"},
		Details: token.Bind(testAudience, http.MethodPut, "/pets/42?force=true", "application/json", nil, []byte(`{"name":"Rex"}`), "put_pet", "sha256:0")}
}

// outgoing is the request of testCall.
func outgoing(t *testing.T) *http.Request {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, testAudience+"pets/42?force=true", strings.NewReader(`{"name":"Rex"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	return r
}

func askedAt(location, id, secret string, inBody bool) *ClientCredentials {
	return &ClientCredentials{Server: &Server{TokenURL: location, Auth: SecretAuth{id, token.NewSecret(secret), inBody}}}
}
