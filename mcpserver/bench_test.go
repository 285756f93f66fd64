package mcpserver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/exeat/exeat/tools"
)

// unlimited is no limit that a benchmark could reach.
var unlimited = Limits{PerSecond: 1e9, Concurrent: 1000}

// BenchmarkCallHTTP is what a call costs from its HTTP request to its answer,
// without the network between the client and exeat, and with that to the API.
func BenchmarkCallHTTP(b *testing.B) {
	for _, era := range []string{"2025-11-25", "2026-07-28"} {
		b.Run(era, func(b *testing.B) {
			s := offering(b, "", Config{Limits: unlimited})
			h := s.Handler(context.Background(), HTTPConfig{Auth: NewBearer("secret", alice, "")})
			body, header := callOf(b, h, era)
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader(body))
				r.Header = header.Clone()
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != http.StatusOK || !bytes.Contains(w.Body.Bytes(), []byte(`"status":"done"`)) {
					b.Fatal(w.Code, w.Body)
				}
			}
		})
	}
}

// BenchmarkFront is what all stands around a call: from its HTTP request to its
// answer, without what the runner does.
func BenchmarkFront(b *testing.B) {
	for _, era := range []string{"2025-11-25", "2026-07-28"} {
		b.Run(era, func(b *testing.B) {
			s := offering(b, "", Config{Limits: unlimited})
			res := tools.Result{Envelope: tools.Envelope{Status: tools.Done, HTTPStatus: 200, Response: json.RawMessage(pet)}}
			s.tools["get_pet"].handle = func(context.Context, toolCall) tools.Result { return res }
			h := s.Handler(context.Background(), HTTPConfig{Auth: NewBearer("secret", alice, "")})
			body, header := callOf(b, h, era)
			read := strings.NewReader(body)
			r := httptest.NewRequest(http.MethodPost, "/mcp", read)
			r.Header = header
			b.ReportAllocs()
			for b.Loop() {
				read.Reset(body)
				r.Body = io.NopCloser(read)
				w := nowhere{header: http.Header{}}
				h.ServeHTTP(&w, r)
				if w.status != http.StatusOK || w.n < 500 {
					b.Fatal(w.status, w.n)
				}
			}
		})
	}
}

const pet = `{"id":1,"name":"Rex","tags":["good","brown & white"],"note":"likes \"people\"","fee":129.5,"born":"2020-02-03T04:05:06Z","kind":"dog","vaccinated":true,"owner":{"name":"Ada","city":"London","street":"12 St James's Square"}}`

// BenchmarkAnswer writes an answer of the usual size.
func BenchmarkAnswer(b *testing.B) {
	s := offering(b, "", Config{})
	m := &message{id: json.RawMessage("1"), modern: true}
	res := tools.Result{Envelope: tools.Envelope{Status: tools.Done, HTTPStatus: 200, Response: json.RawMessage(pet)}}
	b.ReportAllocs()
	for b.Loop() {
		s.appendAnswer(m, res)
	}
}

// callOf is a call of get_pet in an era, and its headers.
func callOf(t testing.TB, h http.Handler, era string) (string, http.Header) {
	t.Helper()
	header := http.Header{"Authorization": {"Bearer secret"}, "Content-Type": {"application/json"},
		"Accept": {"application/json, text/event-stream"}, "Mcp-Protocol-Version": {era}}
	if era == "2026-07-28" {
		header["Mcp-Method"], header["Mcp-Name"] = []string{"tools/call"}, []string{"get_pet"}
		return calls(1, "get_pet", `{"petId":1}`), header
	}
	r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader(fmt.Sprintf(
		`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":%q,"capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`, era)))
	r.Header = header.Clone()
	delete(r.Header, "Mcp-Protocol-Version")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	header[sessionName] = w.Header()[sessionName]
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_pet","arguments":{"petId":1}}}`, header
}

// BenchmarkCallStdio is a call by a client that waits for each answer.
func BenchmarkCallStdio(b *testing.B) {
	c := converse(b, b.Context(), offering(b, "", Config{Limits: unlimited}))
	b.ReportAllocs()
	for b.Loop() {
		c.say(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_pet","arguments":{"petId":1}}}`)
		if got, err := c.out.ReadString('\n'); err != nil || !strings.Contains(got, `"status":"done"`) {
			b.Fatal(got, err)
		}
	}
}

// BenchmarkToolsList1228 lists as many tools as GitHub's document has.
func BenchmarkToolsList1228(b *testing.B) {
	for _, mode := range []Mode{All, Search} {
		b.Run(string(mode), func(b *testing.B) {
			s := large(b, 1228, Config{Limits: unlimited, Mode: mode})
			h := s.Handler(context.Background(), HTTPConfig{Auth: NewBearer("secret", alice, "")})
			_, header := callOf(b, h, "2026-07-28")
			header["Mcp-Method"] = []string{"tools/list"}
			delete(header, "Mcp-Name")
			body := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{` + modernMeta + `}}`
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader(body))
				r.Header = header.Clone()
				w := nowhere{header: http.Header{}}
				h.ServeHTTP(&w, r)
				if w.status != http.StatusOK || w.n < 1000 {
					b.Fatal(w.status, w.n)
				}
			}
			b.ReportMetric(float64(len(s.Runner.Tools())), "tools")
		})
	}
}

// nowhere counts what is written to it.
type nowhere struct {
	header http.Header
	status int
	n      int64
}

func (w *nowhere) Header() http.Header { return w.header }

func (w *nowhere) WriteHeader(status int) { w.status = status }

func (w *nowhere) Write(b []byte) (int, error) { w.n += int64(len(b)); return len(b), nil }

// large serves n tools, and decides by the policies that stand when there are none.
func large(t testing.TB, n int, cfg Config) *Server {
	t.Helper()
	var doc strings.Builder
	io.WriteString(&doc, `{"openapi":"3.1.0","info":{"title":"Large","version":"1"},"servers":[{"url":"http://127.0.0.1:1"}],"paths":{`)
	for i := range n {
		if i > 0 {
			doc.WriteByte(',')
		}
		fmt.Fprintf(&doc, `"/things/%d/{id}":{"get":{"operationId":"get_thing_%d","summary":"Gets thing %d & <more>","description":"A thing of the kind %d, with all that belongs to it. It can be named by its id.","parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string","maxLength":100}},{"name":"page","in":"query","description":"which page","schema":{"type":"integer","minimum":1,"default":1}},{"name":"sort","in":"query","schema":{"type":"string","enum":["created","updated","pushed","full_name"]}}],"responses":{"200":{"description":"it"}}}}`, i, i, i, i)
	}
	doc.WriteString(`}}`)
	return serving(t, "large.json", []byte(doc.String()), "http://127.0.0.1:1", "", cfg)
}
