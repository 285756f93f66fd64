package main

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/tools"
)

// One person's day with an API that wants a login of theirs: nothing goes before they
// connect, in the inbox; each scope is asked for when a call first needs it; writes are
// asked anew after 20 minutes; and what ends, ends.
func TestConnectedEndToEnd(t *testing.T) {
	server := newLoginServer(t)
	w := newConnectedWorld(t, "127.0.0.1:0", server.URL+"/authorize", server.URL+"/token",
		"{strategy: connected, client_id: exeat, auth: none, issuer: '"+server.URL+"', revoke_url: '"+server.URL+"/revoke'}",
		func(bearer string) string { scope, _ := hex.DecodeString(bearer); return string(scope) })
	there := func(page string) string { return page } // who is logged in there comes right back

	// A read that the policies allow waits, too, and the agent learns the inbox's address only.
	read := w.held("get_pet", "has to be connected first")
	text := string(w.g.runner.Resume(t.Context(), terminal(w.g.cfg), read, 0, "").JSON())
	if !strings.Contains(text, w.g.inbox.HoldURL(read)) || strings.Contains(text, "/authorize") || strings.Contains(text, "state=") || strings.Contains(text, server.URL) {
		t.Errorf("the agent is told %s", text)
	}
	if err := w.approve(read); err == nil || !strings.Contains(err.Error(), "has to connect it first") {
		t.Errorf("approved without an account: %v", err)
	}
	w.connect(read, "pets:read", there)
	if res := w.call("get_pet"); res.Envelope.Status != tools.Done || w.seen() != "GET pets:read" {
		t.Errorf("%s", res.JSON())
	}
	// What was held waits for the person, who can now approve it.
	if err := w.approve(read); err != nil {
		t.Error(err)
	}
	if res := w.g.runner.Resume(t.Context(), terminal(w.g.cfg), read, tools.MaxWait, ""); res.Envelope.Status != tools.Done || w.seen() != "GET pets:read" {
		t.Errorf("%s", res.JSON())
	}

	write := w.held("delete_pet", "connect more")
	if err := w.approve(write); err == nil {
		t.Error("approved without the scope")
	}
	w.connect(write, "pets:write", there)
	if err := w.approve(write); err != nil {
		t.Fatal(err)
	}
	if res := w.g.runner.Resume(t.Context(), terminal(w.g.cfg), write, tools.MaxWait, ""); res.Envelope.Status != tools.Done || w.seen() != "DELETE pets:write" {
		t.Errorf("%s", res.JSON())
	}

	w.ahead.Store(int64(20 * time.Minute))
	w.login()
	again := w.held("delete_pet", "connect anew")
	if res := w.call("get_pet"); res.Envelope.Status != tools.Done || w.seen() != "GET pets:read" {
		t.Errorf("reads go on: %s", res.JSON())
	}
	w.connect(again, "pets:write", there)
	if page := w.get("/permissions"); !strings.Contains(page, "Read your pets") || !strings.Contains(page, "Disconnect") {
		t.Errorf("%s", page)
	}

	// The server ends it: only a request to it tells.
	server.end()
	read = w.held("get_pet", "connect again")
	w.connect(read, "pets:read", there)
	if res := w.call("get_pet"); res.Envelope.Status != tools.Done {
		t.Errorf("%s", res.JSON())
	}
	w.seen()

	// Ended by a signal, it is of no use any more.
	w.ahead.Add(int64(time.Second))
	if _, err := w.g.holds.EndUser(t.Context(), approval.End{Subject: "User::alice", By: approval.Issuer("https://idp.example.com"), Cause: "session-revoked"}); err != nil {
		t.Fatal(err)
	}
	w.held("get_pet", "connect again")
	w.checkTraces()
}

// checkTraces looks at what is left: the kinds of entries, and no secret anywhere.
func (w *connectedWorld) checkTraces() {
	w.t.Helper()
	kinds := map[store.Kind]int{}
	credentials := 0
	if err := w.g.store.Entries(w.t.Context(), 0, func(e store.Entry) error {
		kinds[e.Kind]++
		if e.Strategy == "connected" && e.Credential != nil && e.Credential.Scope != "" && !e.Standing {
			credentials++
		}
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	if kinds[store.KindAccount] != 4 || kinds[store.KindAccountEnd] != 1 || credentials != 5 {
		w.t.Errorf("%v, %d with the credential", kinds, credentials)
	}
	w.stop()
	state := filepath.Join(os.Getenv("XDG_STATE_HOME"), "exeat")
	err := filepath.WalkDir(state, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), "refresh-canary") {
			w.t.Errorf("%s holds a refresh token", path)
		}
		return err
	})
	if err != nil {
		w.t.Error(err)
	}
	if info, err := os.Stat(filepath.Join(state, "keys", "accounts.secret")); err != nil || info.Mode().Perm() != 0o600 {
		w.t.Errorf("the key: %v, %v", info, err)
	}
	if said := w.said.text.String(); strings.Contains(said, "canary") {
		w.t.Errorf("it says %s", said)
	}
}

// What the configuration says of connected is checked before anything is served.
func TestConnectedConfigured(t *testing.T) {
	dir := t.TempDir()
	document := strings.NewReplacer("'%s'}]", "'https://api.example.com'}]", "authorizationUrl: '%s'", "authorizationUrl: 'https://id.example.com/a'", "tokenUrl: '%s'", "tokenUrl: 'https://id.example.com/t'").Replace(connectedDocument)
	if err := os.WriteFile(filepath.Join(dir, "petstore.yaml"), []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	for settings, want := range map[string]string{
		"{strategy: connected, client_id: x, auth: none}": "",
		"{strategy: connected, client_id: x, auth: none, connected: {scopes: {'pets:read': 24h}, always: [openid], params: {prompt: consent}, authorize_url: 'https://id.example.com/b'}}": "",
		"{strategy: connected, auth: none}": "client_id",
		"{strategy: connected, client_id: x, auth: none, connected: {scopes: {'pets:raed': 24h}}}":                                                     `no operation that is served needs the scope "pets:raed"`,
		"{strategy: connected, client_id: x, auth: none, connected: {scopes: {'pets:read': 5s}}}":                                                      "between 1m and 8784h",
		"{strategy: connected, client_id: x, auth: none, connected: {params: {state: x}}}":                                                             "is set already",
		"{strategy: connected, client_id: x, auth: none, connected: {authorize_url: 'http://x.com/'}}":                                                 "authorize_url",
		"{strategy: connected, client_id: x, auth: none, scopes: [a]}":                                                                                 "connected.scopes",
		"{strategy: connected, client_id: x, auth: none, token_url: 'http://id.example.com/t'}":                                                        "token endpoint",
		"{strategy: connected, client_id: x, auth: none, connected: {always: ['openid email']}}":                                                       "is not a scope",
		"{strategy: connected, client_id: x, auth: none}}, {spec: petstore.yaml, name: b, credential: {strategy: connected, client_id: x, auth: none}": "",
	} {
		file := filepath.Join(dir, "exeat.yaml")
		if err := os.WriteFile(file, []byte("apis: [{spec: petstore.yaml, credential: "+settings+"}]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := loadConfig(file)
		if err != nil {
			t.Fatal(err)
		}
		docs, err := loadDocs(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = serveAPI(cfg, cfg.APIs[0], docs[0], nil); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", settings, err)
		}
	}
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	file := filepath.Join(dir, "exeat.yaml")
	if err := os.WriteFile(file, []byte("apis: [{spec: petstore.yaml, credential: {strategy: connected, client_id: x, auth: none}}]\ninbox: {listen: 127.0.0.1:0, url: 'https://inbox.example.com'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, out := exeat(t, "", "doctor", "--config", file); !strings.Contains(out, "id.example.com, which must know the redirect URI https://inbox.example.com/connect/callback/petstore") {
		t.Errorf("%s", out)
	}
}
