package inbox

import (
	"math/big"
	"regexp"
	"slices"

	"github.com/exeat/exeat/authz/phrase"
)

// decimalText is an amount that can be compared; nothing else is read as a number.
var decimalText = regexp.MustCompile(`^-?[0-9]{1,80}(\.[0-9]{1,80})?$`)

// amounts are the largest amounts of money that a call's sentence names, by currency,
// whichever their sign. A currency whose amount cannot be read has none: nil.
func (v HoldView) amounts() map[string]*big.Rat {
	values := []phrase.Value{}
	for _, x := range v.Phrase.Values {
		values = append(values, x)
	}
	for _, t := range v.Phrase.Things {
		values = append(values, t.Facts...)
	}
	if v.Phrase.Is != nil {
		values = append(values, *v.Phrase.Is)
	}
	found := map[string]*big.Rat{}
	for _, x := range values {
		if x.Kind != phrase.Money {
			continue
		}
		if !decimalText.MatchString(x.Text) || x.Size > 0 {
			found[x.Unit] = nil
			continue
		}
		n, _ := new(big.Rat).SetString(x.Text)
		n.Abs(n)
		if most, known := found[x.Unit]; !known || most != nil && n.Cmp(most) > 0 {
			found[x.Unit] = n
		}
	}
	return found
}

// larger are the rows that must not hide behind the first one of a line: of each currency
// the one with the largest amount, if that is more than the first says, and each whose
// amount cannot be compared.
func larger(rows []row) (out []row) {
	most, at := rows[0].amounts(), map[string]int{}
	for i, r := range rows[1:] {
		for unit, n := range r.amounts() {
			known, ok := most[unit]
			switch {
			case n == nil:
				at[unit+" "+r.ID] = i + 1
			case !ok || known == nil || n.Cmp(known) > 0:
				most[unit], at[unit] = n, i+1
			}
		}
	}
	for i, r := range rows {
		for _, j := range at {
			if i == j {
				out = append(out, r)
				break
			}
		}
	}
	return out
}

// unfold takes what must not hide out of what a line folds away.
func (l line) unfold(rest []row) line {
	l.Larger = larger(append([]row{l.row}, rest...))
	rest = slices.DeleteFunc(rest, func(r row) bool {
		return slices.ContainsFunc(l.Larger, func(x row) bool { return x.ID == r.ID })
	})
	l.Others = rest[:min(len(rest), perFold-1)]
	return l
}
