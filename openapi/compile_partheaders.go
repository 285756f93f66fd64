package openapi

import (
	"errors"
	"fmt"
	"strings"
)

// partHeaders are the headers of a multipart property's parts, as they are
// written. No argument gives them: a header can be sent if its schema leaves one
// value (const, a single enum, default).
func (b *builder) partHeaders(x *body, at place, v any) (string, error) {
	headers, _ := v.(map[string]any)
	if x.Essence != multipartType {
		return "", nil // OpenAPI ignores them elsewhere
	}
	var out strings.Builder
	for _, name := range sortedKeys(headers) {
		if strings.HasPrefix(strings.ToLower(name), "content-") {
			continue // the part has these from its own value
		}
		if !isToken(name) {
			return "", fmt.Errorf("the header %q of its part has no legal name", name)
		}
		where, h, err := b.c.loader.follow(at, headers[name])
		if err != nil {
			return "", err
		}
		text, ok := b.onlyValue(where.to("schema"), h["schema"])
		switch {
		case ok && (!visibleASCII(text) || strings.TrimSpace(text) != text || len(text) > 1000):
			return "", fmt.Errorf("the value of the header %s of its part cannot go into a header", name)
		case ok:
			out.WriteString(name + ": " + text + "\r\n")
		case h["required"] == true:
			return "", fmt.Errorf("its part needs the header %s, and nothing gives its value: set const or default in its schema", name)
		default:
			b.c.finding(at, b.name, false, fmt.Sprintf("the header %s of a part is left out: nothing gives its value", name))
		}
	}
	if out.Len() > maxHead {
		return "", errors.New("the headers of its part are too long")
	}
	return out.String(), nil
}

// onlyValue is the one value that a schema leaves, or its default.
func (b *builder) onlyValue(at place, v any) (string, bool) {
	_, m, err := b.c.loader.follow(at, v)
	if err != nil {
		return "", false
	}
	if x, ok := m["const"]; ok {
		return plainText(x)
	}
	if list, _ := m["enum"].([]any); len(list) == 1 {
		return plainText(list[0])
	}
	return plainText(m["default"])
}
