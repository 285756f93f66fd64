package tools

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// revive rebuilds a call from its hold. The request is the stored one; encoding
// the stored arguments again only proves that the two still belong together.
func (r *Runner) revive(h store.Hold) (*course, error) {
	t, ok := r.byOp[[2]string{h.API, h.Tool}]
	if !ok {
		return nil, fmt.Errorf("the operation %s of %s is not served any more", h.Tool, h.API)
	}
	who, err := r.callerOf(h)
	if err != nil {
		return nil, err
	}
	args, err := t.op.Parse(h.Args)
	if err != nil {
		return nil, fmt.Errorf("the stored arguments do not fit any more: %v", err)
	}
	again, err := t.op.Encode(args)
	if err != nil {
		return nil, fmt.Errorf("the stored arguments do not encode any more: %v", err)
	}
	if !sameRequest(addCondition(storeRequest(again), h.Before), h.Request) {
		return nil, errors.New("the stored request is not what its arguments stand for")
	}
	c := &call{caller: who, tool: t, txn: h.Txn, policies: r.Engine.Digest(), start: r.Now(), args: args, request: h.Request, before: h.Before}
	c.details = c.bind()
	if c.digest = c.details.Digest(); c.digest != h.Digest {
		return nil, errors.New("the stored request does not have the digest that was approved")
	}
	said, earlier, err := approval.ApprovalOf(h)
	if err != nil {
		return nil, fmt.Errorf("read the approval: %v", err)
	}
	return &course{call: c, approval: said, earlier: earlier, grant: h.Approval.Grant, handle: h.ID, hold: &h}, nil
}

// callerOf is who asked for a hold, as the principal is now.
func (r *Runner) callerOf(h store.Hold) (who Caller, err error) {
	parties, err := approval.PartiesOf(h)
	if err != nil {
		return who, err
	}
	who = Caller{Principal: parties.Principal, Agent: parties.Agent, Session: parties.Session}
	if who.Subject() != h.Subject {
		return who, errors.New("the stored principal is not the one who asked")
	}
	now, known := r.Current(parties)
	if !known {
		return who, errors.New("the principal is not known any more")
	}
	who.Principal = now
	return who, nil
}

// sameRequest compares requests byte for byte, taking nil and empty as equal.
func sameRequest(a, b store.Request) bool {
	if len(a.Header) == 0 && len(b.Header) == 0 {
		a.Header, b.Header = nil, nil
	}
	if len(a.Body) == 0 && len(b.Body) == 0 {
		a.Body, b.Body = nil, nil
	}
	return reflect.DeepEqual(a, b)
}
