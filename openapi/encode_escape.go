package openapi

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/exeat/exeat/openapi/strictjson"
)

// Characters that stay as they are beside RFC 3986's unreserved ones.
const (
	// fixedPlain may stand in the fixed parts of a path and its query.
	fixedPlain = "/:@!$&'()*+,;=%?"
	// reservedPlain is what allowReserved leaves alone in a query. The rest of
	// the reserved characters (# & + ; [ ] and %) would end the value, or be
	// read as something else, so they stay encoded.
	reservedPlain = ":/?@!$'()*,="
)

// escapeText percent-encodes all but unreserved characters and those in plain.
func escapeText(s, plain string) string {
	stays := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			c == '-' || c == '.' || c == '_' || c == '~' || strings.IndexByte(plain, c) >= 0
	}
	i := 0
	for i < len(s) && stays(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	const upperHex = "0123456789ABCDEF"
	b := append(make([]byte, 0, len(s)+16), s[:i]...)
	for ; i < len(s); i++ {
		if c := s[i]; stays(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(b)
}

// escapeFixed encodes what a document wrote into a path without encoding it.
// Its percent signs stand if they are encodings.
func escapeFixed(s string) string {
	if _, whole := unpercent(s); whole {
		return escapeText(s, fixedPlain)
	}
	return escapeText(s, strings.ReplaceAll(fixedPlain, "%", ""))
}

// unpercent decodes percent-encoding once, also the %uXXXX that some servers
// read. What is no encoding stays; whole is false if there was any such %.
func unpercent(s string) (decoded string, whole bool) {
	if strings.IndexByte(s, '%') < 0 {
		return s, true
	}
	b := make([]byte, 0, len(s))
	whole = true
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
		} else if r, ok := hexAt(s, i+1, 2); ok {
			b = append(b, byte(r))
			i += 2
		} else if r, ok := hexAt(s, i+2, 4); ok && (s[i+1] == 'u' || s[i+1] == 'U') {
			b = utf8.AppendRune(b, r)
			i += 5
		} else {
			b, whole = append(b, '%'), false
		}
	}
	return string(b), whole
}

func hexAt(s string, i, n int) (rune, bool) {
	if i+n > len(s) {
		return 0, false
	}
	v := rune(0)
	for _, c := range []byte(s[i : i+n]) {
		h, ok := strictjson.HexValue(c)
		if !ok {
			return 0, false
		}
		v = v<<4 | h
	}
	return v, true
}

// maxDecodings is how often a path segment may be percent-decoded until it
// stays the same. More than twice has no honest use.
const maxDecodings = 4

// unsafeSegment says why a path segment could be taken for another path by a
// reader that decodes it once more than it should, or "" if none could: it is
// looked at in each of its decodings, and in Unicode's compatibility form, which
// some servers map full-width dots and slashes to.
func unsafeSegment(segment string) string {
	for range maxDecodings {
		if reason := unsafeText(segment); reason != "" {
			return reason
		}
		next, _ := unpercent(segment)
		if next == segment {
			return ""
		}
		segment = next
	}
	return "is percent-encoded too often"
}

func unsafeText(s string) string {
	switch {
	case s == "":
		return "is empty"
	case !utf8.ValidString(s):
		return "is not UTF-8 when decoded"
	case hasControl(s):
		return "holds a control character"
	}
	if compatible := norm.NFKC.String(s); compatible != s {
		if reason := unsafeText(compatible); reason != "" {
			return reason
		}
	}
	if strings.ContainsAny(s, `/\`) {
		return "holds a slash or backslash"
	}
	// ..;x is .. to servers that cut path parameters off.
	if name, _, _ := strings.Cut(s, ";"); name != "" && strings.Trim(name, ". ") == "" {
		return "is made of dots or spaces"
	}
	return ""
}

// hasControl reports a C0, DEL or C1 control character, or a line separator.
func hasControl(s string) bool {
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return true
		}
	}
	return false
}
