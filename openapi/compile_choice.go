package openapi

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// mediaType is one that a body can be sent as, with its Media Type Object.
type mediaType struct {
	media string
	at    place
	v     map[string]any
}

// inOrder lists the keys of an object as the document has them.
func (b *builder) inOrder(at place, m map[string]any) []string {
	keys := sortedKeys(m)
	if len(keys) < 2 {
		return keys
	}
	where := map[string][2]int{}
	for _, k := range keys {
		p := at.to(k)
		line, column := p.doc.position(p.pointer)
		where[k] = [2]int{line, column}
	}
	slices.SortStableFunc(keys, func(x, y string) int {
		return cmp.Or(where[x][0]-where[y][0], where[x][1]-where[y][1])
	})
	return keys
}

// mediaTypes are those of a Request Body Object, each with its Media Type Object.
func (b *builder) mediaTypes(at place, content map[string]any, media []string) ([]mediaType, error) {
	var list []mediaType
	for _, m := range media {
		where, v, err := b.c.loader.follow(at.to("content", m), content[m])
		if err != nil {
			return nil, &placedError{at, err}
		}
		list = append(list, mediaType{m, where, v})
	}
	return list, nil
}

// newBody chooses what a body is sent as, out of types of which the first is the
// best: one that its shape fits. Where it is the caller's choice, that becomes an
// argument.
func (b *builder) newBody(types []mediaType) (*body, mediaType) {
	first := types[0]
	x := &body{Media: first.media, Essence: essence(first.media)}
	kind := rank(x.Essence)
	alike := slices.DeleteFunc(slices.Clone(types), func(t mediaType) bool {
		k := rank(essence(t.media))
		return k != kind && (k > rankLikeJSON || kind > rankLikeJSON) || !reflect.DeepEqual(t.v["schema"], first.v["schema"])
	})
	switch {
	case strings.HasSuffix(x.Essence, "*") && kind <= rankLikeJSON && b.binary(first.at.to("schema"), first.v["schema"]):
		x.Bytes = true
		x.Choices = []string{x.Essence}
	case kind <= rankLikeJSON:
		first = b.fitting(types, alike, x)
	case kind == rankBytes:
		x.Bytes = true
		for _, t := range types {
			if rank(essence(t.media)) == rankBytes {
				x.Choices = append(x.Choices, t.media)
			}
		}
		if len(x.Choices) == 1 && !strings.Contains(x.Essence, "*") {
			x.Choices = nil
		}
	}
	x.Media = plainJSON(x.Media)
	if meant := meantBy(x.Essence); meant != x.Essence {
		b.c.finding(first.at, b.name, false, fmt.Sprintf("there is no media type %s; the body is sent as %s", shorten(x.Essence, 100), meant))
		x.Media = meant
	}
	x.Essence = essence(x.Media)
	return x, first
}

// fitting sets the JSON type of a body to the first that its schema fits. alike
// are those with the schema of the first; if there are two ways to patch among
// them, they mean different things, and the caller says which.
func (b *builder) fitting(types, alike []mediaType, x *body) mediaType {
	fits := func(t mediaType) bool {
		return !isJSONPatch(essence(t.media)) || b.mayBePatch(t.at.to("schema"), t.v["schema"])
	}
	chosen := types[0]
	for _, t := range types {
		if rank(essence(t.media)) <= rankLikeJSON && fits(t) {
			chosen = t
			break
		}
	}
	x.Media, x.Essence = chosen.media, essence(chosen.media)
	patches := 0
	var choices []string
	for _, t := range alike {
		if !fits(t) || !reflect.DeepEqual(t.v["schema"], chosen.v["schema"]) {
			continue
		}
		if strings.Contains(essence(t.media), "patch") {
			patches++
		}
		if m := plainJSON(t.media); !slices.Contains(choices, m) {
			choices = append(choices, m)
		}
	}
	if patches > 1 {
		x.Choices = choices
	}
	return chosen
}

func isJSONPatch(essence string) bool { return strings.HasSuffix(essence, "json-patch+json") }

// plainJSON is what is sent for a range that JSON is within.
func plainJSON(media string) string {
	if e := essence(media); e == "*/*" || e == "application/*" || strings.HasSuffix(e, "*+json") {
		return "application/json"
	}
	return media
}

// meantBy is the media type that people mean by one that there is not.
func meantBy(essence string) string {
	switch {
	case essence == formType || essence == multipartType:
	case strings.HasSuffix(essence, "form-data") || essence == "multipart/form":
		return multipartType
	case strings.Contains(essence, "form") && (strings.Contains(essence, "urlencoded") || strings.Contains(essence, "url-encoded")):
		return formType
	}
	return essence
}

// mayBePatch reports whether a value of the schema can be a JSON patch: an array
// of operations (RFC 6902 §3).
func (b *builder) mayBePatch(at place, schema any) bool {
	at, m, err := b.c.loader.follow(at, schema)
	if err != nil || b.typeOf(at, m) == "" {
		return true
	}
	items := m["items"]
	if b.typeOf(at, m) != "array" {
		return false
	}
	_, operation, err := b.c.loader.follow(at.to("items"), items)
	if err != nil {
		return true
	}
	switch b.typeOf(at.to("items"), items) {
	case "":
		return true
	case "object":
		props, _ := operation["properties"].(map[string]any)
		return len(props) == 0 || props["op"] != nil
	}
	return false
}

// wireEncoding is the encoding that the wire carries bytes in, by their schema: a
// string that is base64 is sent as base64. "" means that bytes are sent as they
// are, as for contentEncoding binary.
func (b *builder) wireEncoding(at place, schema any) string {
	_, m, err := b.c.loader.follow(at, schema)
	if err != nil {
		return ""
	}
	encoding := strings.ToLower(str(m["contentEncoding"]))
	switch {
	case slices.Contains([]string{"binary", "8bit", "7bit", "identity"}, encoding):
		return ""
	case encoding != "":
		return encoding
	case m["type"] == "string" && (m["format"] == "byte" || m["format"] == "base64"):
		return "base64"
	}
	return ""
}

// bytesSchema is how the bytes of a body are given as an argument.
func (x *body) bytesSchema() map[string]any {
	switch x.Encoding {
	case "":
		return map[string]any{"type": "string", "contentEncoding": "base64", "description": "the bytes to send, as base64"}
	case "base64", "base64url":
		return map[string]any{"type": "string", "contentEncoding": "base64", "description": "the bytes to send, as base64; the API gets them as " + x.Encoding + " text"}
	}
	return map[string]any{"type": "string", "description": "the text to send, which is encoded as " + shorten(x.Encoding, 40) + " already"}
}

// offerChoice makes an argument of the choice between media types.
func (b *builder) offerChoice() error {
	x := b.op.body
	if x == nil || len(x.Choices) == 0 {
		return nil
	}
	x.Choice = "content_type"
	for b.props[x.Choice] != nil {
		x.Choice = "body_" + x.Choice
	}
	list := strings.Join(x.Choices, ", ")
	schema := map[string]any{"type": "string", "enum": x.Choices, "description": "what the body is sent as; if left out, the first that it fits"}
	if strings.Contains(list, "*") {
		schema = map[string]any{"type": "string", "maxLength": 200, "description": "the media type of the body, within " + shorten(list, 200) + "; if left out, it is told from the bytes"}
	}
	raw, err := json.Marshal(schema)
	b.props[x.Choice] = raw
	return err
}
