package openapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"slices"
	"strings"
)

// essence is a media type without parameters, in small letters.
func essence(media string) string {
	e, _, err := mime.ParseMediaType(media)
	if err != nil {
		e, _, _ = strings.Cut(media, ";")
		e = strings.ToLower(strings.TrimSpace(e))
	}
	return e
}

func isJSON(essence string) bool {
	return essence == "application/json" || strings.HasSuffix(essence, "+json") || essence == "text/json"
}

func isXML(essence string) bool {
	return essence == "application/xml" || essence == "text/xml" || strings.HasSuffix(essence, "+xml")
}

const (
	formType      = "application/x-www-form-urlencoded"
	multipartType = "multipart/form-data"
)

// rank orders media types by how well arguments fit them; -1 is one that cannot
// be written.
func rank(essence string) int {
	switch {
	case essence == "application/json":
		return 0
	case isJSON(essence), strings.HasSuffix(essence, "/*") && (essence == "*/*" || essence == "application/*"):
		return 1
	case essence == formType:
		return 2
	case essence == multipartType:
		return 3
	case isXML(essence):
		return -1
	case strings.HasPrefix(essence, "text/"):
		return 5
	case strings.HasPrefix(essence, "multipart/"):
		return -1
	}
	return 4
}

// best chooses the media type that a body is sent as.
func best(media []string) (string, bool) {
	chosen, at := "", -1
	for _, m := range media {
		if !visibleASCII(m) || len(m) > 200 {
			continue // it would end up in a header
		}
		if r := rank(essence(m)); r >= 0 && (at < 0 || r < at) {
			chosen, at = m, r
		}
	}
	return chosen, at >= 0
}

func (b *builder) requestBody() error {
	v, ok := b.v["requestBody"]
	if !ok || v == nil {
		return nil
	}
	at, m, err := b.c.loader.follow(b.at.to("requestBody"), v)
	if err != nil {
		return &placedError{b.at.to("requestBody"), err}
	}
	content, _ := m["content"].(map[string]any)
	required := m["required"] == true
	media, ok := best(sortedKeys(content))
	if !ok {
		if required {
			return &placedError{at, fmt.Errorf("its body can only be sent as %s, which is not supported", strings.Join(sortedKeys(content), ", "))}
		}
		if len(content) > 0 {
			b.c.finding(at, b.name, false, "its optional body is left out: none of its media types is supported")
		}
		return nil
	}
	where, mt, err := b.c.loader.follow(at.to("content", media), content[media])
	if err != nil {
		return &placedError{at, err}
	}
	x := &body{Required: required, Media: media, Essence: essence(media)}
	if rank(x.Essence) == 1 && strings.HasSuffix(x.Essence, "*") {
		x.Media, x.Essence = "application/json", "application/json"
	}
	return b.setBody(x, where.to("schema"), mt["schema"], mt["encoding"], clean(str(m["description"]), maxDescription))
}

// setBody translates a body's schema as its media type wants it.
func (b *builder) setBody(x *body, at place, schema, encoding any, description string) error {
	var out any
	var err error
	switch rank(x.Essence) {
	case 4:
		out = map[string]any{"type": "string", "contentEncoding": "base64", "description": "the bytes to send, as base64"}
	case 5:
		out = map[string]any{"type": "string"}
	case 2, 3:
		if out, err = b.formSchema(x, at, schema, encoding); err != nil {
			return err
		}
	default:
		t := translator{c: b.c}
		if out, err = t.schema(at, schema, 0); err != nil {
			return err
		}
		b.bodyRefs = append(b.bodyRefs, t.refs...)
	}
	if m, ok := out.(map[string]any); ok && description != "" && m["description"] == nil {
		m["description"] = description
	}
	return b.putBody(x, out)
}

// putBody puts the body into the input schema.
func (b *builder) putBody(x *body, schema any) error {
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
	t := translator{c: b.c}
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
		t := translator{c: b.c}
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
	f.Binary = x.Essence == multipartType && (b.binary(at, v) || b.typeOf(at, v) == "string" && binaryMedia(f.ContentType))
	return f, nil
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

// consumes is what a Swagger 2.0 operation takes.
func (b *builder) consumes() []string {
	v, ok := b.v["consumes"]
	if !ok {
		v = b.c.doc["consumes"]
	}
	list, _ := v.([]any)
	var out []string
	for _, m := range list {
		if m, ok := m.(string); ok {
			out = append(out, m)
		}
	}
	return out
}

func (b *builder) swaggerBody(p parameter) error {
	media := "application/json"
	if list := b.consumes(); len(list) > 0 {
		jsonOnly := slices.DeleteFunc(slices.Clone(list), func(m string) bool { e := essence(m); return e == formType || e == multipartType })
		var ok bool
		if media, ok = best(jsonOnly); !ok {
			return &placedError{p.at, fmt.Errorf("its body can only be sent as %s, which is not supported", strings.Join(list, ", "))}
		}
		if strings.HasSuffix(essence(media), "*") {
			media = "application/json"
		}
	}
	x := &body{Required: p.v["required"] == true, Media: media, Essence: essence(media)}
	return b.setBody(x, p.at.to("schema"), p.v["schema"], nil, clean(str(p.v["description"]), maxDescription))
}

// swaggerForm makes a body of Swagger 2.0's formData parameters.
func (b *builder) swaggerForm(form []parameter) error {
	x := &body{Media: formType, Essence: formType, Fields: map[string]field{}}
	files := slices.ContainsFunc(form, func(p parameter) bool { return p.v["type"] == "file" })
	list := b.consumes()
	if files || slices.Contains(list, multipartType) && !slices.Contains(list, formType) {
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
				m["description"] = clean(str(p.v["description"]), maxDescription)
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
