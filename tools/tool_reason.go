package tools

import (
	"strings"
	"unicode/utf8"

	"github.com/exeat/exeat/openapi"
)

// reasonArg is the argument in which an agent can say why it makes a call that a
// person may have to approve. It is quoted to the person below the decision, as
// text that nobody has checked, and is part of nothing else: not of the request,
// its digest, the policies' input, or what makes two calls equal.
const reasonArg = "exeat_reason"

const reasonSchema = `"exeat_reason":{"type":"string","maxLength":500,"description":"why, for the person who may have to approve this"}`

// maxSaid bounds a reason, in characters.
const maxSaid = 500

// parseReason reads the agent's reason.
func parseReason(v any) (string, error) {
	if v == nil {
		return "", nil
	}
	s, ok := v.(string)
	if !ok || utf8.RuneCountInString(s) > maxSaid {
		return "", &openapi.ArgumentError{Problems: []openapi.Problem{{Pointer: "/" + reasonArg, Message: "must be a text of at most 500 characters"}}}
	}
	return strings.TrimSpace(s), nil
}
