package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/exeat/exeat/examples/petstore"
	"github.com/exeat/exeat/store"
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

// approvedNow reports whether a terminal says that a call is approved. By the time that
// it asks, the call may be sent.
func approvedNow(out, handle string) bool {
	return slices.ContainsFunc([]string{"approved", "sending", "done"}, func(state string) bool { return strings.Contains(out, handle+": "+state) })
}

// One run shows the call, asks, and decides what it showed. Nothing but a plain
// yes is one.
func TestApproveInOneRun(t *testing.T) {
	g, shop := newShopGateway(t)
	if code, out := exeat(t, g.inbox.LoginLink()+"\n", "approvals", "login"); code != 0 {
		t.Fatal(code, out)
	}
	handle := g.runner.Call(t.Context(), terminal(g.cfg), "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
	for _, answer := range []string{"", "\n", "n\n", "y", "yes, but\n", "\ny\n", "approve\n", "Y E S\n"} {
		code, out := exeat(t, answer, "approvals", "approve", handle)
		if code != 1 || !strings.Contains(out, "nothing was decided") || !strings.Contains(out, "/pets/1") {
			t.Errorf("%q: %d %s", answer, code, out)
		}
	}
	code, out := exeat(t, "y\n", "approvals", "approve", handle)
	if code != 0 || !strings.Contains(out, "Approve exactly this, once? [y/N] ") || !approvedNow(out, handle) {
		t.Fatal(code, out)
	}
	// What its page says of the call, the terminal says too.
	for _, same := range []string{"If it is approved, exeat sends", "once, to http://127.0.0.1:", "petstore, delete_pet", "delete", "unverified name", "in the name of alice", "Nothing has been sent yet"} {
		if !strings.Contains(out, same) {
			t.Errorf("it does not say %q: %s", same, out)
		}
	}
	if res := g.runner.Resume(t.Context(), terminal(g.cfg), handle, tools.MaxWait, ""); res.Envelope.HTTPStatus != http.StatusNoContent || shop.writes.Load() != 1 {
		t.Errorf("%s", res.JSON())
	}
	if code, out := exeat(t, "y\n", "approvals", "approve", handle); code != 1 || !strings.Contains(out, "it is done") {
		t.Error(code, out)
	}
	second := g.runner.Call(t.Context(), terminal(g.cfg), "delete_pet", []byte(`{"petId":2}`)).Envelope.Handle
	if code, out := exeat(t, "YES\n", "approvals", "deny", second, "--reason", "no"); code != 0 || !strings.Contains(out, second+": denied") {
		t.Error(code, out)
	}
}

// What a document hides is shown before it can be approved, in a terminal as
// elsewhere.
func TestApproveHiddenInATerminal(t *testing.T) {
	g, _ := newShopGateway(t)
	if code, out := exeat(t, g.inbox.LoginLink()+"\n", "approvals", "login"); code != 0 {
		t.Fatal(code, out)
	}
	open := func(dedupe string) store.Hold {
		t.Helper()
		h, err := g.holds.Open(t.Context(), store.Hold{API: "elsewhere", Tool: "pay", Effect: "write", Summary: "POST /payments", Subject: "User::alice",
			Principal: json.RawMessage(`{"type":"User","id":"alice"}`), Agent: json.RawMessage(`{"id":"claude"}`), Session: json.RawMessage(`{}`), Details: json.RawMessage(`{}`), Choices: json.RawMessage(`{"once":true}`),
			Args: json.RawMessage(`{"amount":"99999"}`), Masked: []string{"/amount"}, Digest: strings.Repeat("0123456789abcdef", 4), Dedupe: dedupe, Txn: "txn_1",
			Request: store.Request{Method: "POST", Origin: "https://api.example.com", Path: "/payments", Target: "/payments?amount=99999"}})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := open("k1")
	for _, args := range [][]string{{"--digest", h.Digest}, nil} {
		code, out := exeat(t, "n\ny\n", append([]string{"approvals", "approve", h.ID}, args...)...)
		if code != 1 || !strings.Contains(out, "hidden values") || strings.Contains(out, "99999") {
			t.Errorf("%v: %d %s", args, code, out)
		}
	}
	if code, out := exeat(t, "y\ny\n", "approvals", "approve", h.ID); code != 0 || !strings.Contains(out, "99999") || !approvedNow(out, h.ID) {
		t.Error(code, out)
	}
	other := open("k2")
	if code, out := exeat(t, "", "approvals", "show", other.ID); code != 0 || !strings.Contains(out, "--reveal") || strings.Contains(out, "99999") {
		t.Error(code, out)
	}
	if code, out := exeat(t, "", "approvals", "show", other.ID, "--reveal"); code != 0 || !strings.Contains(out, "99999") {
		t.Error(code, out)
	}
	if code, out := exeat(t, "", "approvals", "approve", other.ID, "--digest", other.Digest); code != 0 {
		t.Error(code, out)
	}
	if code, out := exeat(t, "", "audit", "verify"); code != 0 {
		t.Error(code, out)
	}
}

// The terminal says of two calls on one thing that there are two.
func TestTwoHoldsInATerminal(t *testing.T) {
	g, _ := newShopGateway(t)
	if code, out := exeat(t, g.inbox.LoginLink()+"\n", "approvals", "login"); code != 0 {
		t.Fatal(code, out)
	}
	first := g.runner.Call(t.Context(), terminal(g.cfg), "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
	another := terminal(g.cfg)
	another.Agent.ID = "another"
	second := g.runner.Call(t.Context(), another, "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
	if first == "" || second == "" || first == second {
		t.Fatal(first, second)
	}
	if code, out := exeat(t, "", "approvals", "show", second); code != 0 || !strings.Contains(out, first) {
		t.Error(code, out)
	}
	if code, out := exeat(t, "y\n", "approvals", "approve", first); code != 0 || !strings.Contains(out, "note: on the same thing are "+second) {
		t.Error(code, out)
	}
	if res := g.runner.Resume(t.Context(), terminal(g.cfg), first, tools.MaxWait, ""); res.Envelope.HTTPStatus != http.StatusNoContent {
		t.Fatalf("%s", res.JSON())
	}
	if code, out := exeat(t, "", "approvals", "show", second); code != 0 || !strings.Contains(out, "sent since this was read") || !strings.Contains(out, "deny it and have the agent ask again") {
		t.Error(code, out)
	}
}

// One of two approvals in a terminal: what it does, and that it is not two.
func TestFirstOfTwoInATerminal(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	shop := &counter{next: petstore.New()}
	srv := httptest.NewServer(shop)
	t.Cleanup(srv.Close)
	g, stop := runShopGateway(t, srv.URL, `permit (principal, action in Action::"call_tool", resource) when { context has approvals.second };
permit (principal, action == Action::"approve", resource);`)
	t.Cleanup(stop)
	if code, out := exeat(t, g.inbox.LoginLink()+"\n", "approvals", "login"); code != 0 {
		t.Fatal(code, out)
	}
	handle := g.runner.Call(t.Context(), terminal(g.cfg), "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
	code, out := exeat(t, "y\n", "approvals", "approve", handle)
	if code != 0 || !strings.Contains(out, "Another person has to approve it, too.") || !strings.Contains(out, handle+": pending") {
		t.Fatal(code, out)
	}
	if code, out := exeat(t, "", "approvals", "show", handle); code != 0 || !strings.Contains(out, "approved by") || !strings.Contains(out, "alice at ") {
		t.Error(code, out)
	}
	if code, out := exeat(t, "y\n", "approvals", "approve", handle); code != 1 || !strings.Contains(out, "nothing was decided: your approval is given; another person has to") {
		t.Error(code, out)
	}
	_, out = exeat(t, "", "approvals", "show", handle)
	_, rest, _ := strings.Cut(out, "digest")
	if code, out := exeat(t, "", "approvals", "approve", handle, "--digest", strings.Fields(rest)[0]); code == 0 || !strings.Contains(out, "You have approved this call already") {
		t.Error(code, out)
	}
	if shop.writes.Load() != 0 {
		t.Errorf("%d writes after one person's approval", shop.writes.Load())
	}
}
