package openapi

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/andybalholm/brotli"
)

// Decode reads at most limit bytes of an API's response body and closes it. A
// longer JSON array or object is cut at a value boundary; the error is non-nil
// only if the body could not be read to its end or limit.
func (op *Operation) Decode(resp *http.Response, limit int64) (*Response, error) {
	defer resp.Body.Close()
	header := resp.Header.Get("Content-Type")
	media, params, err := mime.ParseMediaType(header)
	if err != nil {
		media = essence(header)
	}
	r := &Response{Status: resp.StatusCode, MediaType: shorten(media, 100)}
	coding, err := unpack(resp)
	if err != nil {
		return nil, err
	}
	if kind := streamOf(media); kind != "" && coding == "" {
		if err := op.stream(resp, kind, r, limit); err != nil {
			return nil, err
		}
		return r, nil
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read the response: %w", err)
	}
	d := decoder{op: op, limit: limit, size: resp.ContentLength}
	if d.over = int64(len(data)) > limit; d.over {
		data = data[:limit]
	}
	d.charset = params["charset"]
	switch {
	case len(data) == 0 && !d.over:
	case coding != "":
		r.Note = fmt.Sprintf("the response is packed as %q, which was not asked for, and is left out", shorten(coding, 40))
	case isJSON(media):
		d.json(r, data)
	case d.jsonUnderAnotherName(media, data):
		r.MediaType = "application/json"
		d.json(r, data)
	case isText(media):
		d.text(r, data)
	case media == "" && d.looksLikeJSON(data):
		r.MediaType = "application/json"
		d.json(r, data)
	case media == "" && looksLikeText(data, d.over):
		r.MediaType = "text/plain"
		d.text(r, data)
	case d.over:
		r.TooLarge = true
		r.Note = fmt.Sprintf("the response is %s%s and is left out, since it is over the limit of %d bytes%s", d.bytes(), ofType(r.MediaType), limit, op.narrowing())
	case strings.HasPrefix(media, "image/") && looksLikeText(data, false) && strings.HasPrefix(http.DetectContentType(data), "text/"):
		// A host would show it as a picture, or try to.
		d.text(r, data)
		r.Note = both("the API said that this is "+r.MediaType+", but it is text", r.Note)
	default:
		if media == "" {
			r.MediaType = "application/octet-stream"
		}
		r.Binary = data
	}
	return r, nil
}

// AcceptEncoding is how an API may pack what Decode unpacks.
const AcceptEncoding = "gzip, br"

// unpack puts a reader that unpacks in the place of a body that is packed as we
// asked for (RFC 9110 §8.4). coding is how it is packed otherwise. What is read
// of it is bounded after unpacking, so a bomb is no more than its first bytes.
func unpack(resp *http.Response) (coding string, err error) {
	coding = strings.ToLower(strings.TrimSpace(strings.Join(resp.Header.Values("Content-Encoding"), ", ")))
	packed := resp.Body
	var plain io.Reader
	switch coding {
	case "", "identity":
		return "", nil
	case "gzip", "x-gzip":
		in := bufio.NewReader(packed)
		if _, err := in.Peek(1); errors.Is(err, io.EOF) {
			return "", nil // nothing is packed as nothing
		}
		if plain, err = gzip.NewReader(in); err != nil {
			return "", fmt.Errorf("unpack the response: %w", err)
		}
	case "br":
		plain = brotli.NewReader(packed)
	default:
		return coding, nil
	}
	resp.ContentLength = -1
	resp.Body = struct {
		io.Reader
		io.Closer
	}{plain, packed}
	return "", nil
}

func ofType(media string) string {
	if media == "" {
		return ""
	}
	return " of " + media
}

// decoder reads one response. over says that more than limit bytes came.
type decoder struct {
	op      *Operation
	limit   int64
	size    int64 // as announced; -1 if it was not
	over    bool
	charset string
}

// bytes says how long the response is, as far as that is known.
func (d *decoder) bytes() string {
	if d.size > d.limit {
		return fmt.Sprintf("%d bytes", d.size)
	}
	return fmt.Sprintf("more than %d bytes", d.limit)
}

func looksLikeText(data []byte, over bool) bool {
	if over {
		data = wholeRunes(data, "")
	}
	return utf8.Valid(data) && bytes.IndexByte(data, 0) < 0
}

// isText reports whether bytes of a media type are characters.
func isText(media string) bool {
	switch media {
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-seq", "application/javascript", "application/ecmascript",
		"application/yaml", "application/x-yaml", "application/toml", "application/graphql", "application/sql", "application/x-sh",
		"application/x-pem-file", "application/csv", formType:
		return true
	}
	return strings.HasPrefix(media, "text/") || isXML(media) || strings.HasSuffix(media, "+yaml")
}

// text reads text in its character set, or as much of it as came.
func (d *decoder) text(r *Response, data []byte) {
	if d.over {
		data = wholeRunes(data, d.charset)
	}
	plain, known := decodeCharset(data, d.charset)
	if data = plain; !known {
		r.Note = fmt.Sprintf("the character set %q is not known, so the text was read as UTF-8", shorten(d.charset, 40))
	}
	if int64(len(data)) > d.limit { // UTF-8 may be longer
		data, d.over = wholeRunes(data[:d.limit], ""), true
	}
	if !utf8.Valid(data) {
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
		r.Note = both(r.Note, "bytes that are not UTF-8 were replaced")
	}
	r.Text = string(data)
	if d.over {
		r.Note = both(r.Note, fmt.Sprintf("the response is %s and was cut to %d%s", d.bytes(), len(data), d.op.narrowing()))
	}
}

// wholeRunes drops a rune that was cut at the end, of a text in UTF-8.
func wholeRunes(data []byte, charset string) []byte {
	if !isUTF8(charset) {
		return data
	}
	for back := 1; back < utf8.UTFMax && back <= len(data); back++ {
		if c := data[len(data)-back]; utf8.RuneStart(c) {
			if !utf8.FullRune(data[len(data)-back:]) {
				return data[:len(data)-back]
			}
			break
		}
	}
	return data
}

func both(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// narrowingNames are names, without marks and capitals, of arguments that make
// answers smaller.
var narrowingNames = []string{
	"limit", "page", "perpage", "pagesize", "pagelimit", "size", "first", "last", "count", "top", "max", "maxresults", "maxitems", "offset", "cursor", "skip",
	"startingafter", "endingbefore", "after", "before", "fields", "select", "include", "expand", "filter", "q", "query", "search", "since", "until",
}

// narrowing names the operation's arguments that look as if they could make the
// answer smaller, as the end of a note.
func (op *Operation) narrowing() string {
	var names []string
	for _, p := range op.params {
		name := strings.Trim(bare(p.Property), "$")
		if p.In == "query" && len(names) < 6 && (slices.Contains(narrowingNames, name) || strings.HasPrefix(name, "filter")) {
			names = append(names, p.Property)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; these arguments may narrow it: " + strings.Join(names, ", ")
}
