package tools

import (
	"encoding/json"
	"fmt"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/exeat/exeat/authz"
)

// Status is the first thing an agent reads of an answer.
type Status string

// The statuses of an answer.
const (
	Done      Status = "done"             // the API answered; see http_status
	Pending   Status = "approval_pending" // not executed; waits for a person
	Denied    Status = "denied"           // a policy or a person said no
	Failed    Status = "failed"           // nothing to blame on permission; see code
	Cancelled Status = "cancelled"        // the agent withdrew the call
)

// Code says why an answer is not done. The set is closed.
type Code string

// The codes of design.md §8.
const (
	InvalidArguments    Code = "invalid_arguments"
	PolicyDenied        Code = "policy_denied"
	ApprovalDenied      Code = "approval_denied"
	ApprovalExpired     Code = "approval_expired"
	PolicyChanged       Code = "policy_changed"
	StateChanged        Code = "state_changed"
	RateLimited         Code = "rate_limited"
	CredentialFailed    Code = "credential_failed"
	UpstreamUnreachable Code = "upstream_unreachable"
	UpstreamTimeout     Code = "upstream_timeout"
	OutcomeUnknown      Code = "outcome_unknown"
	ResponseTooLarge    Code = "response_too_large"
	HandleNotFound      Code = "handle_not_found"
	CallCancelled       Code = "call_cancelled"
	Internal            Code = "internal"
)

// Dispositions of a held call (SEP-2848).
const (
	ApprovedExecuted  = "approved-executed"
	DeniedNotExecuted = "denied-not-executed"
	ExecutionError    = "execution-error"
	UnknownOutcome    = "outcome-unknown"
)

// Problem is one thing wrong with arguments.
type Problem struct {
	Pointer string `json:"pointer"`
	Message string `json:"message"`
}

// Envelope is what every tool answers with, as structured content and as text.
type Envelope struct {
	Status      Status            `json:"status"`
	HTTPStatus  int               `json:"http_status,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"` // of the API's answer, that help the agent
	Response    json.RawMessage   `json:"response,omitempty"`
	Challenge   *Challenge        `json:"challenge,omitempty"`
	Shape       map[string]any    `json:"shape,omitempty"` // of an answer that _select failed on: {"response": …}
	Page        *Page             `json:"page,omitempty"`  // how to get more
	Note        string            `json:"note,omitempty"`
	Code        Code              `json:"code,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	Problems    []Problem         `json:"problems,omitempty"`
	Policies    []string          `json:"policies,omitempty"`
	Remediation authz.Remediation `json:"remediation,omitempty"`
	RetryAfter  int               `json:"retry_after_seconds,omitempty"` // as a 429 or 503 asks for
	Lookup      *Lookup           `json:"lookup,omitempty"`              // with outcome_unknown only
	Handle      string            `json:"handle,omitempty"`
	Summary     string            `json:"summary,omitempty"`
	ApprovalURL string            `json:"approval_url,omitempty"`
	ExpiresAt   string            `json:"expires_at,omitempty"`
	PollAfterMS int               `json:"poll_after_ms,omitempty"`
	Next        string            `json:"next,omitempty"`
	Holds       []Waiting         `json:"holds,omitzero"` // exeat_holds only
}

// Waiting is one open hold as its requester may see it.
type Waiting struct {
	Handle      string `json:"handle"`
	Tool        string `json:"tool"`
	State       string `json:"state"`
	Summary     string `json:"summary"`
	ApprovalURL string `json:"approval_url"`
	ExpiresAt   string `json:"expires_at"`
}

// Block is content that does not fit into JSON.
type Block struct {
	MediaType string `json:"media_type"`
	Data      []byte `json:"data"`
}

// Result is the answer to one call.
type Result struct {
	Envelope    Envelope `json:"envelope"`
	Blocks      []Block  `json:"blocks,omitempty"`
	Disposition string   `json:"disposition,omitempty"` // of a held call that is final
	// Needs is the access token with which the call would not be denied: for the
	// client, which can get one, and not for the model.
	Needs authz.Stronger `json:"-"`
}

// IsError reports whether the model should act differently.
func (r Result) IsError() bool {
	e := r.Envelope
	return e.Status == Denied || e.Status == Failed || e.HTTPStatus >= 400
}

// JSON is the envelope as the agent gets it, without HTML escapes. What an eye
// or a terminal could take for something else is escaped.
func (r Result) JSON() json.RawMessage {
	b, err := r.Envelope.write()
	if err != nil {
		// Only a response that is not JSON can do this, and Decode checked it.
		return json.RawMessage(`{"status":"failed","code":"internal","reason":"the answer could not be written"}`)
	}
	return EscapeJSON(b, hidden)
}

// EscapeJSON writes the characters of a JSON text for which hidden is true as
// \u escapes, for which they are the same JSON value: outside of strings there
// are none. ASCII is left alone but for DEL.
func EscapeJSON(text []byte, hidden func(rune) bool) []byte {
	var out []byte
	last := 0
	for i := 0; i < len(text); {
		if text[i] < 0x7f { // JSON itself escapes those below 0x20
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if hidden(r) {
			out = append(out, text[last:i]...)
			for _, unit := range utf16.AppendRune(nil, r) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
			last = i + size
		}
		i += size
	}
	if out == nil {
		return text
	}
	return append(out, text[last:]...)
}

// hidden reports whether r is a control or format character (bidi, zero width,
// tags), a variation selector, or one of no agreed meaning.
func hidden(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// fail is an answer that is no answer of the API.
func fail(code Code, reason string) Result {
	return Result{Envelope: Envelope{Status: Failed, Code: code, Reason: reason, Remediation: authz.RemedyNone}}
}

// deny is a no of a policy or a person.
func deny(code Code, reason string, policies []string, remedy authz.Remediation) Result {
	return Result{Envelope: Envelope{Status: Denied, Code: code, Reason: reason, Policies: policies, Remediation: remedy}}
}

// stamp is how times are written for agents.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
