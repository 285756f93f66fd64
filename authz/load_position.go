package authz

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
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

// problemAt is a problem where the policy says one of the given runs of words,
// the first run that it says at all. The place is that of the run's last word.
func (p *policy) problemAt(message, hint string, runs ...[]string) Problem {
	bad := p.problem(message, hint)
	tokens := p.tokens()
	for _, run := range runs {
		for i := range len(tokens) - len(run) + 1 {
			if saysRun(tokens[i:i+len(run)], run) {
				last := tokens[i+len(run)-1]
				bad.Line, bad.Column = last.line, last.column
				return bad
			}
		}
	}
	return bad
}

func saysRun(tokens []token, run []string) bool {
	for i, t := range tokens {
		if t.text != run[i] && t.text != strings.Trim(cedarString(run[i]), `"`) {
			return false
		}
	}
	return true
}

// maxCulprits bounds the parts of a policy that are tried one by one, and the actions.
const maxCulprits = 100

// culprit is the attribute in the smallest part of a policy that gets the validator's
// message by itself: it does not say where it means.
func (c *checker) culprit(p *policy, message string) (path []string) {
	v := c.validatorWith(p, message)
	if v == nil {
		return nil
	}
	tried := 0
	for _, condition := range p.ast.Conditions {
		ast.Inspect(ast.NewNode(condition.Body), func(n ast.IsNode) bool {
			part := *p.ast
			part.Conditions = []ast.ConditionType{{Condition: ast.ConditionWhen, Body: n}}
			if tried++; tried > maxCulprits {
				return false
			}
			if err := v.Policy(p.id, &part); err == nil || !slices.Contains(messagesOf(err), message) {
				return false
			}
			if x := firstAttribute(n); x != nil {
				path = x
			}
			return true
		})
	}
	return path
}

// validatorWith is one for as few actions as a policy gets the message for: it is asked
// many times.
func (c *checker) validatorWith(p *policy, message string) *validate.Validator {
	actions, holds, _ := c.scope(p)
	says := func(v *validate.Validator) bool {
		err := v.Policy(p.id, p.ast)
		return err != nil && slices.Contains(messagesOf(err), message)
	}
	actions = c.representatives(p, actions)
	for _, a := range actions[:min(len(actions), maxCulprits)] {
		if v := c.validator([]*action{a}, nil); says(v) {
			return v
		}
	}
	if v := c.validator(nil, holds); says(v) {
		return v
	}
	return nil
}

// firstAttribute is the path of the first attribute that an expression reads.
func firstAttribute(n ast.IsNode) (found []string) {
	ast.Inspect(ast.NewNode(n), func(n ast.IsNode) bool {
		_, path, has, ok := chainOf(n)
		if ok && !has && len(path) > 0 && found == nil {
			found = path
		}
		return !ok
	})
	return found
}
