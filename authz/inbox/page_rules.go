package inbox

import (
	"net/http"
	"time"

	"github.com/exeat/exeat/authz/approval"
)

// permissionsPage is every rule in force and every agent.
type permissionsPage struct {
	frame
	Accounts []accountRow
	Agents   []approval.AgentState
	Rules    []ruleRow
}

type ruleRow struct {
	approval.Rule
	Cedar, Giver string
	Left         time.Duration // until it ends
}

// ByAgent are the rules of one agent, for the template.
func (p permissionsPage) ByAgent(name string) (out []ruleRow) {
	for _, r := range p.Rules {
		if r.Agent == name {
			out = append(out, r)
		}
	}
	return out
}

func (in *Inbox) permissions(w http.ResponseWriter, r *http.Request, s session) error {
	agents, rules, err := in.listRules(r, s)
	if err != nil {
		return err
	}
	accounts, err := in.accounts(r, s)
	if err != nil {
		return err
	}
	p := permissionsPage{frame: in.newFrame("Permissions", s), Accounts: accounts, Agents: agents}
	for _, x := range rules {
		row := ruleRow{Rule: x, Giver: x.By.Name(), Left: x.Ends.Sub(in.now())}
		if x.Kind != approval.KindStop && !x.Damaged {
			row.Cedar = x.Cedar()
		}
		p.Rules = append(p.Rules, row)
	}
	return render(w, http.StatusOK, "permissions.html", p)
}

// listRules is what a person sees of agents and rules. An agent of somebody else
// for which the person gave something is listed too.
func (in *Inbox) listRules(r *http.Request, s session) ([]approval.AgentState, []approval.Rule, error) {
	rules, err := in.holds.Rules(r.Context(), s.who)
	if err != nil {
		return nil, nil, err
	}
	for i, x := range rules {
		rules[i] = hideRule(x)
	}
	agents, err := in.holds.Agents(r.Context(), s.who)
	known := map[string]bool{}
	for _, a := range agents {
		known[a.Name] = true
	}
	for _, x := range rules {
		if !known[x.Agent] {
			known[x.Agent], agents = true, append(agents, approval.AgentState{Name: x.Agent})
		}
	}
	return agents, rules, err
}

func (in *Inbox) revokeRule(w http.ResponseWriter, r *http.Request, s session) error {
	if err := in.holds.Revoke(r.Context(), s.who, r.PathValue("id")); err != nil {
		return err
	}
	http.Redirect(w, r, "/permissions", http.StatusSeeOther)
	return nil
}

// switchAgent stops or starts the agent that a form names by its key.
func (in *Inbox) switchAgent(w http.ResponseWriter, r *http.Request, s session) error {
	agents, err := in.holds.Agents(r.Context(), s.who)
	if err != nil {
		return err
	}
	for _, a := range agents {
		if key(a.Name) == r.PathValue("key") {
			if err := in.turn(r, s, r.PathValue("what"), a.Name); err != nil {
				return err
			}
			http.Redirect(w, r, "/permissions", http.StatusSeeOther)
			return nil
		}
	}
	return approval.ErrNotFound
}

func (in *Inbox) turn(r *http.Request, s session, what, agent string) error {
	switch what {
	case "stop":
		return in.holds.Stop(r.Context(), s.who, agent)
	case "start":
		return in.holds.Start(r.Context(), s.who, agent)
	}
	return approval.ErrNotFound
}

func (in *Inbox) apiRules(r *http.Request, s session) (any, error) {
	_, rules, err := in.listRules(r, s)
	if rules == nil {
		rules = []approval.Rule{}
	}
	return rules, err
}

// done is the answer to what has nothing to say.
type done struct{}

func (in *Inbox) apiRevoke(r *http.Request, s session) (any, error) {
	return done{}, in.holds.Revoke(r.Context(), s.who, r.PathValue("id"))
}

func (in *Inbox) apiAgents(r *http.Request, s session) (any, error) {
	agents, err := in.holds.Agents(r.Context(), s.who)
	if agents == nil {
		agents = []approval.AgentState{}
	}
	return agents, err
}

func (in *Inbox) apiSwitch(r *http.Request, s session) (any, error) {
	var body struct {
		Agent string `json:"agent"`
	}
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	return done{}, in.turn(r, s, r.PathValue("what"), body.Agent)
}
