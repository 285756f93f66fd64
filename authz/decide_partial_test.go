package authz

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/google/go-cmp/cmp"
)

// What no approval can turn must not wait for a person, and must not be shown.
func TestNoHoldInVain(t *testing.T) {
	const all = `permit (principal, action in Action::"call_tool", resource); `
	tests := []struct {
		name, policies string
		want           Outcome
		visible        bool
		choices        Choices
		remedy         Remediation
	}{
		{"a group after the approval", `permit (principal, action in Action::"call_tool", resource) when { context has approval && context.approval.once && principal in Group::"leads" };`,
			Deny, false, Choices{}, RemedyNone},
		{"the same for a member", `permit (principal, action in Action::"call_tool", resource) when { context has approval && context.approval.once && principal in Group::"keepers" };`,
			Hold, true, Choices{Once: true}, RemedyApproval},
		{"a forbid that no approval satisfies", all + `forbid (principal, action in Action::"call_tool", resource) unless { context has approval && context.approval.once && principal in Group::"leads" };`,
			Deny, false, Choices{}, RemedyNone},
		{"a permit and a forbid that exclude each other", `permit (principal, action in Action::"call_tool", resource) when { context has approval && context.approval.once };
			forbid (principal, action in Action::"call_tool", resource) when { context has approval && context.approval.once };`,
			Deny, true, Choices{}, RemedyNone},
		{"if", `permit (principal, action in Action::"call_tool", resource) when { context has approval && (if context.approval.once then principal in Group::"leads" else false) };`,
			Deny, false, Choices{}, RemedyNone},
		{"or", `permit (principal, action in Action::"call_tool", resource) when { context has approval && (principal in Group::"leads" || context.approval.phishing_resistant) };`,
			Hold, true, Choices{Once: true, Grant: true}, RemedyApproval},
		{"when the person answers is not known yet", `permit (principal, action in Action::"call_tool", resource) when { context has approval && context.approval.at < context.now };`,
			Hold, true, Choices{Once: true, Grant: true}, RemedyApproval},
		{"nor is that it was long ago", `permit (principal, action in Action::"call_tool", resource) when { context has approval && context.approval.at >= context.now &&
			context.approval.expires > context.approval.at };`, Hold, true, Choices{Once: true, Grant: true}, RemedyApproval},
		{"who answers is not known yet", `permit (principal, action in Action::"call_tool", resource) when { context has approval && context.approval.by is User &&
			[context.approval.by].contains(User::"bob") && context.approval.by in Group::"leads" && context.approval.by has email && context.approval.by.email like "*@x" };`,
			Hold, true, Choices{Once: true, Grant: true}, RemedyApproval},
		{"the proof is not known yet", `permit (principal, action in Action::"call_tool", resource) when { context has approval && context.approval.amr.containsAny(["hwk", "swk"]) && !context.approval.amr.isEmpty() };`,
			Hold, true, Choices{Once: true, Grant: true}, RemedyApproval},
		{"the whole API is forbidden", all + `forbid (principal, action in Action::"call_tool", resource in Api::"petstore");`, Deny, false, Choices{}, RemedyNone},
		{"every path is forbidden", all + `forbid (principal, action in Action::"call_tool", resource is Petstore::Path);`, Deny, false, Choices{}, RemedyNone},
		{"every path is forbidden, in a condition", all + `forbid (principal, action in Action::"call_tool", resource) when { resource in Petstore::Path::"/" && resource is Petstore::Path in Api::"petstore" };`,
			Deny, false, Choices{}, RemedyNone},
		{"another API's paths are permitted", `@not_yet("no shop") permit (principal, action in Action::"call_tool", resource in Api::"shop");`, Deny, false, Choices{}, RemedyNone},
		{"one subtree is forbidden", all + `forbid (principal, action in Action::"call_tool", resource in Petstore::Path::"/pets");`, Deny, true, Choices{}, RemedyArgs},
		{"an error that every approval meets", all + `forbid (principal, action in Action::"call_tool", resource) when { context has approval && 9223372036854775807 + context.usage.day > 0 };
			forbid (principal, action in Action::"call_tool", resource) unless { context has approval };`, Deny, true, Choices{}, RemedyNone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := engine(t, tt.policies)
			r := ask(t, "delete_pet", `{"petId": 42}`)
			r.Usage.Day = 1
			d := e.Decide(r)
			if d.Outcome != tt.want || d.Choices != tt.choices || d.Remediation != tt.remedy {
				t.Errorf("got %s %+v, remediation %s (%s); want %s %+v, %s", d.Outcome, d.Choices, d.Remediation, d.Reason, tt.want, tt.choices, tt.remedy)
			}
			if got := e.Visible(r.API, r.Action, r.Principal, r.Agent, r.Session, r.Now); got != tt.visible {
				t.Errorf("visible %t, want %t", got, tt.visible)
			}
		})
	}
}

// truth must contain what every completion of the unknown parts gives.
func TestTruthTables(t *testing.T) {
	unknown := ast.Context().Access("approval").Access("once").AsIsNode()
	value := map[truth]ast.IsNode{mayHold: ast.True().AsIsNode(), mayNot: ast.False().AsIsNode(), mayAnything: unknown,
		mayFail: ast.NodeValue{Value: types.Long(1)}}
	a := &action{api: "petstore"}
	for l, left := range value {
		if got := a.truthOf(ast.Not(ast.NewNode(left)).AsIsNode()); got != l.not() {
			t.Errorf("not %b: %b", l, got)
		}
		for r, right := range value {
			and, or := truth(0), truth(0)
			for _, x := range []truth{mayHold, mayNot, mayFail} {
				for _, y := range []truth{mayHold, mayNot, mayFail} {
					if l&x == 0 || r&y == 0 {
						continue
					}
					// Cedar's own rule, value by value.
					if x == mayHold {
						and |= y
					} else {
						and |= x
					}
					if x == mayNot {
						or |= y
					} else {
						or |= x
					}
				}
			}
			if got := a.truthOf(ast.NewNode(left).And(ast.NewNode(right)).AsIsNode()); got != and {
				t.Errorf("%b && %b: %b, want %b", l, r, got, and)
			}
			for c, condition := range value {
				want := c & mayFail
				if c&mayHold != 0 {
					want |= l
				}
				if c&mayNot != 0 {
					want |= r
				}
				if got := a.truthOf(ast.IfThenElse(ast.NewNode(condition), ast.NewNode(left), ast.NewNode(right)).AsIsNode()); got != want {
					t.Errorf("if %b then %b else %b: %b, want %b", c, l, r, got, want)
				}
			}
			if got := a.truthOf(ast.NewNode(left).Or(ast.NewNode(right)).AsIsNode()); got != or {
				t.Errorf("%b || %b: %b, want %b", l, r, got, or)
			}
		}
	}
}

// randomPolicies are policies that need approvals, arguments, rows and groups in
// every combination, nested.
func randomPolicies(rng *rand.Rand) string {
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	var condition func(depth int) string
	condition = func(depth int) string {
		if depth > 0 && rng.IntN(2) == 0 {
			switch rng.IntN(4) {
			case 0:
				return "(" + condition(depth-1) + " && " + condition(depth-1) + ")"
			case 1:
				return "(" + condition(depth-1) + " || " + condition(depth-1) + ")"
			case 2:
				return "!(" + condition(depth-1) + ")"
			}
			return "(if " + condition(depth-1) + " then " + condition(depth-1) + " else " + condition(depth-1) + ")"
		}
		return pick(`context has approval`, `(context has approval && context.approval.once)`, `(context has approval && context.approval.phishing_resistant)`,
			`(context has approval && context.approval.by == principal)`, `(context has approval && context.approval.amr.contains("hwk"))`,
			`(context.input has force && context.input.force)`, `principal in Group::"keepers"`, `principal in Group::"leads"`, `context.usage.day < 2`,
			`context.usage.day * 4611686018427387904 > 1`, `resource in Petstore::Path::"/pets"`, `resource == Petstore::Path::"/pets/42"`, `resource in Api::"petstore"`,
			`action in Action::"delete"`, `(principal has acr && principal.acr == "phr")`)
	}
	var b strings.Builder
	for i := range 1 + rng.IntN(4) {
		fmt.Fprintf(&b, "@id(\"p%d\") %s (%s, action in %s, %s) %s { %s };\n", i, pick("permit", "permit", "forbid"),
			pick("principal", `principal == User::"alice"`, `principal in Group::"keepers"`),
			pick(`Action::"call_tool"`, `Action::"delete"`, `Petstore::Action::"tag:pets"`, `[Action::"read", Petstore::Action::"delete_pet"]`),
			pick("resource", `resource in Petstore::Path::"/pets"`, `resource in Api::"petstore"`, `resource is Petstore::Path`), pick("when", "unless"), condition(3))
	}
	return b.String()
}

// Whatever an approval or other arguments can in fact turn is held and shown:
// the choices offered are at least those that some concrete approval proves.
func TestHoldAndVisibleMissNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	rng := rand.New(rand.NewPCG(7, 7))
	checked, held := 0, 0
	for range 100 {
		text := randomPolicies(rng)
		e, err := New([]API{pets()}, []PolicyFile{{Name: "t", Text: []byte(text)}})
		if err != nil {
			continue // the type checker refuses what can never hold
		}
		checked++
		shown := e.Visible("petstore", "delete_pet", alice(), Agent{ID: "claude"}, Session{ID: "s1", Transport: "stdio"}, noon)
		for _, args := range []string{`{"petId":42}`, `{"petId":42,"force":true}`} {
			for _, path := range []string{"/pets/42", "/pets/43", "/other"} {
				for day := range int64(3) {
					r := ask(t, "delete_pet", args)
					r.Path, r.Usage.Day = path, day
					d := e.Decide(r)
					proved := provenChoices(e, r)
					if d.Outcome == Hold {
						held++
					}
					if d.Outcome != Deny && !shown {
						t.Fatalf("%s\n%s: %s, but hidden", text, args, d.Outcome)
					}
					if len(d.Errors) > 0 || d.Outcome == Allow {
						continue
					}
					if proved.Once && !d.Choices.Once || proved.Grant && !d.Choices.Grant {
						t.Fatalf("%s\n%s %s: %s offers %+v, but %+v would be allowed", text, args, path, d.Outcome, d.Choices, proved)
					}
					if (d.Outcome == Hold) != (d.Choices != Choices{}) {
						t.Fatalf("%s\n%s with %+v", text, d.Outcome, d.Choices)
					}
				}
			}
		}
	}
	if checked < 25 || held < 50 {
		t.Errorf("only %d sets were taken and %d calls held: the test tests little", checked, held)
	}
}

// provenChoices tries concrete approvals.
func provenChoices(e *Engine, r Query) Choices {
	var c Choices
	for _, by := range []Principal{alice(), {Type: "User", ID: "bob"}} {
		for _, amr := range [][]string{nil, {"hwk"}} {
			for _, strong := range []bool{false, true} {
				for _, once := range []bool{false, true} {
					r.Approval = &ApprovalContext{By: by, Once: once, At: noon, Expires: noon.Add(time.Hour), AMR: amr, PhishingResistant: strong}
					if e.Decide(r).Outcome == Allow {
						c.Once, c.Grant = c.Once || once, c.Grant || !once
					}
				}
			}
		}
	}
	return c
}

// Candidates from the index and a full scan give the same, partially too.
func TestPartialByIndexIsAFullScan(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	checked := 0
	for range 250 {
		e, err := New([]API{pets()}, []PolicyFile{{Name: "t", Text: []byte(randomPolicies(rng))}})
		if err != nil {
			continue
		}
		for _, r := range []Query{ask(t, "get_pet", `{"petId":1}`), ask(t, "delete_pet", `{"petId":1,"force":true}`), ask(t, "create_pet", `{"body":{"name":"x"}}`)} {
			r.Usage.Day = 2 // makes a condition overflow
			a := e.byUID[actionUID(r.API, r.Action)]
			req, context, ents, err := cedarForm(e, a, r)
			if err != nil {
				t.Fatal(err)
			}
			req.Context = types.NewRecord(context)
			all := *a
			all.candidates = e.policies
			gotIDs, gotChoices, _ := a.withApproval(req, context, ents)
			wantIDs, wantChoices, _ := all.withApproval(req, context, ents)
			if gotChoices != wantChoices || !cmp.Equal(gotIDs, wantIDs) {
				t.Fatalf("%s: %v %+v by the index, %v %+v by a full scan", r.Action, gotIDs, gotChoices, wantIDs, wantChoices)
			}
			got, _ := evaluate(a.candidates, ents, req)
			want, _ := evaluate(e.policies, ents, req)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatal(diff)
			}
			checked++
		}
	}
	if checked < 100 {
		t.Errorf("only %d requests were compared", checked)
	}
}
