package strictjson

import (
	"fmt"
	"strconv"
	"strings"
)

// maxNumber is how many bytes a number may have: 256-bit integers fit.
const maxNumber = 128

// CanonicalNumber writes a JSON number as ECMAScript writes the double nearest
// to it (RFC 8785 §3.2.2.3) if that form names the same number, else with all
// its own digits in the same style. The reason says why a number is refused.
func CanonicalNumber(literal string) (canonical, reason string) {
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
