package compare

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func read(t testing.TB, raw string) *Value {
	t.Helper()
	v, err := Parse([]byte(raw))
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return v
}

// say is a change in a line: what is the same within is left out.
func say(c Change) string {
	var b strings.Builder
	if c.Item {
		fmt.Fprintf(&b, "#%d>%d", c.From, c.To)
	} else {
		b.WriteString(c.Name)
	}
	switch {
	case c.Op == Changed && c.Within != nil:
		var parts []string
		for _, x := range c.Within {
			if x.Op != Same {
				parts = append(parts, say(x))
			}
		}
		b.WriteString("{" + strings.Join(parts, "; ") + "}")
	case c.Op == Changed:
		b.WriteString(" " + c.Was.JSON() + " -> " + c.Is.JSON())
	case c.Op == Added:
		b.WriteString(" +" + c.Is.JSON())
	case c.Op == Removed:
		b.WriteString(" -" + c.Was.JSON())
	default:
		b.WriteString(" " + string(c.Op))
	}
	if c.Op == Changed && c.Elsewhere {
		b.WriteString(" moved")
	}
	return b.String()
}

func TestCompare(t *testing.T) {
	for _, tt := range []struct{ was, is, want string }{
		{`{"fee":80}`, `{"fee":1}`, `{fee 80 -> 1}`},
		{`{"a":1,"b":2,"c":3}`, `{"d":4,"b":3,"c":3}`, `{b 2 -> 3; d +4; a -1}`},
		{`1.0`, `1`, ` 1.0 -> 1`},
		{`{"n":9007199254740993}`, `{"n":9007199254740992}`, `{n 9007199254740993 -> 9007199254740992}`},
		{`{"n":1e400}`, `{"n":1e401}`, `{n 1e400 -> 1e401}`},
		{`{"n":"60"}`, `{"n":60}`, `{n "60" -> 60}`},
		{`{"b":1,"a":2}`, `{"a":2,"b":1}`, ` same`},
		{`{"a":{"b":{"c":[1,{"d":2}]}}}`, `{"a":{"b":{"c":[1,{"d":3}]}}}`, `{a{b{c{#1>1{d 2 -> 3}}}}}`},
		{`{"a":{"b":1}}`, `{"a":[1]}`, `{a {"b":1} -> [1]}`},
		{`["a","b","c"]`, `["a","c"]`, `{#1>-1 -"b"}`},
		{`["a","b","c"]`, `["c","a","b"]`, `{#2>0 moved}`},
		{`["x","y","x"]`, `["y","x"]`, `{#0>-1 -"x"}`},
		{`[1,2,3]`, `[1,5,3]`, `{#1>1 2 -> 5}`},
		{`[1,1,1]`, `[1,1]`, `{#2>-1 -1}`},
		{`["a","b"]`, `["c","a","b","d","e"]`, `{#-1>0 +"c"; #-1>3 +"d"; #-1>4 +"e"}`},
		{`[{"id":1,"n":1},{"id":2,"n":2}]`, `[{"id":2,"n":3},{"id":1,"n":1}]`, `{#1>0{n 2 -> 3}; #0>1 moved}`},
		{`[{"id":1,"n":1}]`, `[{"id":2,"n":1}]`, `{#0>0{id 1 -> 2}}`},
		{`[{"n":1},{"n":2}]`, `[{"n":1},{"n":3}]`, `{#1>1{n 2 -> 3}}`},
		{`{"s":"\ud800"}`, `{"s":"\ufffd"}`, `{s "\ud800" -> "\ufffd"}`},
		{`{"s":"\u0041"}`, `{"s":"A"}`, ` same`},
		{`{"a":1,"a":2}`, `{"a":2}`, ` same`},
		{`null`, `null`, ` same`},
		{`{"a":null}`, `{}`, `{a -null}`},
		{`{"":1}`, `{" ":1}`, `{  +1;  -1}`},
	} {
		c := Compare(read(t, tt.was), read(t, tt.is))
		if got := say(c); got != tt.want {
			t.Errorf("%s, %s: %s, not %s", tt.was, tt.is, got, tt.want)
		}
		check(t, c)
	}
}

// apply makes what will be of what was by the differences alone.
func apply(c Change, was *Value) *Value {
	switch {
	case c.Op == Same || c.Op == Moved:
		return was
	case c.Op == Added || c.Within == nil:
		return c.Is
	case was.Kind == Object:
		out := &Value{Kind: Object}
		for _, x := range c.Within {
			if x.Op != Removed {
				out.Members = append(out.Members, Member{x.Name, apply(x, was.Member(x.Name))})
			}
		}
		return out
	}
	out := &Value{Kind: List}
	for _, x := range c.Within {
		if x.Op == Removed {
			continue
		}
		var from *Value
		if x.From >= 0 {
			from = was.Items[x.From]
		}
		if x.To != len(out.Items) {
			return &Value{Kind: Text, Text: fmt.Sprintf("item %d stands at %d", x.To, len(out.Items))}
		}
		out.Items = append(out.Items, apply(x, from))
	}
	return out
}

// check reports differences that do not lead from what was to what will be, or that do
// not say all that was.
func check(t testing.TB, c Change) {
	t.Helper()
	got := apply(c, c.Was)
	if got.seal(); got.sum != c.Is.sum {
		t.Errorf("%s becomes %s, not %s", c.Was.JSON(), got.JSON(), c.Is.JSON())
	}
	whole(t, c)
}

func whole(t testing.TB, c Change) {
	if c.Within == nil {
		return
	}
	was, is := 0, 0
	for _, x := range c.Within {
		if x.Was != nil {
			was++
		}
		if x.Is != nil {
			is++
		}
		whole(t, x)
	}
	if was != len(c.Was.Members)+len(c.Was.Items) || is != len(c.Is.Members)+len(c.Is.Items) {
		t.Errorf("%s, %s: %d and %d are told", c.Was.JSON(), c.Is.JSON(), was, is)
	}
}

// random is some JSON of few different values, so that much is alike.
func random(r *rand.Rand, depth int) any {
	switch n := r.IntN(8); {
	case n < 2 && depth > 0:
		m := map[string]any{}
		for range r.IntN(5) {
			m[string(rune('a'+r.IntN(5)))] = random(r, depth-1)
		}
		return m
	case n < 4 && depth > 0:
		list := []any{}
		for range r.IntN(7) {
			list = append(list, random(r, depth-1))
		}
		return list
	case n < 5:
		return []any{nil, true, "a", "b c", 1.5}[r.IntN(5)]
	default:
		return r.IntN(4)
	}
}

func TestDifferencesLeadFromOneToTheOther(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		was, _ := json.Marshal(random(r, 4))
		is, _ := json.Marshal(random(r, 4))
		check(t, Compare(read(t, string(was)), read(t, string(is))))
	}
}

func FuzzCompare(f *testing.F) {
	f.Add(`{"a":[1,2,{"id":1}]}`, `{"a":[{"id":1},2.0],"b":"\ud800"}`)
	f.Add(`["a","b","a"]`, `["b","a","a","c"]`)
	f.Fuzz(func(t *testing.T, was, is string) {
		a, err := Parse([]byte(was))
		if err != nil {
			return
		}
		if b, err := Parse([]byte(is)); err == nil {
			check(t, Compare(a, b))
			Merge(a, b)
		}
		if !utf8.ValidString(was) || strings.Contains(was, `\u`) {
			return // a name that is no text is kept as it is written
		}
		again := read(t, a.JSON())
		a.seal()
		if again.seal(); again.sum != a.sum {
			t.Errorf("%q reads as %q", was, a.JSON())
		}
	})
}

func joined(runs []Run) (was, is string) {
	for _, r := range runs {
		if r.Op != Added {
			was += r.Text
		}
		if r.Op != Removed {
			is += r.Text
		}
	}
	return was, is
}

func TestWords(t *testing.T) {
	for _, tt := range []struct{ was, is, want string }{
		{"", "", ""},
		{"a b", "a b", "a b"},
		{"the quick brown fox", "the slow brown fox", "the [-quick][+slow] brown fox"},
		{"a, b, c and more", "d, e, f and more", "[-a, b, c][+d, e, f] and more"},
		{"one two three", "one two", "one two[- three]"},
		{"", "new text", "[+new text]"},
		{"Zoe\u0301 is here", "Zoe is here", "[-Zoe\u0301][+Zoe] is here"},
		{"line one\nline two", "line one\nline 2", "line one\nline [-two][+2]"},
		{"a\xffb", "a\xfeb", "a[-\xff][+\xfe]b"},
	} {
		runs := Words(tt.was, tt.is)
		var got strings.Builder
		for _, r := range runs {
			switch r.Op {
			case Removed:
				got.WriteString("[-" + r.Text + "]")
			case Added:
				got.WriteString("[+" + r.Text + "]")
			default:
				got.WriteString(r.Text)
			}
		}
		if d := cmp.Diff(tt.want, got.String()); d != "" {
			t.Errorf("%q, %q: %s", tt.was, tt.is, d)
		}
	}
}

func FuzzWords(f *testing.F) {
	f.Add("the quick brown fox", "the slow, brown fox!")
	f.Add("a\xff\u0301 b", "\u202eb a")
	f.Fuzz(func(t *testing.T, was, is string) {
		runs := Words(was, is)
		if a, b := joined(runs); a != was || b != is {
			t.Errorf("%q, %q: %q", was, is, runs)
		}
		for i, r := range runs {
			if r.Text == "" || i > 0 && r.Op == runs[i-1].Op {
				t.Errorf("%q, %q: %q", was, is, runs)
			}
		}
	})
}

// What is made to take long takes no more steps than there may be, and comes out right.
func TestHostileSize(t *testing.T) {
	words := func(n, of int, seed uint64) string {
		r := rand.New(rand.NewPCG(seed, 9))
		var b strings.Builder
		for range n {
			fmt.Fprintf(&b, "%d ", r.IntN(of))
		}
		return b.String()
	}
	for name, tt := range map[string][2]string{
		"random words":    {words(200_000, 1000, 1), words(200_000, 1000, 2)},
		"two words":       {words(300_000, 2, 1), words(300_000, 2, 2)},
		"all different":   {words(100_000, 1<<60, 1), words(100_000, 1<<60, 2)},
		"one long word":   {strings.Repeat("a", 1<<20), strings.Repeat("a", 1<<20-1) + "b"},
		"half and half":   {strings.Repeat("a b ", 1<<17), strings.Repeat("b b a ", 1<<17)},
		"only line feeds": {strings.Repeat("\n", 1<<20), strings.Repeat("\n", 1<<19)},
	} {
		runs := Words(tt[0], tt[1])
		if a, b := joinedLong(runs); a != tt[0] || b != tt[1] {
			t.Errorf("%s: the words are lost", name)
		}
		list := func(s string) string { return "[" + strings.Join(strings.Fields(s), ",") + "]" }
		if name == "random words" || name == "two words" {
			check(t, Compare(read(t, list(tt[0])), read(t, list(tt[1]))))
		}
	}
	deep := strings.Repeat(`[`, 9000) + strings.Repeat(`]`, 9000)
	check(t, Compare(read(t, deep), read(t, strings.Replace(deep, "[]", "[1]", 1))))
	if _, err := Parse([]byte(strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000))); err == nil {
		t.Error("nested without end")
	}
}

func joinedLong(runs []Run) (string, string) {
	var was, is strings.Builder
	for _, r := range runs {
		if r.Op != Added {
			was.WriteString(r.Text)
		}
		if r.Op != Removed {
			is.WriteString(r.Text)
		}
	}
	return was.String(), is.String()
}

// The steps that are left bound the search, whatever it is for.
func TestStepsAreBounded(t *testing.T) {
	a, b := make([]int, 200_000), make([]int, 200_000)
	for i := range a {
		a[i], b[i] = i%7, (i*i)%11
	}
	left := steps(maxSteps)
	pairs := left.common(a, b)
	if left < -2*maxEdits-len200k || len(pairs) == 0 {
		t.Errorf("%d steps are left, %d pairs", left, len(pairs))
	}
	for i, p := range pairs {
		if a[p.a] != b[p.b] || i > 0 && (p.a <= pairs[i-1].a || p.b <= pairs[i-1].b) {
			t.Fatalf("pair %d: %v", i, p)
		}
	}
}

const len200k = 400_000 // one round looks at each element once at most

func TestMerge(t *testing.T) {
	for _, tt := range []struct{ doc, patch, want string }{ // RFC 7396, appendix A
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{`{"n":1}`, `{"n":1.0}`, `{"n":1.0}`},
	} {
		if got := Merge(read(t, tt.doc), read(t, tt.patch)).JSON(); got != tt.want {
			t.Errorf("%s with %s: %s", tt.doc, tt.patch, got)
		}
	}
}

func TestPatch(t *testing.T) {
	for _, tt := range []struct{ doc, patch, want string }{
		{`{"foo":"bar"}`, `[{"op":"add","path":"/baz","value":"qux"}]`, `{"foo":"bar","baz":"qux"}`},
		{`{"foo":["bar","baz"]}`, `[{"op":"add","path":"/foo/1","value":"qux"}]`, `{"foo":["bar","qux","baz"]}`},
		{`{"foo":["bar"]}`, `[{"op":"add","path":"/foo/-","value":["a"]}]`, `{"foo":["bar",["a"]]}`},
		{`{"baz":1,"foo":2}`, `[{"op":"remove","path":"/baz"}]`, `{"foo":2}`},
		{`{"foo":[1,2,3]}`, `[{"op":"remove","path":"/foo/1"}]`, `{"foo":[1,3]}`},
		{`{"a":1}`, `[{"op":"replace","path":"/a","value":null}]`, `{"a":null}`},
		{`{"a":{"b":1},"c":{}}`, `[{"op":"move","from":"/a/b","path":"/c/d"}]`, `{"a":{},"c":{"d":1}}`},
		{`{"a":{"b":1}}`, `[{"op":"copy","from":"/a","path":"/c"},{"op":"replace","path":"/c/b","value":2}]`, `{"a":{"b":1},"c":{"b":2}}`},
		{`{"a/b":1,"m~n":2}`, `[{"op":"remove","path":"/a~1b"},{"op":"remove","path":"/m~0n"}]`, `{}`},
		{`{"a":1.0}`, `[{"op":"test","path":"/a","value":1},{"op":"add","path":"/b","value":1}]`, `{"a":1.0,"b":1}`},
		{`{"a":1}`, `[{"op":"replace","path":"","value":[]}]`, `[]`},
		{`{"a":1}`, `[{"op":"test","path":"/a","value":2}]`, `operation 1: what is at "/a" is not what it tests for`},
		{`{"a":1}`, `[{"op":"remove","path":"/b"}]`, `operation 1: there is nothing at "/b"`},
		{`{"a":1}`, `[{"op":"replace","path":"/b","value":1}]`, `operation 1: there is nothing at "/b"`},
		{`{"a":[1]}`, `[{"op":"add","path":"/a/01","value":1}]`, `operation 1: there is nothing at "/a/01"`},
		{`{"a":[1]}`, `[{"op":"add","path":"/a/3","value":1}]`, `operation 1: there is nothing at "/a/3"`},
		{`{"a":{}}`, `[{"op":"move","from":"/a","path":"/a/b"}]`, `operation 1: nothing can be moved into itself`},
		{`{"a":1}`, `[{"op":"add","path":"/b"}]`, `operation 1: add has no value`},
		{`{"a":1}`, `[{"op":"destroy","path":"/b"}]`, `operation 1: there is no operation "destroy"`},
		{`{"a":1}`, `[{"op":"remove","path":"a"}]`, `operation 1: there is nothing at "a"`},
	} {
		var list []Operation
		if err := json.Unmarshal([]byte(tt.patch), &list); err != nil {
			t.Fatal(err)
		}
		got := ""
		v, err := Patch(read(t, tt.doc), list)
		if got = fmt.Sprint(err); err == nil {
			got = v.JSON()
		}
		if got != tt.want {
			t.Errorf("%s with %s: %s", tt.doc, tt.patch, got)
		}
	}
}

// Operations that double a value, or compare all of it, end.
func TestHostilePatch(t *testing.T) {
	double := []Operation{}
	for i := range 60 {
		double = append(double, Operation{Op: "copy", From: "", Path: fmt.Sprintf("/x%d", i)})
	}
	doc := read(t, `{"a":[`+strings.Repeat("1,", 50_000)+`1]}`)
	if _, err := Patch(doc, double); err == nil {
		t.Error("it doubles")
	}
	all, tests := json.RawMessage(doc.JSON()), []Operation{}
	for range 1000 {
		tests = append(tests, Operation{Op: "test", Path: "", Value: all})
	}
	if _, err := Patch(doc, tests); err == nil {
		t.Error("it compares")
	}
}

func TestSameNumber(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{{"1", "1.0", true}, {"1e2", "100", true}, {"-0", "0", true}, {"1", "-1", false}, {"0.10", "1E-1", true}, {"9007199254740993", "9007199254740992", false},
		{"1e999999999999", "1e999999999999", false}, {"10", "1", false}, {"100.00", "1.0e+2", true}} {
		if got := SameNumber(tt.a, tt.b); got != tt.want {
			t.Errorf("%s, %s: %v", tt.a, tt.b, got)
		}
	}
}
