package main

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/exeat/exeat/examples/petstore"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"exeat": main})
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
			home := filepath.Join(e.WorkDir, "home")
			e.Setenv("HOME", home)
			e.Setenv("XDG_STATE_HOME", "")
			e.Setenv("PETSTORE_KEY", "shop-key")
			e.Values["shop"] = shop
			return os.WriteFile(filepath.Join(e.WorkDir, "petstore.yaml"), petstore.Document, 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
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
