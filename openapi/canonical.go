package openapi

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// appendCanonical writes a decoded JSON value in the form of RFC 8785: no white
// space, keys in the order of their UTF-16 code units, shortest strings, and
// numbers as ECMAScript writes doubles. A number that no double holds exactly
// is written with all its digits instead of another number.
func appendCanonical(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return appendString(b, v), nil
	case json.Number:
		s, err := canonicalNumber(v)
		return append(b, s...), err
	case []any:
		b = append(b, '[')
		for i, x := range v {
			if i > 0 {
				b = append(b, ',')
			}
			var err error
			if b, err = appendCanonical(b, x); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case map[string]any:
		b = append(b, '{')
		for i, k := range utf16Keys(v) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, k), ':')
			var err error
			if b, err = appendCanonical(b, v[k]); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	}
	return nil, fmt.Errorf("a %T is no JSON value", v)
}

func utf16Keys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	ascii := true
	for k := range m {
		keys = append(keys, k)
		for i := 0; i < len(k); i++ {
			ascii = ascii && k[i] < 0x80
		}
	}
	if ascii {
		slices.Sort(keys)
		return keys
	}
	slices.SortFunc(keys, func(a, b string) int {
		return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
	})
	return keys
}

const hexDigits = "0123456789abcdef"

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\b':
			b = append(b, '\\', 'b')
		case c == '\t':
			b = append(b, '\\', 't')
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\f':
			b = append(b, '\\', 'f')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// canonicalNumber writes a number: ECMAScript's form if a double holds it
// exactly, else an integer's or a decimal's plain digits.
func canonicalNumber(n json.Number) (string, error) {
	f, err := n.Float64()
	if err != nil || math.IsInf(f, 0) {
		return "", fmt.Errorf("the number %.40s is out of bounds", n)
	}
	short := ecmaNumber(f)
	if len(n) <= 15 {
		return short, nil // a double holds 15 digits
	}
	exact, ok := new(big.Rat).SetString(n.String())
	if !ok {
		return "", fmt.Errorf("the number %.40s cannot be read", n)
	}
	// The form that a double prints as may stand for more digits than it has.
	if again, ok := new(big.Rat).SetString(short); ok && again.Cmp(exact) == 0 {
		return short, nil
	}
	if exact.IsInt() {
		return exact.Num().String(), nil
	}
	digits, _ := exact.FloatPrec()
	return exact.FloatString(digits), nil
}

// ecmaNumber is Number::toString of ECMA-262, as RFC 8785 §3.2.2.3 asks.
func ecmaNumber(f float64) string {
	if f == 0 {
		return "0"
	}
	format := byte('f')
	if abs := math.Abs(f); abs < 1e-6 || abs >= 1e21 {
		format = 'e'
	}
	s := strconv.FormatFloat(f, format, -1, 64)
	if format == 'e' {
		// 1e-09 is written 1e-9, and 1e+21 stays.
		if mantissa, exp, ok := strings.Cut(s, "e"); ok {
			s = mantissa + "e" + exp[:1] + strings.TrimLeft(exp[1:], "0")
		}
	}
	return s
}
