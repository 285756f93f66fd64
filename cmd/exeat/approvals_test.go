package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/exeat/exeat/examples/petstore"
	"github.com/exeat/exeat/tools"
)

// newShopGateway is a gateway of its own over the pet shop, with its inbox.
func newShopGateway(t *testing.T) (*gateway, *counter) {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	shop := &counter{next: petstore.New()}
	srv := httptest.NewServer(shop)
	t.Cleanup(srv.Close)
	g, stop := runShopGateway(t, srv.URL)
	t.Cleanup(stop)
	return g, shop
}

// runShopGateway opens a gateway on the state of $XDG_STATE_HOME, under the
// given policies, and serves its inbox and releases its calls until stop.
func runShopGateway(t *testing.T, shop string, policies ...string) (g *gateway, stop func()) {
	t.Helper()
	dir := t.TempDir()
	spec := filepath.Join(dir, "petstore.yaml")
	if err := os.WriteFile(spec, petstore.Document, 0o600); err != nil {
		t.Fatal(err)
	}
	set := config{APIs: []apiConfig{{Spec: spec, BaseURL: shop}}, User: "alice", Inbox: inboxConfig{Listen: "127.0.0.1:0"}}
	if len(policies) > 0 {
		set.Policy = []string{filepath.Join(dir, "test.cedar")}
		if err := os.WriteFile(set.Policy[0], []byte(strings.Join(policies, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := set.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if g, err = openGateway(t.Context(), cfg, io.Discard, doors{inbox: true}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- g.run(ctx, func(ctx context.Context) error { <-ctx.Done(); return nil })
	}()
	return g, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		g.close()
	}
}

// exeat runs a command line in this process.
func exeat(t *testing.T, in string, args ...string) (code int, out string) {
	t.Helper()
	var b bytes.Buffer
	code = execute(t.Context(), args, strings.NewReader(in), &b, &b)
	return code, b.String()
}

func TestApprovalsInATerminal(t *testing.T) {
	g, shop := newShopGateway(t)
	held := func(args string) string {
		t.Helper()
		res := g.runner.Call(t.Context(), terminal(g.cfg), "delete_pet", []byte(args))
		if res.Envelope.Status != tools.Pending {
			t.Fatalf("%s", res.JSON())
		}
		return res.Envelope.Handle
	}
	link := g.inbox.LoginLink()
	if code, out := exeat(t, link+"\n", "approvals", "login"); code != 0 || !strings.Contains(out, "as User::alice") {
		t.Fatal(code, out)
	}
	if code, out := exeat(t, link+"\n", "approvals", "login"); code != 2 {
		t.Error("the link worked twice:", code, out)
	}
	if info, err := os.Stat(filepath.Join(os.Getenv("XDG_STATE_HOME"), "exeat", "inbox-session.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	first, second := held(`{"petId":1}`), held(`{"petId":2}`)
	if code, out := exeat(t, "", "approvals", "list"); code != 0 || !strings.Contains(out, first) || !strings.Contains(out, second) {
		t.Error(code, out)
	}
	code, out := exeat(t, "", "approvals", "show", first)
	_, rest, found := strings.Cut(out, "digest")
	if code != 0 || !found || !strings.Contains(out, "/pets/1") {
		t.Fatal(code, out)
	}
	digest := strings.Fields(rest)[0]
	for _, wrong := range []string{"", digest[:7], strings.Repeat("0", 64)} {
		if code, out := exeat(t, "", "approvals", "approve", first, "--digest", wrong); code != 2 || shop.writes.Load() != 0 {
			t.Error("approved without having seen it:", wrong, code, out)
		}
	}
	if code, out := exeat(t, "", "approvals", "approve", first, "--digest", digest[:8]); code != 0 {
		t.Fatal(code, out)
	}
	if res := g.runner.Resume(t.Context(), terminal(g.cfg), first, tools.MaxWait, ""); res.Envelope.HTTPStatus != http.StatusNoContent {
		t.Errorf("%s", res.JSON())
	}
	_, out = exeat(t, "", "approvals", "show", second)
	_, rest, _ = strings.Cut(out, "digest")
	if code, out := exeat(t, "", "approvals", "deny", second, "--digest", strings.Fields(rest)[0], "--reason", "not this one"); code != 0 {
		t.Fatal(code, out)
	}
	if res := g.runner.Resume(t.Context(), terminal(g.cfg), second, 0, ""); !strings.Contains(res.Envelope.Reason, "not this one") || shop.writes.Load() != 1 {
		t.Errorf("%s, %d writes", res.JSON(), shop.writes.Load())
	}
	if code, out := exeat(t, "", "approvals", "show", "hold_nothing"); code != 1 {
		t.Error(code, out)
	}
	if code, out := exeat(t, "", "audit", "verify"); code != 0 {
		t.Error(code, out)
	}
}
