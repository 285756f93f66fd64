// Package examples_test keeps the examples true: every worked policy is compiled
// against the petstore's document and asked about every case of its table, and
// the policy guide shows the files as they are.
package examples_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/tools"
)

var update = flag.Bool("update", false, "write the examples into docs/policies.md")

const guide = "../docs/policies.md"

// example is one line of a policy's table: a call by Principal, or, if Person is
// set, that person's wish to decide the held call.
type example struct {
	Why       string          `json:"why"`
	Principal string          `json:"principal"` // default: alice
	Groups    []string        `json:"groups"`
	Agent     string          `json:"agent"` // default: claude-code
	Verified  bool            `json:"verified"`
	Tool      string          `json:"tool"`
	Args      json.RawMessage `json:"args"`
	Approval  *struct {
		By      string   `json:"by"` // default: the principal
		Groups  []string `json:"groups"`
		Once    bool     `json:"once"`
		Expired bool     `json:"expired"`
		Passkey bool     `json:"passkey"`
	} `json:"approval"`
	// ApprovedBy are people who approved it once, in their order: each of them counts
	// for a call, and before what Person wants.
	ApprovedBy []struct {
		By     string   `json:"by"`
		Groups []string `json:"groups"`
	} `json:"approved_by"`
	Usage        authz.Usage `json:"usage"`
	Now          time.Time   `json:"now"` // default: a Monday at ten
	Person       string      `json:"person"`
	PersonGroups []string    `json:"person_groups"`
	Passkey      bool        `json:"passkey"`   // the person signs with one
	LoggedIn     string      `json:"logged_in"` // how long ago the person did
	Sees         bool        `json:"sees"`      // the person wants to see it, not to decide it

	Expect      string   `json:"expect"`
	Policies    []string `json:"policies"`
	Remediation string   `json:"remediation"`
	Choices     string   `json:"choices"` // "once", "grant" or "once grant"
	TokenTTL    string   `json:"token_ttl"`
	GrantMax    string   `json:"grant_max"`
	Redact      []string `json:"redact"`
}

// policyNames are the worked policies, without ".cedar".
func policyNames(t *testing.T) []string {
	files, err := filepath.Glob("policies/*.cedar")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".cedar"))
	}
	if len(names) != 17 {
		t.Fatalf("there are %d policies, want 17: %v", len(names), names)
	}
	return names
}

func read(t *testing.T, file string) []byte {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func table(t *testing.T, name string) []example {
	dec := json.NewDecoder(bytes.NewReader(read(t, "policies/"+name+".json")))
	dec.DisallowUnknownFields()
	var list []example
	if err := dec.Decode(&list); err != nil {
		t.Fatalf("%s.json: %v", name, err)
	}
	if len(list) < 5 {
		t.Errorf("%s.json has %d cases; that is too few to say what the policy does", name, len(list))
	}
	return list
}

func petstore(t *testing.T) *openapi.API {
	doc, err := openapi.Load(context.Background(), "petstore/openapi.yaml", openapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

var policyID = regexp.MustCompile(`@id\("([^"]+)"\)`)

// usual are the policies of the first example that others repeat.
var usual = []string{"reads", "writes-wait-for-a-person", "people-decide-for-their-own-agents"}

func TestPolicies(t *testing.T) {
	doc := petstore(t)
	for _, name := range policyNames(t) {
		file := "policies/" + name + ".cedar"
		engine, err := authz.New([]authz.API{tools.PolicyAPI(doc)}, []authz.PolicyFile{{Name: file, Text: read(t, file)}})
		if err != nil {
			t.Errorf("%s does not validate:\n%v", file, err)
			continue
		}
		decided := map[string]bool{}
		for _, x := range table(t, name) {
			t.Run(name+"/"+x.Why, func(t *testing.T) {
				d := x.decide(t, engine, doc)
				if string(d.Outcome) != x.Expect {
					t.Fatalf("got %s, want %s: %s %v %v", d.Outcome, x.Expect, d.Reason, d.Policies, d.Errors)
				}
				x.compare(t, d)
				for _, id := range d.Policies {
					decided[id] = true
				}
			})
		}
		for _, m := range policyID.FindAllSubmatch(read(t, file), -1) {
			if id := string(m[1]); !decided[id] && (name == "01-writes-wait" || !slices.Contains(usual, id)) {
				t.Errorf("%s: no case of its table is decided by %s", file, id)
			}
		}
	}
}

// decide asks the engine what the example asks.
func (x example) decide(t *testing.T, engine *authz.Engine, doc *openapi.API) authz.Decision {
	i := slices.IndexFunc(doc.Operations, func(op *openapi.Operation) bool { return op.Name == x.Tool })
	if i < 0 {
		t.Fatalf("there is no tool %s", x.Tool)
	}
	op := doc.Operations[i]
	args, err := op.Parse(x.Args)
	if err != nil {
		t.Fatal(err)
	}
	request, err := op.Encode(args)
	if err != nil {
		t.Fatal(err)
	}
	now := x.Now
	if now.IsZero() {
		now = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	}
	principal := authz.Principal{Type: "User", ID: or(x.Principal, "alice"), Groups: x.Groups}
	agent := authz.Agent{ID: or(x.Agent, "claude-code"), Verified: x.Verified}
	approval := authz.ApprovalContext{By: principal, Once: true, At: now, Expires: now.Add(5 * time.Minute), AMR: []string{"pwd"}}
	given := []authz.ApprovalContext{}
	for _, a := range x.ApprovedBy {
		by := approval
		by.By = authz.Principal{Type: "User", ID: a.By, Groups: a.Groups}
		given = append(given, by)
	}
	if x.Person != "" {
		approval.By = authz.Principal{Type: "User", ID: x.Person, Groups: x.PersonGroups}
		approval.PhishingResistant = x.Passkey
		if x.LoggedIn != "" {
			approval.By.AuthTime = now.Add(-duration(t, x.LoggedIn))
		}
		facts := authz.HoldFacts{ID: "hold_1", API: doc.Name, Action: op.Name, Effect: string(op.Effect), Path: request.Path,
			Requester: principal, Agent: agent, Approval: approval, Earlier: given, Now: now}
		if x.Sees {
			return engine.MaySee(facts)
		}
		return engine.MayApprove(facts)
	}
	r := authz.Query{API: doc.Name, Action: op.Name, Principal: principal, Agent: agent,
		Session: authz.Session{ID: "s1", Transport: "http"}, Usage: x.Usage, Now: now, Path: request.Path, Input: args.Value()}
	if a := x.Approval; a != nil {
		approval.Once, approval.PhishingResistant = a.Once, a.Passkey
		if a.By != "" {
			approval.By = authz.Principal{Type: "User", ID: a.By, Groups: a.Groups}
		}
		if a.Expired {
			approval.Expires = now.Add(-time.Second)
		}
		r.Approval = &approval
	}
	if n := len(given); n > 0 {
		r.Earlier, r.Approval = given[:n-1], &given[n-1]
	}
	return engine.Decide(r)
}

// compare checks what else the example says of the decision.
func (x example) compare(t *testing.T, d authz.Decision) {
	var choices []string
	if d.Choices.Once {
		choices = append(choices, "once")
	}
	if d.Choices.Grant {
		choices = append(choices, "grant")
	}
	for _, c := range []struct {
		what      string
		got, want any
		asked     bool
	}{
		{"policies", d.Policies, x.Policies, x.Policies != nil},
		{"remediation", string(d.Remediation), x.Remediation, x.Remediation != ""},
		{"choices", strings.Join(choices, " "), x.Choices, x.Choices != ""},
		{"token_ttl", d.Obligations.TokenTTL, duration(t, x.TokenTTL), x.TokenTTL != ""},
		{"grant_max", d.Obligations.GrantMax, duration(t, x.GrantMax), x.GrantMax != ""},
		{"redact", d.Obligations.Redact, x.Redact, x.Redact != nil},
	} {
		if diff := cmp.Diff(c.want, c.got); c.asked && diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func duration(t *testing.T, s string) time.Duration {
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestFirstPolicyIsTheDefault keeps the guide honest about what holds without
// any policy.
func TestFirstPolicyIsTheDefault(t *testing.T) {
	if diff := cmp.Diff(authz.DefaultPolicy, string(read(t, "policies/01-writes-wait.cedar"))); diff != "" {
		t.Errorf("the built-in default and the first example differ (-default +example):\n%s", diff)
	}
}

// TestGuide keeps the policy guide equal to the files that are tested here.
func TestGuide(t *testing.T) {
	had := string(read(t, guide))
	text := had
	for _, name := range policyNames(t) {
		begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->"
		before, rest, ok := strings.Cut(text, begin)
		_, after, closed := strings.Cut(rest, end)
		if !ok || !closed {
			t.Fatalf("%s has no place for %s", guide, name)
		}
		text = before + begin + shown(t, name) + end + after
	}
	if *update {
		if err := os.WriteFile(guide, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(text, had); diff != "" {
		t.Errorf("%s is not what the examples are; go test ./examples -update writes it (-examples +guide):\n%s", guide, diff)
	}
}

// shown is an example as the guide has it: the policy, then its table.
func shown(t *testing.T, name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "```cedar\n%s```\n\n| case | who | tool and arguments | besides | decision |\n|---|---|---|---|---|\n", read(t, "policies/"+name+".cedar"))
	for _, x := range table(t, name) {
		who := or(x.Principal, "alice")
		if len(x.Groups) > 0 {
			who += " (" + strings.Join(x.Groups, ", ") + ")"
		}
		if x.Agent != "" {
			who += " by " + x.Agent
		}
		if x.Verified {
			who += ", verified"
		}
		fmt.Fprintf(&b, "| %s | %s | `%s` `%s` | %s | **%s** |\n", x.Why, who, x.Tool, or(string(x.Args), "{}"), x.besides(), x.Expect)
	}
	return b.String()
}

// besides is what else an example says, in a few words.
func (x example) besides() string {
	var s []string
	if a := x.Approval; a != nil {
		kind := "granted"
		if a.Once {
			kind = "approved once"
		}
		if a.By != "" {
			kind += " by " + a.By
		}
		if a.Groups != nil {
			kind += " (" + strings.Join(a.Groups, ", ") + ")"
		}
		if a.Passkey {
			kind += ", with a passkey"
		}
		if a.Expired {
			kind += ", expired"
		}
		s = append(s, kind)
	}
	for i, a := range x.ApprovedBy {
		who := "approved by " + a.By
		if i > 0 {
			who = "then by " + a.By
		}
		if a.Groups != nil {
			who += " (" + strings.Join(a.Groups, ", ") + ")"
		}
		s = append(s, who)
	}
	if u := x.Usage; u.Minute+u.Hour+u.Day > 0 {
		s = append(s, fmt.Sprintf("calls before: %d in the minute, %d in the hour, %d in the day", u.Minute, u.Hour, u.Day))
	}
	if u := x.Usage; u.Write.Day+u.Delete.Day > 0 {
		s = append(s, fmt.Sprintf("%d writes and %d deletes in the day, of all tools", u.Write.Day, u.Delete.Day))
	}
	if !x.Now.IsZero() {
		s = append(s, "at "+x.Now.Format(time.RFC3339))
	}
	if x.Person != "" {
		who := x.Person
		if x.PersonGroups != nil {
			who += " (" + strings.Join(x.PersonGroups, ", ") + ")"
		}
		if x.Passkey {
			who += ", with a passkey,"
		}
		if x.LoggedIn != "" {
			who += ", logged in " + x.LoggedIn + " ago,"
		}
		wants := " wants to decide it"
		if x.Sees {
			wants = " wants to see it"
		}
		s = append(s, who+wants)
	}
	if x.Choices != "" {
		s = append(s, "offered: "+strings.ReplaceAll(x.Choices, " ", ", "))
	}
	if x.TokenTTL != "" {
		s = append(s, "token "+x.TokenTTL)
	}
	if x.GrantMax != "" {
		s = append(s, "grant at most "+x.GrantMax)
	}
	return strings.Join(s, "; ")
}
