package authz

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
)

// Names writes Cedar about one API for people to read.
type Names struct{ api string }

// NamesIn are the names of an API.
func NamesIn(api string) Names { return Names{api} }

// Action is the action of a tool.
func (n Names) Action(tool string) string { return cedarText(actionUID(n.api, tool)) }

// Path is the resource of a path.
func (n Names) Path(path string) string {
	if trimmed := strings.TrimSuffix(path, "/"); trimmed != "" {
		path = trimmed // as requests name it
	}
	return cedarText(types.NewEntityUID(pathType(n.api), types.String(path)))
}

// Entity is an entity of the shared vocabulary, such as User or Agent.
func (n Names) Entity(kind, id string) string {
	return cedarText(types.NewEntityUID(types.EntityType(kind), types.String(id)))
}

func cedarText(uid types.EntityUID) string { return string(uid.MarshalCedar()) }

// Equal compares the argument that a JSON Pointer (RFC 6901) names with a
// string, truth value or whole number in canonical JSON; not ok for other values
// and for names that are written in another way in Cedar.
func (n Names) Equal(pointer, value string) (text string, ok bool) {
	at := "context.input"
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if !identifier.MatchString(step) {
			return "", false
		}
		at += "." + step
	}
	var s string
	if _, err := strconv.ParseInt(value, 10, 64); err == nil || value == "true" || value == "false" {
		return at + " == " + value, true
	}
	if !strings.HasPrefix(value, `"`) || json.Unmarshal([]byte(value), &s) != nil {
		return "", false
	}
	return at + " == " + string(types.String(s).MarshalCedar()), true
}
