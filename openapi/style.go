package openapi

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// parts is a parameter's value taken apart: one primitive, a list, or pairs.
type parts struct {
	single *string
	list   []string
	pairs  [][2]string
	object bool
}

func (x parts) all() []string {
	if x.single != nil {
		return []string{*x.single}
	}
	out := slices.Clone(x.list)
	for _, p := range x.pairs {
		out = append(out, p[0], p[1])
	}
	return out
}

// primitive writes a scalar as text; the digits of a number stay as they are.
func primitive(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// parts takes a value apart for the styles that know one level.
func (p param) parts(v any, at string) (parts, *ArgumentError) {
	if p.ContentType != "" {
		b, err := appendCanonical(nil, v)
		if err != nil {
			return parts{}, refuse(at, "%v", err)
		}
		s := string(b)
		return parts{single: &s}, nil
	}
	if s, ok := primitive(v); ok {
		return parts{single: &s}, nil
	}
	var x parts
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			s, ok := primitive(item)
			if !ok {
				return x, refuse(at+"/"+strconv.Itoa(i), "must be a string, number or boolean: this parameter has no room for more")
			}
			x.list = append(x.list, s)
		}
		if len(v) == 0 {
			x.list = []string{}
		}
	case map[string]any:
		x.object = true
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if v[k] == nil {
				continue
			}
			s, ok := primitive(v[k])
			if !ok {
				return x, refuse(at+"/"+escape(k), "must be a string, number or boolean: this parameter has no room for more")
			}
			x.pairs = append(x.pairs, [2]string{k, s})
		}
	default:
		return x, refuse(at, "must not be null here")
	}
	return x, nil
}

// flat is the value as one list: the members of an object as k,v,k,v.
func (x parts) flat(enc func(string) string) []string {
	var out []string
	for _, s := range x.list {
		out = append(out, enc(s))
	}
	for _, p := range x.pairs {
		out = append(out, enc(p[0]), enc(p[1]))
	}
	return out
}

func (x parts) assignments(enc func(string) string) []string {
	var out []string
	for _, p := range x.pairs {
		out = append(out, enc(p[0])+"="+enc(p[1]))
	}
	return out
}

// write writes the styles simple, label and matrix (OpenAPI 3.2 §4.12.3,
// RFC 6570).
func (x parts) write(p param, enc func(string) string) string {
	switch p.Style {
	case "label":
		return "." + x.join(p, enc, ".", ",")
	case "matrix":
		name := enc(p.Name)
		switch {
		case x.single != nil:
			return ";" + name + "=" + enc(*x.single)
		case x.object && p.Explode:
			return ";" + strings.Join(x.assignments(enc), ";")
		case p.Explode:
			var out []string
			for _, s := range x.list {
				out = append(out, name+"="+enc(s))
			}
			return ";" + strings.Join(out, ";")
		}
		return ";" + name + "=" + strings.Join(x.flat(enc), ",")
	}
	return x.join(p, enc, ",", ",")
}

// join puts a separator between the items when exploded, or another if not.
func (x parts) join(p param, enc func(string) string, exploded, plain string) string {
	switch {
	case x.single != nil:
		return enc(*x.single)
	case x.object && p.Explode:
		return strings.Join(x.assignments(enc), exploded)
	case p.Explode:
		return strings.Join(x.flat(enc), exploded)
	}
	return strings.Join(x.flat(enc), plain)
}

// queryPairs writes a query argument as name=value pairs joined by &. An empty
// list or object writes nothing.
func (p param) queryPairs(v any, at string) (string, *ArgumentError) {
	keep := ""
	if p.AllowReserved {
		keep = reservedInQuery
	}
	enc := func(s string) string { return escapeValue(s, keep) }
	return formPairs(p.Name, p.Style, p.Explode, p.ContentType, v, at, enc)
}

// formPairs writes one name of a query or of a form body.
func formPairs(name, style string, explode bool, contentType string, v any, at string, enc func(string) string) (string, *ArgumentError) {
	key := escapeValue(name, "[]$")
	if style == "deepObject" && contentType == "" {
		return deepPairs(key, explode, v, at, enc)
	}
	x, bad := param{Name: name, ContentType: contentType}.parts(v, at)
	if bad != nil {
		return "", bad
	}
	if x.single != nil {
		return key + "=" + enc(*x.single), nil
	}
	if len(x.list) == 0 && len(x.pairs) == 0 {
		return "", nil
	}
	separator := map[string]string{"spaceDelimited": "%20", "pipeDelimited": "%7C"}[style]
	if separator == "" {
		separator = ","
	}
	switch {
	case explode && x.object:
		return strings.Join(x.assignments(enc), "&"), nil
	case explode:
		var out []string
		for _, s := range x.list {
			out = append(out, key+"="+enc(s))
		}
		return strings.Join(out, "&"), nil
	}
	// The separator is the style's; within a value it is always encoded.
	inner := func(s string) string { return strings.ReplaceAll(enc(s), ",", "%2C") }
	return key + "=" + strings.Join(x.flat(inner), separator), nil
}

// deepPairs writes nested values in brackets: a[b]=1, a[0][c]=2. OpenAPI
// defines one level; deeper ones are written as the APIs that need them read
// them, with the index of list items.
func deepPairs(key string, explode bool, v any, at string, enc func(string) string) (string, *ArgumentError) {
	if s, ok := primitive(v); ok {
		return key + "=" + enc(s), nil
	}
	var out []string
	member := func(name string, x any, at string) *ArgumentError {
		if x == nil {
			return nil
		}
		s, bad := deepPairs(key+"["+escapeValue(name, "")+"]", explode, x, at, enc)
		if s != "" {
			out = append(out, s)
		}
		return bad
	}
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			if bad := member(strconv.Itoa(i), item, at+"/"+strconv.Itoa(i)); bad != nil {
				return "", bad
			}
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if bad := member(k, v[k], at+"/"+escape(k)); bad != nil {
				return "", bad
			}
		}
	default:
		return "", refuse(at, "must not be null here")
	}
	return strings.Join(out, "&"), nil
}

// cookiePairs writes a cookie argument as name=value pairs.
func (p param) cookiePairs(v any, at string) (string, *ArgumentError) {
	enc := func(s string) string { return escapeValue(s, "") }
	if strings.ContainsAny(p.Name, "=;, \t") {
		return "", refuse(at, "cannot be written: its name is no cookie name")
	}
	s, bad := formPairs(p.Name, "form", p.Explode, p.ContentType, v, at, enc)
	return strings.ReplaceAll(s, "&", "; "), bad
}
