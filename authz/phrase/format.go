package phrase

import (
	"regexp"
	"strings"
	"time"

	"golang.org/x/text/currency"

	"github.com/exeat/exeat/authz/words"
)

var decimal = regexp.MustCompile(`^-?[0-9]{1,40}(\.[0-9]{1,20})?$`)

// format is a value that exeat writes itself, from what was checked to be digits; false
// if it is shown as it came.
func (v Value) format(l words.Language) (string, bool) {
	switch v.Kind {
	case Number:
		if decimal.MatchString(v.Text) {
			_, point := l.Marks()
			return strings.Replace(v.Text, ".", point, 1), true
		}
	case Money:
		return v.money(l)
	case Date:
		if t, err := time.Parse(time.DateOnly, v.Text); err == nil {
			return l.Date(t), true
		}
		if t, err := time.Parse(time.RFC3339, v.Text); err == nil {
			return l.Date(t) + ", " + t.Format("15:04:05 Z07:00"), true
		}
	case Bool:
		switch v.Text {
		case "true":
			return l.Say("yes"), true
		case "false":
			return l.Say("no"), true
		}
	}
	return "", false
}

// symbols are signs that stand for one currency alone, as far as people know.
var symbols = map[string]string{"EUR": "€", "GBP": "£"}

// money is an amount in its currency, with the currency's digits if it is known in which
// unit it counts.
func (v Value) money(l words.Language) (string, bool) {
	unit, err := currency.ParseISO(v.Unit)
	if err != nil || !decimal.MatchString(v.Text) {
		return "", false
	}
	amount, code := v.Text, unit.String()
	if !v.Exact {
		scale, _ := currency.Standard.Rounding(unit)
		amount = pad(amount, scale)
		if s := symbols[code]; s != "" {
			code = s
		}
	}
	amount = group(l, amount)
	if l.Tag() == "en" && !v.Exact {
		return code + " " + amount, true
	}
	return amount + " " + code, true
}

// pad gives a number at least so many digits behind its point.
func pad(s string, scale int) string {
	whole, fraction, _ := strings.Cut(s, ".")
	for len(fraction) < scale {
		fraction += "0"
	}
	if fraction == "" {
		return whole
	}
	return whole + "." + fraction
}

// group writes a number with the marks of a language.
func group(l words.Language, s string) string {
	thousands, point := l.Marks()
	whole, fraction, has := strings.Cut(s, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + thousands + whole[i:]
	}
	if has {
		whole += point + fraction
	}
	return sign + whole
}

// FromMinor is an amount that counts the smallest unit of its currency, such as cents,
// as one of the currency; false if that cannot be told.
func FromMinor(amount, code string) (string, bool) {
	unit, err := currency.ParseISO(code)
	if err != nil || !decimal.MatchString(amount) || strings.Contains(amount, ".") {
		return "", false
	}
	scale, _ := currency.Standard.Rounding(unit)
	if scale == 0 {
		return amount, true
	}
	sign := ""
	if strings.HasPrefix(amount, "-") {
		sign, amount = "-", amount[1:]
	}
	for len(amount) <= scale {
		amount = "0" + amount
	}
	return sign + amount[:len(amount)-scale] + "." + amount[len(amount)-scale:], true
}

// IsCurrency reports whether a text is a code of ISO 4217.
func IsCurrency(code string) bool {
	_, err := currency.ParseISO(code)
	return err == nil && len(code) == 3
}
