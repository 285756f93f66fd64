package mcpserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/exeat/exeat/openapi/strictjson"
)

// message is one JSON-RPC message from a client, read once. mcp-go reads a
// message several times, takes "Name" for "name" and the last of two equal keys,
// and tells clients its decoder's errors; so it only gets to see what [message.wire]
// writes: the methods that exeat serves, and of their parameters those it uses.
type message struct {
	id      json.RawMessage // nil if it is a notification
	method  string          // "" if it is a response
	params  map[string]json.RawMessage
	modern  bool   // it carries the protocol version of 2026-07-28 or a later one
	version string // of the protocol, that it carries
	able    bool   // it says what its client can do, as each message of the new era must
	tells   bool   // its client wants to be told how it goes on
	client  string // the name that the client gives itself in it
}

// rpcError is the answer to a message that is refused (JSON-RPC 2.0, section 5.1).
type rpcError struct {
	code int
	text string
}

func (e *rpcError) Error() string { return e.text }

// answer is the error as a response to the request with the id.
func (e *rpcError) answer(id json.RawMessage) []byte {
	if id == nil {
		id = json.RawMessage("null")
	}
	b, _ := json.Marshal(map[string]any{"jsonrpc": mcp.JSONRPC_VERSION, "id": id,
		"error": map[string]any{"code": e.code, "message": e.text}})
	return b
}

func newRefusal(code int, format string, args ...any) *rpcError {
	return &rpcError{code: code, text: fmt.Sprintf(format, args...)}
}

// kind is what a parameter must be.
type kind string

const (
	aText    kind = "a string"
	anObject kind = "an object"
	anID     kind = "a string or an integer"
)

// Keys of _meta that are read.
const (
	metaVersion      = mcp.MetaKeyProtocolVersion
	metaCapabilities = mcp.MetaKeyClientCapabilities
	metaClient       = mcp.MetaKeyClientInfo
)

var integer = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,14})$`)

// parseMessage reads one message. Whatever two readers could understand differently is
// refused. The message is returned even with an error as far as it was
// understood, so that the answer can name its id.
func parseMessage(raw []byte) (message, *rpcError) {
	var m message
	if !utf8.Valid(raw) || !json.Valid(raw) {
		return m, newRefusal(mcp.PARSE_ERROR, "the message is not valid JSON in UTF-8")
	}
	if bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("[")) {
		return m, newRefusal(mcp.INVALID_REQUEST, "batches are not served: send one message at a time")
	}
	top, err := members(raw, "the message", "jsonrpc", "id", "method", "params", "result", "error")
	if err != nil {
		return m, err
	}
	id, hasID := top["id"]
	switch {
	case hasID && !is(id, anID):
		return m, newRefusal(mcp.INVALID_REQUEST, "id must be a string of at most 256 bytes or an integer of at most 15 digits")
	case string(top["jsonrpc"]) != `"2.0"`:
		return m, newRefusal(mcp.INVALID_REQUEST, `jsonrpc must be "2.0"`)
	}
	m.id = id
	method, hasMethod := top["method"]
	if !hasMethod && hasID && (top["result"] != nil || top["error"] != nil) {
		return m, nil
	}
	if !hasMethod || !is(method, aText) || json.Unmarshal(method, &m.method) != nil || m.method == "" {
		return m, newRefusal(mcp.INVALID_REQUEST, "method must be a string that names a method")
	}
	return m, m.accept(top["params"])
}

// accept checks the parameters and keeps those that the method has.
func (m *message) accept(raw json.RawMessage) *rpcError {
	if isAbsent(raw) {
		raw = json.RawMessage("{}")
	}
	spec := methods[m.method]
	names := append(slices.Collect(maps.Keys(spec.params)), "_meta")
	given, err := members(raw, "params", names...)
	if err != nil {
		return err
	}
	// The era first: an unknown method is answered by it.
	meta, err := parseMeta(given["_meta"])
	if err != nil {
		return err
	}
	m.version, m.client, m.able = textOf(meta[metaVersion]), nameIn(meta[metaClient]), meta[metaCapabilities] != nil
	m.modern, m.tells = mcp.IsModernProtocol(m.version), meta["progressToken"] != nil
	if !spec.serves(m) {
		return newRefusal(mcp.METHOD_NOT_FOUND, "this server has no method of that name")
	}
	if c := given["cursor"]; m.method == "tools/list" && !isAbsent(c) && string(c) != `""` {
		return newRefusal(mcp.INVALID_PARAMS, "params.cursor is none of this server's: the list has one page")
	}
	m.params = map[string]json.RawMessage{}
	for name, kind := range spec.params {
		v := given[name]
		switch {
		case isAbsent(v):
		case name == "arguments" && m.method == "tools/call":
			if m.params[name] = readObject(v); m.params[name] == nil {
				return newRefusal(mcp.INVALID_PARAMS, "params.arguments must be an object")
			}
		case !is(v, kind):
			return newRefusal(mcp.INVALID_PARAMS, "params.%s must be %s", name, kind)
		default:
			m.params[name] = v
		}
	}
	if spec.needs != "" && m.params[spec.needs] == nil {
		return newRefusal(mcp.INVALID_PARAMS, "params.%s is missing", spec.needs)
	}
	if len(meta) > 0 {
		m.params["_meta"] = join(meta)
	}
	return m.introduce()
}

// introduce reduces what a client says of itself to its name and version.
func (m *message) introduce() *rpcError {
	if m.params["capabilities"] != nil {
		m.params["capabilities"] = json.RawMessage("{}") // exeat uses none
	}
	if info := m.params["clientInfo"]; info != nil {
		short, err := parseInfo(info)
		m.params["clientInfo"], m.client = short, nameIn(short)
		return err
	}
	return nil
}

// negotiate is the version that mcp-go gives the client of an initialize.
func (m *message) negotiate() string {
	return mcp.NegotiateLegacyVersion(textOf(m.params["protocolVersion"]))
}

// textOf is a JSON string, or "" if there is none.
func textOf(raw json.RawMessage) (s string) {
	_ = json.Unmarshal(raw, &s)
	return s
}

// nameIn is the name in what a client says of itself.
func nameIn(introduction json.RawMessage) string {
	var info struct{ Name string }
	_ = json.Unmarshal(introduction, &info)
	return info.Name
}

// parseMeta reads params._meta and keeps what exeat uses of it.
func parseMeta(raw json.RawMessage) (map[string]json.RawMessage, *rpcError) {
	if isAbsent(raw) {
		return nil, nil
	}
	given, err := members(raw, "params._meta")
	if err != nil {
		return nil, err
	}
	kept := map[string]json.RawMessage{}
	for name, kind := range map[string]kind{metaVersion: aText, metaCapabilities: anObject, metaClient: anObject, "progressToken": anID} {
		v := given[name]
		if isAbsent(v) {
			continue
		}
		if !is(v, kind) {
			return nil, newRefusal(mcp.INVALID_PARAMS, "params._meta[%q] must be %s", name, kind)
		}
		kept[name] = v
	}
	if kept[metaCapabilities] != nil {
		kept[metaCapabilities] = json.RawMessage("{}")
	}
	if kept[metaClient] != nil {
		kept[metaClient], err = parseInfo(kept[metaClient])
	}
	return kept, err
}

func parseInfo(raw json.RawMessage) (json.RawMessage, *rpcError) {
	given, err := members(raw, "the client's info", "name", "version")
	if err != nil {
		return nil, err
	}
	kept := map[string]json.RawMessage{}
	for _, name := range []string{"name", "version"} {
		if v := given[name]; !isAbsent(v) {
			if !is(v, aText) {
				return nil, newRefusal(mcp.INVALID_PARAMS, "the client's %s must be a string", name)
			}
			kept[name] = v
		}
	}
	return join(kept), nil
}

// isAbsent reports a member that is not there or null, which is how many clients
// write what they leave out.
func isAbsent(raw json.RawMessage) bool { return raw == nil || string(raw) == "null" }

// is reports whether a JSON text is of the kind.
func is(raw json.RawMessage, k kind) bool {
	switch {
	case len(raw) == 0:
		return false
	case raw[0] == '{':
		return k == anObject
	case raw[0] == '"':
		return k == aText || k == anID && len(raw) <= 258
	}
	return k == anID && integer.Match(raw)
}

// readObject is an object as it stands, or the one that a text is the JSON of, which
// is how some hosts and models write arguments; nil if it is neither. Who reads it
// then reads it strictly.
func readObject(raw json.RawMessage) json.RawMessage {
	if is(raw, anObject) {
		return raw
	}
	v, err := strictjson.Parse(raw, "the text", strictjson.Limits{Bytes: len(raw), Depth: 1, Values: 1})
	text, _ := v.(string)
	object := bytes.TrimSpace([]byte(text))
	if err != nil || !json.Valid(object) || !is(object, anObject) {
		return nil
	}
	return object
}

// members reads the members of an object. A key given twice is refused, and one
// that differs from a known name only in its case: encoding/json, and so mcp-go,
// takes it for that name.
func members(raw []byte, where string, known ...string) (map[string]json.RawMessage, *rpcError) {
	out, err := strictjson.Members(raw)
	switch {
	case errors.Is(err, strictjson.ErrNoObject):
		return nil, newRefusal(mcp.INVALID_REQUEST, "%s must be an object", where)
	case errors.Is(err, strictjson.ErrTwice):
		return nil, newRefusal(mcp.INVALID_REQUEST, "%s has a key twice", where)
	case err != nil:
		return nil, newRefusal(mcp.PARSE_ERROR, "%s cannot be read", where)
	}
	for name := range out {
		for _, k := range known {
			if name != k && strings.EqualFold(name, k) {
				return nil, newRefusal(mcp.INVALID_REQUEST, "%s has a key that differs from %s in its case only", where, k)
			}
		}
	}
	return out, nil
}

// join writes an object. Its values are JSON already, and are kept as they are.
func join(members map[string]json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(members) // of valid JSON: it cannot fail
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// wire is the message as mcp-go gets it.
func (m message) wire() []byte {
	method, _ := json.Marshal(m.method)
	out := map[string]json.RawMessage{"jsonrpc": json.RawMessage(`"2.0"`), "method": method}
	if m.id != nil {
		out["id"] = m.id
	}
	if len(m.params) > 0 {
		out["params"] = join(m.params)
	}
	return join(out)
}
