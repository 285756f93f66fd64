package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/exeat/exeat/examples/petstore"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"exeat": main})
}

// recorder is an API that keeps the last request, written out.
type recorder struct {
	mu   sync.Mutex
	last string
}

func (a *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, err := httputil.DumpRequest(r, true)
	if err != nil {
		text = []byte(err.Error())
	}
	a.mu.Lock()
	a.last = string(text)
	a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"ok":true}`)
}

// request returns the last request.
func (a *recorder) request() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// newSecureAPI serves h by TLS to whoever shows client.pem, whose key is
// client.key; ca.pem is to be trusted.
func newSecureAPI(e *testscript.Env, h http.Handler) *httptest.Server {
	fatal := func(err error) {
		if err != nil {
			e.T().Fatal(err)
		}
	}
	write := func(name, kind string, der []byte) {
		fatal(os.WriteFile(filepath.Join(e.WorkDir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fatal(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	fatal(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	fatal(err)
	client, err := x509.ParseCertificate(der)
	fatal(err)
	write("client.pem", "CERTIFICATE", der)
	write("client.key", "PRIVATE KEY", private)
	srv := httptest.NewUnstartedServer(h)
	srv.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}
	srv.TLS.ClientCAs.AddCert(client)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	write("ca.pem", "CERTIFICATE", srv.Certificate().Raw)
	return srv
}

// TestScripts runs the real program as people do, each script with a home of
// its own and, as $SHOP, a pet shop that asks for the key "shop-key".
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			shop := &counter{next: &petstore.Server{Key: "shop-key"}}
			srv := httptest.NewServer(shop)
			e.Defer(srv.Close)
			e.Setenv("SHOP", srv.URL)
			seen := &recorder{}
			api := httptest.NewServer(seen)
			e.Defer(api.Close)
			e.Setenv("API", api.URL)
			e.Values["api"] = seen
			secure := newSecureAPI(e, seen)
			e.Defer(secure.Close)
			e.Setenv("SECURE", secure.URL)
			startProxied(e, seen)
			home := filepath.Join(e.WorkDir, "home")
			e.Setenv("HOME", home)
			e.Setenv("XDG_STATE_HOME", "")
			e.Setenv("PETSTORE_KEY", "shop-key")
			e.Values["shop"] = shop
			return os.WriteFile(filepath.Join(e.WorkDir, "petstore.yaml"), petstore.Document, 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// sent PATTERN...: the last request to $API matches all of them, or none.
			"sent": func(ts *testscript.TestScript, neg bool, args []string) {
				text := ts.Value("api").(*recorder).request()
				for _, pattern := range args {
					if regexp.MustCompile(pattern).MatchString(text) == neg {
						ts.Fatalf("%q: the request was %s", pattern, text)
					}
				}
			},
			"asked": asked,
			// writes N: the shop has seen N writes.
			"writes": func(ts *testscript.TestScript, neg bool, args []string) {
				shop := ts.Value("shop").(*counter)
				if got := fmt.Sprint(shop.writes.Load()); (got == args[0]) == neg {
					ts.Fatalf("the shop has seen %s writes", got)
				}
			},
		},
	})
}
