package token_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/exeat/exeat/authz/token"
)

// An API that lets only requests through that exeat made, each once. Outside of
// tests the keys are at https://…/.well-known/jwks.json of exeat.
func ExampleVerifier_Handler() {
	exeat := startExeat()
	defer exeat.stop()

	keys, err := token.NewKeySource(exeat.jwks)
	if err != nil {
		panic(err)
	}
	verifier := &token.Verifier{Issuer: "https://exeat.example", Audience: "https://pets.example/", Keys: keys, Now: clock}
	api, err := verifier.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := token.ClaimsOf(r.Context())
		fmt.Printf("%s %s for %s, asked by %s\n", r.Method, r.URL, c.Subject, c.Agent)
	}))
	if err != nil {
		panic(err)
	}
	// http.ListenAndServe(":8080", api)

	r := exeat.request("DELETE", "/pets/42")
	for range 2 {
		answer := httptest.NewRecorder()
		api.ServeHTTP(answer, r)
		fmt.Println(answer.Code, http.StatusText(answer.Code))
	}
	// Output:
	// DELETE /pets/42 for alice, asked by claude
	// 200 OK
	// 401 Unauthorized
}

// exeat is its side of the example.
type exeat struct {
	token.Signed
	dir, jwks string
}

func startExeat() *exeat {
	dir, err := os.MkdirTemp("", "exeat")
	if err != nil {
		panic(err)
	}
	keys, err := token.OpenKeys(filepath.Join(dir, "keys"), "EdDSA")
	if err != nil {
		panic(err)
	}
	set, err := keys.JWKS(clock())
	if err != nil {
		panic(err)
	}
	e := &exeat{token.Signed{Issuer: "https://exeat.example", Keys: keys, Now: clock}, dir, filepath.Join(dir, "jwks.json")}
	if err := os.WriteFile(e.jwks, set, 0o600); err != nil {
		panic(err)
	}
	return e
}

func (e *exeat) stop() { os.RemoveAll(e.dir) }

func clock() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// request is one that exeat sends.
func (e *exeat) request(method, target string) *http.Request {
	const audience = "https://pets.example/"
	r := httptest.NewRequest(method, target, nil)
	call := token.Call{Txn: "1", Subject: "alice", Agent: "claude", Audience: audience, DecisionID: "1", Effect: "delete",
		Details: token.Bind(audience, method, target, "", nil, nil, "pets.delete_pet", "")}
	if _, err := e.Attach(r.Context(), call, r); err != nil {
		panic(err)
	}
	return r
}
