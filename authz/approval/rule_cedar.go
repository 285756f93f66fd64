package approval

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/exeat/exeat/authz"
)

// Cedar is the permit that a grant amounts to, or the forbid of a block or
// stop. The policies are asked all the same: no grant lifts a forbid.
func (r Rule) Cedar() string {
	head, action, resource := "permit", "action", "resource"
	if r.Kind != KindGrant {
		head = "forbid"
	}
	names := authz.NamesIn(r.Scope.API)
	if r.Scope.Tool != "" {
		action = "action == " + names.Action(r.Scope.Tool)
	}
	switch r.Scope.Reach {
	case ReachExact:
		resource = "resource == " + names.Path(r.Scope.Path)
	case ReachBelow:
		resource = "resource in " + names.Path(r.Scope.Path)
	}
	notes := []string{}
	if r.Scope.Task != nil {
		action, notes = r.Scope.Task.cedar(names)
	}
	kind, id, _ := strings.Cut(r.Subject, "::")
	conditions := []string{"context.agent == " + names.Entity("Agent", r.Agent)}
	if r.Kind == KindGrant {
		conditions = append(conditions, fmt.Sprintf("context.agent.verified == %t", r.Verified))
	}
	if !r.Ends.IsZero() {
		conditions = append(conditions, "context.now < datetime("+strconv.Quote(r.Ends.UTC().Format("2006-01-02T15:04:05.000Z"))+")")
	}
	equal := r.Scope.Equal
	if r.Scope.Args == ArgsSame {
		equal = Pointers([]byte(r.Scope.Same))
		notes = append(notes, "// and no other arguments than these")
	}
	for _, e := range equal {
		if c, ok := names.Equal(e.Pointer, e.Value); ok {
			conditions = append(conditions, c)
		} else {
			notes = append(notes, "// and "+strconv.QuoteToASCII(e.Pointer)+" is exactly "+strconv.QuoteToASCII(e.Value))
		}
	}
	if p := r.Scope.Place; r.Kind == KindGrant {
		notes = append(notes, fmt.Sprintf("// and only %s at %s, for the audience %s, by the document %s", strconv.QuoteToASCII(cmp.Or(p.Method, "each tool's own method")),
			strconv.QuoteToASCII(p.Origin), strconv.QuoteToASCII(p.Audience), strconv.QuoteToASCII(p.Document)))
	}
	if r.Max > 0 {
		notes = append(notes, fmt.Sprintf("// at most %d times", r.Max))
	}
	text := fmt.Sprintf("%s (\n  principal == %s,\n  %s,\n  %s\n) when {\n  %s\n", head, names.Entity(kind, id), action, resource, strings.Join(conditions, " &&\n  "))
	for _, n := range notes {
		text += "  " + n + "\n"
	}
	return text + "};\n"
}
