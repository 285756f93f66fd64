package authz

import (
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
)

// ordinals name the approvals of one call in context.approvals, in the order in
// which they were given: Cedar cannot count what is in a set.
var ordinals = []types.String{"first", "second", "third", "fourth", "fifth"}

// MaxApprovals bounds the approvals of one call.
const MaxApprovals = 5

// approvalsText is the type of context.approvals as the schema shows it.
func approvalsText() string {
	text := "{\n  count: Long"
	for i, name := range ordinals {
		mark := "?"
		if i == 0 {
			mark = ""
		}
		text += fmt.Sprintf(",\n  %s%s: Approval", name, mark)
	}
	return text + "\n}"
}

// errExpired is an approval whose time is over.
var errExpired = errors.New("an approval has expired")

// approve puts into the context what people said: the approval at hand, and all of
// them in their order.
func (q *question) approve(r Query) (given []types.Record, err error) {
	if r.Approval == nil {
		if len(r.Earlier) > 0 {
			return nil, errors.New("there are earlier approvals and none at hand")
		}
		return nil, nil
	}
	all := append(slices.Clone(r.Earlier), *r.Approval)
	for _, a := range all {
		if !a.Expires.After(r.Now) {
			return nil, errExpired
		}
	}
	if given, err = q.ents.approvals(all); err != nil {
		return nil, err
	}
	q.context["approval"], q.context["approvals"] = given[len(given)-1], approvalsRecord(given)
	return given, nil
}

// approvals are the records of several people's approvals: one of each person.
func (e entities) approvals(list []ApprovalContext) (out []types.Record, err error) {
	if len(list) > MaxApprovals {
		return nil, fmt.Errorf("there are %d approvals; policies can ask about %d", len(list), MaxApprovals)
	}
	people := map[string]bool{}
	for _, a := range list {
		if people[a.By.Name()] {
			return nil, fmt.Errorf("%s is said to have approved twice", a.By.Name())
		}
		people[a.By.Name()] = true
		r, err := e.approval(a)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// approvalsRecord is context.approvals.
func approvalsRecord(list []types.Record) types.Record {
	r := types.RecordMap{"count": types.Long(len(list))}
	for i, a := range list {
		r[ordinals[i]] = a
	}
	return types.NewRecord(r)
}

// someApproval is an approval of which only the choice is known. Those of two
// people have other names.
func someApproval(once bool, name types.String) types.Record {
	return types.NewRecord(types.RecordMap{
		"by": unknown("by_" + name), "once": types.Boolean(once), "at": unknown("at_" + name), "expires": unknown("expires_" + name),
		"amr": unknown("amr_" + name), "phishing_resistant": unknown("phishing_resistant_" + name),
	})
}

// supposed are the contexts with one further approval than were given, with two,
// and so on up to as many as a policy can ask for. A grant is one person's.
func (a *action) supposed(context types.RecordMap, given []types.Record, once bool) iter.Seq2[types.RecordMap, int] {
	most := len(given) + 1
	if a.counts && once {
		most = MaxApprovals
	}
	return func(yield func(types.RecordMap, int) bool) {
		all := slices.Clone(given)
		for n := len(all); n < most && n < MaxApprovals; n++ {
			all = append(all, someApproval(once, ordinals[n]))
			c := with(context, "approvals", approvalsRecord(all))
			if len(given) == 0 {
				c["approval"] = all[n]
			}
			if !yield(c, n+1) {
				return
			}
		}
	}
}

// withApproval evaluates with each choice that people have: one or several who let
// the call go once, or one who gives a grant. Everything else of an approval is
// unknown: who will give it, when, and with what proof. So an approval that is
// offered may still be refused when it comes, but what could never be enough is not
// offered. people is the least number of them.
func (a *action) withApproval(req cedar.Request, context types.RecordMap, ents entities) (permits []string, choices Choices, people int) {
	try := func(once bool) (found int) {
		for c, n := range a.supposed(context, nil, once) {
			r := a.partial(req, types.NewRecord(c), ents)
			if !r.possible() {
				continue
			}
			permits = append(permits, r.kept...)
			if found == 0 {
				found = n
			}
		}
		return found
	}
	people = try(true)
	choices = Choices{Once: people > 0, Grant: try(false) > 0}
	if choices.Grant {
		people = 1
	}
	return sortUnique(permits), choices, people
}

// withMore decides a call that the approvals so far do not let go: hold, if those
// of further people could, else the deny that it is. The approval at hand stays
// what it is in that: what a policy asks of context.approval holds of each.
func (a *action) withMore(q *question, given []types.Record, d Decision) Decision {
	if !a.counts || q.context["approval"].(types.Record).Map()["once"] != types.True {
		return d
	}
	for c, n := range a.supposed(q.context, given, true) {
		if r := a.partial(q.Request, types.NewRecord(c), q.ents); r.possible() {
			return Decision{Outcome: Hold, Policies: sortUnique(r.kept), Remediation: RemedyApproval, Choices: Choices{Once: true}, People: n,
				Reason: "another person has to approve this call, too (" + list(sortUnique(r.kept)) + ")"}
		}
	}
	return d
}
