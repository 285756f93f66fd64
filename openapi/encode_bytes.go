package openapi

import (
	"encoding/base64"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// jsonType is the media type of a JSON body: what the caller chose, or else the
// first that the value fits.
func (x *body) jsonType(v any, chosen string) (string, *ArgumentError) {
	if chosen != "" {
		if isJSONPatch(essence(chosen)) && !isPatch(v) {
			return "", refuse("/"+escape(x.Choice), "takes an array of patch operations, each an object with op and path, if it is %s", chosen)
		}
		return chosen, nil
	}
	patch := isPatch(v)
	for _, m := range x.Choices {
		if isJSONPatch(essence(m)) == patch {
			return m, nil
		}
	}
	return x.Media, nil
}

// isPatch reports an array of patch operations (RFC 6902 §4).
func isPatch(v any) bool {
	list, ok := v.([]any)
	return ok && !slices.ContainsFunc(list, func(x any) bool {
		operation, _ := x.(map[string]any)
		_, op := operation["op"].(string)
		_, path := operation["path"].(string)
		return !op || !path
	})
}

// bytes writes a body that is given as base64.
func (x *body) bytes(v any, chosen string) (string, []byte, *ArgumentError) {
	if text, ok := v.(string); ok && !slices.Contains([]string{"", "base64", "base64url"}, x.Encoding) {
		media, bad := x.mediaOf([]byte(text), chosen)
		return media, []byte(text), bad
	}
	data, bad := readBase64(v, "/body")
	if bad != nil {
		return "", nil, bad
	}
	media, bad := x.mediaOf(data, chosen)
	return media, encodeBytes(data, x.Encoding), bad
}

// encodeBytes writes bytes as the wire carries them.
func encodeBytes(data []byte, encoding string) []byte {
	switch encoding {
	case "base64":
		return []byte(base64.StdEncoding.EncodeToString(data))
	case "base64url":
		return []byte(base64.URLEncoding.EncodeToString(data))
	}
	return data
}

// mediaOf is the media type of bytes: what the caller chose, what they look like,
// or the first that is no range.
func (x *body) mediaOf(data []byte, chosen string) (string, *ArgumentError) {
	at, list := "/"+escape(x.Choice), strings.Join(x.Choices, ", ")
	if chosen != "" {
		_, _, err := mime.ParseMediaType(chosen)
		if err != nil || !visibleASCII(chosen) || strings.Contains(chosen, "*") || !slices.ContainsFunc(x.Choices, func(m string) bool { return within(chosen, m) }) {
			return "", refuse(at, "must be within %s", list)
		}
		return chosen, nil
	}
	if len(x.Choices) == 0 {
		return x.Media, nil
	}
	like := http.DetectContentType(data)
	for _, m := range x.Choices {
		if !within(like, m) {
			continue
		}
		if strings.Contains(m, "*") {
			return like, nil
		}
		return m, nil
	}
	if i := slices.IndexFunc(x.Choices, func(m string) bool { return !strings.Contains(m, "*") }); i >= 0 {
		return x.Choices[i], nil
	}
	return "", refuse(at, "is needed: the bytes do not tell which of %s they are", list)
}

// within reports whether a media type is another, or within it if that is a range.
func within(media, other string) bool {
	e, o := essence(media), essence(other)
	kind, isRange := strings.CutSuffix(o, "*")
	return e == o || o == "*/*" || isRange && strings.HasPrefix(e, kind)
}

// readBase64 reads a string of base64, in either alphabet and with or without
// padding.
func readBase64(v any, at string) ([]byte, *ArgumentError) {
	text, ok := v.(string)
	if !ok {
		return nil, refuse(at, "must be a string of base64")
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if data, err := encoding.Strict().DecodeString(text); err == nil {
			return data, nil
		}
	}
	return nil, refuse(at, "must be base64 (RFC 4648)")
}
