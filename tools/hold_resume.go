package tools

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/tools/jq"
)

// MaxWait is the longest that [Runner.Resume] waits: below the 60 s after which
// common hosts give a call up.
const MaxWait = 50 * time.Second

// poll is how soon an agent may ask again.
const poll = 5 * time.Second

// Resume answers what has become of a held call, after waiting for at most wait
// (no longer than MaxWait) while it is open, or until ctx ends. What the API
// answered is kept whole; program, if it is not "", is what _select is in a call.
func (r *Runner) Resume(ctx context.Context, caller Caller, handle string, wait time.Duration, program string) Result {
	var p *jq.Program
	if program != "" {
		var err error
		if p, err = jq.Parse(program); err != nil {
			res := fail(InvalidArguments, "the arguments do not fit the tool's input schema")
			res.Envelope.Problems, res.Envelope.Remediation = []Problem{{Pointer: "/" + selectArg, Message: err.Error()}}, authz.RemedyArgs
			return res
		}
	}
	if res, refused := r.refuseAgent(ctx, caller); refused {
		return res
	}
	waiting, cancel := context.WithTimeout(ctx, min(wait, MaxWait))
	defer cancel()
	h, err := r.Holds.Wait(waiting, caller.asker(), handle, r.waitsForCaller)
	if err == nil && r.waitsForCaller(h) {
		if caller.Token.IsZero() {
			return noToken()
		}
		r.releaseWith(ctx, h, caller)
		h, err = r.Holds.Wait(waiting, caller.asker(), handle, r.isKept)
	}
	if err != nil {
		return noHold(err)
	}
	res := r.answerOf(ctx, h)
	r.project(ctx, p, &res)
	return res
}

// Cancel withdraws a call that still waits for a person.
func (r *Runner) Cancel(ctx context.Context, caller Caller, handle string) Result {
	if res, refused := r.refuseAgent(ctx, caller); refused {
		return res
	}
	h, err := r.Holds.Cancel(ctx, caller.asker(), handle)
	if errors.Is(err, approval.ErrDecided) || errors.Is(err, approval.ErrExpired) {
		h, err = r.Holds.Get(ctx, caller.asker(), handle)
	}
	if err != nil {
		return noHold(err)
	}
	return r.answerOf(ctx, h)
}

// Open lists the caller's open holds.
func (r *Runner) Open(ctx context.Context, caller Caller) Result {
	if res, refused := r.refuseAgent(ctx, caller); refused {
		return res
	}
	holds, err := r.Holds.List(ctx, caller.asker())
	if err != nil {
		return noHold(err)
	}
	list := []Waiting{}
	for _, h := range holds {
		name := h.Tool
		if t, ok := r.byOp[[2]string{h.API, h.Tool}]; ok {
			name = t.Name
		}
		list = append(list, Waiting{Handle: h.ID, Tool: name, State: string(h.State), Summary: h.Summary,
			ApprovalURL: r.HoldURL(h.ID), ExpiresAt: stamp(h.Expires)})
	}
	return Result{Envelope: Envelope{Status: Done, Holds: list}}
}

var keptDays = strconv.Itoa(int(approval.KeptFor / (24 * time.Hour)))

// noHold is the answer to a handle that is not the caller's, whether it exists
// or not.
func noHold(err error) Result {
	if errors.Is(err, approval.ErrNotFound) {
		return fail(HandleNotFound, "there is no held call with this handle, or it ended more than "+keptDays+" days ago and is gone; exeat_holds lists the open ones")
	}
	if errors.Is(err, approval.ErrTampered) {
		return deny(PolicyChanged, "what exeat kept of this call was changed by somebody else: it is not sent any more. If it was being sent already, look at what became of it", nil, authz.RemedyApproval)
	}
	return fail(Internal, "the held call could not be read; try again")
}

// answerOf is a hold as its requester sees it.
func (r *Runner) answerOf(ctx context.Context, h store.Hold) Result {
	switch h.State {
	case store.Pending, store.Approved, store.Sending:
		return r.pending(ctx, h)
	case store.Denied:
		reason := "a person denied this call"
		if h.Denial != "" {
			reason += ", saying: " + h.Denial
		}
		return final(h, deny(ApprovalDenied, reason, nil, authz.RemedyNone), DeniedNotExecuted)
	case store.Expired:
		if h.Approval != nil {
			return final(h, deny(ApprovalExpired, "a person approved this call, and it could not be sent before the approval ended; nothing was executed. Making the call again asks again", nil, authz.RemedyApproval), DeniedNotExecuted)
		}
		return final(h, deny(ApprovalExpired, "nobody decided in time; nothing was executed. Making the call again asks again", nil, authz.RemedyApproval), DeniedNotExecuted)
	case store.Cancelled:
		return final(h, Result{Envelope: Envelope{Status: Cancelled, Reason: "you withdrew this call; nothing was executed"}}, "")
	}
	var res Result
	if h.Result != nil && json.Unmarshal(h.Result, &res) == nil {
		res.Envelope.Handle = h.ID
		return res
	}
	switch h.State {
	case store.Unknown:
		return final(h, fail(OutcomeUnknown, "the request was being sent when exeat stopped; it may have been executed. Do not repeat it blindly: look first"), UnknownOutcome)
	case store.Refused:
		return final(h, deny(PolicyChanged, "what was approved is no longer what would be sent; nothing was executed", nil, authz.RemedyApproval), DeniedNotExecuted)
	}
	return final(h, fail(Internal, "the result of this call was not kept"), UnknownOutcome)
}

func final(h store.Hold, res Result, disposition string) Result {
	res.Envelope.Handle = h.ID
	res.Disposition = disposition
	return res
}

// pending tells the agent that nothing was executed and what to do meanwhile.
func (r *Runner) pending(ctx context.Context, h store.Hold) Result {
	e := Envelope{
		Status:      Pending,
		Handle:      h.ID,
		Summary:     h.Request.Method + " " + h.Request.Path,
		ApprovalURL: r.HoldURL(h.ID),
		ExpiresAt:   stamp(h.Expires),
		PollAfterMS: int(poll.Milliseconds()),
		Policies:    h.Policies,
		Reason:      h.Reason,
		Next:        "NOT executed. Tell the user that it waits for their approval at approval_url, then call exeat_resume with this handle.",
	}
	res := Result{}
	lacks, err := r.Lacks(ctx, h)
	if err != nil {
		r.trouble(err)
	}
	switch why, needs, kept := r.kept.why(h.ID); {
	case lacks != "" && h.State != store.Sending:
		e.Reason = lacks
		e.Next = "NOT executed. Tell the user to connect their account of the API, and then to decide about this call, both at approval_url; then call exeat_resume with this handle."
		if h.State == store.Approved {
			e.Next = "Approved, NOT executed. Tell the user to connect their account of the API at approval_url: this call is then sent, while the approval lasts. Then call exeat_resume with this handle."
		}
	case h.State == store.Approved && kept && len(needs.Claims) > 0:
		e.Code, e.Reason, e.Remediation, res.Needs = CredentialFailed, why, authz.RemedyStepUp, needs
		e.Challenge = &Challenge{Scheme: "Bearer", Error: "insufficient_claims", Claims: base64.StdEncoding.EncodeToString(needs.Claims)}
		e.Next = "Approved, NOT executed. Once your user has logged in again as the claims of challenge say, call exeat_resume with this handle, which tries again."
	case h.State == store.Approved && kept:
		e.Code, e.Reason = CredentialFailed, why
		e.Next = "Approved, NOT executed: no credential could be had yet. exeat tries again by itself; call exeat_resume with this handle for the result."
		if r.waitsForCaller(h) {
			e.Next = "Approved, NOT executed: no credential could be had yet. Call exeat_resume with this handle, which tries again."
		}
	case r.waitsForCaller(h):
		e.Next = "Approved. Call exeat_resume with this handle: it is sent then, in the name of your user."
		e.PollAfterMS = 1000
	case h.State != store.Pending:
		e.Next = "Approved and being sent. Call exeat_resume with this handle for the result."
		e.PollAfterMS = 1000
	}
	res.Envelope = e
	return res
}
