package store

import (
	"encoding/json"
	"strconv"
	"time"
)

// An entry is written by hand: it is on the way of every call, and encoding/json takes
// five times as long. TestEncode holds it against encoding/json, field by field.

// appendShared appends what many entries have in common, each field with a comma before.
func (e *Entry) appendShared(b []byte) ([]byte, error) {
	b = appendText(b, "principal", e.Principal)
	b = appendText(b, "agent", e.Agent)
	b = appendText(b, "session", e.Session)
	b = appendText(b, "api", e.API)
	b = appendText(b, "tool", e.Tool)
	b = appendText(b, "effect", e.Effect)
	b = appendText(b, "method", e.Method)
	b = appendText(b, "decision", e.Decision)
	if len(e.Policies) > 0 {
		b = append(b, `,"policies":[`...)
		for i, p := range e.Policies {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, p)
		}
		b = append(b, ']')
	}
	b = appendText(b, "policy_set", e.PolicySet)
	b = appendText(b, "strategy", e.Strategy)
	if e.Standing {
		b = append(b, `,"standing":true`...)
	}
	if e.sharesCredential() {
		return appendValue(b, "credential", e.Credential)
	}
	return b, nil
}

// sharesCredential: one that ends is another for each call.
func (e *Entry) sharesCredential() bool { return e.Credential != nil && e.Credential.Expires.IsZero() }

// share sets what appendShared writes to what base has.
func (e *Entry) share(base *Entry) {
	e.Principal, e.Agent, e.Session = base.Principal, base.Agent, base.Session
	e.API, e.Tool, e.Effect, e.Method = base.API, base.Tool, base.Effect, base.Method
	e.Decision, e.Policies, e.PolicySet = base.Decision, base.Policies, base.PolicySet
	e.Strategy, e.Standing = base.Strategy, base.Standing
	if base.sharesCredential() {
		e.Credential = base.Credential
	}
}

// appendOwn begins the object of an entry, with what is its own. as is the entry that
// has the rest, or 0.
func (e *Entry) appendOwn(b []byte, as int64) (_ []byte, err error) {
	b = e.Time.AppendFormat(append(b, `{"time":"`...), time.RFC3339Nano)
	b = appendString(append(b, `","kind":`...), string(e.Kind))
	b = appendInt(b, "as", as)
	b = appendText(b, "txn", e.Txn)
	b = appendText(b, "path", e.Path)
	b = appendText(b, "digest", e.Digest)
	b = appendText(b, "hold", e.Hold)
	b = appendText(b, "by", e.By)
	b = appendText(b, "code", e.Code)
	b = appendInt(b, "http_status", int64(e.Status))
	b = appendText(b, "jti", e.JTI)
	if e.Credential != nil && !e.sharesCredential() {
		if b, err = appendValue(b, "credential", e.Credential); err != nil {
			return nil, err
		}
	}
	b = appendText(b, "grant", e.Grant)
	b = appendText(b, "note", e.Note)
	if len(e.Signed) > 0 {
		if b, err = appendValue(b, "signed", e.Signed); err != nil {
			return nil, err
		}
	}
	b = appendInt(b, "took_ms", e.Took)
	if e.Login != nil {
		if b, err = appendValue(b, "login", e.Login); err != nil {
			return nil, err
		}
	}
	if !e.Before.IsZero() {
		if b, err = appendValue(b, "before", e.Before); err != nil {
			return nil, err
		}
	}
	for i, end := range e.Ended {
		if i == 0 {
			b = append(b, `,"ended":[`...)
		}
		b = strconv.AppendInt(append(b, '['), end[0], 10)
		b = append(strconv.AppendInt(append(b, ','), end[1], 10), "],"...)
		if i == len(e.Ended)-1 {
			b[len(b)-1] = ']'
		}
	}
	return b, nil
}

func appendName(b []byte, name string) []byte {
	b = append(append(b, `,"`...), name...)
	return append(b, `":`...)
}

func appendText(b []byte, name, text string) []byte {
	if text == "" {
		return b
	}
	return appendString(appendName(b, name), text)
}

func appendInt(b []byte, name string, n int64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(appendName(b, name), n, 10)
}

func appendValue(b []byte, name string, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	return append(appendName(b, name), text...), err
}

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			text, _ := json.Marshal(s) // of a string it is never an error
			return append(b, text...)
		}
	}
	b = append(append(b, '"'), s...)
	return append(b, '"')
}
