package credential

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/token"
)

// Statement is one statement of the session policy of a call: what the call may do,
// and with what. What a role may do besides is not in it.
type Statement struct {
	Which
	Actions   []string // s3:PutObject
	Resources []string // ARNs with values of the path: arn:aws:s3:::orders/{id}.json
	// Conditions are IAM's, by operator and key; their values are filled like those
	// of Resources.
	Conditions map[string]map[string][]string
}

// maxPolicy bounds a session policy, in characters.
const maxPolicy = 2048

// wildcards are what a value must not bring into a policy, and $ a variable.
const wildcards = "*?$"

// endOfPolicy is when a policy ends, as IAM writes it.
const endOfPolicy = "2006-01-02T15:04:05Z"

// check reports what no policy can be made of.
func (s Statement) check() error {
	if len(s.Actions) == 0 || len(s.Resources) == 0 {
		return errors.New("a statement of the policy needs actions and resources")
	}
	for _, a := range s.Actions {
		if service, name, ok := strings.Cut(a, ":"); !ok || service == "" || name == "" || strings.ContainsAny(a, "{}") {
			return fmt.Errorf("%s is not an action, such as s3:PutObject; effects and methods say for which calls a statement is", brief(a))
		}
	}
	for _, r := range s.Resources {
		if r != "*" && (!strings.HasPrefix(r, "arn:") || strings.Count(r, ":") < 5) {
			return fmt.Errorf("%s is not an ARN; name what a call is about, such as arn:aws:s3:::orders/{id}.json", brief(r))
		}
	}
	if _, ok := s.Conditions["DateLessThan"]["aws:CurrentTime"]; ok {
		return errors.New("the condition DateLessThan aws:CurrentTime is set by exeat (lasts)")
	}
	return s.Which.check()
}

// statement is a statement as IAM reads it.
type statement struct {
	Effect    string
	Action    []string
	Resource  []string
	Condition map[string]map[string][]string
}

// sessionPolicy is the policy of one call.
type sessionPolicy struct {
	text  string
	scope string // what it allows, in words
	wider string // in what that is more than the call needs
}

// renderPolicy makes the session policy of c: the statements that are for it, until
// end.
func renderPolicy(statements []Statement, c token.Call, end time.Time) (p sessionPolicy, err error) {
	var out struct {
		Version   string
		Statement []statement
	}
	out.Version = "2012-10-17"
	var allowed []string
	for _, s := range statements {
		if !s.fits(c) {
			continue
		}
		one, err := s.render(c, end)
		if err != nil {
			return p, err
		}
		out.Statement = append(out.Statement, one)
		allowed = append(allowed, strings.Join(s.Actions, " ")+" "+strings.Join(one.Resource, " "))
		if strings.ContainsAny(strings.Join(slices.Concat(one.Resource, s.Actions), ""), "*?") {
			p.wider = "the policy has wildcards of the configuration"
		}
	}
	if len(out.Statement) == 0 {
		return p, fmt.Errorf("no statement of the policy is for a %s that is a %s", strings.Join(c.Details.Actions, " "), c.Effect)
	}
	b, err := json.Marshal(out)
	if err != nil {
		return p, err
	}
	if n := len([]rune(string(b))); n > maxPolicy {
		return p, fmt.Errorf("the policy of this call has %d characters, and AWS takes %d: say less in it, or split the tools between credentials (credential_for)", n, maxPolicy)
	}
	p.text, p.scope = string(b), strings.Join(allowed, "; ")
	return p, nil
}

func (s Statement) render(c token.Call, end time.Time) (statement, error) {
	one := statement{Effect: "Allow", Action: s.Actions, Condition: map[string]map[string][]string{}}
	all := func(templates []string) (out []string, err error) {
		for _, t := range templates {
			filled, err := fill(t, c.Path, wildcards)
			if err != nil {
				return nil, err
			}
			out = append(out, filled)
		}
		return out, nil
	}
	var err error
	if one.Resource, err = all(s.Resources); err != nil {
		return one, err
	}
	for operator, keys := range s.Conditions {
		one.Condition[operator] = map[string][]string{}
		for key, values := range keys {
			if one.Condition[operator][key], err = all(values); err != nil {
				return one, err
			}
		}
	}
	until := maps.Clone(one.Condition["DateLessThan"])
	if until == nil {
		until = map[string][]string{}
	}
	until["aws:CurrentTime"] = []string{end.UTC().Format(endOfPolicy)}
	one.Condition["DateLessThan"] = until
	return one, nil
}
