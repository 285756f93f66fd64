package openapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// part is one part of a multipart body.
type part struct {
	disposition string
	contentType string // "" for a plain text field
	headers     string // others, each with its CRLF
	data        []byte
}

// multipart writes multipart/form-data (RFC 7578). The boundary is made from
// the content, so that equal arguments give equal bytes.
func (x *body) multipart(v any) (string, []byte, *ArgumentError) {
	object, ok := v.(map[string]any)
	if !ok {
		return "", nil, refuse("/body", "must be an object: it is sent as a form")
	}
	var parts []part
	left := space{maxWritten}
	for _, name := range canonicalKeys(object) {
		at := "/body/" + escape(name)
		if !left.fits(object[name], len(name), 256+len(x.Fields[name].Headers)) {
			return "", nil, tooLarge(at)
		}
		if name == "" || hasControl(name) || strings.ContainsAny(name, `"\`) {
			return "", nil, refuse(at, "cannot be the name of a form's part")
		}
		more, bad := x.Fields[name].parts(name, object[name], at)
		if bad != nil {
			return "", nil, bad
		}
		parts = append(parts, more...)
	}
	if len(parts) == 0 {
		return "", nil, refuse("/body", "cannot be sent: a multipart form needs at least one part")
	}
	boundary := newBoundary(parts)
	var b bytes.Buffer
	for _, p := range parts {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: %s\r\n", boundary, p.disposition)
		if p.contentType != "" {
			fmt.Fprintf(&b, "Content-Type: %s\r\n", p.contentType)
		}
		b.WriteString(p.headers + "\r\n")
		b.Write(p.data)
		b.WriteString("\r\n")
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return multipartType + "; boundary=" + boundary, b.Bytes(), nil
}

// newBoundary derives a boundary from the parts and takes the next one until
// none of them holds it.
func newBoundary(parts []part) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d,%d,%d:%s%s", len(p.disposition), len(p.contentType), len(p.data), p.disposition, p.contentType+p.headers)
		h.Write(p.data)
	}
	for seed := h.Sum(nil); ; {
		boundary := "exeat-" + hex.EncodeToString(seed[:16])
		if !held(parts, []byte(boundary)) {
			return boundary
		}
		next := sha256.Sum256(seed)
		seed = next[:]
	}
}

func held(parts []part, boundary []byte) bool {
	for _, p := range parts {
		if bytes.Contains(p.data, boundary) || strings.Contains(p.disposition+p.contentType+p.headers, string(boundary)) {
			return true
		}
	}
	return false
}

// parts are those of one property: an array has one for each of its items,
// unless its encoding makes it one JSON text.
func (f field) parts(name string, v any, at string) ([]part, *ArgumentError) {
	list, isArray := v.([]any)
	if !isArray || !f.Binary && isJSON(essence(f.ContentType)) {
		p, bad := f.part(name, v, at)
		return []part{p}, bad
	}
	if len(list) == 0 {
		return nil, refuse(at, "cannot be written empty: leave it out")
	}
	var out []part
	for i, item := range list {
		p, bad := f.part(name, item, at+"/"+strconv.Itoa(i))
		if bad != nil {
			return nil, bad
		}
		out = append(out, p)
	}
	return out, nil
}

// part writes one value: a file, a scalar as text, anything else as JSON.
func (f field) part(name string, v any, at string) (part, *ArgumentError) {
	p := part{disposition: `form-data; name="` + name + `"`, headers: f.Headers}
	if f.Binary {
		return p.file(f, name, v, at)
	}
	text, isScalar := plainText(v)
	switch {
	case v == nil && !isJSON(essence(f.ContentType)):
		return p, notWritten(v, at)
	case isScalar && !isJSON(essence(f.ContentType)):
		p.data, p.contentType = []byte(text), f.oneType("")
	case f.oneType("") != "" && !isJSON(essence(f.ContentType)):
		return p, refuse(at, "must be a string: it is sent as %s", f.ContentType)
	default:
		p.data, p.contentType = appendCanonical(nil, v), f.oneType("application/json")
	}
	return p, nil
}

// file writes a file part. A file without a name gets the property's: servers
// take a part without a filename for a text field.
func (p part) file(f field, name string, v any, at string) (part, *ArgumentError) {
	file, bad := readFile(v, at)
	if bad != nil {
		return p, bad
	}
	if !accepts(f.ContentType, file.contentType) && file.contentType != "" {
		return p, refuse(at+"/content_type", "must be %s", f.ContentType)
	}
	if file.filename == "" {
		file.filename = strings.ReplaceAll(name, "/", "_")
	}
	p.disposition += `; filename="` + file.filename + `"`
	p.data, p.contentType = encodeBytes(file.data, f.Encoding), file.contentType
	if p.contentType == "" {
		p.contentType = f.oneType("application/octet-stream")
	}
	return p, nil
}

// oneType is the first media type of an encoding's list, or a default.
func (f field) oneType(otherwise string) string {
	first, _, _ := strings.Cut(f.ContentType, ",")
	if first = strings.TrimSpace(first); first == "" || strings.Contains(first, "*") || hasControl(first) {
		return otherwise
	}
	return first
}
