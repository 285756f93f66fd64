package openapi

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/exeat/exeat/openapi/nearest"
	"github.com/exeat/exeat/openapi/strictjson"
)

// maxName is the longest tool name that hosts accept with their own prefix.
const maxName = 40

// reserved are names that the policies' vocabulary has.
var reserved = []string{"call_tool", "read", "write", "delete", "approve"}

// snake turns any name into [a-z0-9_], with _ between words.
func snake(s string) string {
	var b strings.Builder
	runes := []rune(oneWord.Replace(s))
	for i, r := range runes {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case r >= 'A' && r <= 'Z':
			// A capital begins a word after a small letter, or before one: getHTMLPage.
			if i > 0 && (isLowerOrDigit(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]) && unicode.IsUpper(runes[i-1])) {
				b.WriteByte('_')
			}
			b.WriteRune(unicode.ToLower(r))
		default:
			b.WriteByte('_')
		}
	}
	return strings.Trim(underscores.ReplaceAllString(b.String(), "_"), "_")
}

// oneWord takes out apostrophes, and capitals that begin no word.
var oneWord = strings.NewReplacer("'", "", "\u2019", "", "GitHub", "Github", "GitLab", "Gitlab", "OpenAI", "Openai", "OpenAPI", "Openapi",
	"OAuth", "Oauth", "GraphQL", "Graphql", "PayPal", "Paypal", "YouTube", "Youtube", "LinkedIn", "Linkedin", "DigitalOcean", "Digitalocean")

var underscores = regexp.MustCompile(`_+`)

func isLowerOrDigit(r rune) bool { return unicode.IsLower(r) || unicode.IsDigit(r) }

// nameOperations gives every operation a legal name that depends on nothing but
// itself and on whether others would have the same. Such a one ends with a hash
// of method and path, the longer the more others end up with its name.
func nameOperations(ops []*Operation) {
	count, base := map[string]int{}, shortNames(ops)
	for _, op := range ops {
		op.Name = base[op]
		count[op.Name]++
	}
	for _, size := range []int{4, 8, 15} {
		named := map[string]int{}
		for _, op := range ops {
			if count[op.Name] > 1 || op.Name == "" || len(op.Name) > maxName || slices.Contains(reserved, op.Name) {
				sum := sha256.Sum256([]byte(op.Method + " " + op.wholePath()))
				op.Name = strings.Trim(strings.TrimRight(cut(base[op], maxName-1-2*size), "_")+"_"+hex.EncodeToString(sum[:size]), "_")
			}
			named[op.Name]++
		}
		count = named
	}
	slices.SortFunc(ops, func(a, b *Operation) int { return strings.Compare(a.Name, b.Name) })
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

var legalAPIName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// nameAPI checks a name that was given or makes one from the title.
func nameAPI(given, title, location string) (string, error) {
	if given != "" {
		if !legalAPIName.MatchString(given) {
			return "", fmt.Errorf("the name %q is not legal: use a small letter, then small letters, digits and _, at most 40 in all", given)
		}
		return given, nil
	}
	name := snake(title)
	if name == "" {
		base := path.Base(location)
		name = snake(strings.TrimSuffix(base, path.Ext(base)))
	}
	if name == "" || name[0] < 'a' || name[0] > 'z' {
		name = "api_" + name
	}
	return strings.TrimRight(cut(name, maxName), "_"), nil
}

var (
	propertyChars = regexp.MustCompile(`[^a-zA-Z0-9_.-]+`)
)

// legalName reports a name that hosts take,
// ^[a-zA-Z0-9_.-]{1,64}$, without the cost of a regular expression.
func legalName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// argumentNames names the arguments of parameters, which come in the order of
// placeOrder and then of their names, so that the document's order is of no
// account. A legal name stays as it is; of equal ones the first in that order
// keeps it, and the others get their place as suffix: id, id_query. What hosts
// would refuse in a name becomes _, and such names yield to all legal ones. If
// even that is taken, a number follows. Names that differ only in capitals
// count as equal, as in arguments.
func argumentNames(list []parameter, hasBody bool) []string {
	names := make([]string, len(list))
	taken := map[string]bool{"body": hasBody}
	free := func(s string) bool { return !taken[strictjson.Fold(s)] }
	for i, p := range list {
		if legalName(p.name) && free(p.name) {
			names[i] = p.name
			taken[strictjson.Fold(p.name)] = true
		}
	}
	for i, p := range list {
		if names[i] != "" {
			continue
		}
		s := cut(strings.Trim(propertyChars.ReplaceAllString(p.name, "_"), "_"), 50)
		if s == "" {
			s = p.in
		}
		if !free(s) {
			s += "_" + p.in
		}
		for base, n := s, 2; !free(s); n++ {
			s = fmt.Sprintf("%s_%d", base, n)
		}
		names[i] = s
		taken[strictjson.Fold(s)] = true
	}
	return names
}

// filter keeps the operations that Include and Exclude ask for.
func filter(ops []*Operation, include, exclude []string) ([]*Operation, error) {
	used := map[string]bool{}
	match := func(op *Operation, patterns []string) bool {
		hit := false
		for _, p := range patterns {
			if matches(op, p) {
				used[p], hit = true, true
			}
		}
		return hit
	}
	var kept []*Operation
	for _, op := range ops {
		in := len(include) == 0 || match(op, include)
		out := match(op, exclude)
		if in && !out {
			kept = append(kept, op)
		}
	}
	for _, p := range slices.Concat(include, exclude) {
		if !used[p] {
			return nil, fmt.Errorf("the pattern %q matches no operation%s", p, suggestion(p, ops))
		}
	}
	return kept, nil
}

func matches(op *Operation, pattern string) bool {
	switch {
	case strings.HasPrefix(pattern, "tag:"):
		return slices.Contains(op.Tags, pattern[4:])
	case strings.HasPrefix(pattern, "/"):
		return glob(pattern).MatchString(op.Path)
	case pattern == op.Method:
		return true
	}
	return pattern == op.ID || pattern == op.Name
}

// glob makes * stay within a path segment and ** cross them.
func glob(pattern string) *regexp.Regexp {
	re := regexp.QuoteMeta(pattern)
	re = strings.ReplaceAll(re, `\*\*`, `.*`)
	re = strings.ReplaceAll(re, `\*`, `[^/]*`)
	return regexp.MustCompile(`^` + re + `$`)
}

// suggestion names what a pattern probably means.
func suggestion(pattern string, ops []*Operation) string {
	var known []string
	for _, op := range ops {
		known = append(known, op.ID, op.Name, op.Path)
		for _, t := range op.Tags {
			known = append(known, "tag:"+t)
		}
	}
	slices.Sort(known)
	best := nearest.Find(pattern, slices.Compact(known), 1+len(pattern)/3, strings.ToLower)
	if best == "" {
		return "; exeat tools lists them"
	}
	return fmt.Sprintf("; did you mean %q?", best)
}
