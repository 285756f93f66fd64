package openapi

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/exeat/exeat/openapi/strictjson"
)

// kept are the keywords that pass, if their value is legal: one that is not
// would make a validator refuse the whole schema.
var kept = map[string]func(any) bool{
	"enum": isEnum, "const": plainNumbers, "default": plainNumbers, "dependentRequired": isDependent,
	"minimum": isNumber, "maximum": isNumber, "multipleOf": func(v any) bool { n, ok := numberOf(v); return ok && n > 0 },
	"minLength": isCount, "maxLength": isCount, "minItems": isCount, "maxItems": isCount, "minProperties": isCount, "maxProperties": isCount,
	"minContains": isCount, "maxContains": isCount, "uniqueItems": isBool,
	"writeOnly": func(v any) bool { return v == true }, "format": isShortText, "contentEncoding": isShortText, "contentMediaType": isShortText,
}

func isBool(v any) bool      { _, ok := v.(bool); return ok }
func isShortText(v any) bool { s, ok := v.(string); return ok && len(s) <= 100 }

func numberOf(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	if _, reason := strictjson.CanonicalNumber(n.String()); reason != "" {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}

func isNumber(v any) bool { _, ok := numberOf(v); return ok }

func isCount(v any) bool {
	n, ok := numberOf(v)
	return ok && n >= 0 && n <= math.MaxInt32 && n == math.Trunc(n)
}

// isEnum reports a list of values whose numbers can be compared.
func isEnum(v any) bool {
	list, ok := v.([]any)
	return ok && len(list) > 0 && plainNumbers(v)
}

// plainNumbers reports a value without numbers such as 1e999999, which is short
// to write and long to compare.
func plainNumbers(v any) bool {
	switch v := v.(type) {
	case json.Number:
		return isNumber(v)
	case []any:
		return !slices.ContainsFunc(v, func(x any) bool { return !plainNumbers(x) })
	case map[string]any:
		for _, x := range v {
			if !plainNumbers(x) {
				return false
			}
		}
	}
	return true
}

func isDependent(v any) bool {
	m, ok := v.(map[string]any)
	for _, list := range m {
		names, isList := list.([]any)
		ok = ok && isList && !slices.ContainsFunc(names, func(x any) bool { _, isText := x.(string); return !isText })
	}
	return ok
}

// Bounds on an enum: the validator compares one by one, and numbers slowly.
const (
	maxEnum        = 5000
	maxEnumNumbers = 200
)

// enumSize refuses what would take too long to compare. To drop it would let
// everything through.
func enumSize(v any) error {
	list, _ := v.([]any)
	numbers := 0
	for _, x := range list {
		if _, isText := x.(string); !isText {
			numbers++
		}
	}
	if len(list) > maxEnum || numbers > maxEnumNumbers {
		return fmt.Errorf("an enum has %d values, which are too many to check", len(list))
	}
	return nil
}

// lost are keywords of JSON Schema that demand something and are not translated.
var lost = []string{"dependencies", "$dynamicRef", "$recursiveRef"}

var jsonTypes = []string{"null", "boolean", "object", "array", "number", "string", "integer"}
