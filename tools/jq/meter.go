package jq

import (
	"context"
	"encoding/json"
	"math/big"

	"github.com/itchyny/gojq"
)

// meter counts what a run costs. The interpreter asks for Done before every
// instruction, so that is where instructions are counted.
type meter struct {
	context.Context
	steps, work int
	spent       bool
	patterns    map[string]bool // that were charged for
}

// functions are what a rewritten program calls.
func (m *meter) functions() []gojq.CompilerOption {
	return []gojq.CompilerOption{
		gojq.WithFunction("_charge", 0, 0, m.charge), gojq.WithFunction("_object", 0, 0, m.object), gojq.WithFunction("_entries", 0, 0, m.entries),
		gojq.WithFunction("_pattern", 0, 0, m.pattern), gojq.WithFunction("_join", 1, 1, m.join), gojq.WithFunction("_split", 1, 1, m.split),
		gojq.WithFunction("_number", 0, 0, number), gojq.WithFunction("_tonumber", 0, 0, toNumber), gojq.WithFunction("_contains", 1, 1, contains),
	}
}

var closed = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Done implements context.Context.
func (m *meter) Done() <-chan struct{} {
	if m.steps--; m.steps < 0 || m.steps%64 == 0 && m.Context.Err() != nil {
		m.spent = true
	}
	if m.spent {
		return closed
	}
	return nil
}

// Err implements context.Context.
func (m *meter) Err() error {
	if m.spent {
		return context.Canceled
	}
	return nil
}

// pay takes work from what a run may do, and gives v on if there was enough.
func (m *meter) pay(work int, v any) any {
	if m.work -= work; m.work < 0 {
		m.spent = true
	}
	if m.spent {
		return context.Canceled
	}
	return v
}

// charge takes the size of a value from what a run may walk over, and gives the
// value on.
func (m *meter) charge(v any, _ []any) any {
	m.take(v)
	return m.pay(0, v)
}

// object charges for an object that was made.
func (m *meter) object(v any, _ []any) any { return m.pay(objectWeight, v) }

// entries charges for the objects of two members that are about to be made of an
// object's members.
func (m *meter) entries(v any, _ []any) any {
	members, _ := v.(map[string]any)
	return m.pay(len(members)*(objectWeight+2*memberWeight), v)
}

// take walks no further than the work reaches.
func (m *meter) take(v any) {
	if m.work <= 0 {
		m.spent = true
		return
	}
	m.work -= 16
	switch v := v.(type) {
	case string:
		m.work -= len(v)
	case *big.Int:
		m.work -= v.BitLen() / 4
	case json.Number:
		if m.work -= len(v); len(v) > maxDigits {
			m.work -= len(v) * len(v) // to compare it, it is parsed
		}
	case []any:
		for _, x := range v {
			if m.take(x); m.spent {
				return
			}
		}
	case map[string]any:
		for k, x := range v {
			m.work -= 32 + len(k)
			if m.take(x); m.spent {
				return
			}
		}
	}
}
