package examples_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"encoding/json"

	"github.com/exeat/exeat/authz"
)

// The guide's policies about numbers say what it says of them.
func TestGuideNumbers(t *testing.T) {
	text := string(read(t, guide))
	bank := authz.API{Name: "bank", Actions: []authz.Action{
		{Name: "pay", Effect: "write", Path: "/pay", Input: []byte(`{"type":"object","required":["body"],"properties":{"body":{"type":"object","required":["amount"],"properties":{
			"amount":{"type":"number"},"cents":{"type":"integer"}}}}}`)},
		{Name: "find_branch", Effect: "read", Path: "/branches", Input: []byte(`{"type":"object","required":["lat"],"properties":{"lat":{"type":"number"}}}`)},
	}}
	for _, tt := range []struct {
		snippet, tool, args string
		want                authz.Outcome
		reason              string
	}{
		{"decimals", "pay", `{"body":{"amount":100}}`, authz.Allow, ""},
		{"decimals", "pay", `{"body":{"amount":100.01}}`, authz.Deny, "no-large-payments"},
		{"decimals", "pay", `{"body":{"amount":1e300}}`, authz.Deny, "policy no-large-payments asks about an argument that policies cannot compare: /body/amount"},
		{"decimals", "find_branch", `{"lat":52.520008}`, authz.Allow, ""},
		{"rounded", "find_branch", `{"lat":52.520008}`, authz.Allow, ""},
		{"rounded", "find_branch", `{"lat":60.123456}`, authz.Deny, "stay-south"},
	} {
		m := regexp.MustCompile("(?s)<!-- begin " + tt.snippet + " -->\n```cedar\n(.*?)```").FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("the guide has no %s", tt.snippet)
		}
		e, err := authz.New([]authz.API{bank}, []authz.PolicyFile{{Name: "guide", Text: []byte(`permit (principal, action in Action::"call_tool", resource);` + m[1])}})
		if err != nil {
			t.Fatal(err)
		}
		dec := json.NewDecoder(strings.NewReader(tt.args))
		dec.UseNumber()
		var input map[string]any
		if err := dec.Decode(&input); err != nil {
			t.Fatal(err)
		}
		d := e.Decide(authz.Query{API: "bank", Action: tt.tool, Principal: authz.Principal{Type: "User", ID: "alice"}, Agent: authz.Agent{ID: "a"},
			Now: time.Now(), Path: "/x", Input: input})
		if d.Outcome != tt.want || !strings.Contains(d.Reason, tt.reason) {
			t.Errorf("%s %s %s: %s: %s", tt.snippet, tt.tool, tt.args, d.Outcome, d.Reason)
		}
	}
}
