package openapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// appendCanonical writes a value from parseStrict in the form of RFC 8785: no
// white space, keys in the order of their UTF-16 code units, shortest strings.
// Its numbers are in their canonical form already.
func appendCanonical(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return appendQuoted(b, v)
	case json.Number:
		return append(b, v...)
	case []any:
		b = append(b, '[')
		for i, x := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendCanonical(b, x)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		for i, k := range canonicalKeys(v) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendQuoted(b, k), ':')
			b = appendCanonical(b, v[k])
		}
		return append(b, '}')
	}
	panic(fmt.Sprintf("openapi: %T is no decoded JSON value", v))
}

// canonicalKeys lists the keys of an object in the order of RFC 8785 §3.2.3.
func canonicalKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareUTF16)
	return keys
}

// compareUTF16 orders texts by their UTF-16 code units. That is the order of
// their bytes, but for characters above U+FFFF, whose surrogates come before
// U+E000.
func compareUTF16(a, b string) int {
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

// appendQuoted writes a JSON string with the fewest escapes (RFC 8785 §3.2.2.2).
func appendQuoted(b []byte, s string) []byte {
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

// canonicalNumber writes a JSON number as ECMAScript writes the double nearest
// to it (RFC 8785 §3.2.2.3) if that form names the same number, else with all
// its own digits in the same style. The reason says why a number is refused.
func canonicalNumber(literal string) (canonical, reason string) {
	if len(literal) > maxNumber {
		return "", fmt.Sprintf("is a number of %d characters; at most %d are accepted", len(literal), maxNumber)
	}
	if isSmallInteger(literal) {
		return literal, ""
	}
	exact, ok := parseDecimal(literal)
	f, err := strconv.ParseFloat(literal, 64)
	if !ok || err != nil || f == 0 && exact.digits != "" {
		return "", "is a number beyond the range of a double"
	}
	if exact.digits == "" {
		return "0", "" // also -0
	}
	shortest, _ := parseDecimal(strconv.FormatFloat(f, 'e', -1, 64))
	if shortest != exact && exact.point > len(exact.digits) && exact.point <= maxNumber {
		exact.digits += strings.Repeat("0", exact.point-len(exact.digits))
	}
	if shortest != exact && exact.point == len(exact.digits) {
		return exact.sign() + exact.digits, "" // an integer stays one
	}
	return exact.String(), ""
}

// isSmallInteger reports whether a number is an integer of at most 15 digits,
// which every double holds and which is canonical as it stands.
func isSmallInteger(literal string) bool {
	digits := strings.TrimPrefix(literal, "-")
	if len(digits) > 15 || literal == "-0" {
		return false
	}
	return strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

// decimal is the number 0.digits × 10^point, exactly. It has no zeros at either
// end of its digits, so equal numbers are equal decimals; zero has no digits.
type decimal struct {
	negative bool
	digits   string
	point    int
}

// parseDecimal reads a number in JSON's syntax. It fails if the exponent is out
// of all reason.
func parseDecimal(literal string) (decimal, bool) {
	d := decimal{negative: strings.HasPrefix(literal, "-")}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(literal, "-")), "e")
	if exponent != "" {
		e, err := strconv.Atoi(exponent)
		if err != nil || e > 1000 || e < -1000 {
			return d, strings.Trim(mantissa, "0.") == "" && err == nil
		}
		d.point = e
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	d.point += len(whole)
	all := whole + fraction
	d.digits = strings.TrimLeft(all, "0")
	d.point -= len(all) - len(d.digits)
	d.digits = strings.TrimRight(d.digits, "0")
	if d.digits == "" {
		return decimal{}, true
	}
	return d, true
}

func (d decimal) sign() string {
	if d.negative {
		return "-"
	}
	return ""
}

// String writes the number in the layout of ECMA-262, Number::toString.
func (d decimal) String() string {
	k, n := len(d.digits), d.point
	switch {
	case k <= n && n <= 21:
		return d.sign() + d.digits + strings.Repeat("0", n-k)
	case n > 0 && n <= 21:
		return d.sign() + d.digits[:n] + "." + d.digits[n:]
	case n > -6 && n <= 0:
		return d.sign() + "0." + strings.Repeat("0", -n) + d.digits
	}
	mantissa := d.digits[:1]
	if k > 1 {
		mantissa += "." + d.digits[1:]
	}
	return fmt.Sprintf("%s%se%+d", d.sign(), mantissa, n-1)
}
