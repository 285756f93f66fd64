package openapi

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/exeat/exeat/openapi/strictjson"
)

// clean bounds a text from a document and takes out what could hide something
// from a reader: control, bidi and other invisible characters.
func clean(s string, most int) string {
	if len(s) > 16*most {
		// Of a text of megabytes only the beginning counts.
		s = shorten(s, 16*most)
	}
	s = strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && invisible(r) {
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if len(s) <= most {
		return s
	}
	return cutText(s, most)
}

// cutText is s in at most most bytes. It ends after a word, and not within a link, a
// tag or a piece of code.
func cutText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	const fence, end = "```", "…"
	n := most - len(end)
	if n <= 0 {
		return ""
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	head := s[:n]
	if s[n] == '`' {
		head = strings.TrimRight(head, "`") // not within the marks themselves
	}
	if i := strings.LastIndexAny(head, " \n\t"); i > 0 && !strings.ContainsAny(s[n:n+1], " \n\t") {
		head = head[:i]
	}
	if i := strings.LastIndex(head, fence); strings.Count(head, fence)%2 == 0 {
		head = beforeOpen(head)
	} else if i > most/2 {
		head = head[:i]
	} else if room := most - len(end) - len("\n"+fence+"\n"); room > i+len(fence) {
		// A fence that stays open would swallow what follows.
		head = head[:min(len(head), room)]
		return strings.ToValidUTF8(head[:max(i+len(fence), strings.LastIndexByte(head, '\n'))], "") + "\n" + fence + "\n" + end
	} else {
		head = head[:i]
	}
	return strings.TrimRight(head, " \n\t") + end
}

// openAt is where a link or a tag begins that a text ends within; -1 if there is none.
// It is asked once for each text and each length that is tried, so it is no regular
// expression.
func openAt(s string) int {
	if strings.IndexByte(s, '[') < 0 && strings.IndexByte(s, '<') < 0 {
		return -1
	}
	lastTag, lastLink := strings.LastIndexByte(s, '>'), strings.LastIndexByte(s, ')')
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '<':
			if i > lastTag && i+1 < len(s) && (s[i+1] == '/' || s[i+1] == '!' || s[i+1]|0x20 >= 'a' && s[i+1]|0x20 <= 'z') {
				return i
			}
		case '[':
			end := strings.IndexByte(s[i:], ']') + i
			if end < i || end+1 < len(s) && s[end+1] == '(' && lastLink < end {
				if i > 0 && s[i-1] == '!' {
					i-- // a picture
				}
				return i
			}
		}
	}
	return -1
}

// beforeOpen takes a link, a tag or a code span off the end of a text if the text
// ends within it.
func beforeOpen(head string) string {
	tail := max(0, len(head)-500)
	if at := openAt(head[tail:]); at >= 0 {
		head = head[:tail+at]
	}
	line := head[strings.LastIndexByte(head, '\n')+1:]
	if strings.IndexByte(line, '`') >= 0 && strings.Count(strings.ReplaceAll(line, "```", ""), "`")%2 == 1 {
		head = head[:strings.LastIndexByte(head, '`')]
	}
	return head
}

// invisible reports a character that shows nothing of itself, or changes how
// others are shown.
func invisible(r rune) bool {
	if r < utf8.RuneSelf {
		return r < ' ' || r == 0x7f // most texts are nothing else
	}
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar || unicode.Is(unicode.Co, r) || strictjson.Ignorable(r)
}

// unseen counts the texts within a value that hold what cannot be seen, but for
// what emoji are made of and line breaks.
func unseen(v any) int {
	switch v := v.(type) {
	case string:
		if strings.ContainsFunc(v, func(r rune) bool {
			return invisible(r) && r != '\ufe0f' && r != '\u200d' && r != '\n' && r != '\r' && r != '\t'
		}) {
			return 1
		}
	case []any:
		n := 0
		for _, x := range v {
			n += unseen(x)
		}
		return n
	case map[string]any:
		n := 0
		for k, x := range v {
			n += unseen(k) + unseen(x)
		}
		return n
	}
	return 0
}

// Orders to an agent, and texts that push something out of sight.
var (
	orders = regexp.MustCompile(`(?i)\b(ignore|disregard|forget|override)\b[^.]{0,40}\b(previous|prior|above|earlier|preceding|all|other|your)\b[^.]{0,40}\b(instructions?|prompts?|rules|directions|polic(y|ies))\b|` +
		`\b(do not|don't|never|without)\s+(tell(ing)?|inform(ing)?|mention(ing)?|ask(ing)?|show(ing)?)\b[^.]{0,30}\b(user|human|person)\b|</?\s*(important|system|instructions?|secret)\s*>|\byou are (now )?an? (ai|assistant|agent)\b`)
	// wary are words without which orders cannot match: one of each of a pair. To
	// look for them is a tenth of the work.
	wary = [][2][]string{
		{{"ignore", "disregard", "forget", "override"}, {"instruction", "prompt", "rules", "directions", "polic"}},
		{{"do not", "don't", "never", "without"}, {"user", "human", "person"}},
		{{"<"}, {"important", "system", "instruction", "secret"}},
		{{"you are"}, {"ai", "assistant", "agent"}},
	}
)

func hasAny(s string, words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s, w) })
}

// padded reports a text with 40 white spaces after a line feed, or 200 in a line.
func padded(s string) bool {
	after, within := 0, 0 // how many follow a line feed, and each other in a line
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\n':
			after, within = after+1, 0
		case ' ', '\t':
			if within++; after > 0 {
				after++
			}
		default:
			after, within = 0, 0
		}
		if after > 40 || within >= 200 {
			return true
		}
	}
	return false
}

// look notes a text that an agent will read, where it tries to lead it: text is
// what is left of what the document says.
func (c *compiler) look(text, source string) {
	source = source[:min(len(source), 4*maxText)]
	lower := strings.ToLower(text)
	suspect := slices.ContainsFunc(wary, func(w [2][]string) bool { return hasAny(lower, w[0]) && hasAny(lower, w[1]) })
	if padded(source) || unseen(source) > 0 || suspect && orders.MatchString(text) {
		c.remarks.orders++
	}
}

// oneLine is clean for texts that end on one line of a terminal or a list.
func oneLine(s string, most int) string {
	return strings.Join(strings.Fields(clean(s, most)), " ")
}
