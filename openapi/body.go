package openapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"mime/multipart"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
)

// encode writes the argument "body" as its media type wants it. Equal arguments
// give equal bytes, so that equal calls have equal digests.
func (x *body) encode(r *Request, v any) *ArgumentError {
	var bad *ArgumentError
	r.ContentType = x.Media
	switch rank(x.Essence) {
	case 2:
		r.Body, bad = x.form(v)
	case 3:
		r.Body, r.ContentType, bad = x.multipart(v)
	case 4:
		r.Body, bad = decodeBase64(v, "/body")
	case 5:
		s, ok := v.(string)
		if !ok {
			return refuse("/body", "must be a string")
		}
		r.Body = []byte(s)
		if !strings.Contains(strings.ToLower(x.Media), "charset") {
			r.ContentType = x.Essence + "; charset=utf-8"
		}
	default:
		b, err := appendCanonical(nil, v)
		if err != nil {
			return refuse("/body", "%v", err)
		}
		r.Body = b
	}
	return bad
}

func decodeBase64(v any, at string) ([]byte, *ArgumentError) {
	s, ok := v.(string)
	if !ok {
		return nil, refuse(at, "must be a string of base64")
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, refuse(at, "must be standard base64 with padding")
	}
	return b, nil
}

func object(v any) (map[string]any, *ArgumentError) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, refuse("/body", "must be an object")
	}
	return m, nil
}

// form writes application/x-www-form-urlencoded.
func (x *body) form(v any) ([]byte, *ArgumentError) {
	m, bad := object(v)
	if bad != nil {
		return nil, bad
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if m[name] == nil {
			continue // a form has no null
		}
		f, known := x.Fields[name]
		if !known {
			f = field{Style: "form", Explode: true}
		}
		if _, nested := m[name].(map[string]any); nested && !known {
			f.Style = "deepObject"
		}
		if isJSON(essence(f.ContentType)) {
			f.ContentType = "application/json"
		} else {
			f.ContentType = ""
		}
		if list, ok := m[name].([]any); ok && f.Style == "form" && f.ContentType == "" && nestedItems(list) {
			f.Style = "deepObject"
		}
		keep := ""
		if f.AllowReserved {
			keep = reservedInQuery
		}
		s, bad := formPairs(name, f.Style, f.Explode, f.ContentType, m[name], "/body/"+escape(name), func(s string) string { return escapeValue(s, keep) })
		if bad != nil {
			return nil, bad
		}
		if s != "" {
			pairs = append(pairs, s)
		}
	}
	return []byte(strings.Join(pairs, "&")), nil
}

func nestedItems(list []any) bool {
	return slices.ContainsFunc(list, func(v any) bool { _, plain := primitive(v); return !plain })
}

// part is one part of a multipart body.
type part struct {
	header textproto.MIMEHeader
	data   []byte
}

// multipart writes multipart/form-data. The boundary is made from the content,
// and another is taken until none of the parts holds it.
func (x *body) multipart(v any) ([]byte, string, *ArgumentError) {
	m, bad := object(v)
	if bad != nil {
		return nil, "", bad
	}
	var parts []part
	for _, name := range slices.Sorted(maps.Keys(m)) {
		more, bad := x.parts(name, m[name])
		if bad != nil {
			return nil, "", bad
		}
		parts = append(parts, more...)
	}
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%s\n%d\n", p.header, len(p.data))
		h.Write(p.data)
	}
	seed := h.Sum(nil)
	boundary := "exeat-" + hex.EncodeToString(seed[:16])
	for slices.ContainsFunc(parts, func(p part) bool { return bytes.Contains(p.data, []byte(boundary)) }) {
		next := sha256.Sum256(seed)
		seed = next[:]
		boundary = "exeat-" + hex.EncodeToString(seed[:16])
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	err := w.SetBoundary(boundary)
	for _, p := range parts {
		if err != nil {
			break
		}
		var pw interface{ Write([]byte) (int, error) }
		if pw, err = w.CreatePart(p.header); err == nil {
			_, err = pw.Write(p.data)
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, "", refuse("/body", "cannot be written: %v", err)
	}
	return b.Bytes(), w.FormDataContentType(), nil
}

// parts are those of one property: one for each item of a list.
func (x *body) parts(name string, v any) ([]part, *ArgumentError) {
	at := "/body/" + escape(name)
	if v == nil {
		return nil, nil
	}
	if hasControl(name) || strings.Contains(name, `"`) {
		return nil, refuse(at, "cannot be a form field's name")
	}
	f := x.Fields[name]
	items := []any{v}
	list, isList := v.([]any)
	if isList && (f.Binary || f.ContentType == "") {
		items = list
	}
	var out []part
	for i, item := range items {
		where := at
		if isList {
			where += "/" + strconv.Itoa(i)
		}
		p, bad := f.part(name, item, where)
		if bad != nil {
			return nil, bad
		}
		out = append(out, p)
	}
	return out, nil
}

func (f field) part(name string, v any, at string) (part, *ArgumentError) {
	disposition := `form-data; name="` + name + `"`
	p := part{header: textproto.MIMEHeader{}}
	media := f.ContentType
	if f.Binary {
		filename := name
		if m, ok := v.(map[string]any); ok {
			v = m["data"]
			at += "/data"
			if s, _ := m["filename"].(string); s != "" {
				filename = s
			}
			if s, _ := m["content_type"].(string); s != "" {
				media = s
			}
		}
		if hasControl(filename) || strings.ContainsAny(filename, `"\/`) || len(filename) > 255 {
			return p, refuse(strings.TrimSuffix(at, "/data")+"/filename", "must be a plain file name")
		}
		if media == "" {
			media = "application/octet-stream"
		}
		disposition += `; filename="` + filename + `"`
		var bad *ArgumentError
		if p.data, bad = decodeBase64(v, at); bad != nil {
			return p, bad
		}
	} else if s, ok := primitive(v); ok && !isJSON(essence(media)) {
		p.data = []byte(s)
	} else {
		if media == "" || !isJSON(essence(media)) {
			media = "application/json"
		}
		b, err := appendCanonical(nil, v)
		if err != nil {
			return p, refuse(at, "%v", err)
		}
		p.data = b
	}
	if media != "" {
		if !validMedia(media) {
			return p, refuse(strings.TrimSuffix(at, "/data")+"/content_type", "must be a media type like image/png")
		}
		p.header.Set("Content-Type", media)
	}
	p.header.Set("Content-Disposition", disposition)
	return p, nil
}

// validMedia allows a type, a subtype and plain parameters.
func validMedia(s string) bool {
	if len(s) > 200 || strings.Count(s, "/") != 1 && !strings.Contains(s, ";") || !strings.Contains(s, "/") {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
