package authz

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// places is an API with numbers that have more digits than Cedar can hold.
func places() API {
	return API{Name: "maps", Actions: []Action{{Name: "near", Effect: "write", Path: "/near", Input: json.RawMessage(`{"type":"object","required":["lat"],"properties":{
		"lat":{"type":"number"},"lon":{"type":"number"},"id":{"type":"integer"},"at":{"type":"string","format":"date-time"},"name":{"type":"string"},
		"xs":{"type":"array","items":{"type":"number"}},"flag":{"type":"boolean"},
		"body":{"type":"object","properties":{"n":{"type":"number"},"deep":{"type":"object","properties":{"m":{"type":"number"}}},"list":{"type":"array","items":{"type":"number"}}}}}}`)}}}
}

func placesEngine(t testing.TB, policies string) *Engine {
	t.Helper()
	e, err := New([]API{places()}, []PolicyFile{{Name: "t.cedar", Text: []byte(policies)}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func near(t testing.TB, args string) Query {
	return Query{API: "maps", Action: "near", Principal: alice(), Agent: Agent{ID: "claude"}, Session: Session{ID: "s", Transport: "stdio"}, Now: noon,
		Path: "/near", Input: input(t, args)}
}

// Ordinary numbers and times keep nobody from a call that no policy judges by them.
func TestOrdinaryNumbers(t *testing.T) {
	e := placesEngine(t, `@id("all") permit (principal, action in Action::"call_tool", resource);
		@id("others") forbid (principal == User::"bob", action in Action::"call_tool", resource) when { context.input.lat.greaterThan(decimal("50.0")) };`)
	for _, args := range []string{
		`{"lat":52.520008}`, `{"lat":1e300}`, `{"lat":1e-300}`, `{"lat":1,"id":18446744073709551616}`, `{"lat":1,"id":1e300}`,
		`{"lat":1,"at":"2026-11-28T05:10:00+0000"}`, `{"lat":1,"at":"2026-11-28T05:10:00.123456-0730"}`, `{"lat":1,"at":"2016-12-31T23:59:60Z"}`,
		`{"lat":1,"xs":[1,52.520008,1e300]}`, `{"lat":1,"body":{"n":52.520008,"deep":{"m":1e300},"list":[0.00001]}}`,
	} {
		if d := e.Decide(near(t, args)); d.Outcome != Allow {
			t.Errorf("%s: %+v", args, d)
		}
		r := near(t, args)
		r.Principal.ID = "bob"
		if d := e.Decide(r); strings.Contains(args, `"lat":1,`) != (d.Outcome == Allow) {
			t.Errorf("%s by bob: %+v", args, d)
		}
	}
	r := near(t, `{"lat":1,"at":"2026-11-28T05:10:00+0200"}`)
	if d := placesEngine(t, `permit (principal, action in Action::"call_tool", resource) when { context.input has at && context.input.at == datetime("2026-11-28T03:10:00Z") };`).Decide(r); d.Outcome != Allow {
		t.Errorf("a time with a basic offset: %+v", d)
	}
}

// Whatever way a policy reads what was left out, the call is denied, and the
// policy is named.
func TestReadingWhatIsLeftOut(t *testing.T) {
	const args = `{"lat":52.520008,"lon":13.404954,"id":18446744073709551616,"at":"2016-12-31T23:59:60Z","xs":[52.520008],"flag":true,"name":"x","body":{"n":1e300,"deep":{"m":0.00001},"list":[1]}}`
	for _, condition := range []string{
		`context.input.lat.greaterThan(decimal("90.0"))`,
		`!context.input.lat.lessThan(decimal("90.0"))`,
		`!(context.input has lon && context.input.lon.greaterThan(decimal("1.0")))`,
		`context.input.lat == decimal("52.52")`,
		`context.input.lat != decimal("52.52")`,
		`context.input has id && context.input.id > 5`,
		`context.input has id && context.input.id + 1 < 5`,
		`context.input has at && context.input.at > datetime("2030-01-01")`,
		`context.input has xs && context.input.xs.contains(decimal("1.0"))`,
		`context.input has xs && context.input.xs.isEmpty()`,
		`context.input has xs && [context.input.xs].contains(context.input.xs)`,
		`[decimal("1.0")].contains(context.input.lat)`,
		`[context.input.lat].contains(decimal("1.0"))`,
		`{"a": context.input.lat} == {"a": decimal("1.0")}`,
		`context.input != context.input`,
		`context.input has body && context.input.body != context.input.body`,
		`context.input has body && context.input.body has deep && context.input.body.deep has m && context.input.body.deep.m.lessThan(decimal("0.0"))`,
		`context.input has body && context.input.body has deep && [context.input.body.deep].contains(context.input.body.deep)`,
		`(if context.input has flag && context.input.flag then context.input else context.input).lat.lessThan(decimal("0.0"))`,
		`if context.input.lat.lessThan(decimal("0.0")) then true else false`,
		`context.usage.day > 5 || context.input.lat.lessThan(decimal("0.0"))`,
	} {
		for _, policies := range []string{
			`@id("all") permit (principal, action in Action::"call_tool", resource); @id("reads") forbid (principal, action == Maps::Action::"near", resource) when { ` + condition + ` };`,
			`@id("all") permit (principal, action in Action::"call_tool", resource); @id("reads") forbid (principal, action == Maps::Action::"near", resource) unless { ` + condition + ` };`,
			`@id("reads") permit (principal, action == Maps::Action::"near", resource) when { ` + condition + ` };`,
			`@id("reads") permit (principal, action == Maps::Action::"near", resource) unless { ` + condition + ` };`,
			`@id("reads") permit (principal, action == Maps::Action::"near", resource) when { context has approval } unless { ` + condition + ` };`,
		} {
			e, err := New([]API{places()}, []PolicyFile{{Name: "t.cedar", Text: []byte(policies)}})
			if err != nil {
				t.Fatalf("%s: %v", condition, err)
			}
			for _, r := range []Query{near(t, args), approved(near(t, args), true)} {
				d := e.Decide(r)
				if d.Outcome != Deny || len(d.Policies) != 1 || d.Policies[0] != "reads" || !strings.Contains(d.Reason, "policy reads asks about an argument") {
					t.Errorf("%s\n%s: %s by %v", policies, d.Outcome, d.Reason, d.Policies)
				}
			}
		}
	}
}

// What is left out is there.
func TestHasWhatIsLeftOut(t *testing.T) {
	e := placesEngine(t, `permit (principal, action in Action::"call_tool", resource);
		@id("no-lon") forbid (principal, action == Maps::Action::"near", resource) when { context.input has lon };
		@id("no-m") forbid (principal, action == Maps::Action::"near", resource) when { context.input has body && context.input.body has deep && context.input.body.deep has m };`)
	for args, want := range map[string]Outcome{
		`{"lat":52.520008}`:                              Allow,
		`{"lat":1,"lon":1e300}`:                          Deny,
		`{"lat":1,"body":{"deep":{"m":0.123456789}}}`:    Deny,
		`{"lat":1,"body":{"deep":{},"n":0.123456789}}`:   Allow,
		`{"lat":1,"lon":null,"body":{"list":[0.12345]}}`: Allow,
	} {
		if d := e.Decide(near(t, args)); d.Outcome != want {
			t.Errorf("%s: %+v, want %s", args, d, want)
		}
	}
}

// context.rounded is the way to ask about such numbers.
func TestRounded(t *testing.T) {
	for _, tt := range []struct {
		args, condition string
		want            Outcome
	}{
		{`{"lat":52.520008}`, `context.rounded.lat == decimal("52.52")`, Allow},
		{`{"lat":52.52005}`, `context.rounded.lat == decimal("52.5201")`, Allow},
		{`{"lat":-52.52005}`, `context.rounded.lat == decimal("-52.52")`, Allow}, // half goes up
		{`{"lat":1}`, `context.rounded.lat == decimal("1.0")`, Allow},
		{`{"lat":1e300}`, `context.rounded.lat.greaterThan(decimal("900000000000000.0"))`, Allow},
		{`{"lat":-1e300}`, `context.rounded.lat.lessThan(decimal("-900000000000000.0"))`, Allow},
		{`{"lat":1e-300}`, `context.rounded.lat == decimal("0.0")`, Allow},
		{`{"lat":1,"id":18446744073709551616}`, `context.rounded has id && context.rounded.id == 9223372036854775807`, Allow},
		{`{"lat":1,"id":-1e300}`, `context.rounded has id && context.rounded.id < -9223372036854775807`, Allow},
		{`{"lat":1,"id":7}`, `context.rounded has id && context.rounded.id == 7`, Allow},
		{`{"lat":1}`, `context.rounded has id`, Deny},
		{`{"lat":1,"id":null}`, `context.rounded has id`, Deny},
		{`{"lat":1,"xs":[0.00001,3]}`, `context.rounded has xs && context.rounded.xs.contains(decimal("3.0"))`, Allow},
		{`{"lat":1,"body":{"deep":{"m":0.99999}}}`, `context.rounded has body && context.rounded.body has deep && context.rounded.body.deep has m && context.rounded.body.deep.m == decimal("1.0")`, Allow},
	} {
		e := placesEngine(t, `permit (principal, action == Maps::Action::"near", resource) when { `+tt.condition+` };`)
		if d := e.Decide(near(t, tt.args)); d.Outcome != tt.want {
			t.Errorf("%s, %s: %+v", tt.args, tt.condition, d)
		}
	}
	// A list too long to be compared is there, and cannot be judged.
	r := near(t, `{"lat":1,"xs":[0`+strings.Repeat(",0", maxSet)+`]}`)
	d := placesEngine(t, `permit (principal, action in Action::"call_tool", resource);
		@id("few") forbid (principal, action == Maps::Action::"near", resource) when { context.rounded has xs && context.rounded.xs.contains(decimal("3.0")) };`).Decide(r)
	if d.Outcome != Deny || !strings.Contains(d.Reason, "policy few asks about") {
		t.Errorf("%+v", d)
	}
}

// At load it is said where a policy compares what may have too many digits.
func TestInexactIsSaid(t *testing.T) {
	warnings := strings.Join(placesEngine(t, `@id("p") permit (principal, action == Maps::Action::"near", resource) when { context.input.lat.lessThan(decimal("1.0")) };`).Warnings(), "\n")
	for _, want := range []string{"policy p (t.cedar:1)", "context.input.lat", "context.rounded.lat", "near"} {
		if !strings.Contains(warnings, want) {
			t.Errorf("no %q in %s", want, warnings)
		}
	}
	if w := strings.Join(placesEngine(t, `permit (principal, action == Maps::Action::"near", resource) when { context.rounded.lat.lessThan(decimal("1.0")) };`).Warnings(), "\n"); strings.Contains(w, "rounded") {
		t.Error(w)
	}
}

// randomCondition is a condition about numbers that validates.
func randomCondition(rng *rand.Rand, depth int) string {
	threshold := func() string { return fmt.Sprintf(`decimal("%d.%02d")`, rng.IntN(4), 25*rng.IntN(4)) }
	method := func() string {
		return []string{"lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"}[rng.IntN(4)]
	}
	if depth > 0 {
		a, b := randomCondition(rng, depth-1), randomCondition(rng, depth-1)
		switch rng.IntN(5) {
		case 0:
			return "(" + a + " && " + b + ")"
		case 1:
			return "(" + a + " || " + b + ")"
		case 2:
			return "!(" + a + ")"
		case 3:
			return "(if " + a + " then " + b + " else " + randomCondition(rng, depth-1) + ")"
		}
	}
	switch rng.IntN(12) {
	case 0, 1:
		return "context.input.lat." + method() + "(" + threshold() + ")"
	case 2:
		return "(context.input has lon && context.input.lon." + method() + "(" + threshold() + "))"
	case 3:
		return "(context.input has body && context.input.body has n && context.input.body.n == " + threshold() + ")"
	case 4:
		return "(context.input has xs && context.input.xs.contains(" + threshold() + "))"
	case 5:
		return "[" + threshold() + ", context.input.lat].contains(" + threshold() + ")"
	case 6:
		return "(context.input has lon && context.input.lon == context.input.lat)"
	case 7:
		return `{"a": context.input.lat} == {"a": ` + threshold() + `}`
	case 8:
		return "context.input has lon"
	case 9:
		return "context has approval"
	case 10:
		return "(context has approval && context.approval.once)"
	}
	return fmt.Sprintf("context.usage.day > %d", rng.IntN(3))
}

// FuzzInexact: with random policies and numbers, a decision is never more
// permissive than it is with exact arithmetic. All thresholds are quarters, so a
// number between two quarters can be replaced by another one between them that
// Cedar can hold, and every comparison stays as it is.
func FuzzInexact(f *testing.F) {
	for seed := range uint64(400) {
		f.Add(seed)
	}
	rank := map[Outcome]int{Deny: 0, Hold: 1, Allow: 2}
	f.Fuzz(func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var text strings.Builder
		for range 1 + rng.IntN(4) {
			fmt.Fprintf(&text, "%s (principal, action == Maps::Action::\"near\", resource) %s { %s };\n",
				[]string{"permit", "permit", "forbid"}[rng.IntN(3)], []string{"when", "unless"}[rng.IntN(2)], randomCondition(rng, 3))
		}
		e, err := New([]API{places()}, []PolicyFile{{Name: "t", Text: []byte(text.String())}})
		if err != nil {
			return
		}
		// Each number has one form that Cedar cannot hold and one that it can.
		number := func(place int) (inexact, exact string) {
			whole, quarter := rng.IntN(4), 25*rng.IntN(4)
			if rng.IntN(3) == 0 {
				s := fmt.Sprintf("%d.%02d", whole, quarter)
				return s, s
			}
			return fmt.Sprintf("%d.%02d%d00%d", whole, quarter, place, 1+rng.IntN(9)), fmt.Sprintf("%d.%02d%d", whole, quarter, place)
		}
		var inexact, exact []string
		add := func(format string, place int) {
			a, b := number(place)
			inexact, exact = append(inexact, fmt.Sprintf(format, a)), append(exact, fmt.Sprintf(format, b))
		}
		add(`"lat":%s`, 1)
		if rng.IntN(3) > 0 {
			add(`"lon":%s`, 2)
		}
		if rng.IntN(3) > 0 {
			add(`"body":{"n":%s}`, 3)
		}
		if rng.IntN(3) > 0 {
			add(`"xs":[1.25,%s]`, 4)
		}
		for _, once := range []int{0, 1, 2} {
			got, want := near(t, "{"+strings.Join(inexact, ",")+"}"), near(t, "{"+strings.Join(exact, ",")+"}")
			got.Usage.Day, want.Usage.Day = int64(seed%4), int64(seed%4)
			if once > 0 {
				got, want = approved(got, once == 1), approved(want, once == 1)
			}
			if g, w := e.Decide(got), e.Decide(want); rank[g.Outcome] > rank[w.Outcome] {
				t.Fatalf("%s\n%v: %s (%s)\n%v: %s (%s)", text.String(), inexact, g.Outcome, g.Reason, exact, w.Outcome, w.Reason)
			}
		}
	})
}
