package approval

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

func TestAmounts(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "1": "1", "100.00": "100", "0.1": "0.1", "007": "7", "12345678901234567890.00000000000000000001": "12345678901234567890.00000000000000000001",
		"-0": "0", "0.10000000000000000000": "0.1",
		"": "", "1e2": "", "1E+21": "", ".5": "", "5.": "", "0x10": "", "1_000": "", "1,000": "", " 1": "", "NaN": "", "Infinity": "", "null": "", "[1]": "", "1/3": "",
		"0.000000000000000000001": "", strings.Repeat("9", 41): "",
	} {
		n, ok := parseAmount(text)
		if got := map[bool]string{true: "?"}[ok && n.Sign() < 0]; ok && got == "" {
			got = formatAmount(n)
			if got != want {
				t.Errorf("%q is %q, want %q", text, got, want)
			}
		} else if want != "" || ok {
			t.Errorf("%q: %v %v, want %q", text, n, ok, want)
		}
	}
}

// Which calls a task is for.
func TestTaskMatches(t *testing.T) {
	task := &Task{Name: "refunds", Tools: []string{"refund_*", "get_order"}, Sum: &Sum{"/body/amount", "500"}}
	rule := func() Rule {
		place := here
		place.Method = ""
		return Rule{Kind: KindGrant, Subject: "User::alice", Agent: "claude", Max: 20, Sum: "120.50",
			Scope: Scope{API: "petstore", Place: place, Reach: ReachBelow, Path: "/customers/7", Args: ArgsAny, Task: task}}
	}
	for _, c := range []struct {
		name string
		tool string
		path string
		args string
		want bool
	}{
		{"one that begins so", "refund_order", "/customers/7/orders/1", `{"body":{"amount":379.5}}`, true},
		{"as text", "refund_order", "/customers/7/orders/1", `{"body":{"amount":"379.50"}}`, true},
		{"a tool by its name", "get_order", "/customers/7", `{"body":{"amount":0}}`, true},
		{"a cent too much", "refund_order", "/customers/7", `{"body":{"amount":379.51}}`, false},
		{"nothing to add", "refund_order", "/customers/7", `{"body":{}}`, false},
		{"below zero", "refund_order", "/customers/7", `{"body":{"amount":-1}}`, false},
		{"with an exponent", "refund_order", "/customers/7", `{"body":{"amount":1e+21}}`, false},
		{"as another kind of text", "refund_order", "/customers/7", `{"body":{"amount":"1e2"}}`, false},
		{"a list", "refund_order", "/customers/7", `{"body":{"amount":[1]}}`, false},
		{"another tool", "delete_order", "/customers/7", `{"body":{"amount":1}}`, false},
		{"one that only holds the name", "get_order_all", "/customers/7", `{"body":{"amount":1}}`, false},
		{"no tool", "", "/customers/7", `{"body":{"amount":1}}`, false},
		{"another customer", "refund_order", "/customers/70", `{"body":{"amount":1}}`, false},
	} {
		shape := Shape{Principal: alice, Agent: authz.Agent{ID: "claude"}, Place: here, API: "petstore", Tool: c.tool, Path: c.path, Args: []byte(c.args)}
		if got := rule().Matches(shape); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		for change, alter := range map[string]func(*Shape){
			"another audience": func(s *Shape) { s.Place.Audience = "https://other" },
			"another origin":   func(s *Shape) { s.Place.Origin = "https://other" },
			"another document": func(s *Shape) { s.Place.Document = "sha-256=:x:" },
			"no method":        func(s *Shape) { s.Place.Method = "" },
			"another API":      func(s *Shape) { s.API = "shop" },
			"another agent":    func(s *Shape) { s.Agent.ID = "cursor" },
			"a verified one":   func(s *Shape) { s.Agent.Verified = true },
			"through another":  func(s *Shape) { s.Agent.Chain = []string{"planner"} },
			"another person":   func(s *Shape) { s.Principal.ID = "bob" },
		} {
			altered := shape
			if alter(&altered); rule().Matches(altered) {
				t.Errorf("%s, %s: it matches", c.name, change)
			}
		}
		put := shape
		if put.Place.Method = "PUT"; rule().Matches(put) != c.want {
			t.Errorf("%s: a tool of the task has another method, and it matters", c.name)
		}
	}
}

func job(o *Offer) {
	o.Reach, o.Args, o.Max = ReachAny, ArgsAny, 20
	o.Task = &Task{Name: "clean up", Tools: []string{"delete_*"}, Sum: &Sum{"/id", "100"}}
}

// What the calls of a task come to is counted where they are: nothing of it is lost,
// however many calls come at once, and nothing brings it back.
func TestTaskSum(t *testing.T) {
	w := newWorld(t)
	r, h := w.give(job) // by a call with the id 42, which has its own approval
	if h.Approval != nil && h.Approval.Grant != r.ID {
		t.Errorf("%+v", h.Approval)
	}
	use := func(id string) error {
		return w.Use(w.T.Context(), r.ID, Shape{Principal: alice, Agent: authz.Agent{ID: "claude-desktop"}, Place: here, API: "petstore", Tool: "delete_pet", Effect: "delete",
			Path: "/pets/" + id, Args: []byte(`{"id":` + id + `}`)}, store.Entry{Kind: store.KindCall, Principal: "User::alice", API: "petstore", Tool: "delete_pet"})
	}
	var went atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			switch err := use("9"); {
			case err == nil:
				went.Add(1)
			case !errors.Is(err, ErrNoGrant):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if went.Load() != 11 {
		t.Errorf("%d calls of 9 within 100", went.Load())
	}
	if err := use("2"); !errors.Is(err, ErrNoGrant) {
		t.Errorf("2 more than 99: %v", err)
	}
	if err := use("1"); err != nil {
		t.Errorf("1 more than 99: %v", err)
	}
	rules, err := w.Service.RulesInForce(t.Context(), "User::alice", "claude-desktop")
	if err != nil || len(rules) != 1 || rules[0].Sum != "100" || rules[0].Used != 12 {
		t.Fatalf("%+v %v", rules, err)
	}
	if told := rules[0].Told(); !strings.Contains(told, `for "clean up": the tools delete_*, while /id comes to 100 at most in all (100 so far), on any path`) {
		t.Error(told)
	}
	w.SQL(`UPDATE rules SET state = json_set(state, '$.sum', '0')`)
	if err := use("1"); !errors.Is(err, ErrNoGrant) {
		t.Errorf("the sum was set back in the database: %v", err)
	}
}

func TestTaskForms(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*Offer){
		"no name":             func(o *Offer) { o.Task.Name = "" },
		"a long name":         func(o *Offer) { o.Task.Name = strings.Repeat("x", 61) },
		"a name with a line":  func(o *Offer) { o.Task.Name = "a\nb" },
		"an invisible name":   func(o *Offer) { o.Task.Name = "a\u202eb" },
		"no tools":            func(o *Offer) { o.Task.Tools = nil },
		"every tool":          func(o *Offer) { o.Task.Tools = []string{"*"} },
		"one letter":          func(o *Offer) { o.Task.Tools = []string{"d*"} },
		"a star within":       func(o *Offer) { o.Task.Tools = []string{"de*te"} },
		"other tools only":    func(o *Offer) { o.Task.Tools = []string{"refund_*"} },
		"no maximum":          func(o *Offer) { o.Max = 0 },
		"too many":            func(o *Offer) { o.Max = 1001 },
		"no sum":              func(o *Offer) { o.Task.Sum.Most = "" },
		"a sum of nothing":    func(o *Offer) { o.Task.Sum.Most = "0" },
		"a sum below nothing": func(o *Offer) { o.Task.Sum.Most = "-5" },
		"a sum that is none":  func(o *Offer) { o.Task.Sum.Most = "1e9" },
		"the call is too big": func(o *Offer) { o.Task.Sum.Most = "41" },
		"another argument":    func(o *Offer) { o.Task.Sum.Pointer = "/body/amount" },
		"no pointer":          func(o *Offer) { o.Task.Sum.Pointer = "id" },
		"one path":            func(o *Offer) { o.Reach = ReachExact },
		"the same arguments":  func(o *Offer) { o.Args = ArgsSame },
		"a block":             func(o *Offer) { o.Kind = KindBlock },
		"too long":            func(o *Offer) { o.For = time.Hour },
	} {
		h := w.open(call(alice, "k"+strings.ReplaceAll(name, " ", "")))
		o := narrow(h)
		job(&o)
		change(&o)
		if _, err := w.Give(t.Context(), Person{Principal: alice, AMR: []string{"otp"}}, h, o, Verdict{}); err == nil {
			t.Errorf("%s: it was given", name)
		}
	}
}

// A passkey signs the whole task, and Cedar shows what it can of it.
func TestTaskTerms(t *testing.T) {
	w := newWorld(t)
	r, _ := w.give(job)
	seen := map[string]string{r.Terms(): "as it is"}
	for name, change := range map[string]func(*Task){
		"the name": func(t *Task) { t.Name = "other" },
		"a tool":   func(t *Task) { t.Tools = []string{"delete_pet"} },
		"the sum":  func(t *Task) { t.Sum = &Sum{"/id", "1000"} },
		"no sum":   func(t *Task) { t.Sum = nil },
	} {
		altered, task := r, *r.Scope.Task
		change(&task)
		altered.Scope.Task = &task
		if as := seen[altered.Terms()]; as != "" {
			t.Errorf("%s: the same terms as %s", name, as)
		}
		seen[altered.Terms()] = name
	}
	for _, want := range []string{`action in Action::"call_tool"`, `// and the tools whose names begin with "delete_"`, `// and "/id" comes to 100 at most in all calls together`, "// at most 20 times"} {
		if text := r.Cedar(); !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

func TestPropose(t *testing.T) {
	hold := func(tool, agent, args string) store.Hold {
		who, err := json.Marshal(authz.Agent{ID: agent})
		if err != nil {
			t.Fatal(err)
		}
		return store.Hold{API: "shop", Tool: tool, Principal: []byte(`{}`), Agent: who, Session: []byte(`{}`), Args: []byte(args)}
	}
	got := propose(hold("refund_order_line", "a", `{"body":{"amount":"12.50","currency":"EUR","n":3,"back":-1},"id":"x"}`), authz.Agent{ID: "a"},
		[]store.Hold{hold("get_order", "a", "{}"), hold("close_order", "b", "{}"), hold("get_order", "a", "{}")})
	want := Proposal{Tools: []string{"refund_order_line", "refund_order_*", "refund_*", "get_order"}, Sums: []string{"/body/amount", "/body/n"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
