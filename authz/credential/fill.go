package credential

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/exeat/exeat/authz/token"
)

// Which says for which calls a part of a narrowing is; an empty list is any.
type Which struct {
	Effects []string // read, write, delete
	Methods []string // of HTTP, in upper case
}

func (w Which) fits(c token.Call) bool {
	return (len(w.Effects) == 0 || slices.Contains(w.Effects, c.Effect)) &&
		(len(w.Methods) == 0 || len(c.Details.Actions) == 1 && slices.Contains(w.Methods, c.Details.Actions[0]))
}

// check reports what can fit no call.
func (w Which) check() error {
	for _, e := range w.Effects {
		if !slices.Contains([]string{"read", "write", "delete"}, e) {
			return fmt.Errorf("there is no effect %q; it can be read, write or delete", e)
		}
	}
	for _, m := range w.Methods {
		if m == "" || m != strings.ToUpper(m) {
			return fmt.Errorf("there is no method %q; write it in capitals", m)
		}
	}
	return nil
}

// place is where a template takes a value of the call. ${…} is a variable of the
// vendor's, and left alone.
var place = regexp.MustCompile(`\$?\{[^{}]*\}`)

// fill puts the values of a call's path into a template: {name} is one segment, and
// {name+} may have slashes and colons. never are the characters that mean something
// where the template stands, so that no value may hold them. Values are the agent's.
func fill(template string, path map[string]string, never string) (string, error) {
	var errs []error
	filled := place.ReplaceAllStringFunc(template, func(at string) string {
		if at[0] == '$' {
			return at
		}
		name, many := strings.CutSuffix(at[1:len(at)-1], "+")
		value, ok := path[name]
		refuse := never
		if !many {
			refuse += "/:"
		}
		bad := func(r rune) bool { return unicode.IsControl(r) || strings.ContainsRune(refuse, r) }
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("the path of this operation has no parameter %q, which %s is filled from", name, brief(template)))
		case value == "":
			errs = append(errs, fmt.Errorf("the path parameter %s is empty, and would stand for everything", name))
		case !utf8.ValidString(value) || strings.ContainsFunc(value, bad):
			errs = append(errs, fmt.Errorf("the path parameter %s holds a character that would mean something else in %s: none of %s can stand there", name, brief(template), refuse))
		}
		return value
	})
	return filled, errors.Join(errs...)
}
