package openapi

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/exeat/exeat/openapi/nearest"
	"github.com/exeat/exeat/openapi/strictjson"
)

// maxProblems bounds what one answer lists.
const maxProblems = 20

// fault is a problem with what the validator found there.
type fault struct {
	Problem
	path []string
	got  string // the type of a value that has none of those that it may have, or ""
	want []any  // the values that one of another value may have, or nil
}

// explain turns the validator's tree of errors into a sorted list.
func explain(tree *jsonschema.ValidationError, schema *jsonschema.Schema) []fault {
	x := explainer{schema: schema}
	x.walk(tree)
	slices.SortFunc(x.faults, func(a, b fault) int {
		return strings.Compare(a.Pointer+"\x00"+a.Message, b.Pointer+"\x00"+b.Message)
	})
	return slices.CompactFunc(x.faults, func(a, b fault) bool { return a.Problem == b.Problem })
}

// problemsOf is what an answer lists of faults.
func problemsOf(faults []fault) []Problem {
	var out []Problem
	for _, f := range faults {
		out = append(out, f.Problem)
	}
	return cutProblems(out)
}

// cutProblems leaves what one answer lists, and says how many there are beside.
func cutProblems(problems []Problem) []Problem {
	if len(problems) > maxProblems {
		more := len(problems) - maxProblems
		problems = append(problems[:maxProblems:maxProblems], problem("", fmt.Sprintf("and %d more problems", more)))
	}
	return problems
}

type explainer struct {
	schema *jsonschema.Schema
	faults []fault
}

func (x *explainer) add(path []string, message string) { x.addFault(path, message, "", nil) }

func (x *explainer) addFault(path []string, message, got string, want []any) {
	if len(x.faults) < 50*maxProblems {
		x.faults = append(x.faults, fault{problem(join(path...), message), path, got, want})
	}
}

// addKind adds what one demand of the schema was not met by.
func (x *explainer) addKind(e *jsonschema.ValidationError) {
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		x.addFault(e.InstanceLocation, say(k), k.Got, nil)
	case *kind.Enum:
		x.addFault(e.InstanceLocation, say(k), "", k.Want)
	case *kind.Const:
		x.addFault(e.InstanceLocation, say(k), "", []any{k.Want})
	default:
		x.add(e.InstanceLocation, say(k))
	}
}

func (x *explainer) walk(e *jsonschema.ValidationError) {
	switch k := e.ErrorKind.(type) {
	case *kind.AnyOf:
		x.alternatives(e)
	case *kind.OneOf:
		if len(k.Subschemas) > 0 {
			x.add(e.InstanceLocation, "fits more than one of the forms allowed here, and must fit just one")
			return
		}
		x.alternatives(e)
	case *kind.Required:
		for _, name := range k.Missing {
			x.add(append(slices.Clone(e.InstanceLocation), name), "is required")
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			x.add(append(slices.Clone(e.InstanceLocation), name), "is not a known argument"+x.suggest(e, name))
		}
	case *nameVariant:
		x.add(append(slices.Clone(e.InstanceLocation), k.name), fmt.Sprintf("is not a known argument; did you mean %q?", k.want))
	case *kind.PropertyNames:
		x.add(append(slices.Clone(e.InstanceLocation), k.Property), "is not a name that is allowed here")
	case *kind.Contains, *kind.MinContains:
		x.add(e.InstanceLocation, say(e.ErrorKind))
	default:
		if len(e.Causes) == 0 {
			x.addKind(e)
		}
		for _, cause := range e.Causes {
			x.walk(cause)
		}
	}
}

// alternatives explains the branch that was most likely meant. If the value is
// of the wrong type for all of them, it names the types.
func (x *explainer) alternatives(e *jsonschema.ValidationError) {
	var types []string
	var best *jsonschema.ValidationError
	least, got := 0, ""
	for _, branch := range e.Causes {
		if t := wrongType(branch, len(e.InstanceLocation)); t != nil {
			types, got = append(types, t.Want...), t.Got
			continue
		}
		if cost := distanceOf(branch, len(e.InstanceLocation)); best == nil || cost < least {
			best, least = branch, cost
		}
	}
	if best == nil {
		slices.Sort(types)
		if types = slices.Compact(types); len(types) == 0 {
			x.add(e.InstanceLocation, "fits none of the forms allowed here")
			return
		}
		x.addFault(e.InstanceLocation, fmt.Sprintf("must be %s, not %s", strings.Join(types, " or "), got), got, nil)
		return
	}
	from := len(x.faults)
	x.walk(best)
	if len(e.Causes) > 1 {
		for i := from; i < len(x.faults); i++ {
			if p := &x.faults[i]; !strings.HasSuffix(p.Message, "allowed here)") {
				p.Message = shorten(fmt.Sprintf("%s (in the nearest of %d forms allowed here)", p.Message, len(e.Causes)), 500)
			}
		}
	}
}

// wrongType is the type error of a branch that the value itself has the wrong
// type for, or nil.
func wrongType(e *jsonschema.ValidationError, depth int) *kind.Type {
	if k, ok := e.ErrorKind.(*kind.Type); ok && len(e.InstanceLocation) == depth {
		return k
	}
	for _, cause := range e.Causes {
		if k := wrongType(cause, depth); k != nil {
			return k
		}
	}
	return nil
}

// distanceOf counts what keeps a value from a branch. A wrong constant just below
// counts most: it is what tells alternatives apart.
func distanceOf(e *jsonschema.ValidationError, depth int) int {
	switch k := e.ErrorKind.(type) {
	case *kind.Const, *kind.Enum:
		if len(e.InstanceLocation) <= depth+1 {
			return 100
		}
	case *kind.Required:
		return len(k.Missing)
	case *kind.AdditionalProperties:
		return len(k.Properties)
	}
	if len(e.Causes) == 0 {
		return 1
	}
	sum := 0
	for _, cause := range e.Causes {
		sum += distanceOf(cause, depth)
	}
	return sum
}

// suggest names the argument of the tool that an unknown one probably means.
func (x *explainer) suggest(e *jsonschema.ValidationError, name string) string {
	if len(e.InstanceLocation) > 0 || len(name) > 100 {
		return ""
	}
	known := make([]string, 0, len(x.schema.Properties))
	for property := range x.schema.Properties {
		known = append(known, property)
	}
	slices.Sort(known)
	best := nearest.Find(name, known, 1+len(name)/4, bare)
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// bare is a name without the marks that people mix up.
func bare(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == '.' {
			return -1
		}
		return r
	}, strictjson.Fold(name))
}

// say words one demand of the schema.
func say(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return fmt.Sprintf("must be %s, not %s", strings.Join(k.Want, " or "), k.Got)
	case *kind.Enum:
		return "must be one of " + literals(k.Want)
	case *kind.Const:
		return "must be " + literals([]any{k.Want})
	case *kind.Pattern:
		return "must match the pattern " + shorten(k.Want, 200)
	case *kind.MinLength:
		return fmt.Sprintf("must have at least %d characters, not %d", k.Want, k.Got)
	case *kind.MaxLength:
		return fmt.Sprintf("must have at most %d characters, not %d", k.Want, k.Got)
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %d items, not %d", k.Want, k.Got)
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %d items, not %d", k.Want, k.Got)
	case *kind.MinProperties:
		return fmt.Sprintf("must have at least %d members, not %d", k.Want, k.Got)
	case *kind.MaxProperties:
		return fmt.Sprintf("must have at most %d members, not %d", k.Want, k.Got)
	case *kind.UniqueItems:
		return fmt.Sprintf("must not repeat an item: %d and %d are equal", k.Duplicates[0], k.Duplicates[1])
	case *kind.Minimum:
		return "must be at least " + number(k.Want)
	case *kind.Maximum:
		return "must be at most " + number(k.Want)
	case *kind.ExclusiveMinimum:
		return "must be more than " + number(k.Want)
	case *kind.ExclusiveMaximum:
		return "must be less than " + number(k.Want)
	case *kind.MultipleOf:
		return "must be a multiple of " + number(k.Want)
	case *kind.Contains, *kind.MinContains:
		return "lacks an item that the schema asks for"
	case *kind.MaxContains:
		return "has too many items of one kind"
	case *kind.DependentRequired:
		return fmt.Sprintf("needs %s too, since %q is given", literals(anys(k.Missing)), k.Prop)
	case *kind.FalseSchema:
		return "must not be given"
	case *kind.Not:
		return "is ruled out by the schema"
	}
	return "does not fit the schema"
}

// number writes a bound as people would.
func number(r *big.Rat) string {
	if digits, exact := r.FloatPrec(); exact && digits < 20 {
		return r.FloatString(digits)
	}
	f, _ := r.Float64()
	return fmt.Sprint(f)
}

// literals lists a few values of the schema as JSON.
func literals(values []any) string {
	var list []string
	for _, v := range values {
		if len(list) == 12 {
			list = append(list, fmt.Sprintf("… (%d in all)", len(values)))
			break
		}
		text, err := json.Marshal(v)
		if err != nil {
			continue
		}
		list = append(list, shorten(string(text), 60))
	}
	return strings.Join(list, ", ")
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
