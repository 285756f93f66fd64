package openapi

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Documents such as those of AWS tell operations of one path apart by a fragment.
// No request carries it, so something that a request must carry has to tell them
// apart as well: else what a policy forbids of one could be asked through another.
func TestFragments(t *testing.T) {
	action := func(value string) string {
		return `{post: {parameters: [{name: Action, in: query, required: true, schema: {type: string, enum: [` + value + `]}}]}}`
	}
	header := func(name, value string) string {
		return `{post: {parameters: [{name: ` + name + `, in: header, required: true, schema: {const: ` + value + `}}]}}`
	}
	for _, tt := range []struct {
		name   string
		paths  []string
		served []string // METHOD path, as the document has it
	}{
		{"alone", []string{"/a#f: {get: {}}"}, []string{"GET /a#f"}},
		{"by a query", []string{"/#Action=A: " + action("A"), "/#Action=B: " + action("B")}, []string{"POST /#Action=A", "POST /#Action=B"}},
		{"by a header", []string{"/#A: " + header("X-Amz-Target", "A"), "/#B: " + header("x-amz-target", "B")}, []string{"POST /#A", "POST /#B"}},
		{"by nothing", []string{"/a#f: {post: {}}", "/a#g: {post: {}}"}, nil},
		{"by nothing, and reads", []string{"/a#f: {get: {}}", "/a#g: {get: {}}"}, []string{"GET /a#f", "GET /a#g"}},
		{"by nothing, and one writes", []string{"/a#f: {get: {}}", "/a#g: {get: {x-exeat-effect: write}}"}, nil},
		{"one is fixed, the other is not", []string{"/a#f: " + action("A"), "/a#g: {post: {}}"}, nil},
		{"the same value", []string{"/a#f: " + action("A"), "/a#g: " + action("A")}, nil},
		{"the same on the wire", []string{"/a#f: " + action("1"), "/a#g: " + action("'1'")}, nil},
		{"two values", []string{"/a#f: " + action("A, B"), "/a#g: " + action("C")}, nil},
		{"not required", []string{"/a#f: " + strings.ReplaceAll(action("A"), "true", "false"), "/a#g: " + action("B")}, nil},
		{"the plain one stays", []string{"/a: {post: {}}", "/a#f: {post: {}}"}, []string{"POST /a"}},
		{"other methods", []string{"/a#f: {get: {}}", "/a#g: {post: {}}"}, []string{"GET /a#f", "POST /a#g"}},
		{"other paths", []string{"/a#f: {get: {}}", "/b#f: {get: {}}"}, []string{"GET /a#f", "GET /b#f"}},
		{"another query", []string{"/a?x=1#f: {get: {}}", "/a?x=2#f: {get: {}}"}, []string{"GET /a?x=1#f", "GET /a?x=2#f"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := v30 + "paths:\n"
			for _, p := range tt.paths {
				path, item, _ := strings.Cut(p, ": ")
				doc += "  '" + path + "': " + item + "\n"
			}
			api := loadText(t, doc, Options{})
			var served []string
			for _, op := range api.Operations {
				served = append(served, op.Method+" "+op.wholePath())
			}
			left := 0
			for _, f := range api.Findings {
				if f.LeftOut && strings.Contains(f.Message, "fragment") && f.Line > 0 {
					left++
				}
			}
			if d := cmp.Diff(tt.served, served, cmp.Transformer("set", func(s []string) map[string]bool {
				m := map[string]bool{}
				for _, x := range s {
					m[x] = true
				}
				return m
			})); d != "" || left != len(tt.paths)-len(tt.served) {
				t.Errorf("%d were left out of those without a difference: %s %v", left, d, api.Findings)
			}
		})
	}
}

func TestFragmentIsNotSent(t *testing.T) {
	api := loadText(t, v30+`paths: {'/x#Action=A': {get: {parameters: [{name: Action, in: query, required: true, schema: {type: string, enum: [A]}}]}}}`, Options{})
	op := one(t, api)
	args, err := op.Parse([]byte(`{"Action":"A"}`))
	if err != nil {
		t.Fatal(err)
	}
	q, err := op.Encode(args)
	if err != nil || q.Target != "/v1/x?Action=A" || op.Path != "/x" {
		t.Errorf("%+v %v", q, err)
	}
	if op.Effect != Write {
		t.Errorf("a GET that names its action in the fragment is a %s", op.Effect)
	}
}
