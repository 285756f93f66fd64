package openapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// builder compiles one operation.
type builder struct {
	c      *compiler
	name   string // METHOD /path
	at     place  // of the operation
	itemAt place  // of its path item
	item   map[string]any
	v      map[string]any
	op     *Operation
	media  string // of the body, if somebody chose it

	contentType []string // what a Swagger 2.0 parameter says that Content-Type is

	props    map[string]json.RawMessage
	required []string
	refs     []place  // shared schemas that the parameters reach
	bodyRefs []place  // and the body
	withheld []string // properties at the top of the body that are credentials
	// What the operation needs by parameters that are credentials, if it was made so.
	made      bool
	must, may []SecurityNeed
}

func (b *builder) build() error {
	op, v := b.op, b.v
	var err error
	if op.Effect, err = b.effect(); err != nil {
		return err
	}
	summary, description := str(v["summary"]), str(v["description"])
	if summary == "" && description == "" {
		// What is said of the path is said of its operations.
		summary, description = str(b.item["summary"]), str(b.item["description"])
	}
	op.Summary = oneLine(summary, 200)
	op.Description = clean(description, maxText)
	op.Deprecated = v["deprecated"] == true
	b.answers()
	b.phrase()
	tags, _ := v["tags"].([]any)
	for _, t := range tags[:min(len(tags), maxTags)] {
		if t := oneLine(str(t), 100); t != "" && !slices.Contains(op.Tags, t) {
			op.Tags = append(op.Tags, t)
		}
	}
	if security, ok := v["security"]; ok && security != nil {
		op.Security, op.API.Secured = needs(security), true
	} else {
		op.Security = b.c.needs
	}
	if err := b.servers(); err != nil {
		return err
	}
	b.props, b.required, b.refs, b.bodyRefs = map[string]json.RawMessage{}, nil, nil, nil
	b.made, b.must, b.may, b.withheld = false, nil, nil, nil
	b.c.remarks = remarks{}
	b.c.look(op.Summary, summary)
	b.c.look(op.Description, description)
	if err := b.parameters(); err != nil {
		return err
	}
	if op.body != nil {
		// Swagger 2.0: parameters have made it.
	} else if err := b.requestBody(); err != nil {
		return err
	}
	if err := b.offerChoice(); err != nil {
		return err
	}
	return b.finish()
}

// finish writes the input schema and compiles its validator.
func (b *builder) finish() error {
	op := b.op
	schema, err := b.c.inputSchema(b.props, b.required, slices.Concat(b.refs, b.bodyRefs))
	if err != nil {
		return err
	}
	if schema, err = b.sayNever(schema); err != nil {
		return err
	}
	if op.Input, op.whole, err = b.c.limitInput(schema); err != nil {
		return err
	}
	if len(op.Input) < len(schema) {
		b.c.finding(b.at, b.name, false, fmt.Sprintf("its input schema has %d bytes: arguments are checked against the %d that are nearest to its root", len(schema), len(op.Input)))
	}
	op.long = b.c.remarks.long > 0
	op.rename(b.c.remarks.odd)
	for _, r := range []struct {
		n       int
		message string
	}{
		{b.c.remarks.patterns, "%d patterns are no RE2 regular expressions, or too large, and are not checked"},
		{b.c.remarks.dropped, "%d keywords of its schemas are unknown or have values that JSON Schema does not allow; they are left out"},
		{b.c.remarks.unseen, "%d values in its schemas hold characters that cannot be seen"},
		{b.c.remarks.orders, "%d of its texts hide something or read like instructions to an agent; read them before you serve it"},
	} {
		if r.n > 0 {
			b.c.finding(b.at, b.name, false, fmt.Sprintf(r.message, r.n))
		}
	}
	if list := b.c.remarks.clashes; len(list) > 0 {
		b.c.finding(b.at, b.name, false, fmt.Sprintf("%d of its schemas contradict themselves: %s", len(list), strings.Join(list[:min(len(list), 3)], "; ")))
	}
	if b.c.inputs += len(op.Input) + len(op.whole); b.c.inputs > maxInputs {
		return errors.New("the input schemas of the document are larger than 64 MiB together")
	}
	op.input, err = newValidator(op.Input)
	return err
}
