package tools

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// errNotJSON is a response that ends in the middle of a text.
var errNotJSON = errors.New("the response is no JSON")

// write is the envelope as encoding/json writes it, without HTML escapes: appended,
// since every answer is an envelope and most of its members are texts. The response is
// JSON, as whoever put it there has seen to.
func (e *Envelope) write() ([]byte, error) {
	b := make([]byte, 0, len(e.Response)+len(e.Note)+len(e.Reason)+512)
	b = appendJSON(append(b, `{"status":`...), string(e.Status))
	if e.HTTPStatus != 0 {
		b = strconv.AppendInt(append(b, `,"http_status":`...), int64(e.HTTPStatus), 10)
	}
	b = appendMember(b, "headers", e.Headers, len(e.Headers) > 0)
	if len(e.Response) > 0 {
		var ok bool
		if b, ok = appendCompact(append(b, `,"response":`...), e.Response); !ok {
			return nil, errNotJSON
		}
	}
	b = appendMember(b, "challenge", e.Challenge, e.Challenge != nil)
	b = appendMember(b, "shape", e.Shape, len(e.Shape) > 0)
	b = appendMember(b, "page", e.Page, e.Page != nil)
	b = appendText(b, "note", e.Note)
	b = appendText(b, "code", string(e.Code))
	b = appendText(b, "reason", e.Reason)
	b = appendMember(b, "problems", e.Problems, len(e.Problems) > 0)
	b = appendMember(b, "policies", e.Policies, len(e.Policies) > 0)
	b = appendText(b, "remediation", string(e.Remediation))
	if e.RetryAfter != 0 {
		b = strconv.AppendInt(append(b, `,"retry_after_seconds":`...), int64(e.RetryAfter), 10)
	}
	b = appendMember(b, "lookup", e.Lookup, e.Lookup != nil)
	b = appendText(b, "handle", e.Handle)
	b = appendText(b, "summary", e.Summary)
	b = appendText(b, "approval_url", e.ApprovalURL)
	b = appendText(b, "expires_at", e.ExpiresAt)
	if e.PollAfterMS != 0 {
		b = strconv.AppendInt(append(b, `,"poll_after_ms":`...), int64(e.PollAfterMS), 10)
	}
	b = appendText(b, "next", e.Next)
	b = appendMember(b, "holds", e.Holds, e.Holds != nil)
	return append(b, '}'), nil
}

// appendCompact appends a JSON text without the white space between its parts.
func appendCompact(b, text []byte) (_ []byte, ok bool) {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case ' ', '\t', '\r', '\n':
		case '"':
			end := i + 1
			for end < len(text) && text[end] != '"' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			if end >= len(text) {
				return b, false
			}
			b = append(b, text[i:end+1]...)
			i = end
		default:
			b = append(b, c)
		}
	}
	return b, true
}

// appendMember appends what answers seldom have.
func appendMember(b []byte, name string, v any, given bool) []byte {
	if !given {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	return append(b, mustJSON(v)...)
}

// appendText appends a text that is not empty.
func appendText(b []byte, name, text string) []byte {
	if text == "" {
		return b
	}
	return appendJSON(append(append(append(b, `,"`...), name...), `":`...), text)
}

// appendJSON appends a text as encoding/json writes it.
func appendJSON(b []byte, text string) []byte {
	odd := func(c rune) bool {
		return c < ' ' || c == '"' || c == '\\' || c == utf8.RuneError || c == '\u2028' || c == '\u2029'
	}
	if strings.IndexFunc(text, odd) >= 0 {
		return append(b, mustJSON(text)...)
	}
	return append(append(append(b, '"'), text...), '"')
}
