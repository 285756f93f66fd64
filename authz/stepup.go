package authz

import "github.com/cedar-policy/cedar-go/types"

// StepUp says what a person who may not decide a hold could do about it.
type StepUp struct {
	Login   bool // a fresher or stronger login could be enough
	Passkey bool // a passkey could, as the login stands
}

// StepUp finds out whether MayApprove could say yes to the same person with
// another login: acr, auth_time and amr are taken to be any, or the approval to
// be signed by a passkey. It errs on the side of yes, and permits nothing.
func (e *Engine) StepUp(h HoldFacts) StepUp {
	req, ents, err := e.holdRequest(approveAction, h)
	if err != nil {
		return StepUp{}
	}
	context := req.Context.Map()
	approval, ok := context["approval"].(types.Record)
	if !ok {
		return StepUp{}
	}
	a := &action{uid: approveAction, candidates: e.approve}
	try := func(ents entities, changed types.RecordMap) bool {
		facts := approval.Map()
		for k, v := range changed {
			facts[k] = v
		}
		return a.partial(req, types.NewRecord(with(context, "approval", types.NewRecord(facts))), ents).possible()
	}
	return StepUp{
		Login:   try(ents.freshLogin(req.Principal), types.RecordMap{"amr": unknown("amr")}),
		Passkey: try(ents, types.RecordMap{"phishing_resistant": types.True, "amr": unknown("amr")}),
	}
}
