package openapi

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// content reads a parameter that is described by a media type in place of a
// style, and returns its schema.
func (b *builder) content(x *param, p parameter) (at place, schema any, err error) {
	content, _ := p.v["content"].(map[string]any)
	list := writable(sortedKeys(content)) // it should be one
	if len(list) == 0 {
		return at, nil, errors.New("the parameter needs a content type")
	}
	media := list[0]
	at, m, err := b.c.loader.follow(p.at.to("content", media), content[media])
	if err != nil {
		return at, nil, err
	}
	if media, err = b.parameterMedia(media, at.to("schema"), m["schema"]); err != nil {
		return at, nil, err
	}
	e := essence(media)
	switch {
	case !isJSON(e) && !strings.HasPrefix(e, "text/") && e != formType:
		return at, nil, fmt.Errorf("its content type %s cannot be written into a parameter; JSON, text and forms can", shorten(media, 200))
	case e == formType && m["encoding"] != nil:
		encodings, _ := m["encoding"].(map[string]any)
		form := &body{Essence: formType, Fields: map[string]field{}}
		where, v, err := b.c.loader.follow(at.to("schema"), m["schema"])
		if err == nil {
			err = b.fields(form, where, v, encodings, 0)
		}
		if err != nil {
			return at, nil, err
		}
		x.Fields = form.Fields
	}
	x.ContentType = media
	return at.to("schema"), m["schema"], nil
}

// parameterMedia is what a parameter is written as whose content is a range: as
// text, unless it is an array or an object.
func (b *builder) parameterMedia(media string, at place, schema any) (string, error) {
	e := essence(media)
	switch t := b.typeOf(at, schema); {
	case !strings.Contains(e, "*"):
		return media, nil
	case strings.HasSuffix(e, "*+json"), e != "text/*" && (t == "array" || t == "object"):
		return "application/json", nil
	case e == "*/*" || e == "application/*" || e == "text/*":
		return "text/plain", nil
	}
	return "", fmt.Errorf("its content type %s cannot be written into a parameter; JSON, text and forms can", shorten(media, 200))
}

// contentText serialises a value as the parameter's media type: JSON, a form, or
// text as it is.
func (p param) contentText(v any, at string) (string, *ArgumentError) {
	e := essence(p.ContentType)
	if isJSON(e) {
		return string(appendCanonical(nil, v)), nil
	}
	if e == formType {
		data, bad := (&body{Fields: p.Fields}).form(v, at)
		return string(data), bad
	}
	if s, ok := plainText(v); ok {
		return s, nil
	}
	return "", refuse(at, "must be a string: it is sent as %s", p.ContentType)
}

// wholeQuery checks a parameter in querystring (OpenAPI 3.2), which is all of
// the query: nothing may stand beside it.
func (b *builder) wholeQuery(p parameter, all []parameter) error {
	content, _ := p.v["content"].(map[string]any)
	list := writable(sortedKeys(content))
	form := len(list) > 0 && essence(list[0]) == formType
	beside := func(o parameter) bool { return o.in == "query" || o.in == "querystring" && o.name != p.name }
	switch {
	case slices.ContainsFunc(all, beside):
		return errors.New("a parameter in querystring is the whole query, and the operation has others for it")
	case b.op.query != "":
		return errors.New("a parameter in querystring is the whole query, and the path has one")
	case !form && b.queryCredential():
		return errors.New("a parameter in querystring is the whole query, and a credential has to go into it")
	}
	return nil
}

// queryCredential reports whether a credential of the operation goes into the query.
func (b *builder) queryCredential() bool {
	for _, alternative := range b.op.Security {
		for _, need := range alternative {
			if s := b.c.api.Security[need.Scheme]; s.Type == "apiKey" && s.In == "query" {
				return true
			}
		}
	}
	return false
}

// queryString writes the whole query. Of a form, no name may be one that a
// credential goes by.
func (e *encoder) queryString(p param, v any, at string) {
	text, bad := p.contentText(v, at)
	if bad != nil {
		e.fail(bad)
		return
	}
	if text == "" {
		e.fail(refuse(at, "cannot be written empty: leave it out"))
		return
	}
	if object, ok := v.(map[string]any); ok && essence(p.ContentType) == formType {
		var pairs []pair
		for _, name := range canonicalKeys(object) {
			pairs = append(pairs, pair{key: name})
		}
		if bad := e.refuseSpill(param{Property: p.Property, In: "query"}, pairs, at); bad != nil {
			e.fail(bad)
		}
	} else {
		text = escapeText(text, "")
	}
	e.wrote(len(text)+1, at)
	e.query = append(e.query, text)
}

// orEmpty lets a parameter that allows empty values be the empty string too,
// which is written as its bare name and an equals sign.
func orEmpty(schema any) any {
	if m, ok := schema.(map[string]any); ok && (len(m) == 0 || m["type"] == "string" && m["enum"] == nil && m["minLength"] == nil && m["pattern"] == nil && m["format"] == nil) {
		return schema
	}
	return map[string]any{"anyOf": []any{schema, map[string]any{"type": "string", "maxLength": 0}}}
}
