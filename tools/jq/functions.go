package jq

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/itchyny/gojq"
)

// plainFunctions take a step or walk in steps; heavyFunctions go over all of
// their input at once; keyFunctions sort or compare what their argument makes of
// each item as well. All other functions of jq are left out: they read the world,
// grow without bound, or take the square of their input.
var (
	plainFunctions = []string{"empty/0", "not/0", "length/0", "type/0", "has/1", "map/1", "select/1", "first/0", "last/0", "first/1", "last/1", "limit/2", "nth/1",
		"recurse/0", "isempty/1", "any/1", "all/1", "values/0", "nulls/0", "booleans/0", "numbers/0", "strings/0", "arrays/0", "objects/0", "iterables/0", "scalars/0",
		"tonumber/0", "startswith/1", "endswith/1", "ltrimstr/1", "rtrimstr/1", "with_entries/1", "map_values/1"}
	heavyFunctions = []string{"keys/0", "keys_unsorted/0", "to_entries/0", "from_entries/0", "add/0", "any/0", "all/0", "min/0", "max/0",
		"sort/0", "unique/0", "reverse/0", "flatten/0", "flatten/1", "tostring/0", "tojson/0", "ascii_downcase/0", "ascii_upcase/0",
		"floor/0", "ceil/0", "round/0", "abs/0", "todate/0", "fromdate/0", "trim/0", "test/1", "test/2", "split/1", "join/1", "contains/1", "del/1"}
	keyFunctions = []string{"min_by/1", "max_by/1", "sort_by/1", "group_by/1", "unique_by/1"}
	// ownFunctions are here in place of jq's: those take what they get.
	ownFunctions = []string{"join", "contains", "tonumber", "split"}
	formats      = []string{"@text", "@json", "@csv", "@tsv"}
)

// maxPattern bounds a regular expression, in bytes.
const maxPattern = 500

// maxDigits bounds the numbers that are calculated with: the cost of long ones
// grows with their square.
const maxDigits = 400

var errLong = fmt.Errorf("a number has more than %d digits", maxDigits)

// number passes numbers on: - * / and % of jq do more than arithmetic, and some
// of that grows.
func number(v any, _ []any) any {
	switch n := v.(type) {
	case int, float64:
		return v
	case *big.Int:
		if n.BitLen() <= 4*maxDigits {
			return v
		}
		return errLong
	case json.Number:
		if len(n) <= maxDigits {
			return v
		}
		return errLong
	}
	return fmt.Errorf("- * / and %% are for numbers here, not for %s", gojq.TypeOf(v))
}

// toNumber is jq's tonumber for numbers of bounded length.
func toNumber(v any, _ []any) any {
	if s, ok := v.(string); ok {
		n := json.Number(strings.TrimSpace(s))
		if len(n) > maxDigits || !json.Valid([]byte(n)) || strings.Trim(string(n), "+-.0123456789eE") != "" {
			return errors.New("tonumber is for numbers and for texts that are numbers")
		}
		return n
	}
	return number(v, nil)
}

// pattern charges for a regular expression before it is compiled: a repetition
// makes up to a thousand instructions of each byte. The interpreter keeps those
// that it has compiled for as long as the run lasts.
func (m *meter) pattern(v any, _ []any) any {
	s, ok := v.(string)
	if !ok {
		return errors.New("a pattern is a string")
	}
	if m.patterns[s] {
		return v
	}
	if len(s) > maxPattern {
		return fmt.Errorf("a pattern has more than %d bytes", maxPattern)
	}
	if m.patterns == nil {
		m.patterns = map[string]bool{}
	}
	m.patterns[s] = true
	cost := 4 << 10
	if strings.Contains(s, "{") {
		cost = 64 << 10
	}
	return m.pay(cost*(1+len(s)), v)
}

// split is jq's, but looks first at how many parts there will be.
func (m *meter) split(v any, args []any) any {
	s, ok := v.(string)
	separator, text := args[0].(string)
	if !ok || !text {
		return errors.New("split is for two strings")
	}
	if s == "" {
		return []any{}
	}
	if failed, spent := m.pay(2*valueWeight*(1+strings.Count(s, separator)), nil).(error); spent {
		return failed
	}
	parts := strings.Split(s, separator)
	out := make([]any, len(parts))
	for i, p := range parts {
		out[i] = p
	}
	return out
}

// join is jq's, but looks at the length first.
func (m *meter) join(v any, args []any) any {
	list, ok := v.([]any)
	separator, text := args[0].(string)
	if !ok || !text {
		return errors.New("join is for an array and a string")
	}
	parts := make([]string, len(list))
	for i, x := range list {
		switch x := x.(type) {
		case nil:
		case string:
			parts[i] = x
		case bool, int, float64, *big.Int, json.Number:
			b, err := gojq.Marshal(x)
			if err != nil {
				return err
			}
			parts[i] = string(b)
		default:
			return fmt.Errorf("join cannot take %s", gojq.TypeOf(x))
		}
	}
	if failed, spent := m.pay(len(separator)*len(list), nil).(error); spent {
		return failed
	}
	return strings.Join(parts, separator)
}

// contains is jq's for strings; its search in arrays takes the square of them.
func contains(v any, args []any) any {
	s, ok := v.(string)
	part, text := args[0].(string)
	if !ok || !text {
		return errors.New("contains is for strings here")
	}
	return strings.Contains(s, part)
}
