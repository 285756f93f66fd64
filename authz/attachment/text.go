package attachment

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// Bounds of what is shown of a file's text.
const (
	maxLines = 12
	maxText  = 1200 // bytes
)

// FirstLines is the beginning of a file that is text, with line feeds between its
// lines, and how many bytes follow; "" if it is none.
func FirstLines(kind string, b []byte) (text string, more int) {
	if !isText(kind) || !utf8.Valid(b) {
		return "", 0
	}
	end := 0
	for range maxLines {
		i := bytes.IndexByte(b[end:], '\n')
		if i < 0 {
			end = len(b)
			break
		}
		end += i + 1
	}
	if end > maxText {
		for end = maxText; !utf8.RuneStart(b[end]); end-- {
		}
	}
	text = strings.ReplaceAll(string(b[:end]), "\r\n", "\n")
	return strings.TrimSuffix(text, "\n"), len(b) - end
}

// FromBase64 are the bytes of base64 text, in either alphabet and with or without
// padding; ok is false if it is none.
func FromBase64(s string) (b []byte, ok bool) {
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if b, err := encoding.Strict().DecodeString(s); err == nil && !strings.ContainsAny(s, "\r\n") {
			return b, true
		}
	}
	return nil, false
}
