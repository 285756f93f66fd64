package authz

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
)

// context.rounded has the shape of context.input and in it only its numbers, each
// as near as Cedar can hold it: a decimal with four digits after the point, or a
// 64-bit integer. It is there for policies about numbers that may have more
// digits, such as coordinates; what is asked of context.input is exact.

// roundedRecord is the type of context.rounded.
func (t *inputType) roundedRecord() resolved.RecordType {
	r := resolved.RecordType{}
	for _, f := range t.fields {
		if typ := f.typ.roundedType(); typ != nil {
			r[types.String(f.name)] = resolved.Attribute{Type: typ, Optional: !f.required}
		}
	}
	return r
}

// roundedType is nil for what holds no numbers.
func (t *inputType) roundedType() resolved.IsType {
	switch t.kind {
	case kindLong, kindDecimal:
		return t.cedar()
	case kindRecord:
		if r := t.roundedRecord(); len(r) > 0 {
			return r
		}
	case kindSet:
		if elem := t.elem.roundedType(); elem != nil {
			return resolved.SetType{Element: elem}
		}
	}
	return nil
}

// roundRecord is context.roundRecord of arguments. What has not the type of the schema is
// there and unknown: a policy that asks for it refuses the call.
func (c *converter) roundRecord(t *inputType, m map[string]any, path []string) types.Record {
	r := types.RecordMap{}
	for _, f := range t.fields {
		v, ok := m[f.name]
		if f.typ.roundedType() == nil || !ok || !f.required && v == nil {
			continue
		}
		r[types.String(f.name)] = c.roundValue(f.typ, v, append(path, f.name))
	}
	return types.NewRecord(r)
}

func (c *converter) roundValue(t *inputType, v any, path []string) types.Value {
	switch v := v.(type) {
	case json.Number:
		if t.kind == kindLong || t.kind == kindDecimal {
			return roundNumber(v, t.kind)
		}
	case map[string]any:
		if t.kind == kindRecord {
			return c.roundRecord(t, v, path)
		}
	case []any:
		if t.kind != kindSet {
			break
		}
		if len(v) > maxSet {
			return c.leave(path, fmt.Sprintf("has more than %d items", maxSet))
		}
		var items converter
		values := make([]types.Value, 0, len(v))
		for i, item := range v {
			values = append(values, items.roundValue(t.elem, item, append(path, strconv.Itoa(i))))
		}
		if len(items.unheld) > 0 {
			return c.leave(path, "has an item that "+items.unheld[0].problem)
		}
		return types.NewSet(values...)
	}
	return c.leave(path, "does not have the type of the schema")
}

// roundNumber is the nearest number that Cedar can hold; of two, the larger.
func roundNumber(n json.Number, k kind) types.Value {
	scale := int64(1)
	if k == kindDecimal {
		scale = 10_000
	}
	units := int64(0)
	f, _ := n.Float64() // infinite if it is beyond a double
	switch limit := math.MaxInt64 / float64(scale); {
	case f >= limit:
		units = math.MaxInt64
	case f <= -limit:
		units = math.MinInt64
	default:
		r, ok := exact(n)
		if !ok {
			r = new(big.Rat).SetFloat64(f)
		}
		r.Mul(r, big.NewRat(scale, 1)).Add(r, big.NewRat(1, 2))
		nearest := new(big.Int).Div(r.Num(), r.Denom()) // rounds down, the divisor being positive
		if units = nearest.Int64(); !nearest.IsInt64() {
			units = int64(nearest.Sign()) * math.MaxInt64
		}
	}
	if k == kindLong {
		return types.Long(units)
	}
	d, _ := types.NewDecimal(units, -4) // any 64 bits are a decimal
	return d
}
