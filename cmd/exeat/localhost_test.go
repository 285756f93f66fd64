package main

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/exeat/exeat/authz/credential"
	"github.com/exeat/exeat/authz/inbox"
	"github.com/exeat/exeat/authz/notify"
	tokens "github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/openapi/reach"
)

// stranger listens at 127.0.0.1 and, as another user of the machine, at the same port
// of [::1]. It counts what is said to it.
func stranger(t *testing.T) (port string, heard *atomic.Int32) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can listen as somebody else")
	}
	heard = &atomic.Int32{}
	serve := func(l net.Listener) {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if n, _ := conn.Read(make([]byte, 1)); n > 0 {
					heard.Add(1)
				}
			}()
		}
	}
	var plain net.ListenConfig
	plain.SetMultipathTCP(false) // the owner of such a one cannot be changed
	for range listenTries {
		ours, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(ours.Addr().String())
		theirs, err := plain.Listen(t.Context(), "tcp", "[::1]:"+port)
		if err != nil {
			ours.Close()
			if errors.Is(err, syscall.EADDRINUSE) {
				continue
			}
			t.Skip("no IPv6 here")
		}
		t.Cleanup(func() { ours.Close(); theirs.Close() })
		raw, err := theirs.(*net.TCPListener).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(raw.Control(func(fd uintptr) { err = syscall.Fchown(int(fd), 65534, -1) }), err); err != nil {
			t.Skip(err)
		}
		go serve(ours)
		go serve(theirs)
		return port, heard
	}
	t.Skip("no free pair of ports")
	return "", nil
}

// TestLocalhostOfTwoUsers has another user at the other half of localhost: nothing that
// exeat dials says a word there, neither a secret nor a question.
func TestLocalhostOfTwoUsers(t *testing.T) {
	port, heard := stranger(t)
	at := "http://localhost:" + port
	secret := "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	send := func(c *notify.Channel, err error) error {
		if err != nil {
			t.Fatal(err)
		}
		return c.Send(t.Context(), notify.Message{})
	}
	for name, dial := range map[string]func(context.Context) error{
		"a webhook": func(context.Context) error { return send(notify.NewWebhook("hook", at+"/hook", secret)) },
		"a channel": func(context.Context) error { return send(notify.NewChannel("chat", "generic+"+at+"/chat")) },
		"mail": func(context.Context) error {
			return send(notify.NewChannel("mail", "smtp://localhost:"+port+"/?from=a@b.example&to=c@d.example"))
		},
		"an OpenID login": func(ctx context.Context) error {
			o, err := inbox.NewOIDC("http://127.0.0.1:8421", inbox.OIDCConfig{Issuer: at, ClientID: "exeat", Allowed: inbox.Allowed{Everyone: true}})
			if err != nil {
				t.Fatal(err)
			}
			return o.Discover(ctx)
		},
		"a terminal": func(ctx context.Context) error {
			_, err := inbox.Login(ctx, at+"/login?code=secret")
			return err
		},
		"a document": func(ctx context.Context) error {
			_, err := openapi.Load(ctx, at+"/openapi.yaml", openapi.Options{})
			return err
		},
		"client credentials": func(ctx context.Context) error {
			cc := &credential.ClientCredentials{Server: &credential.Server{TokenURL: at + "/token", Auth: credential.SecretAuth{ID: "exeat", Secret: tokens.NewSecret("s3cret")}}}
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1/pets", nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = cc.Attach(ctx, tokens.Call{Audience: "http://127.0.0.1"}, r)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := dial(t.Context())
			if err == nil || !strings.Contains(err.Error(), reach.ErrTwoUsers.Error()) && !strings.Contains(err.Error(), "localhost, where two users listen") {
				t.Errorf("it was dialled: %v", err)
			}
			if n := heard.Load(); n != 0 {
				t.Errorf("%d connections were spoken on", n)
			}
		})
	}
}

// dialsByItself are the files that may dial without asking reach, and why.
var dialsByItself = map[string]string{
	"authz/notify/push.go":             "public addresses only",
	"cmd/exeat/documents.go":           "what it makes is reach's",
	"authz/issuer/client.go":           "what it makes is reach's",
	"authz/devissuer/issuer.go":        "what it makes is reach's",
	"cmd/exeat/demo.go":                "addresses of its own, as numbers",
	"cmd/exeat/demo_keycloak.go":       "addresses of its own, as numbers",
	"cmd/exeat/demo_keycloak_play.go":  "addresses of its own, as numbers",
	"cmd/exeat/demo_keycloak_fetch.go": "what comes has a known digest",
	"cmd/exeat/play.go":                "addresses of its own, as numbers",
	"examples/conformance/proxy.go":    "a test's proxy",
}

// usesProxies are the files that go by the environment's proxy without looking where
// it leads, and why that is no way for an agent to go anywhere.
var usesProxies = map[string]string{
	"authz/notify/client.go": "channels are the operator's",
	"openapi/load_fetch.go":  "so are the places of documents",
	"openapi/reach/proxy.go": "looks where it leads",
}

// TestEveryDialAsksReach finds HTTP clients and dialers that would take localhost at
// whichever address answers first.
func TestEveryDialAsksReach(t *testing.T) {
	root := filepath.Join("..", "..")
	found := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, path)
		if filepath.ToSlash(name) == "examples/bench" {
			return filepath.SkipDir // a module of its own, which loads servers on loopback only
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || dialsByItself[filepath.ToSlash(name)] != "" {
			return err
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				want := map[string]string{"http.Transport": "DialContext", "http.Client": "Transport"}[selector(n.Type)]
				if selector(n.Type) == "net.Dialer" && !strings.HasPrefix(filepath.ToSlash(name), "openapi/reach/") {
					t.Errorf("%s: net.Dialer", fset.Position(n.Pos()))
				}
				if want != "" && !hasField(n, want) {
					t.Errorf("%s: without %s", fset.Position(n.Pos()), want)
				} else if want != "" {
					found++
				}
				if want != "" && hasField(n, "Proxy") && usesProxies[filepath.ToSlash(name)] == "" {
					t.Errorf("%s: with a proxy that does not ask reach", fset.Position(n.Pos()))
				}
			case *ast.SelectorExpr:
				switch s := selector(n); s {
				case "http.Get", "http.Post", "http.PostForm", "http.Head", "http.DefaultClient", "http.DefaultTransport", "net.Dial", "net.DialTimeout", "tls.Dial", "tls.Dialer", "smtp.Dial", "smtp.SendMail":
					t.Errorf("%s: %s", fset.Position(n.Pos()), s)
				case "http.ProxyFromEnvironment", "http.ProxyURL":
					if usesProxies[filepath.ToSlash(name)] != "" {
						break
					}
					t.Errorf("%s: %s", fset.Position(n.Pos()), s)
				}
			}
			return true
		})
		return nil
	})
	if err != nil || found < 6 {
		t.Errorf("%d clients and transports were found: %v", found, err)
	}
}

// selector is a type or function of another package, as it is written.
func selector(n ast.Node) string {
	s, ok := n.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if x, ok := s.X.(*ast.Ident); ok {
		return x.Name + "." + s.Sel.Name
	}
	return ""
}

func hasField(n *ast.CompositeLit, name string) bool {
	for _, e := range n.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if key, ok := kv.Key.(*ast.Ident); ok && key.Name == name {
				return true
			}
		}
	}
	return false
}
