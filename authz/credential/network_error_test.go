package credential

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/exeat/exeat/authz/token"
)

// startGarbage answers every request with bytes that are no HTTP and repeat what came.
func startGarbage(t *testing.T, answer func(request string) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				_ = r.ParseForm()
				conn.Write([]byte(answer(r.Header.Get("Authorization") + r.Header.Get("X-Vault-Token") + r.Form.Encode())))
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// What a server writes that is no HTTP is quoted by net/http, and may be a secret.
func TestBrokenHTTPIsNotRepeated(t *testing.T) {
	ways := map[string]func(string) string{
		"status line": func(s string) string { return "canary " + s + "\r\n\r\n" },
		"status":      func(s string) string { return "HTTP/1.1 canary-" + s + " OK\r\n\r\n" },
		"header":      func(s string) string { return "HTTP/1.1 200 OK\r\ncanary " + s + "\r\n\r\n" },
		"length":      func(s string) string { return "HTTP/1.1 200 OK\r\nContent-Length: canary" + s + "\r\n\r\n" },
		"encoding":    func(s string) string { return "HTTP/1.1 200 OK\r\nTransfer-Encoding: canary" + s + "\r\n\r\n" },
		"location":    func(s string) string { return "HTTP/1.1 302 Found\r\nLocation: http://[canary" + s + "\r\n\r\n" },
	}
	for name, answer := range ways {
		t.Run(name, func(t *testing.T) {
			at := startGarbage(t, answer)
			server := func() *Server {
				return &Server{TokenURL: at, RevokeURL: at, IntrospectURL: at, Auth: SecretAuth{ID: "exeat", Secret: token.NewSecret("s3cr3tcanary")}}
			}
			c := testCall()
			c.Caller = token.NewSecret("s3cr3tcanary-of-the-caller")
			c.Scopes = []string{"pets:write"}
			vault := &Vault{URL: at, Path: "database/creds/readonly", Field: "password",
				Login: VaultLogin{Secret: func(context.Context, token.Call) (token.Secret, error) { return token.NewSecret("s3cr3tcanary"), nil }}}
			cloud := &AWS{Endpoint: at, Service: "s3", Region: "r", Policy: []Statement{{Actions: []string{"s3:PutObject"}, Resources: []string{"*"}}},
				WebIdentity: func() (string, error) { return "s3cr3tcanary", nil }}
			hub := &GitHubApp{URL: at, ID: "1", Key: newSigningKey(appKey(), jose.RS256, "")}
			for what, a := range map[string]token.Attacher{
				"client_credentials": &ClientCredentials{Server: server()},
				"exchange":           &Exchange{Server: server()},
				"entra_obo":          &EntraOBO{Server: server()},
				"vault":              vault,
				"aws_sts":            cloud,
			} {
				_, err := a.Attach(t.Context(), c, outgoing(t))
				if err == nil || strings.Contains(err.Error(), "canary") {
					t.Errorf("%s: %v", what, err)
				}
			}
			g, r := githubCall(at, "POST", issuesOf, repoOf("octo", "hello"))
			if _, err := hub.Attach(t.Context(), g, r); err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("github_app: %v", err)
			}
			_, listening := listen(t.Context(), nil)
			q, _ := http.NewRequest(http.MethodGet, at, nil)
			q.Header.Set("Authorization", "s3cr3tcanary")
			_, _ = listening.RoundTrip(q)
			if err := listening.explain(); strings.Contains(err.Error(), "canary") {
				t.Errorf("gcp: %v", err)
			}
			if err := server().Revoke("s3cr3tcanary")(t.Context()); err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("revoke: %v", err)
			}
		})
	}
}
