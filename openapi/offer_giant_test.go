package openapi

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// bodyOf is a document of one operation with a body.
func bodyOf(schemas, body string) string {
	return `{"openapi":"3.1.0","info":{"title":"Giant","version":"1"},"servers":[{"url":"https://api.example.com"}],` +
		`"paths":{"/x":{"post":{"operationId":"x","requestBody":{"required":true,"content":{"application/json":{"schema":` + body + `}}},` +
		`"responses":{"200":{"description":"ok"}}}}},"components":{"schemas":{` + schemas + `}}}`
}

// members writes n members of an object, each of the value that it gets.
func members(n int, value func(i int) string) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`"field_%04d":%s`, i, value(i)))
	}
	return strings.Join(list, ",")
}

// giants are schemas that do not fit into a budget, each in a way of its own.
func giants() map[string]string {
	words := strings.TrimSpace(strings.Repeat("some words of it ", 18))
	text := func(int) string { return `{"type":"string"}` }
	deep := `{"type":"object","properties":{"leaf":{"type":"string"}}}`
	for range 60 {
		deep = `{"type":"object","required":["inner"],"properties":{"inner":` + deep + `,"count":{"type":"integer","minimum":1}}}`
	}
	wide := `{"type":"object","properties":{` + members(1500, text) + `}}`
	return map[string]string{
		"bounds": bodyOf("", `{"type":"object","properties":{`+members(45, func(int) string {
			return `{"type":"integer","minimum":1,"maximum":100,"default":7,"description":"` + words + `"}`
		})+`}}`),
		"nullable beside big": bodyOf("", `{"type":"object","properties":{`+members(12, func(int) string { return `{"type":["string","null"]}` })+`,"big":`+wide+`}}`),
		"wide":                bodyOf("", wide),
		"required":            bodyOf("", `{"type":"object","additionalProperties":false,"required":["field_1499","field_1400"],"properties":{`+members(1500, text)+`}}`),
		"deep":                bodyOf("", deep),
		"enum":                bodyOf("", `{"type":"object","properties":{"e":{"type":"string","enum":[`+strings.TrimSuffix(strings.Repeat(`"value",`, 0)+listOf(4000), ",")+`]}}}`),
		"forms":               bodyOf("", `{"oneOf":[`+strings.TrimSuffix(strings.Repeat(`{"type":"object","required":["k"],"properties":{"k":{"type":"string","minLength":3},"`+strings.Repeat("n", 50)+`":{"type":"integer"}}},`, 300), ",")+`]}`),
		"shared": bodyOf(members(400, func(i int) string {
			return fmt.Sprintf(`{"type":"object","description":%q,"properties":{"next":{"$ref":"#/components/schemas/field_%04d"},"kind":{"$ref":"#/components/schemas/Kind"},"name":{"type":"string","maxLength":40}}}`, words, (i+1)%400)
		})+`,"Kind":{"type":"string","enum":["a","b"]}`, `{"$ref":"#/components/schemas/field_0000"}`),
		"fan": bodyOf(members(900, func(i int) string {
			return fmt.Sprintf(`{"type":"object","description":%q,"properties":{%s}}`, words, members(10, text))
		}), `{"type":"object","properties":{`+members(900, func(i int) string { return fmt.Sprintf(`{"$ref":"#/components/schemas/field_%04d"}`, i) })+`}}`),
	}
}

func listOf(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"value-%05d",`, i)
	}
	return b.String()
}

var namedPointer = regexp.MustCompile(`with the pointer ([^\s"\\;]+)`)

// followPointers describes all parts that a schema names as cut, and those that they
// name, and counts the names of properties that it comes to see.
func followPointers(t *testing.T, op *Operation, p Profile, schema json.RawMessage, seen map[string]bool) {
	t.Helper()
	for next := []json.RawMessage{schema}; len(next) > 0 && len(seen) < 20; next = next[1:] {
		for _, m := range namedPointer.FindAllStringSubmatch(string(next[0]), -1) {
			pointer := m[1]
			if seen[pointer] {
				continue
			}
			seen[pointer] = true
			part, err := op.Describe(p, pointer)
			if err != nil {
				t.Errorf("%s for %s: %s: %v", op.Name, p, pointer, err)
				continue
			}
			if len(part) > describeBudget || len(part) < 20 || strings.Contains(string(part), "with the pointer "+pointer+`"`) {
				t.Errorf("%s for %s: %s answers %d bytes: %.300s", op.Name, p, pointer, len(part), part)
			}
			next = append(next, part)
		}
	}
}

// Whatever the schema, a tool keeps to its budget, and every pointer that it names
// answers something more; in the end, all of it.
func TestGiants(t *testing.T) {
	for name, text := range giants() {
		t.Run(name, func(t *testing.T) {
			op := compileOne(t, text)
			for _, p := range []Profile{Generic, OpenAI, Gemini} { // claude gets what generic gets
				for _, budget := range []int{2000, 4000, DefaultBudget} {
					raw, cut := op.Offer(p, budget)
					whole := mustShow(t, op, p)
					tooLarge := size(whole, maxText) > budget
					if len(raw) > budget || cut != (tooLarge || measure(whole).noted()) {
						t.Errorf("%s in %d: %d bytes, cut %v", p, budget, len(raw), cut)
					}
					if tooLarge && budget == DefaultBudget && len(raw) < budget/2 && !strings.Contains(name, "enum") {
						t.Errorf("%s: only %d bytes of %d are used: %s", p, len(raw), budget, raw)
					}
					offeredTo(t, op, p, budget, nil)
					if budget == DefaultBudget {
						followPointers(t, op, p, raw, map[string]bool{})
					}
				}
			}
			if _, err := op.Parse([]byte(`{"body":"notobject"}`)); err == nil && name != "forms" {
				t.Error("a body that is a text is taken")
			}
		})
	}
}

// mustShow is the schema before anything is cut.
func mustShow(t *testing.T, op *Operation, p Profile) map[string]any {
	t.Helper()
	root, err := op.adapt(p)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// Descriptions go before anything else.
func TestBoundsOutlastWords(t *testing.T) {
	op := compileOne(t, giants()["bounds"])
	raw, _ := op.Offer(Generic, 0)
	for _, word := range []string{`"minimum":1`, `"maximum":100`, `"default":7`, `"type":"integer"`, `some words of it some words`} {
		if n := strings.Count(string(raw), word); n < 45 {
			t.Errorf("%s stands %d times in %s", word, n, raw)
		}
	}
}

func TestSmallSiblingsStay(t *testing.T) {
	op := compileOne(t, giants()["nullable beside big"])
	raw, _ := op.Offer(Generic, 0)
	for i := range 12 {
		if want := fmt.Sprintf(`"field_%04d":{"type":["string","null"]}`, i); !strings.Contains(string(raw), want) {
			t.Errorf("no %s in %s", want, raw)
		}
	}
}

// All 1500 names of a wide schema can be read by the pointers that the tool names,
// and what is required comes first.
func TestWideInPieces(t *testing.T) {
	op := compileOne(t, giants()["required"])
	raw, _ := op.Offer(Generic, 0)
	if !strings.Contains(string(raw), "field_1499") {
		t.Error("what is required is cut before what is not")
	}
	names := map[string]bool{}
	pointers := 0
	for next := raw; ; pointers++ {
		for _, name := range regexp.MustCompile(`field_\d{4}`).FindAllString(string(next), -1) {
			names[name] = true
		}
		m := namedPointer.FindStringSubmatch(string(next))
		if m == nil || pointers > 20 {
			break
		}
		var err error
		if next, err = op.Describe(Generic, m[1]); err != nil {
			t.Fatal(err)
		}
	}
	if len(names) != 1500 || pointers > 5 {
		t.Errorf("%d names in %d pieces", len(names), pointers)
	}
}

// Over 256 KiB a schema is checked as deep as the budget goes, and described whole.
func TestBeyondTheCheckedSize(t *testing.T) {
	leaf := `{"type":"object","properties":{` + members(120, func(int) string {
		return `{"type":"object","properties":{"amount":{"type":"integer","minimum":1},"note":{"type":"string","maxLength":20}}}`
	}) + `}}`
	op := compileOne(t, bodyOf("", `{"type":"object","required":["field_0001"],"properties":{`+members(60, func(int) string { return leaf })+`,"count":{"type":"integer"}}}`))
	if len(op.Input) > maxSchema || op.whole == nil {
		t.Fatalf("%d bytes are checked", len(op.Input))
	}
	for _, bad := range []string{`{"body":"notobject"}`, `{"body":{}}`, `{"body":{"field_0001":{},"count":"x"}}`, `{"body":{"field_0001":7}}`, `{"body":{"field_0001":{"field_0003":7}}}`} {
		if _, err := op.Parse([]byte(bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	if _, err := op.Parse([]byte(`{"body":{"field_0001":{"field_0003":{"amount":2}}}}`)); err != nil {
		t.Error(err)
	}
	part, err := op.Describe(Generic, "/properties/body/properties/field_0059/properties/field_0119")
	if err != nil || !strings.Contains(string(part), `"minimum":1`) {
		t.Errorf("%s, %v", part, err)
	}
	raw, _ := op.Offer(Generic, 0)
	if strings.Count(string(raw), "field_00") < 60 {
		t.Errorf("names are lost: %s", raw)
	}
	followPointers(t, op, Generic, raw, map[string]bool{})
}

// Every tool of the real documents keeps to its budget, and every pointer that it
// names answers.
func TestBudgetsOfRealDocuments(t *testing.T) {
	dir := filepath.Join("..", "..", "shared", "specs")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Skip("the real documents are not here")
	}
	for _, e := range entries {
		t.Run(e.Name(), func(t *testing.T) {
			t.Parallel()
			if info, err := e.Info(); err == nil && (info.Size() > 1<<20 || info.IsDir()) && (raceEnabled || testing.Short()) {
				t.Skip("large documents are tried without the race detector")
			}
			api, err := Load(context.Background(), filepath.Join(dir, e.Name()), Options{BaseURL: "https://api.example.com"})
			if err != nil {
				t.Skip(err)
			}
			for _, op := range api.Operations {
				for _, p := range []Profile{Generic, Gemini} {
					raw, cut := op.Offer(p, 0)
					if len(raw) > DefaultBudget {
						t.Errorf("%s for %s: %d bytes", op.Name, p, len(raw))
					}
					if cut && slices.Contains([]Profile{Generic}, p) {
						keepsNames(t, op, raw)
						pointers := map[string]bool{}
						followOnce(t, op, p, raw, pointers)
					}
				}
			}
		})
	}
}

// followOnce describes what a schema names as cut.
func followOnce(t *testing.T, op *Operation, p Profile, raw json.RawMessage, seen map[string]bool) {
	t.Helper()
	root, err := decodeSchema(raw)
	if err != nil {
		t.Fatal(err)
	}
	each(root, func(m map[string]any) {
		_, pointer, named := strings.Cut(str(m["description"]), "with the pointer ")
		pointer, _, _ = strings.Cut(pointer, ";")
		if !named || seen[pointer] || len(seen) > 40 {
			return
		}
		seen[pointer] = true
		part, err := op.Describe(p, pointer)
		if err != nil || len(part) < 3 || len(part) > describeBudget {
			t.Errorf("%s: %s: %d bytes, %v", op.Name, pointer, len(part), err)
		}
	})
}

// keepsNames checks that a schema which only has to lose its descriptions loses
// nothing else.
func keepsNames(t *testing.T, op *Operation, raw json.RawMessage) {
	t.Helper()
	whole, err := op.adapt(Generic)
	if err != nil {
		t.Fatal(err)
	}
	each(whole, func(m map[string]any) { delete(m, "description") })
	bare, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	if len(bare)+200 > DefaultBudget {
		return
	}
	got, err := decodeSchema(raw)
	if err != nil {
		t.Fatal(err)
	}
	each(got, func(m map[string]any) { delete(m, "description") })
	if left, err := json.Marshal(got); err != nil || string(left) != string(bare) {
		t.Errorf("%s: more than descriptions are lost: %d of %d bytes", op.Name, len(left), len(bare))
	}
}

// Whatever pointer an agent writes, it gets a part or is told that there is none.
func TestPointersOfAgents(t *testing.T) {
	op := compileOne(t, giants()["enum"])
	wide := compileOne(t, giants()["required"])
	for _, tt := range []struct {
		op      *Operation
		pointer string
		want    string // within the answer; "" if there is none
	}{
		{op, "", `"body"`}, {op, "/properties", `"body"`}, {op, "/properties/body", `"e"`}, {op, "/properties/body/properties", `"e"`},
		{op, "/properties/body/properties/e/enum", `"value-00000"`}, {op, "/properties/body/properties/e~from=3000", `"value-03999"`},
		{op, "/properties/body/properties/e/enum~from=3999", `"value-03999"`}, {op, "/properties/body/properties/e/enum/7", `"value-00007"`},
		{op, "/properties/body/properties/e~from=4000", ""}, {op, "/properties/body/properties/e~from=999999", ""}, {op, "/properties/body/properties/e~from=-1", ""},
		{op, "/properties/body/properties/e~from=9999999999999999999", ""}, {op, "/properties/body/type", `"object"`}, {op, "/required", `"body"`}, {op, "/$defs", ""},
		{op, "properties", ""}, {op, "/nothing", ""}, {op, "/properties/body/~2", ""}, {op, "~from=0", `"body"`}, {op, "~from=1", ""},
		{wide, "/properties/body/required", `"field_1499"`}, {wide, "/properties/body~from=1", `"field_1499"`}, {wide, "/properties/body/properties~from=1499", `"field_1498"`},
		{compileOne(t, bodyOf("", `{"type":"object","properties":{"a":{"type":"string"}},"required":[`+strings.TrimSuffix(listOf(4000), ",")+`]}`)), "/properties/body/required", ""},
		{wide, "/properties/body/properties/field_0007", `"string"`}, {wide, "/properties/body/additionalProperties", "false"},
	} {
		part, err := tt.op.Describe(Generic, tt.pointer)
		if (err == nil) != (tt.want != "") || !strings.Contains(string(part), tt.want) || len(part) > describeBudget {
			t.Errorf("%q: %.300s, %v; want %s", tt.pointer, part, err, tt.want)
		}
	}
}

// A schema a little over its budget loses a few of its short descriptions, not all.
func TestShortDescriptionsAreGivenBack(t *testing.T) {
	same := func(int) string { return `{"type":"string","description":"twenty bytes of text"}` }
	mixed := func(i int) string {
		return fmt.Sprintf(`{"type":"string","description":%q}`, "x"+strings.Repeat(" word", i%12))
	}
	for name, value := range map[string]func(int) string{"same": same, "mixed": mixed} {
		op := compileOne(t, bodyOf("", `{"type":"object","properties":{`+members(1500, value)+`}}`))
		for _, over := range []int{1, 100, 2000} {
			for _, p := range Profiles() {
				whole, cut := op.Offer(p, 1<<20)
				if cut {
					t.Fatal("it does not fit at all")
				}
				budget := len(whole) - over
				raw, cut := op.Offer(p, budget)
				again, _ := op.Offer(p, budget)
				kept, all := strings.Count(string(raw), `"description"`), strings.Count(string(whole), `"description"`)
				// A text that is left out gives at least 20 bytes, one that is cut at least 2; the
				// note on it takes 130.
				if lost := all + 1 - kept; !cut || len(raw) > budget || len(raw) < budget-60 || lost > 2+(over+130)/20 {
					t.Errorf("%s, %s, %d over: %d bytes of %d, %d of %d descriptions", name, p, over, len(raw), budget, kept, all)
				}
				if string(raw) != string(again) {
					t.Errorf("%s, %s: another schema the second time", name, p)
				}
			}
		}
	}
}

// What is beyond the bound on what is written in place for Gemini names where it is,
// and all of it can be described.
func TestGeminiBeyondTheBound(t *testing.T) {
	// Three levels of twenty references each: 8,000 leaves, and one in a small part
	// that a large one must not push out.
	level := func(name, next string) string {
		return fmt.Sprintf(`%q:{"type":"object","properties":{%s}}`, name, members(20, func(int) string { return `{"$ref":"#/components/schemas/` + next + `"}` }))
	}
	op := compileOne(t, bodyOf(level("A", "B")+","+level("B", "C")+","+level("C", "Leaf")+`,"Leaf":{"type":"object","properties":{"deepest":{"type":"integer"},"more":{"type":"object","properties":{"x":{"type":"string"}}}}},`+
		`"Self":{"allOf":[{"$ref":"#/components/schemas/Leaf"},{"type":"object","properties":{"again":{"$ref":"#/components/schemas/Self"},"a":{"$ref":"#/components/schemas/A"}}}]}`,
		`{"type":"object","properties":{"big":{"$ref":"#/components/schemas/A"},"other":{"$ref":"#/components/schemas/Self"},"zsmall":{"type":"object","properties":{"s":{"$ref":"#/components/schemas/Leaf"}}}}}`))
	raw, cut := op.Offer(Gemini, 0)
	if !cut || strings.Contains(string(raw), "too large") {
		t.Errorf("cut %v: %.500s", cut, raw)
	}
	whole := mustShow(t, op, Gemini)
	if _, there := (&document{root: whole}).at("/properties/body/properties/zsmall/properties/s/properties/deepest"); !there {
		t.Error("a large part takes all that is written in place")
	}
	seen := map[string]bool{}
	var all strings.Builder
	for next := []string{string(raw)}; len(next) > 0; next = next[1:] {
		all.WriteString(next[0])
		for _, m := range namedPointer.FindAllStringSubmatch(next[0], -1) {
			if seen[m[1]] {
				continue
			}
			seen[m[1]] = true
			part, err := op.Describe(Gemini, m[1])
			if err != nil || strings.Contains(string(part), `"$ref"`) || strings.Contains(string(part), "with the pointer "+m[1]+`"`) {
				t.Errorf("%s: %v %.300s", m[1], err, part)
			}
			if len(seen) < 300 {
				next = append(next, string(part))
			}
		}
	}
	if !strings.Contains(all.String(), "deepest") || !seen["/$defs/C"] && !seen["/$defs/B"] && !seen["/$defs/Leaf"] {
		t.Errorf("the leaves cannot be found: %v", seen)
	}
	for _, pointer := range []string{"/$defs/Self", "/$defs/Leaf/properties/more", "/$defs/A~from=7"} {
		if part, err := op.Describe(Gemini, pointer); err != nil || len(part) < 20 {
			t.Errorf("%s: %v %s", pointer, err, part)
		}
	}
	for _, pointer := range []string{"/$defs/None", "/$defs/", "/$defs/A/properties/none"} {
		if _, err := op.Describe(Gemini, pointer); err == nil {
			t.Errorf("%s: no error", pointer)
		}
	}
}

// What a text takes is known to the byte, in any script.
func TestTextSize(t *testing.T) {
	for _, s := range []string{"", "plain", "\"\\\n\r\t\b\f\x00\x1f\x7f", "<a href=x>&", "größer … 日本語 😀", "line\u2028and\u2029paragraph", "\u2027\u202a", "\ufffd"} {
		b, err := json.Marshal(s)
		if err != nil || textSize(s) != len(b) {
			t.Errorf("%q: %d, want %d: %v", s, textSize(s), len(b), err)
		}
	}
	for _, s := range []string{"\xff\xfe", "a\xe2\x80", strings.Repeat("\xc3", 50)} {
		if b, err := json.Marshal(s); err != nil || textSize(s) < len(b) {
			t.Errorf("%q: %d, less than %d: %v", s, textSize(s), len(b), err)
		}
	}
}
