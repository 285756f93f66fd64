package strictjson

import (
	"strings"
	"unicode/utf8"
)

// CompareUTF16 orders texts by their UTF-16 code units. That is the order of
// their bytes, but for characters above U+FFFF, whose surrogates come before
// U+E000.
func CompareUTF16(a, b string) int {
	n := min(len(a), len(b))
	i := 0
	for i < n && a[i] == b[i] {
		i++
	}
	if i == n {
		return len(a) - len(b)
	}
	for i > 0 && !utf8.RuneStart(a[i]) { // to the start of the rune that differs
		i--
	}
	ra, _ := utf8.DecodeRuneInString(a[i:])
	rb, _ := utf8.DecodeRuneInString(b[i:])
	if high := ra > 0xFFFF; high != (rb > 0xFFFF) {
		if high {
			return int(0xD800 - rb)
		}
		return int(ra - 0xD800)
	}
	return int(ra - rb)
}

const hexDigits = "0123456789abcdef"

// AppendQuoted writes a JSON string with the fewest escapes (RFC 8785 §3.2.2.2). It does
// not mend what is no UTF-8.
func AppendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		if j := strings.IndexByte("\"\\\b\f\n\r\t", c); j >= 0 {
			b = append(b, '\\', "\"\\bfnrt"[j])
		} else {
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(b, s[from:]...), '"')
}
