package mcpserver

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/exeat/exeat/openapi/strictjson"
)

// readMembers reads an object: the value of the i-th known member into the i-th of
// into, as it stands. A key given twice is refused, and one that differs from a
// known one only in its case: encoding/json, and so mcp-go, takes it for that name.
func readMembers(raw []byte, where string, known []param, into []json.RawMessage) *rpcError {
	var bad *rpcError
	err := strictjson.EachMember(raw, func(key []byte, v json.RawMessage) {
		for i, p := range known {
			if p.name == string(key) {
				into[i] = v
				return
			}
			if bad == nil && mayFold(p.name, key) && strings.EqualFold(p.name, string(key)) {
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

// mayFold is false if the first bytes already tell two names apart in any case.
func mayFold(name string, key []byte) bool {
	return len(key) > 0 && (key[0] >= utf8.RuneSelf || key[0]|0x20 == name[0]|0x20)
}
