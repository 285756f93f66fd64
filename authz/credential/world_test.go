package credential

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
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
func outgoing(t testing.TB) *http.Request {
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

// writeECKey writes a new P-256 key in PEM.
func writeECKey(t testing.TB, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err == nil {
		err = os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// newCertificate is one that nobody signed but itself.
func newCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// contextUntil is a context that ends when something has happened.
func contextUntil(t *testing.T, happened <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		select {
		case <-happened:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// providerSecret is that of the clients of npm's oidc-provider.
const providerSecret = "a secret with / and : in it, of some length"

// startProvider starts npm's oidc-provider and returns its issuer.
func startProvider(t *testing.T, more ...string) string {
	t.Helper()
	modules := os.Getenv("EXEAT_OIDC")
	if modules == "" {
		t.Skip("EXEAT_OIDC names no folder of node modules")
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{"testdata/oidc-provider.mjs", modules, testAudience}, more...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // which says that it was killed
	})
	issuer := ""
	for lines := bufio.NewScanner(out); issuer == "" && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "http://127.0.0.1:") {
			issuer = lines.Text()
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // it must not block on what it says
	return issuer
}
