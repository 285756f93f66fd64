package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/message"

	"github.com/exeat/exeat/openapi/strictjson"
)

// validator checks arguments against an input schema, JSON Schema 2020-12. It
// is compiled on first use: of a large document's tools most are never called,
// and compiling all of GitHub's at load would take longer than reading it.
//
// The keyword format is not asserted. Documents use it loosely (a "date-time"
// without a zone, an "email" with a name), the API decides what it takes, and a
// false refusal leaves the agent no way round.
type validator struct {
	compiled func() (*jsonschema.Schema, error)
	turn     sync.Mutex // of the meter
	meter    meter
}

// newValidator checks that schema is a JSON object. One that then does not
// compile refuses every call.
func newValidator(schema json.RawMessage) (*validator, error) {
	if trimmed := bytes.TrimSpace(schema); !json.Valid(schema) || len(trimmed) == 0 || trimmed[0] != '{' {
		return nil, errors.New("the input schema is not a JSON object")
	}
	v := &validator{}
	v.compiled = sync.OnceValues(func() (*jsonschema.Schema, error) { return compileSchema(schema, &v.meter) })
	return v, nil
}

// inputURL names the input schema within its compiler.
const inputURL = "urn:exeat:input"

func compileSchema(schema json.RawMessage, m *meter) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, err
	}
	meterSchemas(doc)
	m.left = math.MaxInt // compiling checks the schema, with the same patterns
	c := jsonschema.NewCompiler()
	m.install(c)
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(noLoader{})
	c.RegisterVocabulary(&jsonschema.Vocabulary{URL: "urn:exeat:exact-names", Compile: compileNames})
	c.AssertVocabs()
	if err := c.AddResource(inputURL, doc); err != nil {
		return nil, err
	}
	return c.Compile(inputURL)
}

// noLoader refuses every URL: an input schema is whole in itself, and one that
// names a file or a host must not make exeat read it.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("a schema cannot refer to %q: nothing outside of it is read", url)
}

// validate checks a decoded value. The problems it returns are sorted, at most
// maxProblems, and each of bounded length.
func (v *validator) validate(value any) *ArgumentError {
	if faults := v.findFaults(value); len(faults) > 0 {
		return &ArgumentError{Problems: problemsOf(faults)}
	}
	return nil
}

// findFaults is validate with up to 50 times as many problems.
func (v *validator) findFaults(value any) []fault {
	uncheckable := func(format string, args ...any) []fault {
		return []fault{{Problem: problem("", "cannot be checked: "+fmt.Sprintf(format, args...))}}
	}
	if v == nil {
		return uncheckable("the tool has no input schema")
	}
	schema, err := v.compiled()
	if err != nil {
		return uncheckable("the tool's input schema does not compile (%v)", err)
	}
	err = v.check(schema, value)
	if err == nil {
		return nil
	}
	var tree *jsonschema.ValidationError
	if !errors.As(err, &tree) {
		return uncheckable("%v", err)
	}
	return explain(tree, schema)
}

// check is one validation, within workFor. There is one at a time of each tool.
func (v *validator) check(schema *jsonschema.Schema, value any) (err error) {
	v.turn.Lock()
	defer v.turn.Unlock()
	defer func() {
		if r := recover(); r != nil {
			err = explainPanic(r)
		}
	}()
	v.meter.left = workFor(value)
	return schema.Validate(value)
}

// exactNames refuses names that differ from a property of the schema only in
// their capitals, even where other names are allowed. Many APIs match names
// loosely: "Owner" would be the owner to them, and unknown to every policy.
type exactNames struct {
	properties map[string]bool
	folded     map[string]string
}

func compileNames(_ *jsonschema.CompilerContext, schema map[string]any) (jsonschema.SchemaExt, error) {
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		return nil, nil
	}
	x := exactNames{properties: map[string]bool{}, folded: map[string]string{}}
	for name := range properties {
		x.properties[name] = true
	}
	for _, name := range canonicalKeys(properties) {
		x.folded[strictjson.Fold(name)] = name
	}
	return x, nil
}

// Validate implements jsonschema.SchemaExt.
func (x exactNames) Validate(ctx *jsonschema.ValidatorContext, v any) {
	object, ok := v.(map[string]any)
	if !ok {
		return
	}
	var variants []string
	for name := range object {
		if _, near := x.folded[strictjson.Fold(name)]; near && !x.properties[name] {
			variants = append(variants, name)
		}
	}
	slices.Sort(variants)
	for _, name := range variants {
		ctx.AddError(&nameVariant{name: name, want: x.folded[strictjson.Fold(name)]})
	}
}

// nameVariant is the error kind of exactNames.
type nameVariant struct{ name, want string }

// KeywordPath implements jsonschema.ErrorKind.
func (*nameVariant) KeywordPath() []string { return []string{"properties"} }

// LocalizedString implements jsonschema.ErrorKind.
func (k *nameVariant) LocalizedString(*message.Printer) string {
	return fmt.Sprintf("is written %q", k.want)
}
