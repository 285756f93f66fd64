package tools

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/exeat/exeat/authz/phrase"
)

var (
	inBraces = regexp.MustCompile(`\{([^{}]*)\}`)
	digits   = regexp.MustCompile(`^[0-9]{1,20}$`)
)

// things are what the path leads through, from the outermost: a word and the arguments
// behind it, again and again. A word without an argument counts only at the end. item
// says that the end has one.
func (t *teller) things() (out []phrase.Thing, item bool) {
	segments := strings.Split(strings.Trim(t.op.Path, "/"), "/")
	word, open := "", false // open: an argument was just before
	raw := ""
	for i, segment := range segments {
		segment = strings.TrimSuffix(segment, ".json")
		names := inBraces.FindAllStringSubmatch(segment, -1)
		if len(names) == 0 {
			word, open = segment, false
			if i == len(segments)-1 && t.isThing(len(out) > 0) {
				out = append(out, phrase.Thing{Noun: singular(word, "")})
			}
			continue
		}
		value := inBraces.ReplaceAllStringFunc(segment, func(s string) string { return t.path[s[1:len(s)-1]] })
		if t.hides(names[0][1]) {
			value = hiddenValue
		}
		if open { // further arguments of the same word
			out, raw = out[:len(out)-1], raw+"/"+value
		} else {
			raw = value
		}
		v := phrase.NewText(raw, phrase.Agent)
		if digits.MatchString(raw) {
			v.Kind = phrase.Number
		}
		out, open = append(out, phrase.Thing{Noun: singular(word, names[len(names)-1][1]), ID: &v}), true
	}
	if n := len(out); n > 0 && t.op.Hints.Noun != "" {
		out[n-1].Noun = t.op.Hints.Noun
	}
	return out, open
}

// isThing reports whether the word at the end of the path is one: all are, but for those
// of a POST that the document has no paths below, which say what is done and not to what,
// and those of a collection that a file is put into. Within says that there is a thing
// before it.
func (t *teller) isThing(within bool) bool {
	if t.op.Method != http.MethodPost || t.op.Hints.Noun != "" {
		return true
	}
	members, whole := t.op.Files()
	if files := len(members) > 0 || whole; files {
		return !within
	}
	return t.op.Hints.Collection
}

// singular is the word for one of what a segment of a path names: the name of its
// argument without Id, if the segment begins with that; else the word by the rules of
// English spelling, and nothing that one would have to know.
func singular(word, argument string) string {
	for _, suffix := range []string{"Id", "ID", "_id", "-id"} {
		argument = strings.TrimSuffix(argument, suffix)
	}
	if argument != "" && len(argument) < len(word)+1 && strings.HasPrefix(strings.ToLower(word), strings.ToLower(argument)) {
		return argument
	}
	for _, rule := range [][2]string{{"ies", "y"}, {"sses", "ss"}, {"xes", "x"}, {"ches", "ch"}, {"shes", "sh"}} {
		if stem, ok := strings.CutSuffix(word, rule[0]); ok && len(stem) > 1 {
			return stem + rule[1]
		}
	}
	for _, kept := range []string{"ss", "us", "is"} {
		if strings.HasSuffix(word, kept) {
			return word
		}
	}
	if stem, ok := strings.CutSuffix(word, "s"); ok && len(stem) > 1 {
		return stem
	}
	return word
}
