package inbox

import (
	"fmt"
	"slices"
	"strings"

	"github.com/exeat/exeat/authz/compare"
)

// Bounds of lines: how many there are before what is left is put together as text, how
// deep they go before a value is shown as JSON, how many are shown at once, and how
// long a value is before it is folded, in characters.
const (
	maxLines   = 2000
	maxNested  = 12
	firstLines = 8
	longValue  = 160
)

// The kinds of lines beside those of [compare.Op].
const (
	opWithin = "within" // lines below tell what becomes of what is in it
	opRest   = "rest"   // Is tells many more, a line each
	opStep   = "step"   // an operation of a patch
)

// DiffLine is one line of differences. They are a tree: a line of the kind "within" is
// followed by those of a greater depth.
type DiffLine struct {
	Depth int      `json:"depth,omitempty"`
	Op    string   `json:"op"`
	Path  []string `json:"path,omitempty"` // within the line before of lesser depth; "" is the whole
	Was   *string  `json:"was,omitempty"`
	Is    *string  `json:"is,omitempty"`
	// WasKind and IsKind are the kinds of the values, where they do not show.
	WasKind string        `json:"was_kind,omitempty"`
	IsKind  string        `json:"is_kind,omitempty"`
	Words   []compare.Run `json:"-"` // of two long texts
	// Count is how many differences are in the text of "rest", and Number that of a list's item.
	Count  int  `json:"count,omitempty"`
	Number int  `json:"number,omitempty"`
	From   int  `json:"from,omitempty"` // the item's number before, if it moved
	Same   bool `json:"same_number,omitempty"`
}

// lister makes lines of a change: of what differs, or of what stays.
type lister struct {
	lines  []DiffLine
	stays  bool
	at     []string // the path of the line that others stand under
	rest   strings.Builder
	beyond int // differences in rest
}

// diffLines are the lines of what becomes of a value, and those of what stays in it.
func diffLines(c compare.Change) (changes, same []DiffLine) {
	for _, stays := range []bool{false, true} {
		l := lister{stays: stays}
		for _, x := range c.Within {
			l.add(x, 0, nil)
		}
		if c.Within == nil && (c.Op == compare.Same) == stays {
			l.whole(c)
		}
		if l.beyond > 0 {
			text := strings.TrimPrefix(l.rest.String(), "; ")
			l.lines = append(l.lines, DiffLine{Op: opRest, Is: &text, Count: l.beyond})
		}
		if stays {
			same = l.lines
		} else {
			changes = l.lines
		}
	}
	return changes, same
}

// whole adds a value that is not compared by its parts.
func (l *lister) whole(c compare.Change) {
	v := c.Is
	if v == nil {
		v = c.Was
	}
	if parts := childrenOf(v, c.Op); len(parts) > 0 && c.Op != compare.Changed {
		for _, x := range parts {
			l.add(x, 0, nil)
		}
		return
	}
	l.leaf(c, 0, []string{""})
}

// add adds a change with what is within it. above is the path from the line that it
// stands under.
func (l *lister) add(c compare.Change, depth int, above []string) {
	if (c.Op == compare.Same) != l.stays && !(l.stays && c.Within != nil) {
		return
	}
	path := append(slices.Clone(above), nameOf(c))
	if len(l.lines) >= maxLines {
		l.remember(c, slices.Concat(l.at, above))
		return
	}
	parts := c.Within
	switch {
	case c.Op == compare.Moved:
		parts = nil
	case parts == nil && c.Op == compare.Changed && opens(c):
		l.replace(c, depth, path)
		return
	case parts == nil && c.Op != compare.Changed:
		if v := cmpOr(c.Is, c.Was); len(l.lines)+v.Size() <= maxLines {
			parts = childrenOf(v, c.Op)
		}
	}
	parts = slices.DeleteFunc(slices.Clone(parts), func(x compare.Change) bool {
		return (x.Op == compare.Same) != l.stays && !(l.stays && x.Within != nil)
	})
	switch {
	case len(parts) == 0 && l.stays && c.Op != compare.Same: // nothing in it stays
	case len(parts) == 0 || depth >= maxNested:
		l.leaf(c, depth, path)
	case len(parts) == 1 && !c.Item && !parts[0].Item && len(path) < 4:
		l.add(parts[0], depth, path)
	default:
		line := DiffLine{Depth: depth, Op: opWithin, Path: path}
		number(&line, c)
		if c.Op == compare.Added || c.Op == compare.Removed {
			line.Op = string(c.Op)
		}
		at, outer := len(l.lines), l.at
		l.lines = append(l.lines, line)
		l.at = append(slices.Concat(l.at, above), stepOf(c))
		for _, x := range parts {
			l.add(x, depth+1, nil)
		}
		if l.at = outer; at == len(l.lines)-1 && l.stays && at+1 < maxLines {
			l.lines = l.lines[:at] // in the end nothing in it stays
		}
	}
}

// opens reports whether one of two values that are not alike is shown in parts.
func opens(c compare.Change) bool {
	return len(childrenOf(c.Was, compare.Removed))+len(childrenOf(c.Is, compare.Added)) > 0
}

// replace tells of a value that another kind of value takes the place of.
func (l *lister) replace(c compare.Change, depth int, path []string) {
	l.add(compare.Change{Op: compare.Removed, Name: c.Name, Item: c.Item, From: c.From, To: -1, Was: c.Was}, depth, path[:len(path)-1])
	l.add(compare.Change{Op: compare.Added, Name: c.Name, Item: c.Item, From: -1, To: c.To, Is: c.Is}, depth, path[:len(path)-1])
}

// leaf adds a line with its values.
func (l *lister) leaf(c compare.Change, depth int, path []string) {
	line := DiffLine{Depth: depth, Op: string(c.Op), Path: path, Was: shownValue(c.Was), Is: shownValue(c.Is)}
	number(&line, c)
	switch {
	case c.Op == compare.Same || c.Op == compare.Moved:
		line.Was = nil
		line.IsKind = kindOf(c.Is)
	case c.Op == compare.Changed && c.Was.Kind != c.Is.Kind:
		if c.Was.Kind != compare.Hidden && c.Is.Kind != compare.Hidden {
			line.WasKind, line.IsKind = string(c.Was.Kind), string(c.Is.Kind)
		}
	case c.Op == compare.Changed:
		line.Same = c.Was.Kind == compare.Number && compare.SameNumber(c.Was.Text, c.Is.Text)
	default:
		line.WasKind, line.IsKind = kindOf(c.Was), kindOf(c.Is)
	}
	l.lines = append(l.lines, line)
}

// remember puts a difference into the text of the rest: its place and both values, all
// as JSON, so that nothing in them can look like another.
func (l *lister) remember(c compare.Change, in []string) {
	path := append(slices.Clone(in), stepOf(c))
	for _, x := range c.Within {
		if (x.Op == compare.Same) == l.stays || l.stays && x.Within != nil {
			l.remember(x, path)
		}
	}
	if c.Within != nil {
		return
	}
	l.beyond++
	l.rest.WriteString("; " + strings.Join(path, ".") + ": ")
	if c.Was != nil && c.Op != compare.Same {
		l.rest.WriteString(c.Was.JSON())
	}
	if c.Op != compare.Same {
		l.rest.WriteString(" → ")
	}
	if c.Is != nil {
		l.rest.WriteString(c.Is.JSON())
	}
}

// stepOf is a change's place in what it is in, in one word.
func stepOf(c compare.Change) string {
	if c.Item {
		return fmt.Sprintf("[%d]", max(c.From, c.To)+1)
	}
	return child("", c.Name)
}

// childrenOf are what is in a value that comes, goes or stays as a whole.
func childrenOf(v *compare.Value, op compare.Op) (out []compare.Change) {
	if v == nil {
		return nil
	}
	one := func(name string, i int, x *compare.Value) {
		c := compare.Change{Op: op, Name: name, Item: i >= 0, From: -1, To: -1}
		if op != compare.Removed {
			c.Is, c.To = x, i
		}
		if op != compare.Added {
			c.Was, c.From = x, i
		}
		out = append(out, c)
	}
	for _, m := range v.Members {
		one(m.Name, -1, m.Value)
	}
	for i, x := range v.Items {
		one("", i, x)
	}
	return out
}

// nameOf is what a change is called within what it is in; an item has a number.
func nameOf(c compare.Change) string {
	if c.Item {
		return ""
	}
	return child("", c.Name)
}

// number gives a line the number of its item, counted from 1.
func number(line *DiffLine, c compare.Change) {
	if !c.Item {
		return
	}
	if line.Number = c.To + 1; c.To < 0 {
		line.Number = c.From + 1
	}
	if c.Elsewhere {
		line.From = c.From + 1
	}
}

// shownValue is a value as a person reads it.
func shownValue(v *compare.Value) *string {
	if v == nil {
		return nil
	}
	s := v.Text
	switch v.Kind {
	case compare.List, compare.Object:
		s = v.JSON()
	case compare.Hidden:
		if s = v.Text; s == "" {
			s = masked
		}
	}
	return &s
}

// kindOf is the kind of a text that reads like another value; "" of all else.
func kindOf(v *compare.Value) string {
	if v == nil || v.Kind != compare.Text {
		return ""
	}
	if x, err := compare.Parse([]byte(v.Text)); err == nil && x.Kind != compare.Text || v.Quoted {
		return string(compare.Text)
	}
	return ""
}

func cmpOr(a, b *compare.Value) *compare.Value {
	if a != nil {
		return a
	}
	return b
}

// Compare the words of texts that are longer than this, unless they have next to
// nothing in common.
const (
	longText  = 48
	maxCommon = 4 // one in so many characters must stay
)

// findWords compares long texts by their words. It comes after what must not be seen is
// hidden, and after the texts are as they are shown.
func findWords(lines []DiffLine) {
	for i := range lines {
		line := &lines[i]
		if line.Op != string(compare.Changed) || line.Was == nil || line.Is == nil || line.WasKind != "" || line.IsKind != "" || len(*line.Was)+len(*line.Is) < 2*longText {
			continue
		}
		runs, stays := compare.Words(*line.Was, *line.Is), 0
		for _, r := range runs {
			if r.Op == compare.Same {
				stays += len(r.Text)
			}
		}
		if stays*maxCommon >= max(len(*line.Was), len(*line.Is)) {
			line.Words = runs
		}
	}
}

// Told is a line for a terminal: it has the whole path.
type Told struct {
	Name    string
	Was, Is *string
}

// Told are the changes, each with its whole path, and ToldSince what had changed when
// the call was to be sent.
func (v *BeforeView) Told() []Told      { return toldOf(v.Changes) }
func (v *BeforeView) ToldSince() []Told { return toldOf(v.Since) }

func toldOf(lines []DiffLine) (out []Told) {
	var above []string
	for _, line := range lines {
		above = append(above[:min(len(above), line.Depth)], line.name())
		if line.Was != nil || line.Is != nil {
			out = append(out, Told{strings.Join(above, "."), line.Was, line.Is})
		}
	}
	return out
}

// name is the path of a line within the one above it, in one word.
func (line DiffLine) name() string {
	parts := slices.Clone(line.Path)
	if n := len(parts); line.Number > 0 && n > 0 && parts[n-1] == "" {
		parts[n-1] = fmt.Sprintf("[%d]", line.Number)
	}
	return strings.Join(parts, ".")
}
