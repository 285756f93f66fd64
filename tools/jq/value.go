package jq

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/itchyny/gojq"
)

// maxWeight bounds what an answer weighs in memory, in bytes: a small text can be
// a large value.
const maxWeight = 128 << 20

// Read decodes an answer with every digit of its numbers, unless it would weigh
// too much. The error is for the agent, like that of [Parse].
func Read(body []byte) (v any, err error) {
	if weigh(body) > maxWeight {
		return nil, errors.New("cannot be applied: the answer has too many small parts")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err = dec.Decode(&v); err != nil {
		return nil, errors.New("cannot be applied: the answer is not JSON")
	}
	return v, nil
}

// Weights of values in memory, as Go keeps them.
const (
	objectWeight = 320 // one with up to eight members
	memberWeight = 40
	valueWeight  = 24
)

// weigh estimates what a JSON text weighs once it is decoded, without decoding.
func weigh(body []byte) int {
	weight := len(body)
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '{':
			weight += objectWeight
		case ':':
			weight += memberWeight
		case '[', ',':
			weight += valueWeight
		case '"':
			for i++; i < len(body) && body[i] != '"'; i++ {
				if body[i] == '\\' {
					i++
				}
			}
		}
	}
	return weight
}

// encode writes a value as JSON and stops where that becomes too long: a value
// whose parts are shared is small until it is written.
func encode(ctx context.Context, v any, most int) (json.RawMessage, error) {
	e := &encoder{ctx: ctx, most: most}
	if err := e.value(v); err != nil {
		return nil, err
	}
	return e.out, nil
}

type encoder struct {
	ctx  context.Context
	out  []byte
	most int
	n    int // values so far
}

func (e *encoder) value(v any) error {
	if e.n++; e.n%4096 == 0 && e.ctx.Err() != nil {
		return errSpent
	}
	switch v := v.(type) {
	case []any:
		return e.list('[', ']', len(v), func(i int) error { return e.value(v[i]) })
	case map[string]any:
		names := slices.Sorted(maps.Keys(v))
		return e.list('{', '}', len(v), func(i int) error {
			if err := e.leaf(names[i]); err != nil {
				return err
			}
			e.out = append(e.out, ':')
			return e.value(v[names[i]])
		})
	}
	return e.leaf(v)
}

func (e *encoder) list(begin, end byte, n int, item func(int) error) error {
	e.out = append(e.out, begin)
	for i := range n {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		if err := item(i); err != nil {
			return err
		}
	}
	e.out = append(e.out, end)
	return e.full()
}

func (e *encoder) leaf(v any) error {
	switch v := v.(type) {
	case json.Number:
		e.out = append(e.out, v...)
		return e.full()
	case nil:
		e.out = append(e.out, "null"...)
		return e.full()
	}
	b, err := gojq.Marshal(v)
	if err != nil {
		return err
	}
	e.out = append(e.out, b...)
	return e.full()
}

func (e *encoder) full() error {
	if len(e.out) > e.most {
		return fmt.Errorf("gives more than %d bytes", e.most)
	}
	return nil
}
