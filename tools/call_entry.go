package tools

import (
	"time"

	"github.com/exeat/exeat/store"
)

// entry is the call as a line of the audit log.
func (c *course) entry(kind store.Kind, code string) store.Entry {
	return store.Entry{
		Kind:      kind,
		Txn:       c.txn,
		Principal: c.caller.Subject(),
		Agent:     c.caller.Agent.ID,
		Session:   c.caller.Session.ID,
		API:       c.tool.api.Document.Name,
		Tool:      c.tool.op.Name,
		Effect:    string(c.tool.op.Effect),
		Method:    c.tool.op.Method,
		Path:      c.request.Path,
		Digest:    c.digest,
		Decision:  string(c.decision.Outcome),
		Policies:  c.decision.Policies,
		PolicySet: c.policies,
		Hold:      c.handle,
		Grant:     c.grant,
		Code:      code,
		Note:      join(c.purpose.note, c.note),
	}
}

// notedMost bounds the entries a minute, of each kind and code, of calls by which a
// principal can bring nothing about: refused ones and previews. Who makes them in
// masses is seen without each of them.
const notedMost = 120

// logNothing records a call that brought nothing about, unless the principal has
// had its share of such entries in this minute.
func (r *Runner) logNothing(c *course, kind store.Kind, code string) func() error {
	e := c.entry(kind, code)
	switch n := r.noted.Add(e.Principal+" "+string(kind)+" "+code, r.Now(), time.Minute); {
	case n > notedMost:
		return func() error { return nil }
	case n == notedMost:
		e.Note = join(e.Note, "more of this minute are not recorded")
	}
	return r.Store.Log(e)
}

// outcome is how the call came out as a line of the audit log.
func (c *course) outcome(kind store.Kind, res Result) store.Entry {
	e := c.entry(kind, string(res.Envelope.Code))
	e.Status = res.Envelope.HTTPStatus
	if l := res.Envelope.Lookup; l != nil {
		e.Note = join(e.Note, "looked up: "+l.Found)
	}
	if asks := c.asks.String(); asks != "" {
		e.Note = join(e.Note, "the API asks for "+asks)
	}
	return e
}

// wentWell reports whether there is nothing to say of a call but its status, so that it
// needs no entry of its own for that.
func (c *course) wentWell(last store.Entry) bool {
	return c.entered != nil && !c.purpose.peek && last.Status >= 200 && last.Status < 300 && last.Code == "" && last.Note == ""
}

// observe tells of a call that has its answer.
func (r *Runner) observe(c *course, res Result) {
	if r.Observe == nil {
		return
	}
	now := r.Now()
	r.Observe(Event{
		Time: now, Duration: now.Sub(c.start), Txn: c.txn,
		Subject: c.caller.Subject(), Agent: c.caller.Agent.ID,
		API: c.tool.api.Document.Name, Tool: c.tool.Name,
		Decision: c.decision.Outcome, Policies: c.decision.Policies,
		Status: res.Envelope.Status, Code: res.Envelope.Code, HTTP: res.Envelope.HTTPStatus,
		Handle: c.handle, Asks: c.asks.String(), Err: c.err,
	})
}
