package openapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// pair is one name=value of a query, form or cookie, encoded. key is the plain
// name if it comes from the arguments and not from the document.
type pair struct {
	name, value string
	key         string
}

// flat is a value as the styles that know one level see it: one text, the items
// of an array, or the members of an object in canonical order.
type flat struct {
	kind  byte // 's', 'a' or 'o'
	text  string
	items []string    // of an array
	pairs [][2]string // of an object
}

// plainText writes a string, number or boolean as it stands in a URL or header.
func plainText(v any) (string, bool) {
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

// notWritten says what a value is that has no place in a parameter.
func notWritten(v any, at string) *ArgumentError {
	switch v.(type) {
	case nil:
		return refuse(at, "cannot be written as null: leave it out")
	case []any:
		return refuse(at, "cannot be written as an array here")
	}
	return refuse(at, "cannot be written as an object here")
}

// flatten takes a value apart. Deeper values, null and nothing at all cannot be
// written.
func flatten(v any, at string) (flat, *ArgumentError) {
	if s, ok := plainText(v); ok {
		return flat{kind: 's', text: s}, nil
	}
	f := flat{kind: 'o'}
	switch v := v.(type) {
	case []any:
		f.kind = 'a'
		for i, item := range v {
			s, ok := plainText(item)
			if !ok {
				return f, notWritten(item, at+"/"+strconv.Itoa(i))
			}
			f.items = append(f.items, s)
		}
	case map[string]any:
		for _, k := range canonicalKeys(v) {
			s, ok := plainText(v[k])
			if !ok {
				return f, notWritten(v[k], at+"/"+escape(k))
			}
			f.pairs = append(f.pairs, [2]string{k, s})
		}
	default:
		return f, notWritten(v, at)
	}
	if len(f.items)+len(f.pairs) == 0 {
		return f, refuse(at, "cannot be written empty: leave it out")
	}
	return f, nil
}

// list is an array's items, or an object's names and values in turn, or with
// explode its name=value pairs.
func (f flat) list(explode bool, enc func(string) string) []string {
	var out []string
	for _, s := range f.items {
		out = append(out, enc(s))
	}
	for _, p := range f.pairs {
		if explode {
			out = append(out, enc(p[0])+"="+enc(p[1]))
		} else {
			out = append(out, enc(p[0]), enc(p[1]))
		}
	}
	return out
}

// texts are all texts in the value.
func (f flat) texts() []string {
	if f.kind == 's' {
		return []string{f.text}
	}
	return f.list(false, func(s string) string { return s })
}

// refuseDelimiter refuses a delimiter inside what it delimits: encoded or not, an API
// that decodes before it splits would read other items than a policy saw.
func (f flat) refuseDelimiter(delimiter, at string) *ArgumentError {
	if f.kind == 's' || !slices.ContainsFunc(f.texts(), func(s string) bool { return strings.Contains(s, delimiter) }) {
		return nil
	}
	return refuse(at, "cannot be written: an item holds %q, which stands between items here", delimiter)
}

// value is the parameter's value, or its one text if it has a content type.
func (p param) value(v any, at string) (flat, *ArgumentError) {
	if p.ContentType == "" {
		return flatten(v, at)
	}
	text, bad := p.contentText(v, at)
	return flat{kind: 's', text: text}, bad
}

// pathText writes a path argument in the style simple, label or matrix. Each
// text within it has to be a safe segment by itself.
func (p param) pathText(v any, at string) (string, *ArgumentError) {
	f, bad := p.value(v, at)
	if bad != nil {
		return "", bad
	}
	for _, s := range f.texts() {
		if reason := p.unsafe(s); reason != "" {
			return "", refuse(at, "cannot go into a path: it %s", reason)
		}
	}
	enc := func(s string) string { return escapeText(s, "") }
	name, separator := enc(p.Name), ","
	switch {
	case p.Style == "label" && p.Explode:
		separator = "."
	case p.Style == "matrix" && p.Explode:
		separator = ";"
	}
	if bad := f.refuseDelimiter(separator, at); bad != nil {
		return "", bad
	}
	switch p.Style {
	case "label":
		return "." + enc(f.text) + strings.Join(f.list(p.Explode, enc), separator), nil
	case "matrix":
		switch {
		case f.kind == 'o' && p.Explode:
			return ";" + strings.Join(f.list(true, enc), ";"), nil
		case f.kind == 'a' && p.Explode:
			return ";" + name + "=" + strings.Join(f.list(true, enc), ";"+name+"="), nil
		}
		return ";" + name + "=" + enc(f.text) + strings.Join(f.list(false, enc), ","), nil
	}
	return enc(f.text) + strings.Join(f.list(p.Explode, enc), ","), nil
}

// unsafe says why a text cannot go into a path, or "". Where the operator says that the
// API takes encoded slashes as part of a segment, what is between them has to be safe.
func (p param) unsafe(s string) string {
	if !p.Slashes {
		reason := unsafeSegment(s)
		if reason != "" && strings.Contains(s, "/") {
			reason += ", which would make it another path (of an API that takes %2F as part of a segment, the operator can allow it: parameters, segment)"
		}
		return reason
	}
	for part := range strings.SplitSeq(s, "/") {
		if reason := unsafeSegment(part); reason != "" {
			return "has between its slashes what " + reason
		}
	}
	return ""
}

// queryPairs writes a query argument.
func (p param) queryPairs(v any, at string) ([]pair, *ArgumentError) {
	if p.ContentType != "" {
		text, bad := p.contentText(v, at)
		return []pair{{name: escapeText(p.Name, ""), value: escapeText(text, p.plain())}}, bad
	}
	enc := func(s string) string { return escapeText(s, p.plain()) }
	if _, bad := flatten(v, at); bad != nil && p.Nested {
		return p.nestedPairs(v, at, enc)
	}
	return formPairs(p.Name, p.Style, p.Explode, v, at, enc)
}

// nestedPairs writes with brackets what the parameter's style cannot carry. An exploded
// object's members keep their own names.
func (p param) nestedPairs(v any, at string, enc func(string) string) (out []pair, bad *ArgumentError) {
	object, ok := v.(map[string]any)
	if !ok || !p.Explode || len(object) == 0 {
		return deepPairs(nil, escapeText(p.Name, ""), v, at, enc)
	}
	for _, k := range canonicalKeys(object) {
		where := at + "/" + escape(k)
		if k == "" {
			return nil, refuse(where, "cannot be written: its name is empty")
		}
		if out, bad = deepPairs(out, escapeText(k, ""), object[k], where, enc); bad != nil {
			return nil, bad
		}
	}
	return out, nil
}

func (p param) plain() string {
	if p.AllowReserved {
		return reservedPlain
	}
	return ""
}

// delimiters of the styles that join their items. The one with tabs is Swagger's tsv.
var delimiters = map[string]string{"form": ",", "spaceDelimited": "%20", "pipeDelimited": "%7C", "tabDelimited": "%09"}

// formPairs writes a value in the style form, spaceDelimited, pipeDelimited or
// deepObject, for queries, cookies and form bodies.
func formPairs(name, style string, explode bool, v any, at string, enc func(string) string) ([]pair, *ArgumentError) {
	if left := (space{maxWritten}); !left.fits(v, 3*len(name), 64) {
		return nil, tooLarge(at)
	}
	if style == "deepObject" {
		return deepPairs(nil, enc(name), v, at, enc)
	}
	f, bad := flatten(v, at)
	if bad != nil {
		return nil, bad
	}
	var out []pair
	switch {
	case f.kind == 's':
		return []pair{{name: enc(name), value: enc(f.text)}}, nil
	case f.kind == 'a' && explode:
		for _, s := range f.items {
			out = append(out, pair{name: enc(name), value: enc(s)})
		}
		return out, nil
	case f.kind == 'o' && explode:
		for _, p := range f.pairs {
			if p[0] == "" {
				return nil, refuse(at+"/", "cannot be written: its name is empty")
			}
			out = append(out, pair{name: escapeText(p[0], ""), value: enc(p[1]), key: p[0]})
		}
		return out, nil
	}
	delimiter := delimiters[style]
	if delimiter == "" {
		delimiter = ","
	}
	plain, _ := unpercent(delimiter)
	bad = f.refuseDelimiter(plain, at)
	return []pair{{name: enc(name), value: strings.Join(f.list(false, enc), delimiter)}}, bad
}

// deepPairs writes nested values in brackets: a[b]=1. OpenAPI defines one level
// of object; what lies deeper is written as the APIs that take it read it, with
// a[b][c] for members, a[] for items that are scalars and a[0] for others.
func deepPairs(out []pair, name string, v any, at string, enc func(string) string) ([]pair, *ArgumentError) {
	if s, ok := plainText(v); ok {
		key, _ := unpercent(name)
		return append(out, pair{name: name, value: enc(s), key: key}), nil
	}
	var bad *ArgumentError
	switch v := v.(type) {
	case []any:
		flat := !slices.ContainsFunc(v, func(x any) bool { _, ok := plainText(x); return !ok })
		for i, item := range v {
			index := ""
			if !flat {
				index = strconv.Itoa(i)
			}
			if out, bad = deepPairs(out, name+"%5B"+index+"%5D", item, at+"/"+strconv.Itoa(i), enc); bad != nil {
				return nil, bad
			}
		}
		if len(v) > 0 {
			return out, nil
		}
	case map[string]any:
		for _, k := range canonicalKeys(v) {
			where := at + "/" + escape(k)
			if k == "" || strings.ContainsAny(k, "[]") {
				return nil, refuse(where, "cannot be written: its name is empty or holds a bracket")
			}
			if out, bad = deepPairs(out, name+"%5B"+escapeText(k, "")+"%5D", v[k], where, enc); bad != nil {
				return nil, bad
			}
		}
		if len(v) > 0 {
			return out, nil
		}
	default:
		return nil, notWritten(v, at)
	}
	return nil, refuse(at, "cannot be written empty: leave it out")
}

// headerText writes a header argument: visible ASCII, and spaces within.
func (p param) headerText(v any, at string) (string, *ArgumentError) {
	if !isToken(p.Name) || ownHeader(p.Name) {
		return "", refuse(at, "cannot be given: the header is not for arguments to set")
	}
	f, bad := p.value(v, at)
	if bad != nil {
		return "", bad
	}
	if isJSON(essence(p.ContentType)) {
		f.text = asciiJSON(f.text)
	}
	for _, s := range f.texts() {
		if !visibleASCII(s) {
			return "", refuse(at, "cannot go into a header: it holds a line break, a control character or one outside ASCII")
		}
		if strings.TrimSpace(s) != s {
			return "", refuse(at, "cannot go into a header: it begins or ends with a space")
		}
	}
	bad = f.refuseDelimiter(",", at)
	return f.text + strings.Join(f.list(p.Explode, func(s string) string { return s }), ","), bad
}

// asciiJSON escapes what is not visible ASCII in a JSON text.
func asciiJSON(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < 0x7f:
			b.WriteRune(r)
		case r <= 0xFFFF:
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, "\\u%04x\\u%04x", high, low)
		}
	}
	return b.String()
}

// cookiePairs writes a cookie argument. An exploded array or object becomes
// several cookies, as the & that OpenAPI's examples show separates none. The
// style cookie of OpenAPI 3.2 encodes nothing, so its values have to fit.
func (p param) cookiePairs(v any, at string) ([]pair, *ArgumentError) {
	raw := p.Style == "cookie"
	enc := func(s string) string {
		if raw {
			return s
		}
		return escapeText(s, "")
	}
	var pairs []pair
	var bad *ArgumentError
	if p.ContentType != "" {
		var text string
		text, bad = p.contentText(v, at)
		pairs = []pair{{name: p.Name, value: escapeText(text, "")}}
	} else {
		pairs, bad = formPairs(p.Name, "form", p.Explode, v, at, enc)
	}
	if bad != nil {
		return nil, bad
	}
	unfit := "\",;\\"
	if _, scalar := plainText(v); !scalar && !p.Explode {
		unfit = "\";\\" // commas stand between items
	}
	for i := range pairs {
		if pairs[i].key == "" {
			pairs[i].name = p.Name
		} else if raw {
			pairs[i].name = pairs[i].key
		}
		if !isToken(pairs[i].name) {
			return nil, refuse(at, "cannot be a cookie's name")
		}
		if raw && strings.ContainsFunc(pairs[i].value, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(unfit, r) }) {
			return nil, refuse(at, "cannot be a cookie's value as it stands: it holds a space, a comma, a semicolon, a quote or a character outside ASCII")
		}
	}
	return pairs, nil
}
