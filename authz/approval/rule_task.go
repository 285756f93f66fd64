package approval

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// Task is a bounded job that a grant is for: several tools of one API, and what
// their calls may come to together. A grant of a task has a maximum of uses.
type Task struct {
	Name  string   `json:"name"`  // what the person calls it
	Tools []string `json:"tools"` // one that ends with * is the beginning of a name
	Sum   *Sum     `json:"sum,omitempty"`
}

// Sum bounds what the values of one argument come to in all calls together.
type Sum struct {
	Pointer string `json:"pointer"` // RFC 6901, into the canonical arguments
	Most    string `json:"most"`    // a decimal
}

const (
	maxTaskName  = 60
	maxTaskTools = 50
	// maxTaskUses bounds the calls of a task.
	maxTaskUses = 1000
)

// taskTool is a tool's name or, with * at its end, the beginning of one: of two
// letters at least, so that one letter does not stand for most tools.
var taskTool = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,200}$|^[A-Za-z0-9_.-]{2,200}\*$`)

// check reports what keeps a task from being given.
func (t *Task) check(uses int64) error {
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	switch {
	case strings.TrimSpace(t.Name) != t.Name || t.Name == "" || !utf8.ValidString(t.Name) || utf8.RuneCountInString(t.Name) > maxTaskName || strings.ContainsFunc(t.Name, odd):
		return fmt.Errorf("%w: a task has a name of at most %d letters", ErrGrantForm, maxTaskName)
	case len(t.Tools) == 0 || len(t.Tools) > maxTaskTools:
		return fmt.Errorf("%w: a task is for one to %d tools", ErrGrantForm, maxTaskTools)
	case slices.ContainsFunc(t.Tools, func(s string) bool { return !taskTool.MatchString(s) }):
		return fmt.Errorf("%w: a tool of a task is a name, or the beginning of one and *", ErrGrantForm)
	case uses < 1 || uses > maxTaskUses:
		return fmt.Errorf("%w: say how many calls a task may make, 1 to %d", ErrGrantForm, maxTaskUses)
	}
	if t.Sum != nil {
		if most, ok := parseAmount(t.Sum.Most); !ok || most.Sign() <= 0 || !strings.HasPrefix(t.Sum.Pointer, "/") {
			return fmt.Errorf("%w: what a task may come to is a number above 0, such as 500.00", ErrGrantForm)
		}
	}
	return nil
}

// names reports whether a task is for a tool.
func (t *Task) names(tool string) bool {
	return slices.ContainsFunc(t.Tools, func(s string) bool {
		beginning, open := strings.CutSuffix(s, "*")
		return tool == s || open && strings.HasPrefix(tool, beginning)
	})
}

// add is what the calls come to with one more. A call without a number at the
// pointer, or with one below zero, is none that the task is for.
func (t *Task) add(sum string, args []byte) (string, bool) {
	if t.Sum == nil {
		return sum, true
	}
	v, _ := ValueAt(args, t.Sum.Pointer)
	text := string(v)
	if strings.HasPrefix(text, `"`) && json.Unmarshal(v, &text) != nil {
		return sum, false
	}
	before, ok := parseAmount(cmp.Or(sum, "0"))
	most, good := parseAmount(t.Sum.Most)
	amount, is := parseAmount(text)
	if !ok || !good || !is || amount.Sign() < 0 {
		return sum, false
	}
	after := before.Add(before, amount)
	return formatAmount(after), after.Cmp(most) <= 0
}

// amountDigits are the digits behind the point that are kept.
const amountDigits = 20

// amountForm has no exponent: what 1e9 of something means to an API is not for
// us to say.
var amountForm = regexp.MustCompile(`^(-?)([0-9]{1,40})(?:\.([0-9]{1,20}))?$`)

// parseAmount reads a decimal exactly, as a whole number of 10^-20.
func parseAmount(s string) (*big.Int, bool) {
	m := amountForm.FindStringSubmatch(s)
	if m == nil {
		return nil, false
	}
	return new(big.Int).SetString(m[1]+m[2]+m[3]+strings.Repeat("0", amountDigits-len(m[3])), 10)
}

// formatAmount writes an amount that is not below zero.
func formatAmount(n *big.Int) string {
	digits := n.String()
	if len(digits) <= amountDigits {
		digits = strings.Repeat("0", amountDigits+1-len(digits)) + digits
	}
	at := len(digits) - amountDigits
	return strings.TrimSuffix(strings.TrimRight(digits[:at]+"."+digits[at:], "0"), ".")
}

// inTask is a grant as it is for one call: a task's is for several tools, and the
// policies are asked about one.
func (r Rule) inTask(c Shape) Rule {
	if r.Scope.Task != nil {
		r.Scope.Tool, r.Effect = c.Tool, c.Effect
	}
	return r
}

// told says in words what a task is for.
func (t *Task) told(sum string) string {
	text := "for " + strconv.QuoteToGraphic(t.Name) + ": the tools " + strings.Join(t.Tools, ", ")
	if t.Sum != nil {
		text += fmt.Sprintf(", while %s comes to %s at most in all (%s so far)", t.Sum.Pointer, t.Sum.Most, cmp.Or(sum, "0"))
	}
	return text
}

// cedar is the action of a task, and what Cedar cannot say of it.
func (t *Task) cedar(names authz.Names) (action string, notes []string) {
	var whole []string
	for _, tool := range t.Tools {
		if beginning, open := strings.CutSuffix(tool, "*"); open {
			notes = append(notes, "// and the tools whose names begin with "+strconv.QuoteToASCII(beginning))
		} else {
			whole = append(whole, names.Action(tool))
		}
	}
	action = `action in Action::"call_tool"`
	if len(notes) == 0 {
		action = "action in [" + strings.Join(whole, ", ") + "]"
	} else if len(whole) > 0 {
		notes = append(notes, "// or is one of "+strings.Join(whole, ", "))
	}
	if t.Sum != nil {
		notes = append(notes, fmt.Sprintf("// and %s comes to %s at most in all calls together", strconv.QuoteToASCII(t.Sum.Pointer), t.Sum.Most))
	}
	return action, notes
}

// Proposal is what a task could be for, from what an agent has asked for so far.
type Proposal struct {
	Tools []string // the hold's own first, then the beginnings of its name, then what else waited lately
	Sums  []string // pointers of the hold's arguments that are amounts
}

// propose reads a proposal out of a hold and the agent's other recent holds.
func propose(h store.Hold, agent authz.Agent, recent []store.Hold) Proposal {
	p := Proposal{Tools: []string{h.Tool}}
	for at := strings.LastIndexByte(h.Tool, '_'); at > 1; at = strings.LastIndexByte(h.Tool[:at], '_') {
		p.Tools = append(p.Tools, h.Tool[:at+1]+"*")
	}
	for _, x := range recent {
		who, err := PartiesOf(x)
		if err == nil && who.Agent.Is(agent) && x.API == h.API && !slices.Contains(p.Tools, x.Tool) && len(p.Tools) < maxTaskTools {
			p.Tools = append(p.Tools, x.Tool)
		}
	}
	for _, e := range Pointers(h.Args) {
		text := e.Value
		if strings.HasPrefix(text, `"`) && json.Unmarshal([]byte(text), &text) != nil {
			continue
		}
		if n, ok := parseAmount(text); ok && n.Sign() >= 0 {
			p.Sums = append(p.Sums, e.Pointer)
		}
	}
	return p
}
