package authz

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Bounds on policies. Cedar's parser and its checks recurse: what is longer or
// deeper than anybody writes would end the process, not the loading.
const (
	maxPolicyFile    = 4 << 20  // bytes
	maxPolicy        = 64 << 10 // bytes from one ; to the next
	maxPolicyNesting = 100      // brackets
)

// policyScan looks at the text of a policy file before anything parses it.
type policyScan struct {
	file         string
	line, column int // of the current character, from 1; columns count characters
	quoted       bool
	comment      bool
	depth        int
	length       int // bytes of the policy so far
}

// scanPolicies returns what keeps a file from being parsed, or nil.
func scanPolicies(f PolicyFile) *Problem {
	s := policyScan{file: f.Name, line: 1, column: 1}
	if len(f.Text) > maxPolicyFile {
		return s.problem(fmt.Sprintf("the file is larger than %d bytes", maxPolicyFile), "split it")
	}
	for i := 0; i < len(f.Text); {
		r, size := utf8.DecodeRune(f.Text[i:])
		if p := s.character(r, size); p != nil {
			return p
		}
		escaped := s.quoted && r == '\\' && i+1 < len(f.Text) && f.Text[i+1] >= ' ' && f.Text[i+1] < utf8.RuneSelf
		next := byte(0)
		if i+1 < len(f.Text) {
			next = f.Text[i+1]
		}
		s.step(r, next)
		i += size
		s.length += size
		if s.column++; r == '\n' {
			s.line, s.column = s.line+1, 1
		}
		if escaped {
			i, s.column, s.length = i+1, s.column+1, s.length+1
		}
	}
	return nil
}

func (s *policyScan) problem(message, hint string) *Problem {
	return &Problem{File: s.file, Line: s.line, Column: s.column, Message: message, Hint: hint}
}

// character refuses what an editor would not show, or show elsewhere: a policy
// has to say what it seems to say, in its comments too.
func (s *policyScan) character(r rune, size int) *Problem {
	switch {
	case r == utf8.RuneError && size == 1:
		return s.problem("the file is not UTF-8", "save it as UTF-8")
	case r == '\n' || r == '\t' || r == '\r' || unicode.IsPrint(r):
	case unicode.IsSpace(r) && r != '\u2028' && r != '\u2029' && r != '\u0085':
		// Spaces of other widths are no secret; the parser says what it thinks of them.
	default:
		return s.problem(fmt.Sprintf("the character %U cannot be seen", r), `take it out; in a string, write it as \u{…}`)
	}
	switch {
	case s.length > maxPolicy:
		return s.problem(fmt.Sprintf("the policy is longer than %d bytes", maxPolicy), "make several policies of it, or a group")
	case s.depth > maxPolicyNesting:
		return s.problem(fmt.Sprintf("brackets nest deeper than %d levels", maxPolicyNesting), "make several policies of it")
	}
	return nil
}

// step follows strings, comments and brackets.
func (s *policyScan) step(r rune, next byte) {
	switch {
	case s.comment:
		s.comment = r != '\n'
	case s.quoted:
		s.quoted = r != '"'
	case r == '"':
		s.quoted = true
	case r == '/' && next == '/':
		s.comment = true
	case r == '(' || r == '[' || r == '{':
		s.depth++
	case r == ')' || r == ']' || r == '}':
		s.depth = max(0, s.depth-1)
	case r == ';' && s.depth == 0:
		s.length = 0
	}
}
