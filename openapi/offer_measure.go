package openapi

import (
	"encoding/json"
	"sort"
	"unicode/utf8"
)

// text is a description while a schema is cut: the note on what was cut stays, what
// the document says is shortened to what there is room for.
type text struct{ said, note string }

// within is the text with at most most bytes of what the document says.
func (t text) within(most int) string {
	said := ""
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
	each(root, func(m map[string]any) {
		if s, ok := m["description"].(string); ok {
			m["description"] = text{said: s}
		}
	})
}

// writeTexts makes the texts within a schema descriptions of at most most bytes.
func writeTexts(root map[string]any, most int) {
	each(root, func(m map[string]any) {
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

// longestText is the longest description within a schema, in bytes.
func longestText(root map[string]any) int {
	longest := 0
	each(root, func(m map[string]any) {
		if t, ok := m["description"].(text); ok {
			longest = max(longest, len(t.said))
		}
	})
	return longest
}

// roomForTexts is the most bytes of every description with which a schema fits into
// a budget, at most most; -1 if it does not fit without any.
func roomForTexts(root map[string]any, budget, most int) int {
	return sort.Search(most+1, func(i int) bool { return size(root, i) > budget }) - 1
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
	n := 2 + len(s)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t' || c == '\b' || c == '\f':
			n++
		case c < ' ' || c == '<' || c == '>' || c == '&':
			n += 5
		case c >= utf8.RuneSelf:
			n++ // what is escaped of these is rare, and no longer than twice as long
		}
	}
	return n
}
