package authz

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
	"github.com/google/go-cmp/cmp"
)

// The printed schema must mean what policies are validated against.
func TestSchemaText(t *testing.T) {
	e := engine(t, "")
	text := e.Schema()
	var s schema.Schema
	if err := s.UnmarshalCedar(text); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	got, err := s.Resolve()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	want := e.schemaFor(e.actions, holdActions)
	for uid, a := range want.Actions {
		g, ok := got.Actions[uid]
		if !ok {
			t.Errorf("%s is not in the text", uid)
			continue
		}
		if !g.Entity.Parents.Equal(a.Entity.Parents) {
			t.Errorf("%s is in %v, want %v", uid, g.Entity.Parents, a.Entity.Parents)
		}
		if a.AppliesTo != nil {
			if diff := cmp.Diff(a.AppliesTo.Context, g.AppliesTo.Context); diff != "" {
				t.Errorf("%s: %s", uid, diff)
			}
		}
	}
	if len(got.Actions) != len(want.Actions) || len(got.Entities) != len(want.Entities) {
		t.Errorf("%d actions and %d entities, want %d and %d", len(got.Actions), len(got.Entities), len(want.Actions), len(want.Entities))
	}
	for _, note := range []string{"// not typed: /body/parent: a type that contains itself", "// not typed: /body/any: several or no types", "// not typed: /body/meta: an object without declared properties"} {
		if !strings.Contains(string(text), note) {
			t.Errorf("the schema does not say %q", note)
		}
	}
}

// A decision by the index is the decision of a full scan.
func TestIndexIsAFullScan(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	scopes := []string{`action`, `action == Petstore::Action::"get_pet"`, `action in Action::"read"`, `action in [Action::"write", Action::"delete"]`,
		`action in Petstore::Action::"tag:pets"`, `action in [Petstore::Action::"create_pet", Petstore::Action::"get_pet"]`,
		`action in Action::"call_tool"`, `action == Action::"approve"`, `action == Action::"read"`, `action in [Action::"read", Petstore::Action::"get_pet"]`}
	principals := []string{`principal`, `principal == User::"alice"`, `principal in Group::"keepers"`, `principal == User::"bob"`}
	whens := []string{``, ` when { principal.roles.contains("x") }`, ` when { context has approval }`, ` unless { context.now > datetime("2030-01-01") }`}
	for range 300 {
		var text strings.Builder
		for i := range 1 + rng.IntN(8) {
			effect := "permit"
			if rng.IntN(3) == 0 {
				effect = "forbid"
			}
			fmt.Fprintf(&text, "@id(\"p%d\") %s (%s, %s, resource)%s;\n", i, effect, principals[rng.IntN(len(principals))], scopes[rng.IntN(len(scopes))], whens[rng.IntN(len(whens))])
		}
		e, err := New([]API{pets()}, []PolicyFile{{Name: "t", Text: []byte(text.String())}})
		if err != nil {
			continue // some combinations can never apply and are refused
		}
		sameAsFullScan(t, e, text.String())
	}
}

// sameAsFullScan checks decisions by the index against all policies, and that an
// error in any policy that Cedar evaluates denies.
func sameAsFullScan(t *testing.T, e *Engine, text string) {
	t.Helper()
	for _, r := range []Query{ask(t, "get_pet", `{"petId":1}`), approved(ask(t, "delete_pet", `{"petId":1}`), true), ask(t, "create_pet", `{"body":{"name":"x"}}`)} {
		a := e.byUID[actionUID(r.API, r.Action)]
		req, context, ents, err := cedarForm(e, a, r)
		if err != nil {
			t.Fatal(err)
		}
		if r.Approval != nil {
			if context["approval"], err = ents.approval(*r.Approval); err != nil {
				t.Fatal(err)
			}
		}
		req.Context = types.NewRecord(context)
		got, _ := evaluate(a.candidates, ents, req)
		want, _ := evaluate(e.policies, ents, req)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s\n%s %s: %s", text, r.Action, r.Path, diff)
		}
		d := e.Decide(r)
		outcome, diag := cedar.Authorize(candidates(e.policies), ents, req)
		if len(diag.Errors) > 0 && d.Outcome != Deny || (d.Outcome == Allow) != (outcome == cedar.Allow && len(diag.Errors) == 0) {
			t.Fatalf("%s\n%s: %+v, where Cedar says %v %+v", text, r.Action, d, outcome, diag)
		}
	}
}

func TestConvertBounds(t *testing.T) {
	typ, _, err := typeInput(json.RawMessage(`{"type":"object","properties":{"i":{"type":"integer"},"d":{"type":"number"},"t":{"type":"string","format":"date-time"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		in   string
		want string // "" for a refusal
	}{
		{`{"i": 9007199254740993}`, `{"i":9007199254740993}`},
		{`{"i": 1e2}`, `{"i":100}`},
		{`{"i": 1.5}`, ""},
		{`{"i": 1e999999999}`, ""},
		{`{"i": 9223372036854775808}`, ""},
		{`{"i": "1"}`, ""},
		{`{"d": 1.0001}`, `{"d":{"__extn":{"fn":"decimal","arg":"1.0001"}}}`},
		{`{"d": 1.00001}`, ""},
		{`{"d": 922337203685478}`, ""},
		{`{"d": 1e-400}`, ""},
		{`{"d": 1.` + strings.Repeat("0", maxNumber) + `}`, ""}, // short numbers only: long ones cost
		{`{"t": "2026-11-23T12:00:00+01:00"}`, `{"t":{"__extn":{"fn":"datetime","arg":"2026-11-23T11:00:00.000Z"}}}`},
		{`{"t": "yesterday"}`, ""},
		{`{"other": 1}`, `{}`},
		{`{"i": null}`, `{}`},
	}
	for _, tt := range tests {
		var c converter
		v, err := c.value(typ, input(t, tt.in), []string{"input"})
		got := ""
		if err == nil && len(c.unheld) == 0 {
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			got = string(b)
		}
		if got != tt.want {
			t.Errorf("%s: got %s (%v), want %s", tt.in, got, err, tt.want)
		}
	}
}

func TestExplain(t *testing.T) {
	e := engine(t, DefaultPolicy+`@id("keep") forbid (principal, action == Petstore::Action::"delete_pet", resource == Petstore::Path::"/pets/42");`)
	x := e.Explain(ask(t, "delete_pet", `{"petId":42}`))
	want := []PolicyOutcome{
		{ID: "writes-wait-for-a-person", Effect: "permit", File: "test.cedar", Line: 4, Outcome: "needs approval"},
		{ID: "keep", Effect: "forbid", File: "test.cedar", Line: 9, Outcome: "satisfied"},
	}
	if diff := cmp.Diff(want, x.Considered); diff != "" {
		t.Error(diff)
	}
	if x.Decision.Outcome != Deny || len(x.Changes) == 0 || !json.Valid(x.Request) {
		t.Errorf("%+v", x)
	}
}

func TestDigestCoversPoliciesAndSchema(t *testing.T) {
	a, b := engine(t, ""), engine(t, DefaultPolicy+"// a comment\n")
	smaller := pets()
	smaller.Actions = smaller.Actions[:1]
	c, err := New([]API{smaller}, nil)
	if err != nil {
		t.Fatal(err)
	}
	renamed, err := New([]API{pets()}, []PolicyFile{{Name: "other.cedar", Text: []byte(DefaultPolicy)}})
	if err != nil {
		t.Fatal(err)
	}
	if renamed.Digest() == engine(t, DefaultPolicy).Digest() {
		t.Error("the file's name, which names policies, is not covered")
	}
	if a.Digest() == b.Digest() || a.Digest() == c.Digest() || len(a.Digest()) != 64 || a.Digest() != engine(t, "").Digest() {
		t.Error(a.Digest(), b.Digest(), c.Digest())
	}
}

// FuzzPolicies checks that every problem has a place, and that what loads decides
// as Cedar does over all policies.
func FuzzPolicies(f *testing.F) {
	f.Add(DefaultPolicy)
	f.Add(`@id("x") @redact("/a") permit (principal is User in Group::"g", action in [Action::"read"], resource is Petstore::Path) when { context.input has a.b };`)
	f.Add(`forbid (principal, action, resource) unless { [1,{"a":ip("::1")}].contains(principal) };`)
	f.Add(`permit (principal, action == Petstore::Action::"create_pet", resource) when { ip(context.input.body.name).isLoopback() };`)
	f.Add(`forbid (principal, action in Action::"call_tool", resource) when { context.usage.day * 9223372036854775807 > 1 || decimal("1.0").lessThan(decimal(context.agent.client)) };`)
	for _, p := range hostilePolicies {
		f.Add(p.text[:min(len(p.text), 500)])
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := New([]API{pets()}, []PolicyFile{{Name: "f", Text: []byte(text)}})
		if err == nil {
			sameAsFullScan(t, e, text)
			e.Visible("petstore", "get_pet", alice(), Agent{}, Session{}, noon)
			return
		}
		var load *LoadError
		if !errors.As(err, &load) || len(load.Problems) == 0 {
			t.Fatalf("%T %v", err, err)
		}
		for _, p := range load.Problems {
			if p.File != "f" || p.Line < 1 || p.Line > 1+strings.Count(text, "\n") || p.Column < 1 || p.Message == "" || comment(p.Message+p.Hint) != p.Message+p.Hint {
				t.Errorf("%q: %+v", text, p)
			}
		}
	})
}

// Whatever converts is what the schema says of it, by Cedar's own judgement, and
// nothing is ever allowed that the policies hold.
func FuzzConvert(f *testing.F) {
	for _, args := range []string{
		`{"body":{"name":"x","price":1.5,"tags":["a"],"owner":{"__entity":{"type":"User","id":"admin"}}}}`,
		`{"body":{"name":"x","price":-922337203685477.5808,"born":"2026-11-23T12:00:00.000001+14:00","note":null,"owner":{"name":"y"}}}`,
		`{"body":{"name":"x","tags":[{"__extn":{"fn":"ip","arg":"::1"}}],"price":1e14}}`,
	} {
		f.Add(args)
	}
	e := engine(f, "")
	v := validate.New(e.schemaFor(e.actions, holdActions))
	f.Fuzz(func(t *testing.T, args string) {
		var m map[string]any
		dec := json.NewDecoder(strings.NewReader(args))
		dec.UseNumber()
		if dec.Decode(&m) != nil {
			return
		}
		r := Query{API: "petstore", Action: "create_pet", Principal: alice(), Agent: Agent{ID: "x"}, Now: noon, Path: "/pets", Input: m}
		if d := e.Decide(r); d.Outcome != Hold && d.Remediation != RemedyArgs {
			t.Errorf("%s: %+v", args, d)
		}
		req, context, ents, err := cedarForm(e, e.byUID[actionUID("petstore", "create_pet")], r)
		if err != nil {
			return
		}
		if context["approval"], err = ents.approval(ApprovalContext{By: alice()}); err != nil {
			t.Fatal(err)
		}
		var c converter
		context["rounded"] = c.roundRecord(e.byUID[actionUID("petstore", "create_pet")].input, m, []string{"rounded"})
		req.Context = types.NewRecord(context)
		if err := v.Request(req); err != nil {
			t.Errorf("%s: %v", args, err)
		}
		if err := v.Entities(ents.own); err != nil {
			t.Errorf("%s: %v", args, err)
		}
	})
}

// manyPolicies is n policies over 100 actions: one for each hundred of them is about
// op_1, and the others about other actions or other people.
func manyPolicies(b testing.TB, n int) *Engine {
	api := API{Name: "petstore"}
	for i := range 100 {
		a := pets().Actions[1]
		a.Name = fmt.Sprintf("op_%d", i)
		api.Actions = append(api.Actions, a)
	}
	var text strings.Builder
	for i := range n {
		scope := fmt.Sprintf(`principal in Group::"keepers", action == Petstore::Action::"op_%d"`, i%100)
		if i%2 == 1 && i > 1 {
			scope = fmt.Sprintf(`principal == User::"user_%d", action in Action::"call_tool"`, i)
		}
		fmt.Fprintf(&text, "@id(\"p%d\") permit (%s, resource) when { context.input.petId == %d };\n", i, scope, i/100)
	}
	e, err := New([]API{api}, []PolicyFile{{Name: "bench", Text: []byte(text.String())}})
	if err != nil {
		b.Fatal(err)
	}
	return e
}

// BenchmarkDecide shows that a decision takes no longer for policies that cannot apply.
func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			e := manyPolicies(b, n)
			r := ask(b, "get_pet", `{"petId": 0}`)
			r.Action = "op_1"
			b.ReportAllocs()
			for b.Loop() {
				if d := e.Decide(r); d.Outcome != Allow {
					b.Fatal(d)
				}
			}
		})
	}
}

func BenchmarkVisible(b *testing.B) {
	e := manyPolicies(b, 100)
	for b.Loop() {
		for _, a := range e.actions {
			if got := e.Visible("petstore", a.Name, alice(), Agent{ID: "x"}, Session{}, time.Now()); !got && a.Name == "op_1" {
				b.Fatal(a.Name)
			}
		}
	}
}

var _ cedar.PolicyIterator = candidates(nil)
