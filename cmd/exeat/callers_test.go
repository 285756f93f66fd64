package main

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/mcpserver/statictoken"
)

// Who a held call is of is asked again as of the credential that it was made with:
// one that was taken back lets nothing go on, though its person has others, and what
// the configuration says of the person is not what the token was given for.
func TestCurrentOfHeldCalls(t *testing.T) {
	g, _ := newShopGateway(t)
	g.cfg.Groups = []string{"admins"}
	now := g.runner.Now().Truncate(time.Second)
	alice := func(groups ...string) authz.Principal {
		return authz.Principal{Type: "User", ID: "alice", Groups: groups}
	}
	change := func(edit func(text []byte) ([]byte, error)) {
		t.Helper()
		if err := g.keys.ChangeFile(statictoken.File, edit); err != nil {
			t.Fatal(err)
		}
	}
	add := func(name string, created time.Time) {
		change(func(text []byte) ([]byte, error) {
			text, _, err := statictoken.Add(text, statictoken.Token{Name: name, Principal: alice("readers"), Created: created, Expires: created.Add(time.Hour)})
			return text, err
		})
	}
	revoke := func(name string) {
		change(func(text []byte) ([]byte, error) { return statictoken.Revoke(text, name) })
	}
	add("one", now.Add(-time.Minute))
	add("two", now.Add(-time.Minute))
	byOne := approval.Parties{Principal: alice("readers"), Agent: authz.Agent{ID: "token:one", Verified: true}, Asked: now}
	check := func(what string, who approval.Parties, want authz.Principal, known bool) {
		t.Helper()
		got, ok := g.current(who)
		if !ok {
			got = authz.Principal{}
		}
		if d := cmp.Diff(want, got); ok != known || d != "" {
			t.Errorf("%s: %t; %s", what, ok, d)
		}
	}
	check("by a token", byOne, alice("readers"), true)
	revoke("one")
	check("by a token that was taken back", byOne, authz.Principal{}, false)
	add("one", now.Add(time.Second))
	check("by a token of the same name from before", byOne, authz.Principal{}, false)
	check("by an agent that only calls itself so", approval.Parties{Principal: alice(), Agent: authz.Agent{ID: "token:one"}}, alice("admins"), true)

	fresh := alice("admins")
	fresh.Scopes, fresh.ACR, fresh.AuthTime = []string{"pets"}, "mfa", now
	asked := fresh
	asked.Groups = nil
	check("by a client of issuer dev", approval.Parties{Principal: asked, Agent: authz.Agent{ID: "oauth:client_a", Verified: true, Issuer: "http://127.0.0.1/oauth"}}, fresh, true)

	// The newest token says what groups somebody is in; the scopes and the login are of
	// the agent that asked, whatever another agent's token can do.
	issuer := newTestIssuer(t)
	g.cfg.OAuth = oauthConfig{Issuers: []issuerConfig{{Issuer: issuer.url, Prefix: "corp|", Groups: []string{"groups"}, Audience: []string{"here"}}}}
	if err := g.newOAuth(); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/mcp", nil)
	r.Header.Set("Authorization", issuer.token(t, "here", "ann", "cursor", 0, "payers"))
	if _, err := g.oauth.Authenticate(r); err != nil {
		t.Fatal(err)
	}
	ann := authz.Principal{Type: "User", ID: "corp|ann", Issuer: issuer.url, Groups: []string{"keepers"}, Scopes: []string{"pets"}, ACR: "mfa", AuthTime: now}
	then := ann
	then.Groups = []string{"payers"}
	check("by another client", approval.Parties{Principal: ann, Agent: authz.Agent{ID: "oauth:corp|claude", Verified: true, Issuer: issuer.url}}, then, true)
}
