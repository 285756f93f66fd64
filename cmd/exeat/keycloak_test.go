package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	aPet      = `{"body":{"name":"Ada","species":"cat"}}`
	otherPet  = `{"body":{"name":"Bob","species":"dog"}}`
	aFee      = `{"petId":1,"body":{"fee":75}}`
	otherFee  = `{"petId":1,"body":{"fee":76}}`
	firstPet  = `{"petId":1}`
	forbidden = "tool not found"
)

// Two people who log in with a real Keycloak, with an agent each that Keycloak knows,
// share one exeat with TLS: each does what the other may not and decides for the
// other, in both eras, and is stopped by hand and by Keycloak's own signals.
func TestKeycloak(t *testing.T) {
	k := newKeycloak(t)
	if out := k.run("doctor", "--config", k.file); strings.Contains(out, "FAIL") {
		t.Errorf("doctor: %s", out)
	}
	ann, bob := k.person("ann"), k.person("bob")
	ann.logIn()
	bob.logIn()
	annClaude, bobCursor := ann.token("claude"), bob.token("cursor")
	k.ask("POST", "/exeat/clients", map[string]any{"clientId": "elsewhere", "publicClient": true, "redirectUris": []string{"http://127.0.0.1/callback"}}, nil)
	elsewhere, annCursor, bobClaude := ann.token("elsewhere"), ann.token("cursor"), bob.token("claude")
	for name, era := range map[string]call{"2026-07-28": newEra, "2025-11-25": oldEra} {
		for _, c := range []struct{ name, token, tool, args, want string }{
			{"ann reads", annClaude, "get_pet", firstPet, `"species"`},
			{"bob reads", bobCursor, "get_pet", firstPet, `"species"`},
			{"ann takes in by Cursor", annCursor, "create_pet", aPet, forbidden},
			{"ann sets a fee", annCursor, "patch_pet", aFee, forbidden},
			{"bob takes in", bobClaude, "create_pet", aPet, forbidden},
			{"bob sets a fee by Claude", bobClaude, "patch_pet", aFee, forbidden},
			{"ann deletes", annClaude, "delete_pet", firstPet, forbidden},
			{"a token for another server", elsewhere, "get_pet", firstPet, "401"},
		} {
			got := era(k, c.token, c.tool, c.args)
			if !strings.Contains(got, c.want) && !strings.Contains(got, "authorization required") {
				t.Errorf("%s: %s: %s, want %s; the token says %s", name, c.name, got, c.want, claims(t, c.token))
			}
		}
	}
	k.decideForEachOther(ann, bob, annClaude, bobCursor)
	k.exchanged(ann, annClaude)
	k.officialClients(ann, bob)
	k.leaveGroup(ann)
	k.stopByHand(ann, bob, annClaude, bobCursor)
	k.stopBySignal(ann, bob, bobCursor)
}

// decideForEachOther has each make a call that the other approves.
func (k *keycloak) decideForEachOther(ann, bob *person, annClaude, bobCursor string) {
	k.t.Helper()
	for _, c := range []struct {
		era             call
		who, other      *person
		token, theirs   string
		tool, args, has string
	}{
		{newEra, ann, bob, annClaude, bobCursor, "create_pet", aPet, `"Ada"`},
		{oldEra, bob, ann, bobCursor, annClaude, "patch_pet", aFee, `75`},
		{oldEra, ann, bob, annClaude, bobCursor, "create_pet", otherPet, `"Bob"`},
		{newEra, bob, ann, bobCursor, annClaude, "patch_pet", otherFee, `76`},
	} {
		handle, page := k.hold(c.era, c.token, c.tool, c.args)
		resume := `{"handle":"` + handle + `"}`
		if _, offered := c.who.approve(page); offered {
			k.t.Errorf("%s can approve their own %s", c.who.name, c.tool)
		}
		if got := c.era(k, c.theirs, "exeat_resume", resume); strings.Contains(got, c.has) || strings.Contains(got, "approval_pending") {
			k.t.Errorf("the other's agent resumes %s: %s", c.tool, got)
		}
		if got := c.era(k, c.token, "exeat_resume", resume); !strings.Contains(got, "approval_pending") {
			k.t.Errorf("%s does not wait: %s", c.tool, got)
		}
		if text, offered := c.other.approve(page); !offered {
			k.t.Errorf("%s cannot approve %s: %s", c.other.name, c.tool, text)
		}
		got := ""
		for late := time.Now().Add(time.Minute); time.Now().Before(late); { // it is being sent
			if got = c.era(k, c.token, "exeat_resume", resume); !strings.Contains(got, "approval_pending") {
				break
			}
		}
		if !strings.Contains(got, c.has) || !strings.Contains(got, `"status":"done"`) {
			k.t.Errorf("%s by %s: %s", c.tool, c.who.name, got)
		}
	}
}

// officialClients has the agent of the example, which MCP's own TypeScript SDKs make,
// find its way to a token and have a call approved by the other person.
func (k *keycloak) officialClients(ann, bob *person) {
	k.t.Helper()
	modules := os.Getenv("EXEAT_MCP_SDK")
	if modules == "" {
		k.t.Log("NOT RUN: the official SDKs; EXEAT_MCP_SDK is a folder with node_modules that has them, as in .ci")
		return
	}
	script, err := os.ReadFile("../../examples/keycloak/agent.mjs")
	if err == nil {
		err = os.WriteFile(filepath.Join(modules, "agent.mjs"), script, 0o600)
	}
	if err != nil {
		k.t.Fatal(err)
	}
	for _, sdk := range []string{"1", "2"} {
		cmd := exec.CommandContext(k.t.Context(), "node", filepath.Join(modules, "agent.mjs"), k.mcp, "claude", "create_pet", `{"body":{"name":"Cleo","species":"bird"}}`)
		cmd.Env = append(os.Environ(), "SDK="+sdk, "NODE_EXTRA_CA_CERTS="+filepath.Join(filepath.Dir(k.file), "server.pem"))
		var trouble strings.Builder
		cmd.Stderr = &trouble
		out, err := cmd.StdoutPipe()
		if err != nil {
			k.t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			k.t.Fatal(err)
		}
		last := ""
		for lines := bufio.NewScanner(out); lines.Scan(); {
			last = lines.Text()
			if to, ok := strings.CutPrefix(last, "open in your browser: "); ok {
				ann.open(to)
			} else if m := approvalURL.FindStringSubmatch(last); m != nil {
				if text, offered := bob.approve(m[1]); !offered {
					k.t.Errorf("bob cannot approve what SDK %s asks: %s", sdk, text)
				}
			}
		}
		if err := cmd.Wait(); err != nil || !strings.Contains(last, `"status":"done"`) || !strings.Contains(last, `"Cleo"`) {
			k.t.Errorf("SDK %s: %v %s %s", sdk, err, last, &trouble)
		}
	}
}

// leaveGroup takes somebody out of a group for a while, which counts at their next
// token.
func (k *keycloak) leaveGroup(ann *person) {
	k.t.Helper()
	path := "/exeat/users/" + k.id("users?exact=true&username=ann") + "/groups/" + k.id("groups?exact=true&search=keepers")
	k.ask("DELETE", path, nil, nil)
	if got := newEra(k, ann.token("claude"), "get_pet", firstPet); !strings.Contains(got, forbidden) {
		k.t.Errorf("ann reads as no keeper: %s", got)
	}
	k.ask("PUT", path, nil, nil)
	if got := newEra(k, ann.token("claude"), "get_pet", firstPet); !strings.Contains(got, `"species"`) {
		k.t.Errorf("ann, a keeper again: %s", got)
	}
}

// over checks that all that somebody had has ended: the token, the held call, the
// session of the inbox; and that a new login brings new ones.
func (p *person) over(what, token, program, page string, by *person) {
	p.t.Helper()
	if got := newEra(p.keycloak, token, "get_pet", firstPet); !strings.HasPrefix(got, "401") {
		p.t.Errorf("%s: %s still calls: %s", what, p.name, got)
	}
	if p.loggedIn() {
		p.t.Errorf("%s: %s is still logged in", what, p.name)
	}
	if text, offered := by.approve(page); offered {
		p.t.Errorf("%s: the call of %s still waits: %s", what, p.name, text)
	}
	p.logIn()
	// Tokens of the very second of the end are refused with the older ones, so a fast
	// machine has to ask more than once.
	var got string
	for late := time.Now().Add(time.Minute); time.Now().Before(late); {
		if got = newEra(p.keycloak, p.token(program), "get_pet", firstPet); strings.Contains(got, `"species"`) {
			return
		}
	}
	p.t.Errorf("%s: %s, who logged in anew: %s", what, p.name, got)
}

func (k *keycloak) stopByHand(ann, bob *person, annClaude, bobCursor string) {
	k.t.Helper()
	_, page := k.hold(newEra, annClaude, "create_pet", aPet)
	k.run("users", "stop", "ann@example.com")
	if got := newEra(k, ann.token("claude"), "get_pet", firstPet); strings.Contains(got, `"species"`) {
		k.t.Errorf("ann, who is stopped, with a new token: %s", got)
	}
	k.run("users", "start", "ann@example.com")
	ann.over("users stop", annClaude, "claude", page, bob)
	if got := newEra(k, bobCursor, "get_pet", firstPet); !strings.Contains(got, `"species"`) {
		k.t.Errorf("bob, after ann was stopped: %s", got)
	}
}

// stopBySignal has Keycloak say that a session ended, and that a password changed.
func (k *keycloak) stopBySignal(ann, bob *person, bobCursor string) {
	k.t.Helper()
	annClaude := ann.token("claude")
	_, page := k.hold(newEra, annClaude, "create_pet", otherPet)
	k.ask("POST", "/exeat/users/"+k.id("users?exact=true&username=ann")+"/logout", nil, nil)
	k.hear("session-revoked")
	ann.over("session-revoked", annClaude, "claude", page, bob)

	_, page = k.hold(newEra, bobCursor, "patch_pet", otherFee)
	bob.password = "another-password"
	k.ask("PUT", "/exeat/users/"+k.id("users?exact=true&username=bob")+"/reset-password", map[string]any{"type": "password", "value": bob.password, "temporary": false}, nil)
	k.hear("credential-change")
	bob.over("credential-change", bobCursor, "cursor", page, ann)
}

// The example of docs/identity.md is whole: its policies fit the document, and the
// realm names the addresses that exeat has.
func TestKeycloakExample(t *testing.T) {
	const file = "../../examples/keycloak/exeat.yaml"
	var out strings.Builder
	if code := execute(t.Context(), []string{"policy", "check", "--config", file}, strings.NewReader(""), &out, &out); code != 0 {
		t.Fatalf("policy check ended with %d: %s", code, &out)
	}
	cfg, err := loadConfig(file)
	if err == nil {
		cfg, err = cfg.withDefaults()
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../examples/keycloak/realm.json")
	if err != nil {
		t.Fatal(err)
	}
	var realm struct {
		Realm   string
		Clients []struct {
			ID         string   `json:"clientId"`
			Redirects  []string `json:"redirectUris"`
			Attributes map[string]string
		}
	}
	if err := json.Unmarshal(text, &realm); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{"issuer": "http://localhost:8080/realms/" + realm.Realm}
	for _, c := range realm.Clients {
		found[c.ID] = strings.Join(c.Redirects, " ")
		for name, value := range c.Attributes {
			found[c.ID+" "+name] = value
		}
	}
	signals, exchange := cfg.publicURL()+signalsPath, cfg.APIs[0].Credential
	for name, want := range map[string]string{"issuer": cfg.OAuth.Issuers[0].Issuer, exchange.ClientID + " resource_url": cfg.publicURL() + "/mcp",
		exchange.ClientID + " standard.token.exchange.enabled": "true",
		cfg.Inbox.OIDC.ClientID:                                cfg.Inbox.URL + "/login/oidc/callback", "exeat-signals ssf.streamAudience": signals, "exeat-signals ssf.stream.aud": signals,
		"exeat-signals ssf.validPushUrls": signals, "exeat-signals ssf.stream.delivery.endpointUrl": signals, "exeat-signals ssf.stream.iss": cfg.Signals[0].Issuer} {
		if found[name] != want {
			t.Errorf("%s is %q in the realm, %q here", name, found[name], want)
		}
	}
	for _, agent := range []string{"claude", "cursor"} {
		if found[agent] == "" {
			t.Errorf("the realm has no client %s", agent)
		}
	}
	if _, ok := found[exchange.Audience]; !ok || exchange.TokenURL != found["issuer"]+"/protocol/openid-connect/token" {
		t.Errorf("the realm has no client %s, or its token endpoint is not %s", exchange.Audience, exchange.TokenURL)
	}
}
