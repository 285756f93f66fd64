package openapi

import (
	"bytes"
	"mime"
	"net/url"
	"slices"
	"strings"

	"github.com/exeat/exeat/openapi/strictjson"
)

// encode writes the argument "body" as its media type wants it, or as the caller
// chose. Equal arguments give equal bytes: JSON is written in canonical form,
// fields in canonical order.
func (x *body) encode(v any, chosen string) (contentType string, data []byte, bad *ArgumentError) {
	switch {
	case x.Bytes:
		return x.bytes(v, chosen)
	case isJSON(x.Essence):
		media, bad := x.jsonType(v, chosen)
		return media, appendCanonical(nil, v), bad
	case x.Essence == formType:
		data, bad = x.form(v, "/body")
		return x.Media, data, bad
	case x.Essence == multipartType:
		return x.multipart(v)
	case isLines(x.Essence):
		data, bad = x.lines(v)
		return x.Media, data, bad
	case isXML(x.Essence):
		return x.encodeXML(v)
	}
	return x.text(v)
}

// setsWithheld refuses an object that sets a credential: it would go beside that of
// exeat, or in its place.
func (x *body) setsWithheld(v any) *ArgumentError {
	object, _ := v.(map[string]any)
	for _, name := range canonicalKeys(object) {
		if slices.ContainsFunc(x.Withheld, func(w string) bool { return strictjson.Fold(w) == strictjson.Fold(name) }) {
			return refuse("/body/"+escape(name), "is a credential, and no argument: leave it out")
		}
	}
	return nil
}

// lines writes the items of an array as JSON values, one a line; those of a JSON
// text sequence begin with a record separator.
func (x *body) lines(v any) ([]byte, *ArgumentError) {
	list, ok := v.([]any)
	if !ok {
		return nil, refuse("/body", "must be an array: each item is sent as one JSON value")
	}
	if len(list) == 0 {
		return nil, refuse("/body", "cannot be sent empty: it needs at least one item")
	}
	var data []byte
	for _, item := range list {
		if isSequence(x.Essence) {
			data = append(data, 0x1e)
		}
		data = append(appendCanonical(data, item), '\n')
	}
	return data, nil
}

// text sends a string as it is, in UTF-8, and a number or truth value as JSON
// writes it.
func (x *body) text(v any) (string, []byte, *ArgumentError) {
	s, ok := plainText(v)
	if !ok {
		return "", nil, refuse("/body", "must be a string: it is sent as %s", x.Essence)
	}
	_, params, err := mime.ParseMediaType(x.Media)
	if err == nil && params["charset"] == "" && x.Essence != "text/*" {
		return x.Media + "; charset=utf-8", []byte(s), nil
	}
	if strings.EqualFold(params["charset"], "utf-8") {
		return x.Media, []byte(s), nil
	}
	return "text/plain; charset=utf-8", []byte(s), nil
}

// form writes application/x-www-form-urlencoded. An object without an encoding
// of its own is written in brackets, since its bare names would mix with the
// form's.
func (x *body) form(v any, at string) ([]byte, *ArgumentError) {
	object, ok := v.(map[string]any)
	if !ok {
		return nil, refuse(at, "must be an object: it is sent as a form")
	}
	if bad := oneMeaning(object, at); bad != nil {
		return nil, bad
	}
	var b bytes.Buffer
	left := space{maxWritten}
	for _, name := range canonicalKeys(object) {
		if !left.fits(object[name], 3*len(name), 64) {
			return nil, tooLarge(at)
		}
		pairs, bad := x.Fields[name].formPairs(name, object[name], at+"/"+escape(name))
		if bad != nil {
			return nil, bad
		}
		for _, p := range pairs {
			if b.Len() > 0 {
				b.WriteByte('&')
			}
			b.WriteString(p.name + "=" + p.value)
		}
	}
	return b.Bytes(), nil
}

// oneMeaning refuses a name such as card[number] beside card: what a policy saw
// in card could be overruled by it.
func oneMeaning(object map[string]any, at string) *ArgumentError {
	given := map[string]bool{}
	for name := range object {
		given[strictjson.Fold(name)] = true
	}
	for _, name := range canonicalKeys(object) {
		for i, c := range name {
			if c == '[' && given[strictjson.Fold(name[:i])] {
				return refuse(at+"/"+escape(name), "cannot be given beside %q: it would be read as a part of it", name[:i])
			}
		}
	}
	return nil
}

// formPairs writes one property of a form. A zero field is one without an
// encoding.
func (f field) formPairs(name string, v any, at string) ([]pair, *ArgumentError) {
	if f.Binary {
		return nil, refuse(at, "cannot be sent: a form has no files")
	}
	if isJSON(essence(f.ContentType)) {
		return []pair{{name: url.QueryEscape(name), value: url.QueryEscape(string(appendCanonical(nil, v)))}}, nil
	}
	style, explode := f.Style, f.Explode
	if style == "" {
		style, explode = "form", true
	}
	if style == "form" && explode && nested(v) {
		style = "deepObject"
	}
	enc := url.QueryEscape
	if f.AllowReserved {
		enc = func(s string) string { return escapeText(s, reservedPlain) }
	}
	return formPairs(name, style, explode, v, at, enc)
}

// nested reports whether a value has more to it than scalars and arrays of them.
func nested(v any) bool {
	list, isArray := v.([]any)
	if isArray {
		return slices.ContainsFunc(list, func(x any) bool { _, ok := plainText(x); return !ok })
	}
	_, isObject := v.(map[string]any)
	return isObject
}

// file is a file argument: base64 text, or an object that also names it.
type file struct {
	data        []byte
	filename    string
	contentType string // "" if the argument does not say
}

// readFile reads a file argument and refuses names and types that could break
// out of a part's headers, or out of a directory at the other side.
func readFile(v any, at string) (file, *ArgumentError) {
	var f file
	if object, ok := v.(map[string]any); ok {
		f.filename, _ = object["filename"].(string)
		f.contentType, _ = object["content_type"].(string)
		if strings.ContainsFunc(f.filename, invisible) || strings.ContainsAny(f.filename, `"/\`) || len(f.filename) > 255 || f.filename == "." || f.filename == ".." {
			return f, refuse(at+"/filename", "must be a plain file name of at most 255 bytes, without quotes, slashes and what cannot be seen")
		}
		if _, _, err := mime.ParseMediaType(f.contentType); f.contentType != "" &&
			(err != nil || !visibleASCII(f.contentType) || len(f.contentType) > 200 || strings.Count(essence(f.contentType), "/") != 1) {
			return f, refuse(at+"/content_type", "must be a media type such as image/png")
		}
		v, at = object["data"], at+"/data"
	}
	var bad *ArgumentError
	f.data, bad = readBase64(v, at)
	return f, bad
}

// visibleASCII reports whether s has nothing but visible ASCII and spaces.
func visibleASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f }) < 0
}

// accepts reports whether a media type is in a list such as "image/png,
// image/*". An empty list takes all.
func accepts(list, media string) bool {
	if strings.TrimSpace(list) == "" {
		return true
	}
	is := essence(media)
	for want := range strings.SplitSeq(list, ",") {
		want = essence(strings.TrimSpace(want))
		kind, ok := strings.CutSuffix(want, "*")
		if want == is || want == "*/*" || want == "application/octet-stream" || ok && strings.HasPrefix(is, kind) {
			return true
		}
	}
	return false
}

// Files are the members of the body that are files, and whether the whole body is one.
func (op *Operation) Files() (members []string, whole bool) {
	if op.body == nil {
		return nil, false
	}
	for name, f := range op.body.Fields {
		if f.Binary {
			members = append(members, name)
		}
	}
	slices.Sort(members)
	return members, op.body.Bytes
}
