package mcpserver

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/exeat/exeat/openapi/strictjson"
)

// readMembers reads an object: the value of the i-th known member into the i-th of
// into, as it stands. A key given twice is refused, and one that differs from a
// known one only in its case: encoding/json, and so mcp-go, takes it for that name.
func readMembers(raw []byte, where string, known []param, into []json.RawMessage) *rpcError {
	var bad *rpcError
	err := strictjson.EachMember(raw, func(key string, v json.RawMessage) {
		for i, p := range known {
			if p.name == key {
				into[i] = v
				return
			}
			if bad == nil && strings.EqualFold(p.name, key) {
				bad = newRefusal(mcp.INVALID_REQUEST, "%s has a key that differs from %s in its case only", where, p.name)
			}
		}
	})
	switch {
	case err == nil:
		return bad
	case errors.Is(err, strictjson.ErrNoObject):
		return newRefusal(mcp.INVALID_REQUEST, "%s must be an object", where)
	case errors.Is(err, strictjson.ErrTwice):
		return newRefusal(mcp.INVALID_REQUEST, "%s has a key twice", where)
	}
	return newRefusal(mcp.PARSE_ERROR, "%s cannot be read", where)
}
