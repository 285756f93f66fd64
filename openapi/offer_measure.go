package openapi

import (
	"encoding/json"
	"reflect"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// text is a description while a schema is cut: the note on what was cut stays, what
// the document says is shortened to what there is room for.
// room is what this one has, if that is more.
type text struct {
	said, note string
	room       int
}

// within is the text with at most most bytes of what the document says.
func (t text) within(most int) string {
	said := ""
	most = max(most, t.room)
	if most >= leastText || len(t.said) <= most {
		said = cutText(t.said, most)
	}
	if said != "" && t.note != "" {
		said += "\n"
	}
	return said + t.note
}

// leastText is the least that is left of a description, in bytes; less says nothing.
const leastText = 24

// markTexts makes the descriptions within a schema texts.
func markTexts(root map[string]any) {
	visit(root, func(m map[string]any) {
		if s, ok := m["description"].(string); ok {
			m["description"] = text{said: s}
		}
	})
}

// writeTexts makes the texts within a schema descriptions of at most most bytes.
func writeTexts(root map[string]any, most int) {
	visit(root, func(m map[string]any) {
		t, ok := m["description"].(text)
		if !ok {
			return
		}
		if s := t.within(most); s != "" {
			m["description"] = s
		} else {
			delete(m, "description")
		}
	})
}

// measured is what a schema takes beside its descriptions, and these: what it takes with
// less of them is known without looking at the schema again.
type measured struct {
	bare  int // bytes
	texts []measuredText
}

// measuredText is a description, where it stands, and what it takes whole.
type measuredText struct {
	text
	whole int
	alone bool // nothing stands beside it
}

// measure looks at a schema once.
func measure(root map[string]any) *measured {
	m := &measured{}
	m.bare = m.value(root)
	return m
}

// value is how many bytes v takes without its texts, which are listed.
func (ms *measured) value(v any) int {
	n := 1
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if t, ok := x.(text); ok {
				ms.texts = append(ms.texts, measuredText{text: t, whole: t.size(len(t.said)), alone: len(v) == 1})
			} else {
				n += 2 + textSize(k) + ms.value(x)
			}
		}
	case []any:
		for _, x := range v {
			n += 1 + ms.value(x)
		}
	default:
		return size(v, 0)
	}
	return max(n, 2)
}

// size is how many bytes the schema takes with texts of at most most bytes.
func (ms *measured) size(most int) int {
	n := ms.bare
	for _, t := range ms.texts {
		took := t.whole
		if len(t.said) > max(most, t.room) {
			took = t.text.size(most)
		}
		if n += took; t.alone && took > 0 {
			n-- // an object of one member has no comma, as one of none has
		}
	}
	return n
}

// longest is the longest description, in bytes.
func (ms *measured) longest() int {
	longest := 0
	for _, t := range ms.texts {
		longest = max(longest, len(t.said))
	}
	return longest
}

// noted reports whether something is said of a cut within the schema.
func (ms *measured) noted() bool {
	return slices.ContainsFunc(ms.texts, func(t measuredText) bool { return t.note != "" })
}

// room is the most bytes of every description with which the schema fits into a
// budget, at most most; -1 if it does not fit without any.
func (ms *measured) room(budget, most int) int {
	return sort.Search(most+1, func(i int) bool { return ms.size(i) > budget }) - 1
}

// giveBack gives descriptions that were cut to most bytes, or left out, the bytes that
// are left beside them: the shortest first, so that as many as can be are whole.
func giveBack(root map[string]any, most, left int) {
	var cut []map[string]any
	times := map[uintptr]int{} // a schema can stand in several places
	each(root, func(m map[string]any) {
		if t, ok := m["description"].(text); ok && len(t.said) > max(most, t.room) {
			at := reflect.ValueOf(m).Pointer()
			if times[at]++; times[at] == 1 {
				cut = append(cut, m)
			}
		}
	})
	slices.SortStableFunc(cut, func(a, b map[string]any) int {
		return len(a["description"].(text).said) - len(b["description"].(text).said)
	})
	for _, m := range cut {
		t := m["description"].(text)
		before := t.size(most)
		for _, room := range []int{len(t.said), max(most, 0) + left, leastText} {
			t.room = min(room, len(t.said))
			if more := (t.size(most) - before) * times[reflect.ValueOf(m).Pointer()]; more <= left {
				m["description"] = t
				left -= more
				break
			}
		}
	}
}

// size is how many bytes a description takes as a member of an object.
func (t text) size(most int) int {
	s := t.within(most)
	if s == "" {
		return 0
	}
	return 2 + textSize("description") + textSize(s)
}

// size is how many bytes v takes as JSON with texts of at most most bytes, as
// encoding/json writes it.
func size(v any, most int) int {
	switch v := v.(type) {
	case map[string]any:
		n := 1
		for k, x := range v {
			if t, ok := x.(text); ok {
				s := t.within(most)
				if s == "" {
					continue
				}
				x = s
			}
			n += 2 + textSize(k) + size(x, most)
		}
		return max(n, 2)
	case []any:
		n := 1
		for _, x := range v {
			n += 1 + size(x, most)
		}
		return max(n, 2)
	case string:
		return textSize(v)
	case json.Number:
		return len(v)
	case bool:
		return 5
	}
	return 4 // null
}

// textSize is how many bytes a text takes as JSON.
func textSize(s string) int {
	n, wide := 2+len(s), false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t' || c == '\b' || c == '\f':
			n++
		case c < ' ' || c == '<' || c == '>' || c == '&':
			n += 5
		case c >= utf8.RuneSelf:
			wide = true
		}
	}
	if !wide {
		return n
	}
	if !utf8.ValidString(s) {
		return 6 * (1 + len(s)) // \ufffd for each byte, at most
	}
	return n + 3*(strings.Count(s, "\u2028")+strings.Count(s, "\u2029")) // these are escaped
}
