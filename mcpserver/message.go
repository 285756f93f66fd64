package mcpserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/exeat/exeat/openapi/strictjson"
)

// message is one JSON-RPC message from a client, read once. mcp-go reads a
// message several times, takes "Name" for "name" and the last of two equal keys,
// and tells clients its decoder's errors; so it only gets to see what [message.wire]
// writes: the methods that exeat serves, and of their parameters those it uses.
type message struct {
	id      json.RawMessage                  // nil if it is a notification
	method  string                           // "" if it is a response
	params  [mostParams]json.RawMessage      // in the order of the method's line in the table
	told    [len(metaParams)]json.RawMessage // what is read of _meta
	modern  bool                             // it carries the protocol version of 2026-07-28 or a later one
	version string                           // of the protocol, if the message carries it
	tool    string                           // that it calls
	client  string                           // the name that the client gives itself in it
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

// param is a parameter, and what it must be.
type param struct {
	name string
	kind kind
}

// What is read of _meta.
const (
	metaVersion = iota
	metaCapabilities
	metaClient
	metaProgress
)

var metaParams = [...]param{
	metaVersion:      {mcp.MetaKeyProtocolVersion, aText},
	metaCapabilities: {mcp.MetaKeyClientCapabilities, anObject},
	metaClient:       {mcp.MetaKeyClientInfo, anObject},
	metaProgress:     {"progressToken", anID},
}

var (
	topMembers  = []param{{name: "jsonrpc"}, {name: "id"}, {name: "method"}, {name: "params"}, {name: "result"}, {name: "error"}}
	infoMembers = []param{{"name", aText}, {"version", aText}}
	noObject    = json.RawMessage("{}")
)

// parseMessage reads one message. Whatever two readers could understand differently is
// refused. The message is returned even with an error as far as it was
// understood, so that the answer can name its id.
func parseMessage(raw []byte) (message, *rpcError) {
	var m message
	if !utf8.Valid(raw) || !json.Valid(raw) {
		return m, newRefusal(mcp.PARSE_ERROR, "the message is not valid JSON in UTF-8")
	}
	if i := strictjson.SkipSpace(raw, 0); raw[i] == '[' {
		return m, newRefusal(mcp.INVALID_REQUEST, "batches are not served: send one message at a time")
	}
	var top [6]json.RawMessage
	if err := readMembers(raw, "the message", topMembers, top[:]); err != nil {
		return m, err
	}
	version, id, method, params, hasResult := top[0], top[1], top[2], top[3], top[4] != nil || top[5] != nil
	switch {
	case id != nil && !is(id, anID):
		return m, newRefusal(mcp.INVALID_REQUEST, "id must be a string of at most 256 bytes or an integer of at most 15 digits")
	case string(version) != `"2.0"`:
		return m, newRefusal(mcp.INVALID_REQUEST, `jsonrpc must be "2.0"`)
	}
	m.id = id
	if method == nil && id != nil && hasResult {
		return m, nil
	}
	if m.method = textOf(method); !is(method, aText) || m.method == "" {
		m.method = ""
		return m, newRefusal(mcp.INVALID_REQUEST, "method must be a string that names a method")
	}
	return m, m.accept(params)
}

// accept checks the parameters and keeps those that the method has.
func (m *message) accept(raw json.RawMessage) *rpcError {
	if isAbsent(raw) {
		raw = noObject
	}
	spec, known := methods[m.method]
	if !known {
		spec.params = metaOnly
	}
	var given [mostParams]json.RawMessage
	if err := readMembers(raw, "params", spec.params, given[:]); err != nil {
		return err
	}
	// The era first: an unknown method is answered by it.
	if err := m.acceptMeta(given[len(spec.params)-1]); err != nil {
		return err
	}
	if !spec.serves(m) {
		return newRefusal(mcp.METHOD_NOT_FOUND, "this server has no method of that name")
	}
	if m.method == "tools/list" && hasCursor(raw) {
		return newRefusal(mcp.INVALID_PARAMS, "params.cursor is none of this server's: the list has one page")
	}
	for i, p := range spec.params {
		v := given[i]
		switch {
		case isAbsent(v) || p == meta:
		case p.name == "arguments" && m.method == "tools/call":
			if m.params[i] = readObject(v); m.params[i] == nil {
				return newRefusal(mcp.INVALID_PARAMS, "params.arguments must be an object")
			}
		case !is(v, p.kind):
			return newRefusal(mcp.INVALID_PARAMS, "params.%s must be %s", p.name, p.kind)
		default:
			m.params[i] = v
		}
		if p.name == spec.needs && m.params[i] == nil {
			return newRefusal(mcp.INVALID_PARAMS, "params.%s is missing", spec.needs)
		}
	}
	if m.method == "tools/call" {
		m.tool = textOf(m.param("name"))
	}
	return m.introduce(spec)
}

// hasCursor reports parameters that ask for another page than the first.
func hasCursor(params json.RawMessage) bool {
	given, err := strictjson.Members(params)
	c := given["cursor"]
	return err != nil || !isAbsent(c) && string(c) != `""`
}

// introduce reduces what a client says of itself to its name and version.
func (m *message) introduce(spec method) (err *rpcError) {
	for i, p := range spec.params {
		switch {
		case m.params[i] == nil:
		case p.name == "capabilities":
			m.params[i] = noObject // exeat uses none
		case p.name == "clientInfo":
			if m.params[i], m.client, err = parseInfo(m.params[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// param is a parameter of the message; nil if it is not there.
func (m *message) param(name string) json.RawMessage {
	for i, p := range methods[m.method].params {
		if p.name == name {
			return m.params[i]
		}
	}
	return nil
}

// negotiate is the version that mcp-go gives the client of an initialize.
func (m *message) negotiate() string {
	return mcp.NegotiateLegacyVersion(textOf(m.param("protocolVersion")))
}

// textOf is a JSON string, or "" if there is none.
func textOf(raw json.RawMessage) (s string) {
	if len(raw) > 1 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]) // of a message that was found valid
	}
	_ = json.Unmarshal(raw, &s)
	return s
}

// acceptMeta reads params._meta and keeps what exeat uses of it.
func (m *message) acceptMeta(raw json.RawMessage) (err *rpcError) {
	if isAbsent(raw) {
		return nil
	}
	if err := readMembers(raw, "params._meta", metaParams[:], m.told[:]); err != nil {
		return err
	}
	for i, p := range metaParams {
		switch v := m.told[i]; {
		case isAbsent(v):
			m.told[i] = nil
		case !is(v, p.kind):
			return newRefusal(mcp.INVALID_PARAMS, "params._meta[%q] must be %s", p.name, p.kind)
		case i == metaCapabilities:
			m.told[i] = noObject
		}
	}
	if m.told[metaClient] != nil {
		m.told[metaClient], m.client, err = parseInfo(m.told[metaClient])
	}
	if err == nil {
		m.version = textOf(m.told[metaVersion])
		m.modern = mcp.IsModernProtocol(m.version)
	}
	return err
}

// parseInfo keeps a client's name and version of what it says of itself.
func parseInfo(raw json.RawMessage) (kept json.RawMessage, name string, err *rpcError) {
	var given [2]json.RawMessage
	if err := readMembers(raw, "the client's info", infoMembers, given[:]); err != nil {
		return nil, "", err
	}
	kept = json.RawMessage("{")
	for i, v := range given {
		if isAbsent(v) {
			continue
		}
		if !is(v, aText) {
			return nil, "", newRefusal(mcp.INVALID_PARAMS, "the client's %s must be a string", infoMembers[i].name)
		}
		if len(kept) > 1 {
			kept = append(kept, ',')
		}
		kept = append(append(append(append(kept, '"'), infoMembers[i].name...), `":`...), v...)
	}
	return append(kept, '}'), textOf(given[0]), nil
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
	return k == anID && isInteger(raw)
}

// isInteger reports a JSON number that every reader takes for the same integer: of
// at most 15 digits, without a fraction, an exponent or a sign of zero.
func isInteger(number []byte) bool {
	digits := bytes.TrimPrefix(number, []byte("-"))
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(digits) > 0 && len(digits) <= 15 && (digits[0] != '0' || len(number) == 1)
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
	params := map[string]json.RawMessage{}
	for i, p := range methods[m.method].params {
		keep(params, p.name, m.params[i])
	}
	told := map[string]json.RawMessage{}
	for i, p := range metaParams {
		keep(told, p.name, m.told[i])
	}
	if len(told) > 0 {
		params[meta.name] = join(told)
	}
	out := map[string]json.RawMessage{"jsonrpc": json.RawMessage(`"2.0"`), "method": method}
	keep(out, "id", m.id)
	if len(params) > 0 {
		out["params"] = join(params)
	}
	return join(out)
}

func keep(members map[string]json.RawMessage, name string, v json.RawMessage) {
	if v != nil {
		members[name] = v
	}
}
