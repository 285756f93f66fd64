package authz

import (
	"regexp"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
)

// DefaultPolicy is the policy set used when none is given.
const DefaultPolicy = `@id("reads")
permit (principal, action in Action::"read", resource);

@id("writes-wait-for-a-person")
permit (principal, action in [Action::"write", Action::"delete"], resource) when { context has approval };

@id("people-decide-for-their-own-agents")
permit (principal, action == Action::"approve", resource) when { resource.requester == principal };
`

// The entity types of the shared vocabulary.
const (
	userType     types.EntityType = "User"
	workloadType types.EntityType = "Workload"
	groupType    types.EntityType = "Group"
	agentType    types.EntityType = "Agent"
	apiType      types.EntityType = "Api"
	holdType     types.EntityType = "Hold"
	actionType   types.EntityType = "Action"
)

// What a person needs to decide a hold, and to see one that they may not decide; and
// what an agent needs for one that another agent of its principal made.
var (
	approveAction = types.NewEntityUID(actionType, "approve")
	seeAction     = types.NewEntityUID(actionType, "see")
	resumeAction  = types.NewEntityUID(actionType, "resume")

	holdActions = []types.EntityUID{approveAction, seeAction, resumeAction}
)

// groupActions are the action groups of the shared vocabulary.
var groupActions = []types.String{"call_tool", "read", "write", "delete"}

// identifier is what Cedar takes for a name without quotes.
var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// namespace is an API's Cedar namespace: pet_store becomes PetStore.
func namespace(api string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(api, "_") {
		if part != "" {
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return b.String()
}

func actionUID(api, name string) types.EntityUID {
	return types.NewEntityUID(types.EntityType(namespace(api)+"::Action"), types.String(name))
}

func pathType(api string) types.EntityType { return types.EntityType(namespace(api) + "::Path") }

// actionParents are the groups an action is in.
func actionParents(api string, a Action) []types.EntityUID {
	parents := []types.EntityUID{
		types.NewEntityUID(actionType, "call_tool"),
		types.NewEntityUID(actionType, types.String(a.Effect)),
	}
	for _, tag := range a.Tags {
		parents = append(parents, tagUID(api, tag))
	}
	return parents
}

func tagUID(api, tag string) types.EntityUID { return actionUID(api, "tag:"+tag) }

func required(t resolved.IsType) resolved.Attribute { return resolved.Attribute{Type: t} }
func optional(t resolved.IsType) resolved.Attribute {
	return resolved.Attribute{Type: t, Optional: true}
}

// Types of the vocabulary that are used more than once.
var (
	stringT   = resolved.StringType{}
	longT     = resolved.LongType{}
	boolT     = resolved.BoolType{}
	datetimeT = resolved.ExtensionType("datetime")
	decimalT  = resolved.ExtensionType("decimal")
	stringsT  = resolved.SetType{Element: stringT}
	userT     = resolved.EntityType(userType)
	agentT    = resolved.EntityType(agentType)

	approvalT = resolved.RecordType{
		"by": required(userT), "once": required(boolT), "at": required(datetimeT), "expires": required(datetimeT),
		"amr": required(stringsT), "phishing_resistant": required(boolT),
	}
	approvalsT = func() resolved.RecordType {
		r := resolved.RecordType{"count": required(longT)}
		for i, name := range ordinals {
			r[name] = resolved.Attribute{Type: approvalT, Optional: i > 0}
		}
		return r
	}()
	sessionT = resolved.RecordType{"id": required(stringT), "transport": required(stringT), "labels": required(stringsT)}
	countsT  = resolved.RecordType{"minute": required(longT), "hour": required(longT), "day": required(longT)}
	usageT   = resolved.RecordType{"minute": required(longT), "hour": required(longT), "day": required(longT),
		"read": required(countsT), "write": required(countsT), "delete": required(countsT), "api": required(countsT), "agent": required(countsT)}
)

// identityShape is what policies know of a principal.
var identityShape = resolved.RecordType{
	"email": optional(stringT), "roles": required(stringsT), "scopes": required(stringsT),
	"acr": optional(stringT), "auth_time": optional(datetimeT), "issuer": optional(stringT),
}

// agentShape is what policies know of the calling program. client is the
// entity's id again: only a string can be asked with like.
var agentShape = resolved.RecordType{"client": required(stringT), "verified": required(boolT), "issuer": optional(stringT), "chain": required(stringsT)}

// sharedEntities are the entity types of the empty namespace.
func sharedEntities() map[types.EntityType]resolved.Entity {
	return map[types.EntityType]resolved.Entity{
		userType:     {Name: userType, ParentTypes: []types.EntityType{groupType}, Shape: identityShape},
		workloadType: {Name: workloadType, ParentTypes: []types.EntityType{groupType}, Shape: identityShape},
		groupType:    {Name: groupType, ParentTypes: []types.EntityType{groupType}},
		agentType:    {Name: agentType, Shape: agentShape},
		apiType:      {Name: apiType},
		// The requester may be a Workload, and then is one: a User of the same name
		// must not be taken for it. It is typed as a User because an attribute has
		// one type and "resource.requester == principal" asks about people; both
		// types have the same attributes, so no policy can tell at the wrong time.
		holdType: {Name: holdType, Shape: resolved.RecordType{
			"requester": required(userT), "agent": required(agentT), "api": required(stringT),
			"action": required(stringT), "effect": required(stringT), "path": required(stringT),
		}},
	}
}

// callContext is the context of a call with the given input.
func callContext(input *inputType) resolved.RecordType {
	return resolved.RecordType{
		"input": required(input.record()), "rounded": required(input.roundedRecord()), "agent": required(agentT), "session": required(sessionT),
		"usage": required(usageT), "now": required(datetimeT), "exact": required(boolT), "approval": optional(approvalT), "approvals": optional(approvalsT),
	}
}

// holdContext is the context of an action on holds. Its approvals are those that
// there are already.
func holdContext(of types.EntityUID) resolved.RecordType {
	r := resolved.RecordType{"approvals": optional(approvalsT), "now": required(datetimeT)}
	switch of {
	case approveAction:
		r["approval"] = required(approvalT)
	case resumeAction:
		r["agent"] = required(agentT)
		delete(r, "approvals")
	}
	return r
}

// holdPrincipals are who can do something with a hold.
func holdPrincipals(of types.EntityUID) []types.EntityType {
	if of == resumeAction {
		return []types.EntityType{userType, workloadType}
	}
	return []types.EntityType{userType}
}

// cedarString quotes a string as Cedar does; Go has other escapes.
func cedarString(s string) string { return string(types.String(s).MarshalCedar()) }
