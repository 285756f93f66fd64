package jq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/itchyny/gojq"
)

// Bounds of a program, of one run of it, and of what it gives.
const (
	maxProgram = 2000     // bytes of a program
	maxSteps   = 4 << 20  // instructions of one run
	maxWork    = 96 << 20 // bytes that a run may walk over or make
	maxOutputs = 100_000  // values that a run gives
	maxEncoded = 16 << 20 // bytes of JSON of all of them
)

// Program is a jq program that was checked, and rewritten so that a run can be
// bounded.
type Program struct{ query *gojq.Query }

// Parse checks and compiles a program. The error is for the agent that wrote it,
// as the end of a sentence that begins with where the program stood.
func Parse(program string) (p *Program, err error) {
	defer recoverInto(&err)
	if len(program) > maxProgram {
		return nil, fmt.Errorf("has more than %d bytes", maxProgram)
	}
	q, err := gojq.Parse(program)
	if err != nil {
		var bad *gojq.ParseError
		if errors.As(err, &bad) {
			return nil, fmt.Errorf("is not a jq program: unexpected %q at byte %d", bad.Token, bad.Offset)
		}
		return nil, errors.New("is not a jq program")
	}
	if len(q.Imports) > 0 || q.Meta != nil {
		return nil, errors.New("cannot import anything")
	}
	if q, err = (&rewriter{}).query(q); err != nil {
		return nil, err
	}
	p = &Program{q}
	if _, err := p.compile(&meter{}); err != nil {
		return nil, fmt.Errorf("does not compile: %w", err)
	}
	return p, nil
}

func (p *Program) compile(m *meter) (code *gojq.Code, err error) {
	defer recoverInto(&err)
	return gojq.Compile(p.query, m.functions()...)
}

// Run gives the JSON of what the program makes of v, which [Read] has read: the
// one value, or an array of several. v stays as it is. The error is for the agent,
// like that of Parse.
func (p *Program) Run(ctx context.Context, v any) (_ json.RawMessage, err error) {
	defer recoverInto(&err)
	m := &meter{Context: ctx, steps: maxSteps, work: maxWork}
	code, err := p.compile(m)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for it := code.RunWithContext(m, v); ; {
		v, ok := it.Next()
		if m.spent {
			return nil, errSpent
		}
		if !ok {
			break
		}
		if err, failed := v.(error); failed {
			return nil, errors.New(shorten(err.Error(), 300))
		}
		if out = append(out, v); len(out) > maxOutputs {
			return nil, fmt.Errorf("gives more than %d values", maxOutputs)
		}
	}
	switch len(out) {
	case 0:
		return nil, errors.New("gives nothing of this answer")
	case 1:
		return encode(ctx, out[0], maxEncoded)
	}
	return encode(ctx, out, maxEncoded)
}

var errSpent = errors.New("takes too long, or makes too much of this answer")

// recoverInto turns a panic of the interpreter, which is foreign code on foreign
// input, into an error.
func recoverInto(err *error) {
	if v := recover(); v != nil {
		*err = errors.New("is more than the interpreter can cope with")
	}
}

func shorten(s string, most int) string {
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
