package tools

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/exeat/exeat/openapi"
)

// ownOf lists what exeat itself takes with an operation, as members of a schema.
func ownOf(op *openapi.Operation) (own []string) {
	if op.JSON && !op.Has(selectArg) {
		own = append(own, selectSchema)
	}
	if op.Effect != openapi.Read && !op.Has(reasonArg) {
		own = append(own, reasonSchema)
	}
	return own
}

// offerSchema is the input schema of a tool, with what exeat itself takes, within the
// budget.
func offerSchema(op *openapi.Operation, o Offer) (schema json.RawMessage, cut bool) {
	own := ownOf(op)
	budget := o.Budget
	if budget <= 0 {
		budget = openapi.DefaultBudget
	}
	for _, member := range own {
		budget -= len(member) + 1
	}
	schema, cut = op.Offer(o.Profile, max(budget, 1))
	return withOwn(own, schema), cut
}

// withOwn adds what exeat itself takes to a schema.
func withOwn(own []string, schema json.RawMessage) json.RawMessage {
	head := []byte(`"properties":{`)
	at := bytes.Index(schema, head)
	if len(own) == 0 || at < 0 {
		return schema
	}
	add := strings.Join(own, ",")
	// The root's own properties come first only where the root was not decoded and
	// written anew; a key before them can hold a schema as well.
	var root map[string]json.RawMessage
	if !bytes.HasPrefix(schema, append([]byte(`{"type":"object",`), head...)) {
		if json.Unmarshal(schema, &root) != nil {
			return schema
		}
		props := bytes.TrimSpace(root["properties"])
		if len(props) < 2 || props[0] != '{' {
			return schema
		}
		root["properties"] = insertMembers(props, 1, add)
		return mustJSON(root)
	}
	return insertMembers(schema, at+len(head), add)
}

// insertMembers puts members at a place in an object that is about to begin.
func insertMembers(object []byte, at int, members string) json.RawMessage {
	out := append(make([]byte, 0, len(object)+len(members)+1), object[:at]...)
	out = append(out, members...)
	if object[at] != '}' {
		out = append(out, ',')
	}
	return append(out, object[at:]...)
}

// outputSchema is the envelope as JSON Schema. It is one object without oneOf:
// hosts validate against it, and some read only the root. It names every field,
// since clients that map by it drop the others, and says no more, because some
// hosts show it to the model once for every tool.
var outputSchema = describeEnvelope()

// describeEnvelope makes the schema from the fields of Envelope.
func describeEnvelope() json.RawMessage {
	var b strings.Builder
	b.WriteString(`{"type":"object","required":["status"],"properties":{`)
	t := reflect.TypeFor[Envelope]()
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + name + `":`)
		switch kind := f.Type.Kind(); {
		case f.Type == reflect.TypeFor[Status]():
			b.WriteString(`{"enum":["done","approval_pending","denied","failed","cancelled"]}`)
		case f.Type == reflect.TypeFor[json.RawMessage]():
			// What an API answers can be anything.
			b.WriteString(`{"description":"integers beyond 2^53 come as text"}`)
		case kind == reflect.String:
			b.WriteString(`{"type":"string"}`)
		case kind == reflect.Int:
			b.WriteString(`{"type":"integer"}`)
		case kind == reflect.Slice:
			b.WriteString(`{"type":"array"}`)
		default:
			b.WriteString(`{"type":"object"}`)
		}
	}
	b.WriteString("}}")
	return json.RawMessage(b.String())
}

// OutputSchema is the envelope's JSON Schema, which every tool shares.
func OutputSchema() json.RawMessage { return outputSchema }
