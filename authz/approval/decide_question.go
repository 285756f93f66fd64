package approval

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"github.com/exeat/exeat/authz/plaintext"
	"github.com/exeat/exeat/store"
)

// Question is what a tired person is asked about one hold: they find the answer only
// by reading it.
type Question struct {
	// Field is the argument that is asked for, by its name as lists of arguments have
	// it; "" means the last part of the path as it is shown, or the tool's name where
	// there is none.
	Field  string
	Answer string
}

// QuestionOf asks about an argument that is short enough to be typed: a number, if there
// is one, since amounts are what is approved wrongly. Which one hangs on the hold, so
// that the next call of the same tool asks for something else. What is hidden is not
// asked for.
func QuestionOf(h store.Hold) Question {
	var numbers, others []Question
	collect(h, "", "", h.Args, 0, &numbers, &others)
	if len(numbers) == 0 {
		numbers = others
	}
	if len(numbers) > 0 {
		n := fnv.New32a()
		n.Write([]byte(h.ID))
		return numbers[int(n.Sum32()%uint32(len(numbers)))]
	}
	path := strings.TrimRight(h.Request.Path, "/")
	if last := path[strings.LastIndex(path, "/")+1:]; last != "" {
		return Question{"", last}
	}
	return Question{"", h.Tool}
}

// Bounds of what is asked.
const (
	maxAsked    = 40 // characters
	maxAskDepth = 4
)

// collect lists the arguments that can be asked for, in the order of their names.
func collect(h store.Hold, name, pointer string, raw json.RawMessage, depth int, numbers, others *[]Question) {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || depth > maxAskDepth || slices.Contains(h.Masked, pointer) {
		return
	}
	switch c := raw[0]; {
	case c == '{':
		var members map[string]json.RawMessage
		if json.Unmarshal(raw, &members) != nil {
			return
		}
		for _, k := range slices.Sorted(maps.Keys(members)) {
			if plainName(k) {
				collect(h, strings.TrimPrefix(name+"."+k, "."), pointer+"/"+k, members[k], depth+1, numbers, others)
			}
		}
	case c == '"':
		var s string
		if json.Unmarshal(raw, &s) == nil && s != "" && len(s) <= maxAsked && strings.TrimSpace(s) == s && plain(s) {
			if strings.ContainsAny(s[:1], "0123456789") {
				*numbers = append(*numbers, Question{name, s})
			} else {
				*others = append(*others, Question{name, s})
			}
		}
	case c == '-' || c >= '0' && c <= '9':
		if len(raw) <= maxAsked {
			*numbers = append(*numbers, Question{name, string(raw)})
		}
	}
}

// plainName reports whether a name is itself as a path and as a JSON Pointer.
func plainName(s string) bool {
	return s != "" && !strings.ContainsAny(s, `./~[]" `) && plain(s)
}

// plain reports whether what is shown of s is s.
func plain(s string) bool {
	return plaintext.Spell(s) == s && !strings.ContainsFunc(s, func(r rune) bool { return r > '~' })
}

// Mistyped is ErrConfirm with what was asked for and what was typed instead.
type Mistyped struct {
	Question
	Typed string
}

func (m Mistyped) Error() string {
	what := "the last part of its path, or its tool"
	if m.Field != "" {
		what = m.Field
	}
	if m.Typed == "" {
		return fmt.Sprintf("this approval has to be typed: %s", what)
	}
	return fmt.Sprintf("%q is not what this call has: %s", m.Typed, what)
}

// Unwrap makes it an ErrConfirm.
func (Mistyped) Unwrap() error { return ErrConfirm }
