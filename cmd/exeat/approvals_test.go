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
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	shop := &counter{next: petstore.New()}
	srv := httptest.NewServer(shop)
	t.Cleanup(srv.Close)
	spec := filepath.Join(dir, "petstore.yaml")
	if err := os.WriteFile(spec, petstore.Document, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config{APIs: []apiConfig{{Spec: spec, BaseURL: srv.URL}}, User: "alice", Inbox: inboxConfig{Listen: "127.0.0.1:0"}}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	g, err := openGateway(t.Context(), cfg, io.Discard, true)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- g.run(ctx, func(ctx context.Context) error { <-ctx.Done(); return nil })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		g.close()
	})
	return g, shop
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
	if res := g.runner.Resume(t.Context(), terminal(g.cfg), first, tools.MaxWait); res.Envelope.HTTPStatus != http.StatusNoContent {
		t.Errorf("%s", res.JSON())
	}
	_, out = exeat(t, "", "approvals", "show", second)
	_, rest, _ = strings.Cut(out, "digest")
	if code, out := exeat(t, "", "approvals", "deny", second, "--digest", strings.Fields(rest)[0], "--reason", "not this one"); code != 0 {
		t.Fatal(code, out)
	}
	if res := g.runner.Resume(t.Context(), terminal(g.cfg), second, 0); !strings.Contains(res.Envelope.Reason, "not this one") || shop.writes.Load() != 1 {
		t.Errorf("%s, %d writes", res.JSON(), shop.writes.Load())
	}
	if code, out := exeat(t, "", "approvals", "show", "hold_nothing"); code != 1 {
		t.Error(code, out)
	}
	if code, out := exeat(t, "", "audit", "verify"); code != 0 {
		t.Error(code, out)
	}
}

// A key of the agent's side opens nothing on the person's side, and the other
// way round.
func TestSidesDoNotMix(t *testing.T) {
	g, _ := newShopGateway(t)
	handler, bearer, err := g.http(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mcp := httptest.NewServer(handler)
	defer mcp.Close()
	for _, tt := range []struct{ name, url, header, value string }{
		{"the agent's bearer token at the inbox", g.inbox.URL + "/", "Authorization", "Bearer " + bearer},
		{"the agent's bearer token at the inbox's JSON", g.inbox.URL + "/api/holds", "Authorization", "Bearer " + bearer},
		{"the bearer token as the cookie", g.inbox.URL + "/api/holds", "Cookie", "exeat_inbox_" + g.inbox.URL[strings.LastIndex(g.inbox.URL, ":")+1:] + "=" + bearer},
	} {
		req, err := http.NewRequest(http.MethodGet, tt.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(tt.header, tt.value)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			t.Errorf("%s: %s", tt.name, resp.Status)
		}
	}
}
