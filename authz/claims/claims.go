// Package claims reads what an issuer says of somebody: in an ID token, an access
// token, the answer of an introspection. It comes from elsewhere, so it is read
// once and strictly, and bounded. What is too much is refused and never cut: a
// group that was left out could be one that a policy forbids something to.
package claims

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/exeat/exeat/openapi/strictjson"
)

// Bounds of a claim.
const (
	MaxText = 255 // characters, as of sub (OpenID Connect Core §2)
	MaxList = 500
)

// maxDepth is how deep a pointer may lead.
const maxDepth = 16

// Set is what is claimed, by name. Names are compared exactly.
type Set map[string]json.RawMessage

// Parse reads one JSON object in UTF-8 that has no key twice.
func Parse(raw []byte) (Set, error) {
	if !utf8.Valid(raw) || !json.Valid(raw) {
		return nil, errors.New("it is not one JSON object")
	}
	members, err := strictjson.Members(raw)
	if err != nil {
		return nil, fmt.Errorf("it %w", err)
	}
	return members, nil
}

// Find returns the value of a claim, nil if it is not there or null. where is the
// claim's name, or a JSON Pointer (RFC 6901) to a value within claims if it begins
// with a slash.
func (s Set) Find(where string) (json.RawMessage, error) {
	names := split(where)
	if len(names) > maxDepth {
		return nil, fmt.Errorf("the pointer %q leads deeper than %d", where, maxDepth)
	}
	for i, name := range names {
		value := s[name]
		if value == nil || string(value) == "null" || i == len(names)-1 {
			return unlessNull(value), nil
		}
		members, err := strictjson.Members(value)
		if err != nil {
			return nil, fmt.Errorf("%q leads through %q, which %w", where, name, err)
		}
		s = members
	}
	return nil, nil
}

// Top is the name of the claim that is meant, or that a pointer leads into.
func Top(where string) string { return split(where)[0] }

func split(where string) []string {
	if !strings.HasPrefix(where, "/") {
		return []string{where}
	}
	names := strings.Split(where[1:], "/")
	for i, name := range names {
		names[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
	}
	return names
}

func unlessNull(value json.RawMessage) json.RawMessage {
	if string(value) == "null" {
		return nil
	}
	return value
}

// Has reports whether there is a claim of that name, whatever it says.
func (s Set) Has(name string) bool { return unlessNull(s[name]) != nil }

// Text is a claim that is a string, "" if it is not there. where is as of
// [Set.Find], as in all that follow.
func (s Set) Text(where string) (string, error) {
	value, err := s.Find(where)
	if value == nil || err != nil {
		return "", err
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil || text != "" && !Legible(text) {
		return "", fmt.Errorf("the claim %q is not a text of at most %d characters", where, MaxText)
	}
	return text, nil
}

// Texts is a claim that is a list of strings, or one.
func (s Set) Texts(where string) ([]string, error) {
	value, err := s.Find(where)
	if value == nil || err != nil {
		return nil, err
	}
	if one, err := s.Text(where); err == nil && one != "" {
		return []string{one}, nil
	}
	var list []string
	if err := json.Unmarshal(value, &list); err != nil || len(list) > MaxList || slices.ContainsFunc(list, illegible) {
		return nil, fmt.Errorf("the claim %q is not a list of at most %d texts", where, MaxList)
	}
	return list, nil
}

// Words is a claim that is a list of words, or one text of words between spaces,
// as scope is (RFC 6749, section 3.3).
func (s Set) Words(name string) ([]string, error) {
	var text string
	if json.Unmarshal(s[name], &text) != nil {
		return s.Texts(name)
	}
	list := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' })
	if len(list) > MaxList || slices.ContainsFunc(list, illegible) {
		return nil, fmt.Errorf("the claim %q is not a list of at most %d words", name, MaxList)
	}
	return list, nil
}

// Time is a claim in seconds since 1970, the zero time if it is not there.
func (s Set) Time(where string) (time.Time, error) {
	value, err := s.Find(where)
	if value == nil || err != nil {
		return time.Time{}, err
	}
	seconds, err := strconv.ParseFloat(string(value), 64)
	if err != nil || !(seconds >= 1 && seconds <= 1e11) {
		return time.Time{}, fmt.Errorf("the claim %q is not a time", where)
	}
	return time.Unix(int64(seconds), 0).UTC(), nil
}

// True reports whether a claim is true, or says so: some issuers write "true".
func (s Set) True(name string) bool {
	value := string(s[name])
	return value == "true" || value == `"true"`
}

// Legible reports whether a text is whole, is not too long and shows as what it is.
func Legible(s string) bool {
	return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= MaxText &&
		strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

func illegible(s string) bool { return !Legible(s) }
