package authz

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/cedar-policy/cedar-go/types"
)

// convertError is an argument that policies could have asked about and that
// Cedar cannot hold. The call must not be decided without it.
type convertError struct {
	pointer string
	problem string
}

func (e *convertError) Error() string { return e.pointer + " " + e.problem }

// convert makes the Cedar value of an argument by its type. Values that the
// schema does not type are left out. It never interprets the argument's own
// structure, so an agent's {"__entity": …} stays a record or is left out.
func (t *inputType) convert(v any, pointer string) (types.Value, error) {
	bad := func(problem string) (types.Value, error) { return nil, &convertError{pointer, problem} }
	switch t.kind {
	case kindBool:
		if b, ok := v.(bool); ok {
			return types.Boolean(b), nil
		}
	case kindString:
		if s, ok := v.(string); ok {
			return types.String(s), nil
		}
	case kindLong:
		if n, ok := v.(json.Number); ok {
			r, ok := exact(n)
			if !ok || !r.IsInt() || !r.Num().IsInt64() {
				return bad("is not a 64-bit integer")
			}
			return types.Long(r.Num().Int64()), nil
		}
	case kindDecimal:
		if n, ok := v.(json.Number); ok {
			d, err := decimal(n)
			if err != nil {
				return bad(err.Error())
			}
			return d, nil
		}
	case kindDatetime:
		if s, ok := v.(string); ok {
			at, err := time.Parse(time.RFC3339Nano, s)
			if err != nil {
				return bad("is not a date-time of RFC 3339")
			}
			return types.NewDatetime(at), nil
		}
	case kindSet:
		if list, ok := v.([]any); ok {
			return t.convertSet(list, pointer)
		}
	case kindRecord:
		if m, ok := v.(map[string]any); ok {
			return t.convertRecord(m, pointer)
		}
	}
	return bad("does not have the type of the schema")
}

// maxSet bounds the items of a set: Cedar's sets have a hash without a secret, so
// that items can be chosen that all collide.
const maxSet = 10_000

func (t *inputType) convertSet(list []any, pointer string) (types.Value, error) {
	if len(list) > maxSet {
		return nil, &convertError{pointer, fmt.Sprintf("has more than %d items, which policies cannot compare", maxSet)}
	}
	values := make([]types.Value, 0, len(list))
	for i, item := range list {
		v, err := t.elem.convert(item, fmt.Sprintf("%s/%d", pointer, i))
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return types.NewSet(values...), nil
}

// pointerEscaper writes a name in a JSON Pointer (RFC 6901).
var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

func (t *inputType) convertRecord(m map[string]any, pointer string) (types.Value, error) {
	r := types.RecordMap{}
	for _, f := range t.fields {
		v, ok := m[f.name]
		if !f.required && v == nil {
			continue
		}
		at := pointer + "/" + pointerEscaper.Replace(f.name)
		if !ok {
			return nil, &convertError{at, "is missing"}
		}
		c, err := f.typ.convert(v, at)
		if err != nil {
			return nil, err
		}
		r[types.String(f.name)] = c
	}
	return types.NewRecord(r), nil
}

// maxNumber bounds the digits and the exponent of numbers that are converted:
// 1e999999999 is short to write and long to compute.
const maxNumber = 64

func exact(n json.Number) (*big.Rat, bool) {
	if len(n) > maxNumber {
		return nil, false
	}
	f, err := n.Float64()
	if err != nil || f > 1e30 || f < -1e30 || f != 0 && f < 1e-30 && f > -1e-30 {
		return nil, false
	}
	return new(big.Rat).SetString(n.String())
}

// decimal is n with at most four digits after the point, exactly.
func decimal(n json.Number) (types.Decimal, error) {
	r, ok := exact(n)
	if !ok {
		return types.Decimal{}, fmt.Errorf("is a number that policies cannot compare")
	}
	scaled := new(big.Rat).Mul(r, big.NewRat(10000, 1))
	if !scaled.IsInt() {
		return types.Decimal{}, fmt.Errorf("has more than 4 digits after the point, which policies cannot compare")
	}
	if !scaled.Num().IsInt64() {
		return types.Decimal{}, fmt.Errorf("is too large a number for policies to compare")
	}
	return types.NewDecimal(scaled.Num().Int64(), -4)
}
