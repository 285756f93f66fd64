package authz

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cedar-policy/cedar-go/types"
)

// convertError is an argument without which the call must not be decided.
type convertError struct {
	pointer string
	problem string
}

func (e *convertError) Error() string { return e.pointer + " " + e.problem }

// unheld is an argument whose value Cedar cannot hold. Policies know that it is
// there; a call whose policies ask for more is refused.
type unheld struct {
	path    []string // below context: input or rounded, and then the argument's
	problem string
}

// pointer names the argument in a JSON Pointer (RFC 6901).
func (u unheld) pointer() string {
	var b strings.Builder
	for _, name := range u.path[1:] {
		b.WriteString("/" + pointerEscaper.Replace(name))
	}
	return b.String()
}

// converter makes Cedar values of arguments by their types, and notes what it
// has to leave open. Values that the schema does not type are left out. It never
// interprets an argument's own structure, so an agent's {"__entity": …} stays a
// record or is left out.
type converter struct {
	zone   *time.Location // of times without an offset, or nil
	unheld []unheld
}

// value converts v. What Cedar cannot hold becomes unknown.
func (c *converter) value(t *inputType, v any, path []string) (types.Value, error) {
	switch t.kind {
	case kindSet:
		if list, ok := v.([]any); ok {
			return c.set(t, list, path)
		}
	case kindRecord:
		if m, ok := v.(map[string]any); ok {
			return c.record(t, m, path)
		}
	}
	x, problem := scalarValue(t.kind, v, c.zone)
	if problem != "" {
		return c.leave(path, problem), nil
	}
	return x, nil
}

// leave notes a value that policies cannot ask about.
func (c *converter) leave(path []string, problem string) types.Value {
	u := unheld{slices.Clone(path), problem}
	c.unheld = append(c.unheld, u)
	return unknown(types.String(u.pointer()))
}

// scalarValue is a value without parts, or what is wrong with it.
func scalarValue(k kind, v any, zone *time.Location) (types.Value, string) {
	switch k {
	case kindBool:
		if b, ok := v.(bool); ok {
			return types.Boolean(b), ""
		}
	case kindString:
		if s, ok := v.(string); ok {
			return types.String(s), ""
		}
	case kindLong:
		if n, ok := v.(json.Number); ok {
			r, ok := exact(n)
			if !ok || !r.IsInt() || !r.Num().IsInt64() {
				return nil, "is not a 64-bit integer"
			}
			return types.Long(r.Num().Int64()), ""
		}
	case kindDecimal:
		if n, ok := v.(json.Number); ok {
			d, err := decimal(n)
			if err != nil {
				return nil, err.Error()
			}
			return d, ""
		}
	case kindDatetime:
		if s, ok := v.(string); ok {
			at, problem := parseTime(s, zone)
			return types.NewDatetime(at), problem
		}
	}
	return nil, "does not have the type of the schema"
}

// maxSet bounds the items of a set: Cedar's sets have a hash without a secret, so
// that items can be chosen that all collide.
const maxSet = 10_000

// set converts a list as a whole: policies cannot ask about a part of its items.
func (c *converter) set(t *inputType, list []any, path []string) (types.Value, error) {
	if len(list) > maxSet {
		return c.leave(path, fmt.Sprintf("has more than %d items", maxSet)), nil
	}
	values := make([]types.Value, 0, len(list))
	items := converter{zone: c.zone}
	for i, item := range list {
		v, err := items.value(t.elem, item, append(path, strconv.Itoa(i)))
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	if len(items.unheld) > 0 {
		return c.leave(path, "has an item that "+items.unheld[0].problem), nil
	}
	return types.NewSet(values...), nil
}

// pointerEscaper writes a name in a JSON Pointer (RFC 6901).
var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

func (c *converter) record(t *inputType, m map[string]any, path []string) (types.Value, error) {
	r := types.RecordMap{}
	for _, f := range t.fields {
		v, ok := m[f.name]
		if !f.required && v == nil {
			continue
		}
		at := append(path, f.name)
		if !ok {
			return nil, &convertError{unheld{path: at}.pointer(), "is missing"}
		}
		x, err := c.value(f.typ, v, at)
		if err != nil {
			return nil, err
		}
		r[types.String(f.name)] = x
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
		return types.Decimal{}, fmt.Errorf("is a number beyond all that policies compare")
	}
	scaled := new(big.Rat).Mul(r, big.NewRat(10000, 1))
	if !scaled.IsInt() {
		return types.Decimal{}, fmt.Errorf("has more than 4 digits after the point")
	}
	if !scaled.Num().IsInt64() {
		return types.Decimal{}, fmt.Errorf("is a larger number than policies compare")
	}
	return types.NewDecimal(scaled.Num().Int64(), -4)
}
