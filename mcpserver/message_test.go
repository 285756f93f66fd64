package mcpserver

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mark3labs/mcp-go/mcp"
)

func TestParse(t *testing.T) {
	const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":`
	tests := []struct {
		name, in string
		wire     string // what mcp-go gets
		code     int
		says     string
	}{
		{name: "call", in: call + `{"name":"a","arguments":{"n":9007199254740993,"a":1,"a":2,"A":"<"}}}`,
			wire: `{"id":1,"jsonrpc":"2.0","method":"tools/call","params":{"arguments":{"n":9007199254740993,"a":1,"a":2,"A":"<"},"name":"a"}}`},
		{name: "arguments as text", in: call + `{"name":"a","arguments":" {\"n\":9007199254740993,\"a\":1,\"a\":\"\\u003c{}\"}\n"}}`,
			wire: `{"id":1,"jsonrpc":"2.0","method":"tools/call","params":{"arguments":{"n":9007199254740993,"a":1,"a":"\u003c{}"},"name":"a"}}`},
		{name: "what exeat has no use for", in: `{"jsonrpc":"2.0","x":1,"id":"a","method":"tools/call","params":{"name":"a","task":{"ttl":1},"inputResponses":{"approve":{"action":"accept"}},"requestState":"x","_meta":{"progressToken":3,"evil":"x","traceparent":"y"}}}`,
			wire: `{"id":"a","jsonrpc":"2.0","method":"tools/call","params":{"_meta":{"progressToken":3},"name":"a"}}`},
		{name: "no parameters", in: `{"jsonrpc":"2.0","id":0,"method":"tools/list","params":null}`, wire: `{"id":0,"jsonrpc":"2.0","method":"tools/list"}`},
		{name: "initialize", in: `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":5,"elicitation":{}},"clientInfo":{"name":"c","version":"1","icons":7}}}`,
			wire: `{"id":1,"jsonrpc":"2.0","method":"initialize","params":{"capabilities":{},"clientInfo":{"name":"c","version":"1"},"protocolVersion":"2025-11-25"}}`},
		{name: "modern", in: `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"sampling":{}},"io.modelcontextprotocol/clientInfo":{"name":"m","x":1},"io.modelcontextprotocol/logLevel":"debug"}}}`,
			wire: `{"id":1,"jsonrpc":"2.0","method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"m"},"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`},
		{name: "what is null is absent", in: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":null,"_meta":{"progressToken":null,"io.modelcontextprotocol/clientInfo":null}}}`,
			wire: `{"id":1,"jsonrpc":"2.0","method":"tools/call","params":{"name":"a"}}`},
		{name: "a client without a version", in: `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":null,"clientInfo":{"name":"c","version":null}}}`,
			wire: `{"id":1,"jsonrpc":"2.0","method":"initialize","params":{"clientInfo":{"name":"c"},"protocolVersion":"2025-11-25"}}`},
		{name: "no cursor", in: `{"jsonrpc":"2.0","id":0,"method":"tools/list","params":{"cursor":""}}`, wire: `{"id":0,"jsonrpc":"2.0","method":"tools/list"}`},
		{name: "a response", in: `{"jsonrpc":"2.0","id":1,"result":{"action":"accept"}}`, wire: ""},

		{name: "nothing", in: ``, code: mcp.PARSE_ERROR},
		{name: "not JSON", in: `{"jsonrpc":`, code: mcp.PARSE_ERROR, says: "not valid JSON"},
		{name: "two messages", in: `{} {}`, code: mcp.PARSE_ERROR},
		{name: "not UTF-8", in: "{\"jsonrpc\":\"2.0\",\"id\":\"\xff\"}", code: mcp.PARSE_ERROR},
		{name: "BOM", in: "\ufeff{}", code: mcp.PARSE_ERROR},
		{name: "UTF-16", in: "{\x00}\x00", code: mcp.PARSE_ERROR},
		{name: "too deep for the decoder", in: strings.Repeat("[", 20000) + strings.Repeat("]", 20000), code: mcp.PARSE_ERROR},
		{name: "batch", in: ` [{"jsonrpc":"2.0","id":1,"method":"ping"}]`, code: mcp.INVALID_REQUEST, says: "batches are not served"},
		{name: "a string", in: `"ping"`, code: mcp.INVALID_REQUEST, says: "must be an object"},
		{name: "no version", in: `{"id":1,"method":"ping"}`, code: mcp.INVALID_REQUEST, says: "jsonrpc"},
		{name: "version 1", in: `{"jsonrpc":"1.0","id":1,"method":"ping"}`, code: mcp.INVALID_REQUEST, says: "jsonrpc"},
		{name: "neither method nor result", in: `{"jsonrpc":"2.0","id":1}`, code: mcp.INVALID_REQUEST, says: "method"},
		{name: "a method that is no text", in: `{"jsonrpc":"2.0","id":1,"method":7}`, code: mcp.INVALID_REQUEST, says: "method"},
		{name: "null id", in: `{"jsonrpc":"2.0","id":null,"method":"ping"}`, code: mcp.INVALID_REQUEST, says: "id must be"},
		{name: "broken id", in: `{"jsonrpc":"2.0","id":1.5,"method":"ping"}`, code: mcp.INVALID_REQUEST, says: "id must be"},
		{name: "id beyond exact integers", in: `{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}`, code: mcp.INVALID_REQUEST, says: "15 digits"},
		{name: "id with an exponent", in: `{"jsonrpc":"2.0","id":1e3,"method":"ping"}`, code: mcp.INVALID_REQUEST, says: "id must be"},
		{name: "id that is an object", in: `{"jsonrpc":"2.0","id":{},"method":"ping"}`, code: mcp.INVALID_REQUEST, says: "id must be"},
		{name: "long id", in: `{"jsonrpc":"2.0","id":"` + strings.Repeat("a", 257) + `","method":"ping"}`, code: mcp.INVALID_REQUEST, says: "256 bytes"},
		{name: "method twice", in: `{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}`, code: mcp.INVALID_REQUEST, says: "a key twice"},
		{name: "method twice, once escaped", in: `{"jsonrpc":"2.0","id":1,"method":"ping","\u006dethod":"tools/call"}`, code: mcp.INVALID_REQUEST, says: "a key twice"},
		{name: "Method", in: `{"jsonrpc":"2.0","id":1,"Method":"ping"}`, code: mcp.INVALID_REQUEST, says: "its case only"},
		{name: "Name beside name", in: call + `{"name":"a","Name":"b"}}`, code: mcp.INVALID_REQUEST, says: "its case only"},
		{name: "Arguments", in: call + `{"name":"a","Arguments":{}}}`, code: mcp.INVALID_REQUEST, says: "its case only"},
		{name: "a name that folds to name", in: call + `{"name":"a","argument\u017f":{}}}`, code: mcp.INVALID_REQUEST, says: "its case only"},
		{name: "name twice", in: call + `{"name":"a","name":"b"}}`, code: mcp.INVALID_REQUEST, says: "a key twice"},
		{name: "_meta twice inside", in: call + `{"name":"a","_meta":{"x":1,"x":2}}}`, code: mcp.INVALID_REQUEST, says: "a key twice"},
		{name: "positional parameters", in: call + `["a"]}`, code: mcp.INVALID_REQUEST, says: "params must be an object"},
		{name: "no name", in: call + `{}}`, code: mcp.INVALID_PARAMS, says: "params.name is missing"},
		{name: "name is a number", in: call + `{"name":5}}`, code: mcp.INVALID_PARAMS, says: "params.name must be a string"},
		{name: "arguments are text", in: call + `{"name":"a","arguments":"x"}}`, code: mcp.INVALID_PARAMS, says: "params.arguments must be an object"},
		{name: "arguments are an empty text", in: call + `{"name":"a","arguments":""}}`, code: mcp.INVALID_PARAMS, says: "params.arguments must be an object"},
		{name: "arguments are the text of a list", in: call + `{"name":"a","arguments":"[]"}}`, code: mcp.INVALID_PARAMS, says: "params.arguments must be an object"},
		{name: "arguments are the text of null", in: call + `{"name":"a","arguments":"null"}}`, code: mcp.INVALID_PARAMS, says: "params.arguments must be an object"},
		{name: "arguments are the text of a text", in: call + `{"name":"a","arguments":"\"{}\""}}`, code: mcp.INVALID_PARAMS, says: "params.arguments must be an object"},
		{name: "arguments are two objects as text", in: call + `{"name":"a","arguments":"{} {}"}}`, code: mcp.INVALID_PARAMS, says: "params.arguments must be an object"},
		{name: "arguments are broken text", in: call + `{"name":"a","arguments":"{\"a\":}"}}`, code: mcp.INVALID_PARAMS, says: "params.arguments must be an object"},
		{name: "arguments are half of a pair", in: call + `{"name":"a","arguments":"{\"a\":\"\ud800\"}"}}`, code: mcp.INVALID_PARAMS, says: "params.arguments must be an object"},
		{name: "arguments are text too deep for the decoder", in: call + `{"name":"a","arguments":"{\"a\":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}"}}`, code: mcp.INVALID_PARAMS},
		{name: "a name as the text of an object", in: call + `{"name":"{}","arguments":{},"_meta":"{}"}}`, code: mcp.INVALID_REQUEST, says: "params._meta must be an object"},
		{name: "arguments are a list", in: call + `{"name":"a","arguments":[]}}`, code: mcp.INVALID_PARAMS, says: "params.arguments must be an object"},
		{name: "_meta is text", in: call + `{"name":"a","_meta":"x"}}`, code: mcp.INVALID_REQUEST, says: "params._meta must be an object"},
		{name: "version is a number", in: call + `{"name":"a","_meta":{"io.modelcontextprotocol/protocolVersion":1}}}`, code: mcp.INVALID_PARAMS, says: "must be a string"},
		{name: "client's name is a number", in: `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"x","clientInfo":{"name":1}}}`, code: mcp.INVALID_PARAMS, says: "client's name"},
		{name: "no protocol version", in: `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`, code: mcp.INVALID_PARAMS, says: "protocolVersion is missing"},
		{name: "a cursor", in: `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"!"}}`, code: mcp.INVALID_PARAMS, says: "cursor"},
		{name: "tasks of 2025-11-25", in: `{"jsonrpc":"2.0","id":1,"method":"tasks/list"}`, code: mcp.METHOD_NOT_FOUND},
		{name: "an approval", in: `{"jsonrpc":"2.0","id":1,"method":"approve","params":{"handle":"hold_x"}}`, code: mcp.METHOD_NOT_FOUND},
		{name: "a method in another case", in: `{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"a"}}`, code: mcp.METHOD_NOT_FOUND},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := parseMessage([]byte(tt.in))
			if tt.code != 0 {
				if err == nil || err.code != tt.code || !strings.Contains(err.text, tt.says) {
					t.Errorf("got %v of %+v, want %d: %s", err, m, tt.code, tt.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err.code, err)
			}
			if tt.wire == "" {
				if m.method != "" {
					t.Errorf("%+v", m)
				}
				return
			}
			if got := string(m.wire()); got != tt.wire {
				t.Error(cmp.Diff(tt.wire, got))
			}
		})
	}
}

// FuzzParse: what is passed on means one thing, to a strict reader and to
// encoding/json, which matches names by folding them.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"a":[1]},"_meta":{"progressToken":"x"}}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":"{\"a\":[1]}"}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"RequestID":2}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":"x","method":"initialize","params":{"protocolVersion":"2025-11-25","clientInfo":{"name":"\ud800"}}}`))
	f.Add([]byte(`[{"jsonrpc":"2.0","id":1,"method":"ping"}]`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{` + modernMeta + `}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := parseMessage(raw)
		if err != nil || m.method == "" {
			return
		}
		wire := m.wire()
		again, err := parseMessage(wire)
		if err != nil {
			t.Fatalf("%s is refused itself: %v", wire, err)
		}
		if diff := cmp.Diff(string(wire), string(again.wire())); diff != "" {
			t.Fatal(diff)
		}
		var loose struct {
			ID     json.RawMessage
			Method string
			Params struct {
				Name      json.RawMessage
				Arguments json.RawMessage
				RequestID json.RawMessage `json:"requestId"`
			}
		}
		if err := json.Unmarshal(wire, &loose); err != nil {
			t.Fatalf("%s: %v", wire, err)
		}
		for _, pair := range [][2]json.RawMessage{{loose.ID, m.id}, {loose.Params.Name, m.param("name")},
			{loose.Params.Arguments, m.param("arguments")}, {loose.Params.RequestID, m.param("requestId")}} {
			if diff := cmp.Diff(compact(pair[0]), compact(pair[1])); diff != "" {
				t.Fatal(diff)
			}
		}
		if loose.Method != m.method {
			t.Fatalf("%q is read as %q", m.method, loose.Method)
		}
	})
}

func compact(raw json.RawMessage) string {
	if raw == nil {
		return ""
	}
	return string(join(map[string]json.RawMessage{"v": raw}))
}

func BenchmarkParse(b *testing.B) {
	raw := []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{` + modernMeta + `,"name":"get_pet","arguments":{"petId":1}}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseMessage(raw); err != nil {
			b.Fatal(err)
		}
	}
}
