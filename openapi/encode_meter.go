package openapi

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"runtime"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// workFor is what checking a value may cost, in visits of a part of it by a
// schema. Honest schemas need one or two visits of each part.
func workFor(v any) int { return 100_000 + 10*sizeOf(v) }

// sizeOf counts the values within a value, and long texts for more than one.
func sizeOf(v any) int {
	n := 1
	switch v := v.(type) {
	case string:
		n += len(v) / 16
	case []any:
		for _, x := range v {
			n += sizeOf(x)
		}
	case map[string]any:
		for k, x := range v {
			n += len(k)/16 + sizeOf(x)
		}
	}
	return n
}

// errWork ends a check that would take too long.
var errWork = errors.New("checking them against the tool's input schema would take too long")

// meter counts the work of one check and ends it by a panic with errWork: the
// validator tries every alternative, so that a schema which refers to itself in
// two of them takes 2^n steps for n levels, and it cannot be told to stop.
type meter struct{ left, visits int }

func (m *meter) spend(n int) {
	if m.left -= n; m.left < 0 {
		panic(errWork)
	}
	// The validator recurses, and a stack that overflows ends the process.
	if m.visits++; m.visits%4096 == 0 && runtime.Callers(maxFrames, make([]uintptr, 1)) > 0 {
		panic(errWork)
	}
}

// maxFrames is how deep the validator may call itself. A chain of a thousand
// references for each of 64 levels is far deeper, and nobody's.
const maxFrames = 50_000

// meterFormats are the costs of a visit that are told apart: one for every ten
// alternatives, of which most are ruled out at once.
var meterFormats = map[string]int{"exeat-1": 1, "exeat-10": 10, "exeat-100": 100, "exeat-1000": 1000}

// install makes the compiler's schemas count. It uses the keyword format, which
// is not asserted otherwise: it is what the validator asks first of every value.
func (m *meter) install(c *jsonschema.Compiler) {
	c.AssertFormat()
	for name, cost := range meterFormats {
		c.RegisterFormat(&jsonschema.Format{Name: name, Validate: func(any) error { m.spend(cost); return nil }})
	}
	c.UseRegexpEngine(func(s string) (jsonschema.Regexp, error) {
		re, err := regexp.Compile(s)
		if err != nil {
			return nil, err
		}
		weight, _ := patternWeight(s)
		return meteredPattern{re, weight, m}, nil
	})
}

// meteredPattern is a pattern whose cost is that of RE2: its own size times the
// text's.
type meteredPattern struct {
	*regexp.Regexp
	weight int
	meter  *meter
}

func (p meteredPattern) MatchString(s string) bool {
	p.meter.spend(1 + len(s)*p.weight/100)
	return p.Regexp.MatchString(s)
}

// meterSchemas puts the cost of a visit into every schema within v.
func meterSchemas(v any) {
	s, ok := v.(map[string]any)
	if !ok {
		return
	}
	direct := 0
	for _, key := range []string{"properties", "patternProperties", "dependentSchemas", "$defs"} {
		list, _ := s[key].(map[string]any)
		for _, x := range list {
			meterSchemas(x)
		}
	}
	for _, key := range []string{"allOf", "anyOf", "oneOf", "prefixItems"} {
		list, _ := s[key].([]any)
		direct += len(list)
		for _, x := range list {
			meterSchemas(x)
		}
	}
	for _, key := range []string{"not", "if", "then", "else", "additionalProperties", "propertyNames", "contains", "unevaluatedProperties", "unevaluatedItems", "items"} {
		meterSchemas(s[key])
	}
	name, least := "exeat-1000", meterFormats["exeat-1000"]
	for n, cost := range meterFormats {
		if cost > direct/10 && cost < least {
			name, least = n, cost
		}
	}
	s["format"] = name
}

// maxPattern bounds the weight of one pattern.
const maxPattern = 5000

// patternWeight is about how many instructions a pattern compiles to. It is
// false for one that is no RE2 regular expression or far too large, without
// compiling it: (a{1000}){9} is short to write.
func patternWeight(pattern string) (int, bool) {
	if len(pattern) > maxDescription {
		return 0, false
	}
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, false
	}
	weight := weigh(re)
	return weight, weight <= maxPattern
}

func weigh(re *syntax.Regexp) int {
	weight := 1 + len(re.Rune)/4
	for _, sub := range re.Sub {
		weight += weigh(sub)
	}
	if re.Op == syntax.OpRepeat {
		weight *= max(1, re.Min, re.Max)
	}
	return min(weight, 1<<30)
}

// explainPanic turns a panic of the validator into an error: it is foreign code on
// values that an agent chose.
func explainPanic(r any) error {
	if r == errWork {
		return errWork
	}
	return fmt.Errorf("the validator could not cope with them")
}
