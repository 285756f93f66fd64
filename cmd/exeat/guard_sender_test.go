package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/examples/petstore"
)

// TestBindingsEndToEnd makes calls with the program, through the guard as a program,
// to the shop: with each binding where it is required, and without it.
func TestBindingsEndToEnd(t *testing.T) {
	shop := httptest.NewServer(petstore.New())
	t.Cleanup(shop.Close)
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("XDG_CONFIG_HOME", "")
	run := func(args ...string) string {
		var out, log strings.Builder
		if code := execute(t.Context(), args, strings.NewReader(""), &out, &log); code != 0 {
			return fmt.Sprintf("%d %s%s", code, &out, &log)
		}
		return out.String()
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	jwks := write("jwks.json", run("keys", "jwks"))
	write("petstore.yaml", string(petstore.Document))
	write("allow.cedar", `permit (principal, action in Action::"call_tool", resource);`)
	for _, tt := range []struct {
		name, binding string
		flags         []string
		logged        []string
	}{
		{"signature", "signature", []string{"--require-binding", "signature"}, []string{"passed", "passed"}},
		{"dpop", "dpop", []string{"--require-binding", "dpop"}, []string{"passed", "passed"}},
		{"dpop and a nonce", "dpop", []string{"--dpop-nonce"}, []string{"use_dpop_nonce", "passed", "use_dpop_nonce", "passed"}},
		{"asked for by the token alone", "signature", nil, []string{"passed", "passed"}},
		{"none", "", []string{"--require-binding", "dpop"}, []string{"not_bound", "not_bound", "not_bound"}},               // the read is tried again
		{"the other", "dpop", []string{"--require-binding", "signature"}, []string{"not_bound", "not_bound", "not_bound"}}, // the read is tried again
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := &guarded{t: t, args: append([]string{"guard", "--upstream", shop.URL, "--jwks", jwks, "--issuer", "http://127.0.0.1:8420",
				"--listen", "127.0.0.1:0", "--db", filepath.Join(t.TempDir(), "guard.db"), "--log", "json"}, tt.flags...)}
			g.start()
			config := write("exeat.yaml", fmt.Sprintf("apis: [{spec: petstore.yaml, base_url: 'http://%s', credential: {strategy: signed, binding: %q}}]\npolicy: [allow.cedar]\n", g.addr, tt.binding))
			got := []string{
				run("call", "--config", config, "get_pet", `{"petId":1}`),
				run("call", "--config", config, "create_pet", `{"body":{"name":"Rex","species":"dog"}}`),
			}
			if d := cmp.Diff(tt.logged, g.logged()); d != "" {
				t.Error(d)
			}
			for i, status := range []string{`"http_status": 200`, `"http_status": 201`} {
				if passed := strings.Contains(got[i], status); passed != (tt.logged[len(tt.logged)-1] == "passed") {
					t.Errorf("call %d: %s", i, got[i])
				}
			}
			// Without anything, nobody is let in.
			res, err := http.Get("http://" + g.addr + "/pets/1")
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if b, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusUnauthorized {
				t.Errorf("%d %s", res.StatusCode, b)
			}
		})
	}
}
