package tools

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"
)

// index finds tools by words. A tool is worth what BM25 gives it over its
// weighted fields, and more the more of its name and summary was asked for:
// "create an issue" is all of one tool, and a part of fifty others.
type index struct {
	all     []*Tool
	terms   map[string][]posting
	sorted  []string  // the terms in order, for prefixes
	length  []float64 // weighted words of each tool
	mean    float64
	name    [][]string // words of each tool's name
	summary [][]string // and of its summary
}

type posting struct {
	tool  int
	count float64 // weighted
}

// Weights of the places that a word can stand in.
const (
	nameWeight        = 3
	summaryWeight     = 3
	tagWeight         = 1
	pathWeight        = 1
	argumentWeight    = 0.5
	descriptionWeight = 0.3
)

func newIndex(list []*Tool) *index {
	x := &index{all: list, terms: map[string][]posting{}, length: make([]float64, len(list)), name: make([][]string, len(list)), summary: make([][]string, len(list))}
	for i, t := range list {
		x.name[i], x.summary[i] = words(t.Name), words(t.op.Summary)
		count := map[string]float64{}
		add := func(weight float64, list []string) {
			for _, w := range list {
				count[w] += weight
				x.length[i] += weight
			}
		}
		add(nameWeight, x.name[i])
		add(summaryWeight, x.summary[i])
		add(tagWeight, words(strings.Join(t.op.Tags, " ")))
		add(pathWeight, words(t.op.Path))
		add(descriptionWeight, words(t.op.Description))
		for name := range argumentsOf(t.InputSchema).Properties {
			if t.op.Has(name) { // and not what exeat itself takes
				add(argumentWeight, words(name))
			}
		}
		for w, n := range count {
			x.terms[w] = append(x.terms[w], posting{i, n})
		}
		x.mean += x.length[i] / float64(len(list))
	}
	x.sorted = slices.Sorted(maps.Keys(x.terms))
	return x
}

// rank returns the tools that have a word of the query, best first. A word of
// the query counts once for each tool, by the tool's best form of it, and as much
// as the word is rare in all its forms: a rare synonym is not worth more than
// the word that was asked for.
func (x *index) rank(query string) []*Tool {
	asked := words(query)
	if len(asked) == 0 {
		return x.all
	}
	asked = asked[:min(len(asked), maxWords)]
	score, any := map[int]float64{}, map[string]float64{}
	for _, w := range asked {
		best := map[int]float64{}
		for form, weight := range x.forms(w) {
			any[form] = max(any[form], weight)
			for _, p := range x.terms[form] {
				best[p.tool] = max(best[p.tool], weight*x.saturate(p))
			}
		}
		rarity := math.Log(1 + (float64(len(x.all)-len(best))+0.5)/(float64(len(best))+0.5))
		for tool, s := range best {
			score[tool] += rarity * s
		}
	}
	list := make([]int, 0, len(score))
	for tool := range score {
		list = append(list, tool)
		score[tool] *= 0.4 + share(x.name[tool], any) + share(x.summary[tool], any)
		if x.all[tool].Name == query {
			score[tool] = math.Inf(1)
		}
	}
	slices.SortFunc(list, func(a, b int) int {
		return cmp.Or(cmp.Compare(score[b], score[a]), cmp.Compare(len(x.all[a].op.Path), len(x.all[b].op.Path)), cmp.Compare(a, b))
	})
	out := make([]*Tool, len(list))
	for i, tool := range list {
		out[i] = x.all[tool]
	}
	return out
}

// maxWords bounds the words of a query that are looked for.
const maxWords = 20

// share is how much of a text was asked for, from 0 to 1.
func share(text []string, asked map[string]float64) float64 {
	sum := 0.0
	for _, w := range text {
		sum += asked[w]
	}
	return sum / float64(max(1, len(text)))
}

// saturate is BM25's worth of a term in a tool, without its rarity. Lengths count
// less than in prose: a tool with many arguments is not about other things.
func (x *index) saturate(p posting) float64 {
	const k1, b = 1.2, 0.4
	norm := k1 * (1 - b + b*x.length[p.tool]/x.mean)
	return p.count * (k1 + 1) / (p.count + norm)
}

// forms are the terms that stand for a word, with what each is worth: itself,
// other words for the same, and terms that it begins.
func (x *index) forms(word string) map[string]float64 {
	const other, prefix, most = 0.8, 0.4, 50
	forms := map[string]float64{}
	if len(word) >= 3 {
		from, _ := slices.BinarySearch(x.sorted, word)
		for _, t := range x.sorted[from:min(from+most, len(x.sorted))] {
			if !strings.HasPrefix(t, word) {
				break
			}
			forms[t] = prefix
		}
	}
	for _, group := range synonyms {
		if slices.Contains(group, word) {
			for _, w := range group {
				forms[w] = other
			}
		}
	}
	forms[word] = 1
	return forms
}

// synonyms are words that APIs and people use for the same.
var synonyms = [][]string{
	{"create", "add", "new", "make", "insert", "open", "post"},
	{"delete", "remove", "destroy", "drop", "unset"},
	{"update", "edit", "change", "modify", "set", "replace", "patch"},
	{"get", "read", "show", "fetch", "retrieve", "view", "describe"},
	{"list", "browse", "index"},
	{"search", "find", "query", "lookup"},
	{"cancel", "stop", "abort"},
	{"repo", "repository"}, {"user", "account", "member"}, {"pr", "pull"}, {"message", "msg"}, {"image", "picture", "photo"},
}

var stopWords = map[string]bool{"a": true, "an": true, "the": true, "of": true, "to": true, "for": true, "in": true, "on": true, "and": true,
	"or": true, "by": true, "with": true, "is": true, "it": true, "i": true, "my": true, "me": true, "that": true, "this": true, "from": true, "as": true, "at": true,
	"who": true, "am": true, "are": true, "what": true, "which": true, "all": true, "please": true, "want": true, "need": true, "how": true, "do": true}

// words splits a text into lower-case words, at changes of case too, without
// endings of the plural.
func words(text string) []string {
	var out []string
	var word []rune
	end := func() {
		if w := stem(strings.ToLower(string(word))); w != "" && !stopWords[w] {
			out = append(out, w)
		}
		word = word[:0]
	}
	before := ' '
	for _, c := range text {
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) || unicode.IsUpper(c) && unicode.IsLower(before) {
			end()
		}
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			word = append(word, c)
		}
		before = c
	}
	end()
	return out
}

func stem(w string) string {
	switch {
	case len(w) > 4 && strings.HasSuffix(w, "ies"):
		return w[:len(w)-3] + "y"
	case len(w) > 3 && strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss") && !strings.HasSuffix(w, "us"):
		return w[:len(w)-1]
	}
	return w
}
