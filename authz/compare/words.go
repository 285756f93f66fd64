package compare

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Run is a part of a text that stays, goes or comes: Same, Removed or Added.
type Run struct {
	Op   Op     `json:"op"`
	Text string `json:"text"`
}

// Words compares two texts by their words. What stays and goes is the first text, what
// stays and comes the second.
func Words(was, is string) []Run {
	a, b := tokens(was), tokens(is)
	numbers := map[string]int{}
	number := func(list []string) (out []int) {
		for _, s := range list {
			if numbers[s] == 0 {
				numbers[s] = len(numbers) + 1
			}
			out = append(out, numbers[s])
		}
		return out
	}
	left := steps(maxSteps)
	var w weaver
	i, j := 0, 0
	for _, p := range append(left.common(number(a), number(b)), pair{len(a), len(b)}) {
		w.change(strings.Join(a[i:p.a], ""), strings.Join(b[j:p.b], ""))
		if p.a < len(a) {
			w.keep(a[p.a])
		}
		i, j = p.a+1, p.b+1
	}
	return w.end()
}

// tokens are the words of a text and what is between them.
func tokens(s string) (out []string) {
	begin, kind := 0, 0
	for i, r := range s {
		k := 3 // stands alone
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == '_':
			k = 1
		case r == ' ' || r == '\t':
			k = 2
		}
		if i > 0 && (k != kind || k == 3) {
			out, begin = append(out, s[begin:i]), i
		}
		kind = k
	}
	if s != "" {
		out = append(out, s[begin:])
	}
	return out
}

// weaver puts runs together.
type weaver struct {
	out              []Run
	kept, gone, came strings.Builder
	inside           bool // a change has begun
}

func (w *weaver) change(gone, came string) {
	if gone == "" && came == "" {
		return
	}
	if w.kept.Len() > 0 {
		if text := w.kept.String(); w.inside && lone(text) { // between two changes: it only makes them hard to read
			w.gone.WriteString(text)
			w.came.WriteString(text)
		} else {
			w.flush()
			w.out = append(w.out, Run{Same, text})
		}
		w.kept.Reset()
	}
	w.gone.WriteString(gone)
	w.came.WriteString(came)
	w.inside = true
}

func (w *weaver) keep(s string) { w.kept.WriteString(s) }

// flush ends a change.
func (w *weaver) flush() {
	if w.gone.Len() > 0 {
		w.out = append(w.out, Run{Removed, w.gone.String()})
	}
	if w.came.Len() > 0 {
		w.out = append(w.out, Run{Added, w.came.String()})
	}
	w.gone.Reset()
	w.came.Reset()
	w.inside = false
}

func (w *weaver) end() []Run {
	w.flush()
	if w.kept.Len() > 0 {
		w.out = append(w.out, Run{Same, w.kept.String()})
	}
	return w.out
}

// lone reports text that is too little to be read between two changes.
func lone(s string) bool {
	return len(s) <= utf8.UTFMax && strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsPunct(r) }) == ""
}
