package authz

import (
	"strings"
	"unicode/utf8"

	"github.com/cedar-policy/cedar-go/types"
)

// token is a name, a string or another sign of a policy's text.
type token struct {
	text         string // of a string, what is between its quotes
	line, column int    // from 1; columns count characters
}

// tokens are the names and strings of the policy's text, in order, up to the ;
// that ends it. Comments are none.
func (p *policy) tokens() []token {
	var out []token
	line, column := p.line, p.column
	text := string(p.text[min(p.offset, len(p.text)):])
	for len(text) > 0 {
		t := tokenAt(text)
		first, _ := utf8.DecodeRuneInString(t)
		switch {
		case t == ";":
			return out
		case first == '"':
			out = append(out, token{strings.Trim(t, `"`), line, column})
		case identifier.MatchString(t):
			out = append(out, token{t, line, column})
		}
		if i := strings.LastIndexByte(t, '\n'); i >= 0 {
			line, column = line+strings.Count(t, "\n"), utf8.RuneCountInString(t[i:])
		} else {
			column += utf8.RuneCountInString(t)
		}
		text = text[len(t):]
	}
	return out
}

// tokenAt is what a text begins with: a comment, a string, a name or one character.
func tokenAt(text string) string {
	if strings.HasPrefix(text, "//") {
		line, _, _ := strings.Cut(text, "\n")
		return line
	}
	if m := literal.FindStringIndex(text); m != nil && m[0] == 0 {
		return text[:m[1]]
	}
	if m := word.FindStringIndex(text); m != nil && m[0] == 0 {
		return text[:m[1]]
	}
	_, size := utf8.DecodeRuneInString(text)
	return text[:size]
}

// problemAt is a problem where the policy first says one of the names, the first
// of them that it says at all.
func (p *policy) problemAt(message, hint string, names ...string) Problem {
	bad := p.problem(message, hint)
	tokens := p.tokens()
	for _, name := range names {
		quoted := strings.Trim(string(types.String(name).MarshalCedar()), `"`)
		for _, t := range tokens {
			if t.text == name || t.text == quoted {
				bad.Line, bad.Column = t.line, t.column
				return bad
			}
		}
	}
	return bad
}
