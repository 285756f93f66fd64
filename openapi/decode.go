package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
)

// Decode reads at most limit bytes of an API's response body and closes it. A
// longer JSON array or object is cut at a value boundary; the error is non-nil
// only if the body could not be read to its end or limit.
func (op *Operation) Decode(resp *http.Response, limit int64) (*Response, error) {
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	over := int64(len(data)) > limit
	if over {
		data = data[:limit]
	}
	header := resp.Header.Get("Content-Type")
	media, params, err := mime.ParseMediaType(header)
	if err != nil {
		media, params = essence(header), nil
	}
	r := &Response{Status: resp.StatusCode, MediaType: media}
	switch {
	case len(data) == 0:
	case isJSON(media), media == "" && json.Valid(data):
		op.decodeJSON(r, data, over)
	case isText(media), media == "" && utf8.Valid(data):
		op.decodeText(r, data, params["charset"], over)
	case over:
		r.Note = fmt.Sprintf("the answer is more than %d bytes of %s and is left out%s", limit, orUnknown(media), op.narrower())
	default:
		if media == "" {
			r.MediaType = "application/octet-stream"
		}
		r.Binary = data
	}
	return r, nil
}

func orUnknown(media string) string {
	if media == "" {
		return "an unknown type"
	}
	return media
}

func isText(media string) bool {
	switch media {
	case "application/x-ndjson", "application/javascript", "application/yaml", "application/x-yaml", "application/graphql", formType, "image/svg+xml":
		return true
	}
	return strings.HasPrefix(media, "text/") || isXML(media)
}

func (op *Operation) decodeJSON(r *Response, data []byte, over bool) {
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	switch {
	case !over && json.Valid(data) && utf8.Valid(data):
		r.JSON = bytes.TrimSpace(data)
	case over:
		if whole, dropped, ok := truncateJSON(data); ok {
			r.JSON = whole
			r.Note = fmt.Sprintf("the answer was cut after %d bytes: %s%s", len(data), dropped, op.narrower())
			return
		}
		fallthrough
	default:
		r.Text = strings.ToValidUTF8(string(data), "\uFFFD")
		r.Note = "the API said that this is JSON, and it is not"
	}
}

func (op *Operation) decodeText(r *Response, data []byte, charset string, over bool) {
	if charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		enc, err := htmlindex.Get(charset)
		if err == nil {
			if converted, err := enc.NewDecoder().Bytes(data); err == nil {
				data = converted
			}
		} else {
			r.Note = fmt.Sprintf("the character set %.40q is not known; what is not UTF-8 was replaced", charset)
		}
	}
	r.Text = strings.ToValidUTF8(string(data), "\uFFFD")
	if over {
		r.Text = strings.TrimRight(r.Text, "\uFFFD")
		r.Note = fmt.Sprintf("the answer was cut after %d bytes%s", len(data), op.narrower())
	}
}

// narrowing are words in the names of arguments that make answers smaller.
var narrowing = []string{"limit", "per_page", "perpage", "page_size", "pagesize", "max", "count", "fields", "select", "filter", "query", "first", "top", "since"}

// narrower names the arguments of the operation that could narrow the answer.
func (op *Operation) narrower() string {
	var names []string
	for _, p := range op.params {
		low := strings.ToLower(p.Property)
		if p.In == "query" && (low == "q" || slices.ContainsFunc(narrowing, func(w string) bool { return strings.Contains(low, w) })) {
			names = append(names, p.Property)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; these arguments may narrow it: " + strings.Join(names, ", ")
}

// truncateJSON makes a valid value of the beginning of one: it keeps the whole
// items and members that are there and closes what is open.
func truncateJSON(data []byte) (whole []byte, dropped string, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	type frame struct {
		object bool
		values int
		key    bool // an object's key was read and its value was not
	}
	var stack []frame
	cut := -1          // behind the last whole value
	var closers []byte // that are open there
	note := func() {
		cut = int(dec.InputOffset())
		closers = closers[:0]
		for i := len(stack) - 1; i >= 0; i-- {
			if stack[i].object {
				closers = append(closers, '}')
			} else {
				closers = append(closers, ']')
			}
		}
	}
	value := func() {
		if n := len(stack); n > 0 {
			stack[n-1].values++
			stack[n-1].key = false
		}
	}
	top := 0
	for {
		tok, err := dec.Token()
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				var syntax *json.SyntaxError
				if !errors.As(err, &syntax) || syntax.Offset < int64(len(data)) {
					return nil, "", false
				}
			}
			break
		}
		switch d, _ := tok.(json.Delim); d {
		case '{', '[':
			stack = append(stack, frame{object: d == '{'})
			note() // an empty one is whole
			continue
		case '}', ']':
			stack = stack[:len(stack)-1]
			value()
		default:
			if n := len(stack); n > 0 && stack[n-1].object && !stack[n-1].key {
				stack[n-1].key = true
				continue
			}
			if _, number := tok.(json.Number); number && dec.InputOffset() == int64(len(data)) {
				continue // its digits may go on
			}
			value()
		}
		if len(stack) == 1 {
			top = stack[0].values
		}
		note()
	}
	if cut < 0 || len(closers) == 0 {
		return nil, "", false
	}
	out := append(bytes.Clone(data[:cut]), closers...)
	if !json.Valid(out) || !utf8.Valid(out) {
		return nil, "", false
	}
	what := "items of the list"
	if closers[len(closers)-1] == '}' {
		what = "members of the object"
	}
	return out, fmt.Sprintf("%d whole %s are here, the rest is missing", top, what), true
}
