package authz

import (
	"fmt"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
)

// entities are those of one request over those of its caller and the engine's own.
type entities struct {
	own    types.EntityMap
	caller types.EntityMap
	shared types.EntityMap
}

func (e entities) Get(uid types.EntityUID) (types.Entity, bool) {
	if x, ok := e.own[uid]; ok {
		return x, true
	}
	if x, ok := e.caller[uid]; ok {
		return x, true
	}
	x, ok := e.shared[uid]
	return x, ok
}

// maxPath bounds the segments of a path that become entities.
const maxPath = 100

// question is the Cedar form of a call.
type question struct {
	cedar.Request                 // with an empty context
	context       types.RecordMap // without an approval, until one is added
	ents          entities
	unheld        []unheld
	by            *caller
}

// findCaller is callerOf or newCaller.
type findCaller func(Principal, Agent, Session) (*caller, error)

// ask makes the Cedar form of a call, without its approval.
func (e *Engine) ask(a *action, r Query, find findCaller) (*question, error) {
	c := converter{zone: a.zone}
	input, err := c.record(a.input, r.Input, []string{"input"})
	if err != nil {
		return nil, err
	}
	by, err := find(r.Principal, r.Agent, r.Session)
	if err != nil {
		return nil, err
	}
	ents := entities{own: make(types.EntityMap, 8), caller: by.own, shared: e.entities}
	resource, err := ents.path(a.root, r.Path)
	if err != nil {
		return nil, err
	}
	context := types.RecordMap{
		"input":   input,
		"agent":   by.agent,
		"session": by.session,
		"usage":   usageRecord(r.Usage),
		"now":     types.NewDatetime(r.Now),
		"exact":   types.Boolean(r.Exact),
	}
	if a.rounds {
		context["rounded"] = c.roundRecord(a.input, r.Input, []string{"rounded"})
	}
	return &question{Request: cedar.Request{Principal: by.principal, Action: a.uid, Resource: resource}, context: context, ents: ents, unheld: c.unheld, by: by}, nil
}

// noUsage is what most calls are asked about with: no policy wants to know.
var noUsage = makeUsage(Usage{})

func usageRecord(u Usage) types.Record {
	if u == (Usage{}) {
		return noUsage
	}
	return makeUsage(u)
}

func makeUsage(u Usage) types.Record {
	r := countsMap(Counts{u.Minute, u.Hour, u.Day})
	for name, c := range map[types.String]Counts{"read": u.Read, "write": u.Write, "delete": u.Delete, "api": u.API, "agent": u.Agent} {
		r[name] = types.NewRecord(countsMap(c))
	}
	return types.NewRecord(r)
}

func countsMap(c Counts) types.RecordMap {
	return types.RecordMap{"minute": types.Long(c.Minute), "hour": types.Long(c.Hour), "day": types.Long(c.Day)}
}

func sessionRecord(s Session) types.Record {
	return types.NewRecord(types.RecordMap{"id": types.String(s.ID), "transport": types.String(s.Transport), "labels": stringSet(s.Labels)})
}

func stringSet(list []string) types.Set {
	values := make([]types.Value, len(list))
	for i, s := range list {
		values[i] = types.String(s)
	}
	return types.NewSet(values...)
}

// principal adds a principal and its groups.
func (e entities) principal(p Principal) (types.EntityUID, error) {
	typ := types.EntityType(p.Type)
	if (typ != userType && typ != workloadType) || p.ID == "" {
		return types.EntityUID{}, fmt.Errorf("the principal %q::%q is neither a User nor a Workload", p.Type, p.ID)
	}
	uid := types.NewEntityUID(typ, types.String(p.ID))
	var groups []types.EntityUID
	for _, g := range p.Groups {
		group := types.NewEntityUID(groupType, types.String(g))
		groups = append(groups, group)
		e.own[group] = types.Entity{UID: group}
	}
	attrs := types.RecordMap{"roles": stringSet(p.Roles), "scopes": stringSet(p.Scopes)}
	if p.Email != "" {
		attrs["email"] = types.String(p.Email)
	}
	if p.ACR != "" {
		attrs["acr"] = types.String(p.ACR)
	}
	if p.Issuer != "" {
		attrs["issuer"] = types.String(p.Issuer)
	}
	if !p.AuthTime.IsZero() {
		attrs["auth_time"] = types.NewDatetime(p.AuthTime)
	}
	e.own[uid] = types.Entity{UID: uid, Parents: types.NewEntityUIDSet(groups...), Attributes: types.NewRecord(attrs)}
	return uid, nil
}

func (e entities) agent(a Agent) types.EntityUID {
	uid := types.NewEntityUID(agentType, types.String(a.ID))
	attrs := types.RecordMap{"client": types.String(a.ID), "verified": types.Boolean(a.Verified), "chain": stringSet(a.Chain)}
	if a.Issuer != "" {
		attrs["issuer"] = types.String(a.Issuer)
	}
	e.own[uid] = types.Entity{UID: uid, Attributes: types.NewRecord(attrs)}
	return uid
}

// rootEntities are an API, and the path above all of its others.
func rootEntities(api string) [2]types.Entity {
	self := types.NewEntityUID(apiType, types.String(api))
	return [2]types.Entity{{UID: self}, {UID: types.NewEntityUID(pathType(api), "/"), Parents: types.NewEntityUIDSet(self)}}
}

// path adds the path of a request and all paths above it, up to the API.
func (e entities) path(root [2]types.Entity, path string) (types.EntityUID, error) {
	if !strings.HasPrefix(path, "/") {
		return types.EntityUID{}, fmt.Errorf("the path %q does not begin with /", path)
	}
	for _, x := range root {
		e.own[x.UID] = x
	}
	parent := root[1].UID
	segments := strings.Split(strings.TrimSuffix(path, "/"), "/")[1:]
	if len(segments) > maxPath {
		return types.EntityUID{}, fmt.Errorf("the path has more than %d segments", maxPath)
	}
	at := ""
	for _, s := range segments {
		if at += "/" + s; at == "/" {
			continue // of //x, which is another path than /x
		}
		uid := types.NewEntityUID(parent.Type, types.String(at))
		e.own[uid] = types.Entity{UID: uid, Parents: types.NewEntityUIDSet(parent)}
		parent = uid
	}
	return parent, nil
}

// approvalRecord is what a person said, for the context.
func (e entities) approval(a ApprovalContext) (types.Record, error) {
	if a.By.Type != string(userType) {
		return types.Record{}, fmt.Errorf("an approval is by a User, not by a %q", a.By.Type)
	}
	by := types.NewEntityUID(userType, types.String(a.By.ID))
	if _, known := e.Get(by); !known {
		if _, err := e.principal(a.By); err != nil {
			return types.Record{}, err
		}
	}
	return types.NewRecord(types.RecordMap{
		"by": by, "once": types.Boolean(a.Once), "at": types.NewDatetime(a.At), "expires": types.NewDatetime(a.Expires),
		"amr": stringSet(a.AMR), "phishing_resistant": types.Boolean(a.PhishingResistant),
	}), nil
}

// holdRequest is the Cedar form of a person's wish to decide a hold, or to see it, or
// of an agent's to go on with it.
func (e *Engine) holdRequest(of types.EntityUID, h HoldFacts) (cedar.Request, entities, error) {
	ents := entities{own: types.EntityMap{}, shared: e.entities}
	requester, err := ents.principal(h.Requester)
	if err != nil {
		return cedar.Request{}, ents, err
	}
	// The person's own attributes win over those of an equal requester.
	person, err := ents.principal(h.Approval.By)
	if err == nil && person.Type != userType && of != resumeAction {
		err = fmt.Errorf("a %s is no person", person.Type)
	}
	if err != nil {
		return cedar.Request{}, ents, err
	}
	context := types.RecordMap{"now": types.NewDatetime(h.Now)}
	if of == approveAction {
		if context["approval"], err = ents.approval(h.Approval); err != nil {
			return cedar.Request{}, ents, err
		}
	}
	if of == resumeAction {
		context["agent"] = ents.agent(h.By)
	}
	if len(h.Earlier) > 0 {
		given, err := ents.approvals(h.Earlier)
		if err != nil {
			return cedar.Request{}, ents, err
		}
		context["approvals"] = approvalsRecord(given)
	}
	hold := types.NewEntityUID(holdType, types.String(h.ID))
	ents.own[hold] = types.Entity{UID: hold, Attributes: types.NewRecord(types.RecordMap{
		"requester": requester, "agent": ents.agent(h.Agent), "api": types.String(h.API),
		"action": types.String(h.Action), "effect": types.String(h.Effect), "path": types.String(h.Path),
	})}
	return cedar.Request{Principal: person, Action: of, Resource: hold, Context: types.NewRecord(context)}, ents, nil
}
