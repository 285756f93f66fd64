package openapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/exeat/exeat/openapi/strictjson"
)

// maxPath bounds a path template, in bytes.
const maxPath = 1024

var templateName = regexp.MustCompile(`\{([^{}]+)\}`)

// legalPath refuses path templates that somebody between here and the API
// could read as another path. A query such as ?beta=true is allowed, since
// documents tell operations of one path apart by it; it cannot hold variables.
// So is a fragment, which no request carries (see toldApart).
func legalPath(path string) error {
	sent, _, _ := strings.Cut(path, "#")
	plain, query, _ := strings.Cut(sent, "?")
	switch {
	case len(path) > maxPath:
		return fmt.Errorf("the path is longer than %d bytes", maxPath)
	case clean(path, len(path)+1) != path || hasControl(path):
		return errors.New("the path holds characters that cannot be seen")
	case !strings.HasPrefix(plain, "/") || strings.Contains(plain, "//"):
		return errors.New("a path begins with one slash, and has no two beside each other")
	case strings.Contains(path, "\\") || strings.ContainsAny(query, "{}?") || strings.HasSuffix(sent, "?"):
		return errors.New("the path holds a backslash, or a query that is empty or has a variable")
	}
	if _, whole := unpercent(query); !whole {
		return errors.New("the query in the path is not percent-encoded well")
	}
	for segment := range strings.SplitSeq(plain[1:], "/") {
		bare := templateName.ReplaceAllString(segment, "x")
		if strings.ContainsAny(bare, "{}") {
			return errors.New("the path's braces do not match")
		}
		if _, whole := unpercent(bare); !whole {
			return errors.New("the path is not percent-encoded well")
		}
		if reason := unsafeSegment(bare); bare != "" && reason != "" {
			return fmt.Errorf("the path segment %q %s", segment, reason)
		}
	}
	return nil
}

// split takes a path apart as the document has it.
func (op *Operation) split(path string) {
	path, op.fragment, _ = strings.Cut(path, "#")
	op.Path, op.query, _ = strings.Cut(path, "?")
}

// wholePath is the path as the document has it.
func (op *Operation) wholePath() string {
	path := op.Path
	if op.query != "" {
		path += "?" + op.query
	}
	if op.fragment != "" {
		path += "#" + op.fragment
	}
	return path
}

// toldApart leaves out operations that a document tells apart by a fragment
// alone: one could make the other's request, whatever the policies say of that
// one. Documents such as those of AWS also demand a parameter with one value,
// like Action=CreateStack; then no request of one is a request of the other.
// Where all of them only read, they are served, and that is noted.
func (c *compiler) toldApart(ops []*Operation) []*Operation {
	groups := map[string][]*Operation{}
	for _, op := range ops {
		key := op.Method + " " + op.Path + "?" + op.query
		groups[key] = append(groups[key], op)
	}
	out := map[*Operation]bool{}
	for _, group := range groups {
		if len(group) < 2 || !slices.ContainsFunc(group, func(op *Operation) bool { return op.fragment != "" }) {
			continue
		}
		fixed := map[*Operation]map[string]string{}
		for _, op := range group {
			fixed[op] = op.fixed()
		}
		leave := slices.ContainsFunc(group, func(op *Operation) bool { return op.Effect != Read })
		for _, op := range group {
			path := op.wholePath()
			if op.fragment == "" || !slices.ContainsFunc(group, func(other *Operation) bool { return other != op && !differ(fixed[op], fixed[other]) }) {
				continue
			}
			out[op] = leave
			c.finding(place{doc: c.root}.to("paths", path), op.Method+" "+path, leave,
				"no request carries the fragment of the path, and no required parameter of one value tells the operation from the others of this path: what policies say of one does not bind the others")
		}
	}
	return slices.DeleteFunc(ops, func(op *Operation) bool { return out[op] })
}

// fixed are the parameters that a request must have, and that can have one value
// only, by place and name on the wire.
func (op *Operation) fixed() map[string]string {
	var input struct {
		Properties map[string]struct {
			Const json.RawMessage   `json:"const"`
			Enum  []json.RawMessage `json:"enum"`
		} `json:"properties"`
	}
	if json.Unmarshal(op.Input, &input) != nil {
		return nil
	}
	values := map[string]string{}
	for _, p := range op.params {
		v := input.Properties[p.Property]
		if len(v.Const) > 0 {
			v.Enum = []json.RawMessage{v.Const}
		}
		if p.Required && (p.In == "query" || p.In == "header") && len(v.Enum) == 1 {
			// "1" and 1 are the same on the wire.
			values[p.In+" "+strictjson.Fold(p.Name)] = strings.Trim(string(v.Enum[0]), `"`)
		}
	}
	return values
}

// differ reports whether a parameter has one value here and another one there.
func differ(a, b map[string]string) bool {
	for name, v := range a {
		if w, ok := b[name]; ok && w != v {
			return true
		}
	}
	return false
}

// fixedQuery has the folded names that the path's own query gives.
func (op *Operation) fixedQuery() map[string]bool {
	names := map[string]bool{}
	for pair := range strings.SplitSeq(op.query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		name, _ = unpercent(strings.ReplaceAll(name, "+", " "))
		names[strictjson.Fold(name)] = true
	}
	return names
}
