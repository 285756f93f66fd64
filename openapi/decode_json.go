package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"

	"github.com/exeat/exeat/openapi/strictjson"
)

// carriesJSON are media types that servers give to JSON when they give none.
var carriesJSON = []string{"text/plain", "application/octet-stream", "binary/octet-stream", "text/javascript", "application/javascript", "application/x-javascript"}

// jsonUnderAnotherName reports whether bytes that came as text or octets are JSON:
// they parse whole, and are an object or array, or the document says that answers
// are JSON.
func (d *decoder) jsonUnderAnotherName(media string, data []byte) bool {
	if !slices.Contains(carriesJSON, media) {
		return false
	}
	plain, _ := decodeCharset(data, d.charset)
	if d.over {
		return d.op.saysJSON && isNested(plain)
	}
	return (d.op.saysJSON || isNested(plain)) && json.Valid(plain)
}

func (d *decoder) looksLikeJSON(data []byte) bool {
	if d.over {
		return isNested(data)
	}
	return json.Valid(data)
}

// isNested reports whether a text begins as a JSON object or array.
func isNested(data []byte) bool {
	first := strictjson.SkipSpace(data, 0)
	return first < len(data) && (data[first] == '{' || data[first] == '[')
}

// isUTF8 reports a character set whose texts are UTF-8 as they are.
func isUTF8(charset string) bool {
	return slices.Contains([]string{"", "utf-8", "utf8", "us-ascii"}, strings.ToLower(charset))
}

// decodeCharset turns bytes into UTF-8. A byte order mark counts more than the
// character set's name; what is not known is taken for UTF-8.
func decodeCharset(data []byte, charset string) (plain []byte, known bool) {
	switch {
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		charset = "utf-16be"
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		charset = "utf-16le"
	}
	plain, known = data, true
	if !isUTF8(charset) {
		known = false
		if encoding, err := htmlindex.Get(charset); err == nil {
			if decoded, err := encoding.NewDecoder().Bytes(data); err == nil {
				plain, known = decoded, true
			}
		}
	}
	return bytes.TrimPrefix(plain, []byte("\uFEFF")), known
}

// json reads a JSON response, or as much of it as came.
func (d *decoder) json(r *Response, data []byte) {
	data, _ = decodeCharset(data, d.charset)
	if d.charset = ""; int64(len(data)) > d.limit { // UTF-8 may be longer
		data, d.over = data[:d.limit], true
	}
	if !d.over {
		if !json.Valid(data) {
			d.text(r, data)
			r.Note = both("the API said that this is JSON, but it is not", r.Note)
			return
		}
		if deep(data) {
			d.text(r, data)
			r.Note = both(fmt.Sprintf("this is JSON nested deeper than %d, so it is given as text", maxResponseDepth), r.Note)
			return
		}
		r.JSON = bytes.TrimSpace(data)
	} else {
		kept, where, ok := truncateJSON(data)
		if !ok {
			d.text(r, data)
			r.Note = both("the API said that this is JSON, but it is not, or it is one long text", r.Note)
			return
		}
		r.JSON = kept
		r.Note = fmt.Sprintf("the response is %s and was cut to %d: %s%s", d.bytes(), len(kept), where, d.op.narrowing())
	}
	if !utf8.Valid(r.JSON) {
		r.JSON = bytes.ToValidUTF8(r.JSON, []byte("\uFFFD"))
		r.Note = both(r.Note, "bytes that are not UTF-8 were replaced")
	}
}
