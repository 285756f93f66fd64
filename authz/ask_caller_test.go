package authz

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A caller is known by all that policies can ask of it: whoever differs in one thing is
// another one. A field that is added must find its way into the key.
func TestCallerKey(t *testing.T) {
	keys := map[string]string{}
	add := func(what string, p Principal, a Agent, s Session) {
		key := string(appendCaller(nil, p, a, s))
		if other, taken := keys[key]; taken {
			t.Errorf("%s is taken for %s", what, other)
		}
		keys[key] = what
	}
	add("nobody", Principal{}, Agent{}, Session{})
	// vary sets one field after the other.
	vary := func(of any, try func(field string)) {
		v := reflect.ValueOf(of).Elem()
		for i := range v.NumField() {
			f := v.Field(i)
			was := reflect.New(f.Type()).Elem()
			was.Set(f)
			switch f.Interface().(type) {
			case string:
				f.SetString("x")
			case bool:
				f.SetBool(true)
			case []string:
				f.Set(reflect.ValueOf([]string{"x", "y"}))
				try(v.Type().Name() + " " + v.Type().Field(i).Name + " of two")
				f.Set(reflect.ValueOf([]string{"xy"}))
			case time.Time:
				f.Set(reflect.ValueOf(noon.Add(time.Millisecond)))
				try("an older login")
				f.Set(reflect.ValueOf(noon))
			default:
				t.Fatalf("nobody knows whether the field %s of a caller is in its key", v.Type().Field(i).Name)
			}
			try(v.Type().Name() + " " + v.Type().Field(i).Name)
			f.Set(was)
		}
	}
	var p Principal
	var a Agent
	var s Session
	try := func(field string) { add(field, p, a, s) }
	vary(&p, try)
	vary(&a, try)
	vary(&s, try)
}

// No more callers are remembered than that, and whoever is forgotten is found again.
func TestCallersBounded(t *testing.T) {
	e := manyPolicies(t, 10)
	for i := range maxCallers + 10 {
		s := Session{ID: fmt.Sprint(i)}
		for range 2 {
			if !e.Visible("petstore", "op_1", alice(), Agent{ID: "x"}, s, noon) {
				t.Fatalf("session %d does not see the tool", i)
			}
		}
	}
	if n := len(e.callers.by); n > maxCallers {
		t.Errorf("%d callers are remembered", n)
	}
}

// A decision by the policies that can be about the principal is that by all of them,
// and so is what is visible.
func TestNarrowed(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	outcomes := map[Outcome]int{}
	for range 60 {
		var text strings.Builder
		for i := range 3 * fewPolicies {
			principal := pick(`principal`, `principal == User::"alice"`, `principal == User::"bob"`, `principal in Group::"keepers"`, `principal in Group::"vets"`,
				`principal in User::"alice"`, `principal is User`, `principal is Workload`, `principal is User in Group::"keepers"`, `principal is Workload in Group::"keepers"`)
			when := pick(`context.input.petId == 1`, `context has approval && context.approval.once`, `context has approvals && context.approvals.count > 1`,
				`principal.roles.contains("chief")`, `principal has email && principal.email == "a"`, `9223372036854775807 + context.usage.day > 0`, `context.usage.day > 5`, `context.agent.client == "x"`)
			fmt.Fprintf(&text, "@id(\"p%d\") %s (%s, action == Petstore::Action::\"get_pet\", resource) when { %s };\n", i, pick("permit", "permit", "forbid"), principal, when)
		}
		e, err := New([]API{pets()}, []PolicyFile{{Name: "many", Text: []byte(text.String())}})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []Principal{alice(), {Type: "User", ID: "carol"}, {Type: "Workload", ID: "alice", Groups: []string{"keepers", "vets"}, Roles: []string{"chief"}}} {
			q := ask(t, "get_pet", `{"petId": `+pick("1", "2")+`}`)
			q.Principal = p
			if r.IntN(2) == 0 {
				q.Approval = &ApprovalContext{By: alice(), Once: true, At: noon, Expires: noon.Add(time.Minute)}
			}
			got, shown := e.Decide(q), e.Visible("petstore", "get_pet", p, q.Agent, q.Session, noon)
			all := func(p Principal, a Agent, s Session) (*caller, error) {
				c, err := e.newCaller(p, a, s)
				for _, a := range e.actions {
					c.narrow.Store(a, a) // nothing is left out
				}
				return c, err
			}
			want := e.decide(q, all)
			outcomes[want.Outcome]++
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: a decision by some policies (-all +some):\n%s%s", p.Name(), diff, text.String())
			}
			whole, err := all(p, q.Agent, q.Session)
			if err != nil || whole.sees(e.byName[[2]string{"petstore", "get_pet"}]) != shown {
				t.Errorf("%s: visible is %v by some policies only", p.Name(), shown)
			}
		}
	}
	if len(outcomes) < 3 {
		t.Errorf("the calls came out as %v only", outcomes)
	}
}
