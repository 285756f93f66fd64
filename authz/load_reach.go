package authz

import (
	"fmt"
	"iter"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/eval"
)

// Touched says which operations a policy can apply to.
type Touched struct {
	ID      string   `json:"id"`
	File    string   `json:"file"`
	Line    int      `json:"line"`
	Effect  string   `json:"effect"`            // permit or forbid
	Tools   []string `json:"tools"`             // API and tool, such as petstore.delete_pet, sorted
	Approve bool     `json:"approve,omitempty"` // it is also about who may decide
	See     bool     `json:"see,omitempty"`     // and about who may see what waits
}

// Touches lists for each policy, in the order of the files, what it can decide
// about.
func (e *Engine) Touches() []Touched {
	var out []Touched
	for _, p := range e.policies {
		t := Touched{ID: p.id, File: p.file, Line: p.line, Effect: effectName(p), Tools: []string{}, Approve: slices.Contains(e.approve, p), See: slices.Contains(e.see, p)}
		for a := range e.touches(p) {
			t.Tools = append(t.Tools, a.api+"."+a.Name)
		}
		t.Tools = sortUnique(t.Tools)
		out = append(out, t)
	}
	return out
}

// touches are the actions of a policy's scope for which neither the path nor the
// conditions rule it out.
func (e *Engine) touches(p *policy) iter.Seq[*action] {
	return func(yield func(*action) bool) {
		actions, _, _ := e.scope(p)
		for _, a := range actions {
			if a.scopeTruth(p.ast.Resource)&mayHold != 0 && a.mayBeIn(p.ast.Resource) && a.canHold(p, e.entities) && !yield(a) {
				return
			}
		}
	}
}

// touchesAny looks no further than to the first one: there may be thousands of
// policies and of actions.
func (e *Engine) touchesAny(p *policy) bool {
	for range e.touches(p) {
		return true
	}
	return false
}

// mayBeIn is scopeTruth with a look at the action's path.
func (a *action) mayBeIn(scope ast.IsResourceScopeNode) bool {
	at := func(uid types.EntityUID, equal bool) bool {
		return uid.Type != pathType(a.api) || a.mayBeAt(string(uid.ID), equal)
	}
	switch s := scope.(type) {
	case ast.ScopeTypeEq:
		return at(s.Entity, true)
	case ast.ScopeTypeIn:
		return at(s.Entity, false)
	case ast.ScopeTypeIsIn:
		return at(s.Entity, false)
	}
	return true
}

// mayBeAt reports whether a call of the action can have the path, or, unless
// equal, one below it.
func (a *action) mayBeAt(path string, equal bool) bool {
	if path == "/" {
		return !equal || len(segments(a.Path)) == 0
	}
	if !strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") {
		return false // no entity is named so
	}
	return pathFits(a.Path, path, equal)
}

// canHold reports whether the conditions of a policy can hold for some call.
func (a *action) canHold(p *policy, ents types.EntityMap) bool {
	env := eval.Env{Entities: ents, Principal: unknownUID("principal"), Action: a.uid, Resource: unknownUID("resource"), Context: unknown("context")}
	left := *p.ast
	left.Principal, left.Action, left.Resource = ast.ScopeTypeAll{}, ast.ScopeTypeAll{}, ast.ScopeTypeAll{}
	rest, keep := eval.PartialPolicy(env, &left)
	return keep && a.remains(rest)&mayHold != 0
}

// pathFits reports whether a path template can become a path, or one below it.
// In doubt it says yes.
func pathFits(template, path string, exact bool) bool {
	if template == "" || strings.ContainsAny(template, "#?") || strings.Contains(template, "{+") {
		return true // where such a template ends is not for us to say
	}
	want, have := segments(path), segments(template)
	if len(want) > len(have) || exact && len(want) != len(have) {
		return false
	}
	for i, s := range want {
		if !segmentFits(have[i], s) {
			return false
		}
	}
	return true
}

func segments(path string) []string {
	path = strings.Trim(path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// placeholder is a variable part of a path template.
var placeholder = regexp.MustCompile(`\{[^}]*\}`)

func segmentFits(template, segment string) bool {
	parts := placeholder.Split(template, -1)
	if len(parts) == 1 {
		return segment == asSent(template, fixedPlain, true)
	}
	if segment != asSent(segment, valuePlain+strings.Join(parts, ""), false) && !strings.Contains(template, "%") {
		return false
	}
	if decoded, err := url.PathUnescape(segment); err == nil {
		segment = decoded
	}
	if len(segment) <= len(strings.Join(parts, "")) {
		return false // every placeholder is at least one character
	}
	last := len(parts) - 1
	if !strings.HasPrefix(segment, parts[0]) || !strings.HasSuffix(segment, parts[last]) {
		return false
	}
	segment = segment[len(parts[0]):]
	for _, part := range parts[1:last] {
		i := strings.Index(segment[1:], part)
		if i < 0 {
			return false
		}
		segment = segment[1+i+len(part):]
		if segment == "" {
			return false
		}
	}
	return len(segment) > len(parts[last])
}

// What stands in a path as it is, beside unreserved characters: in its fixed parts, and
// between the values of a variable, whose own are encoded.
const (
	fixedPlain = "!$&'()*+,;=:@"
	valuePlain = ",;="
)

// asSent is a segment as requests have it: encoded where it must be and only there,
// in capitals. The encodings of a fixed one stand as the document has them.
func asSent(segment, plain string, fixed bool) string {
	var b strings.Builder
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		if encoded, err := url.PathUnescape(cutAt(segment, i, 3)); c == '%' && err == nil {
			if fixed {
				b.WriteString(segment[i : i+3])
			} else {
				b.WriteString(escapeByte(encoded[0], ""))
			}
			i += 2
			continue
		}
		b.WriteString(escapeByte(c, plain))
	}
	return b.String()
}

// pathAsSent is a path of values as it is sent.
func pathAsSent(path string) string {
	parts := strings.Split(path, "/")
	for i := range parts {
		parts[i] = asSent(parts[i], valuePlain, false)
	}
	return strings.Join(parts, "/")
}

// cutAt is at most n bytes of a text, from i on.
func cutAt(s string, i, n int) string { return s[i:min(i+n, len(s))] }

// escapeByte is a byte of a path, encoded unless it is unreserved (RFC 3986 §2.3) or
// one of plain.
func escapeByte(c byte, plain string) string {
	if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~"+plain, c) >= 0 {
		return string(rune(c))
	}
	return fmt.Sprintf("%%%02X", c)
}
