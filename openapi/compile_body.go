package openapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// putBody puts the body into the input schema.
func (b *builder) putBody(x *body, schema any) error {
	if isJSON(x.Essence) {
		schema = withTypes(schema, anyTypes)
	}
	raw, err := json.Marshal(schema)
	if err != nil {
		return err
	}
	b.op.body = x
	b.props["body"] = raw
	if x.Required {
		b.required = append(b.required, "body")
	}
	return nil
}

// fileSchema is how a file is given as an argument.
var fileSchema = map[string]any{
	"description": "a file: its bytes as base64, or an object that also names it",
	"anyOf": []any{
		map[string]any{"type": "string", "contentEncoding": "base64"},
		map[string]any{"type": "object", "required": []any{"data"}, "additionalProperties": false, "properties": map[string]any{
			"data":         map[string]any{"type": "string", "contentEncoding": "base64"},
			"filename":     map[string]any{"type": "string"},
			"content_type": map[string]any{"type": "string"},
		}},
	},
}

// formSchema translates the schema of a form or multipart body and notes how
// each of its properties is written.
func (b *builder) formSchema(x *body, at place, schema, encoding any) (any, error) {
	where, m := at, map[string]any{}
	if schema != nil {
		var err error
		if where, m, err = b.c.loader.follow(at, schema); err != nil {
			return nil, &placedError{at, err}
		}
	}
	t := translator{c: b.c, withheld: b.withheld}
	out, err := t.schema(where, m, 0)
	if err != nil {
		return nil, err
	}
	b.bodyRefs = append(b.bodyRefs, t.refs...)
	o, ok := out.(map[string]any)
	if !ok {
		return nil, errors.New("the schema of a form is an object")
	}
	encodings, _ := encoding.(map[string]any)
	x.Fields = map[string]field{}
	if err := b.fields(x, where, m, encodings, 0); err != nil {
		return nil, err
	}
	if _, composed := o["allOf"]; composed {
		return b.mergedForm(x, where, m)
	}
	props, _ := o["properties"].(map[string]any)
	for name := range props {
		if x.Fields[name].Binary {
			props[name] = fileOr(props[name])
		}
	}
	return o, nil
}

// fileOr is how a file property, or a list of them, is given.
func fileOr(translated any) any {
	if m, ok := translated.(map[string]any); ok && isArray(m["type"]) {
		return map[string]any{"type": "array", "items": fileSchema}
	}
	return fileSchema
}

// fields notes how each property of a form is written, also those of its allOf
// parts.
func (b *builder) fields(x *body, where place, m, encodings map[string]any, depth int) error {
	props, _ := m["properties"].(map[string]any)
	if err := b.c.spend(1 + len(props)); err != nil {
		return &placedError{where, err}
	}
	for _, name := range sortedKeys(props) {
		source := props[name]
		e, _ := encodings[name].(map[string]any)
		at := where.to("properties", name)
		f, err := b.field(x, at, source, e)
		if err != nil {
			return &placedError{at, err}
		}
		x.Fields[name] = f
	}
	parts, _ := m["allOf"].([]any)
	for i, part := range parts {
		at, p, err := b.c.loader.follow(where.to("allOf", fmt.Sprint(i)), part)
		if err != nil || depth > 10 {
			return &placedError{where, errors.New("the form's allOf cannot be followed")}
		}
		if err := b.fields(x, at, p, encodings, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// mergedForm is the schema of a form that is composed by allOf: one object with
// the properties of all parts, so that its files can be given as files.
func (b *builder) mergedForm(x *body, where place, m map[string]any) (any, error) {
	props, required := map[string]any{}, map[string]bool{}
	var add func(at place, m map[string]any, depth int) error
	add = func(at place, m map[string]any, depth int) error {
		t := translator{c: b.c, withheld: b.withheld}
		if err := b.c.spend(1 + len(m)); err != nil {
			return &placedError{at, err}
		}
		own := maps.Clone(m)
		delete(own, "allOf")
		out, err := t.schema(at, own, 0)
		if err != nil {
			return err
		}
		b.bodyRefs = append(b.bodyRefs, t.refs...)
		o, _ := out.(map[string]any)
		list, _ := o["properties"].(map[string]any)
		for name, s := range list {
			if x.Fields[name].Binary {
				s = fileOr(s)
			}
			props[name] = s
		}
		must, _ := o["required"].([]any)
		for _, name := range must {
			required[str(name)] = true
		}
		parts, _ := m["allOf"].([]any)
		for i, part := range parts {
			next, p, err := b.c.loader.follow(at.to("allOf", fmt.Sprint(i)), part)
			if err != nil || depth > 10 {
				return &placedError{at, errors.New("the form's allOf cannot be followed")}
			}
			if err := add(next, p, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	if err := add(where, m, 0); err != nil {
		return nil, err
	}
	maps.DeleteFunc(required, func(name string, _ bool) bool { _, ok := props[name]; return !ok })
	out := map[string]any{"type": "object", "properties": props}
	if len(required) > 0 {
		out["required"] = slices.Sorted(maps.Keys(required))
	}
	return out, nil
}

// field is how one property of a form is written.
func (b *builder) field(x *body, at place, v any, encoding map[string]any) (field, error) {
	f := field{Style: "form", Explode: true, AllowReserved: encoding["allowReserved"] == true}
	if s := str(encoding["style"]); s != "" {
		if !slices.Contains(styles["query"], s) {
			return f, fmt.Errorf("the style %q does not exist in forms", s)
		}
		f.Style, f.Explode = s, s == "form"
	} else if b.typeOf(at, v) == "object" {
		// The default would spill the object's keys among the form's own;
		// people who leave it out mean brackets.
		f.Style = "deepObject"
	}
	if e, ok := encoding["explode"].(bool); ok {
		f.Explode = e
	}
	f.ContentType = clean(str(encoding["contentType"]), 200)
	var err error
	if f.Headers, err = b.partHeaders(x, at, encoding["headers"]); err != nil {
		return f, err
	}
	f.Binary = x.Essence == multipartType && (b.binary(at, v) || b.typeOf(at, v) == "string" && binaryMedia(f.ContentType))
	if f.Binary {
		f.encode(b.wireEncoding(at, v))
	}
	return f, nil
}

// encode has a part carry its bytes in an encoding. That of contentEncoding is
// told in a header (OpenAPI 3.1 §4.8.14.5).
func (f *field) encode(encoding string) {
	if encoding != "base64" && encoding != "base64url" {
		return
	}
	f.Encoding = encoding
	if encoding == "base64" && !strings.Contains(strings.ToLower(f.Headers), "content-transfer-encoding:") {
		f.Headers += "Content-Transfer-Encoding: base64\r\n"
	}
}

// binary reports whether a multipart property is a file, or a list of files.
func (b *builder) binary(at place, v any) bool {
	at, m, err := b.c.loader.follow(at, v)
	if err == nil && m["type"] == "array" {
		_, m, err = b.c.loader.follow(at.to("items"), m["items"])
	}
	if err != nil {
		return false
	}
	media := str(m["contentMediaType"])
	return m["format"] == "binary" || m["type"] == "file" || m["format"] == "base64" && m["type"] == "string" || binaryMedia(media)
}

// binaryMedia reports whether a media type's data is no text.
func binaryMedia(media string) bool {
	first, _, _ := strings.Cut(media, ",")
	e := essence(first)
	return first != "" && !isJSON(e) && !isXML(e) && !strings.HasPrefix(e, "text/")
}

// swaggerForm makes a body of Swagger 2.0's formData parameters.
func (b *builder) swaggerForm(form []parameter) error {
	x := &body{Media: formType, Essence: formType, Fields: map[string]field{}, Withheld: b.withheld}
	files := slices.ContainsFunc(form, func(p parameter) bool { return p.v["type"] == "file" })
	list := b.consumes()
	wanted, err := b.chooseMedia(list)
	if err != nil {
		return err
	}
	wanted = meantBy(essence(wanted))
	for i := range list {
		list[i] = meantBy(essence(list[i]))
	}
	if files && wanted != "" && wanted != multipartType {
		return fmt.Errorf("its form holds files, which can only be sent as %s", multipartType)
	}
	if files || wanted == multipartType || wanted == "" && slices.Contains(list, multipartType) && !slices.Contains(list, formType) {
		x.Media, x.Essence = multipartType, multipartType
	}
	props := map[string]any{}
	var required []any
	for _, p := range form {
		style, explode, ok := collection(p.v, p.in)
		if !ok {
			return &placedError{p.at, fmt.Errorf("the collectionFormat %q cannot be written", str(p.v["collectionFormat"]))}
		}
		f := field{Style: style, Explode: explode, Binary: p.v["type"] == "file"}
		var out any = fileSchema
		if !f.Binary {
			t := translator{c: b.c}
			var err error
			if out, err = t.schema(p.at, withoutParameterKeys(p.v), 0); err != nil {
				return &placedError{p.at, err}
			}
			b.bodyRefs = append(b.bodyRefs, t.refs...)
			if m, ok := out.(map[string]any); ok && str(p.v["description"]) != "" {
				m["description"] = clean(str(p.v["description"]), maxText)
			}
		}
		props[p.name], x.Fields[p.name] = out, f
		if p.v["required"] == true {
			required = append(required, p.name)
			x.Required = true
		}
	}
	schema := map[string]any{"type": "object", "properties": props, "additionalProperties": false}
	if len(required) > 0 {
		schema["required"] = required
	}
	return b.putBody(x, schema)
}
