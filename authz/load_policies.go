package authz

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"github.com/exeat/exeat/openapi/nearest"
)

// policy is one compiled policy.
type policy struct {
	id          string
	file        string
	line        int
	column      int
	offset      int // of its first byte in text
	cedar       *cedar.Policy
	ast         *ast.Policy
	permit      bool
	obligations Obligations
	usesUsage   bool
	usesAll     bool // counts of more than one tool
	reads       reads
	uses        []use  // what its conditions ask of the context
	text        []byte // of its file
	notYet      bool   // it may speak of what the documents do not have
}

func (e *LoadError) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
		if p.Hint != "" {
			b.WriteString("; " + p.Hint)
		}
	}
	return b.String()
}

// parsePolicies reads all files and notes every problem.
func parsePolicies(files []PolicyFile) ([]*policy, []Problem) {
	var all []*policy
	var problems []Problem
	seen := map[string]*policy{}
	for _, f := range files {
		if bad := scanPolicies(f); bad != nil {
			problems = append(problems, *bad)
			continue
		}
		list, err := cedar.NewPolicyListFromBytes(f.Name, f.Text)
		if err != nil {
			problems = append(problems, parseProblem(f.Name, f.Text, err))
			continue
		}
		for _, c := range list {
			p, bad := newPolicy(f, c)
			problems = append(problems, bad...)
			if other, ok := seen[p.id]; ok {
				problems = append(problems, p.problemAt(fmt.Sprintf("the id %q is taken by the policy at %s:%d", p.id, other.file, other.line), "give each policy an @id of its own", []string{"id", p.id}))
				continue
			}
			seen[p.id] = p
			all = append(all, p)
		}
	}
	return all, problems
}

func (p *policy) problem(message, hint string) Problem {
	return Problem{File: p.file, Line: p.line, Column: p.column, Policy: p.id, Message: message, Hint: hint}
}

// exactGot is how the parser says what it found in place of something.
var exactGot = regexp.MustCompile(`^exact got (\S+) want (\S+)`)

var parsePosition = regexp.MustCompile(`(?:<input>|at|:) ?(\d+):(\d+)`)

// parseProblem finds the position in the parser's message.
func parseProblem(file string, text []byte, err error) Problem {
	p := Problem{File: file, Line: 1, Column: 1, Message: err.Error()}
	if m := parsePosition.FindStringSubmatch(p.Message); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		p.Column, _ = strconv.Atoi(m[2])
	}
	if i := strings.LastIndex(p.Message, ": "); i >= 0 && strings.Contains(p.Message[:i], "parse error") {
		p.Message = "cannot be parsed: " + exactGot.ReplaceAllString(p.Message[i+2:], "there is $1 where $2 was expected")
	}
	p.Hint = "see docs.cedarpolicy.com for the syntax"
	if strings.Contains(line(text, p.Line), "?") {
		p.Hint = "templates (?principal, ?resource) are not taken: write the policy out"
	}
	return p
}

// line is the n-th line of a text, from 1.
func line(text []byte, n int) string {
	lines := strings.Split(string(text), "\n")
	if n < 1 || n > len(lines) {
		return ""
	}
	return lines[n-1]
}

// ownUsage is what a policy reads of the usage of the tool that is called.
var ownUsage = regexp.MustCompile(`context\.usage\.(minute|hour|day)\b`)

func newPolicy(f PolicyFile, c *cedar.Policy) (*policy, []Problem) {
	pos := c.Position()
	p := &policy{file: f.Name, text: f.Text, line: pos.Line, column: pos.Column, offset: pos.Offset, cedar: c, ast: (*ast.Policy)(c.AST()), permit: c.Effect() == cedar.Permit}
	annotations := c.Annotations()
	p.id = string(annotations["id"])
	if p.id == "" {
		p.id = fmt.Sprintf("%s:%d", f.Name, pos.Line)
		if pos.Column > 1 {
			p.id += fmt.Sprintf(":%d", pos.Column)
		}
	}
	text := string(c.MarshalCedar())
	p.usesUsage = strings.Contains(text, "usage")
	p.usesAll = strings.Contains(ownUsage.ReplaceAllString(text, ""), "usage")
	p.reads = readBy(text)
	p.uses = usesOf(p.ast)
	var problems []Problem
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		if err := p.annotate(string(key), string(annotations[key])); err != nil {
			problems = append(problems, p.problemAt(fmt.Sprintf("@%s: %v", key, err), "", []string{string(key), string(annotations[key])}, []string{string(key)}))
		}
	}
	return p, problems
}

// vocabulary are the annotations that mean something here.
var vocabulary = []string{"id", "description", "not_yet", "token_ttl", "grant_max", "redact"}

// maxTokenTTL is the longest life of a token that a policy may ask for.
const maxTokenTTL = time.Minute

// jsonPointer is RFC 6901 without the pointer to the whole.
var jsonPointer = regexp.MustCompile(`^(/([^~]|~[01])*)+$`)

// nearestAnnotation is the annotation of ours that a key was probably meant to be. Two
// letters are no misspelling of "id" but another word.
func nearestAnnotation(key string) string {
	for _, word := range vocabulary {
		if nearest.Find(key, []string{word}, min(2, len(word)/2), nil) != "" {
			return word
		}
	}
	return ""
}

func (p *policy) annotate(key, value string) error {
	switch key {
	case "id":
		if value == "" || len(value) > 100 {
			return errors.New("an id has 1 to 100 characters")
		}
		if comment(value) != value {
			return errors.New("an id has no characters that cannot be seen")
		}
	case "not_yet":
		if p.notYet = value != ""; !p.notYet {
			return errors.New("say why the policy speaks of what the documents do not have")
		}
	case "token_ttl":
		d, err := time.ParseDuration(value)
		if err != nil || d < time.Second || d > maxTokenTTL {
			return fmt.Errorf("%q is not a time from 1s to 60s, like \"30s\"", value)
		}
		p.obligations.TokenTTL = d
	case "grant_max":
		d, err := time.ParseDuration(value)
		if err != nil || d < time.Second {
			return fmt.Errorf("%q is not a time of at least 1s, like \"20m\"", value)
		}
		p.obligations.GrantMax = d
	case "redact":
		for pointer := range strings.SplitSeq(value, ",") {
			pointer = strings.TrimSpace(pointer)
			if !jsonPointer.MatchString(pointer) {
				return fmt.Errorf("%q is not a JSON Pointer: it begins with /, and ~ is written ~0, / in a name ~1", pointer)
			}
			p.obligations.Redact = append(p.obligations.Redact, pointer)
		}
	default:
		// Somebody else's annotations are fine; a misspelt one of ours would
		// quietly lose what it asks for.
		if s := nearestAnnotation(key); s != "" {
			return fmt.Errorf("there is no such annotation; did you mean @%s?", s)
		}
		if strings.HasPrefix(key, "exeat") {
			return fmt.Errorf("there is no such annotation; there are @%s", strings.Join(vocabulary, ", @"))
		}
	}
	if key != "id" && key != "description" && key != "not_yet" && !p.permit && slices.Contains(vocabulary, key) {
		return errors.New("only a permit can carry this")
	}
	return nil
}
