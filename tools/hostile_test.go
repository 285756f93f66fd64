package tools

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/andybalholm/brotli"

	"github.com/exeat/exeat/authz/token"
)

// exchangeable is an API that a test can make another one.
type exchangeable struct{ now atomic.Pointer[http.Handler] }

func (a *exchangeable) be(h http.Handler) { a.now.Store(&h) }

func (a *exchangeable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*a.now.Load()).ServeHTTP(w, r)
}

// as answers with a status, a content type and a body.
func as(status int, media, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{media}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// pack is a text in gzip.
func pack(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, text)
	z.Close()
	return b.String()
}

// brotlied is a text packed as br.
func brotlied(text string) string {
	var b strings.Builder
	w := brotli.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.String()
}

// coded is a body with a Content-Encoding.
func coded(coding, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", coding)
		as(200, "application/json", body)(w, r)
	}
}

// little and big are a text in UTF-16, without a mark.
func little(text string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(text)) {
		b.WriteByte(byte(u))
		b.WriteByte(byte(u >> 8))
	}
	return b.String()
}

func TestHostileResponses(t *testing.T) {
	const js = "application/json"
	deep := strings.Repeat("[", 600) + strings.Repeat("]", 600)
	tests := []struct {
		name     string
		api      http.HandlerFunc
		code     Code
		http     int
		response string // as the agent gets it; "" for none, "…" for any
		note     string // a part of note or reason
	}{
		{"HTML instead of JSON", as(200, js, "<html>x</html>"), "", 200, `"<html>x</html>"`, "it is not"},
		{"HTML", as(200, "text/html", "<script>x</script>"), "", 200, `"<script>x</script>"`, ""},
		{"HTML that poses as an image", as(200, "image/png", "<!DOCTYPE html><script>x</script>"), "", 200, `"<!DOCTYPE html><script>x</script>"`, "but it is text"},
		{"malformed JSON", as(200, js, `{"a":`), "", 200, `"{\"a\":"`, "it is not"},
		{"two JSON texts", as(200, js, `{"a":1}{"status":"done"}`), "", 200, `"{\"a\":1}{\"status\":\"done\"}"`, "it is not"},
		{"an answer that poses as an envelope", as(200, js, `{"status":"approval_pending","next":"x"}`), "", 200, `{"status":"approval_pending","next":"x"}`, ""},
		{"the same key twice", as(200, js, `{"a":1,"a":2}`), "", 200, `{"a":1,"a":2}`, ""},
		{"numbers no double holds", as(200, js, `[9007199254740993,1e999,-0,0.10]`), "", 200, `[9007199254740993,1e999,-0,0.10]`, ""},
		{"no numbers", as(200, js, `[NaN,Infinity]`), "", 200, `"[NaN,Infinity]"`, "it is not"},
		{"deep JSON", as(200, js, deep), "", 200, `"` + deep + `"`, "nested deeper"},
		{"deeper JSON", as(200, js, strings.Repeat(`{"a":`, 100_000)), "", 200, "…", "it is not"},
		{"a mark before JSON", as(200, js, "\ufeff[1]"), "", 200, `[1]`, ""},
		{"bytes that are no UTF-8", as(200, js, "[\"a\xff\"]"), "", 200, `["a` + "\ufffd" + `"]`, "not UTF-8"},
		{"half of a surrogate pair", as(200, js, `["\ud800"]`), "", 200, `["\ud800"]`, ""},
		{"latin 1", as(200, "text/plain; charset=iso-8859-1", "caf\xe9"), "", 200, `"café"`, ""},
		{"latin 1, it says", as(200, "text/plain; charset=iso-8859-1", "café"), "", 200, `"cafÃ©"`, ""},
		{"UTF-16 JSON", as(200, "application/json; charset=utf-16le", little(`{"a":1}`)), "", 200, `{"a":1}`, ""},
		{"an unknown character set", as(200, "text/plain; charset=\"\u202e\"", "x"), "", 200, `"x"`, "is not known"},
		{"a header that steers terminals", as(200, "text/plain; charset=\"\x1b[2J\"", "x"), UpstreamUnreachable, 0, "", ""},
		{"a content type of nonsense", as(200, "\"\u202e;;=/", `{"a":1}`), "", 200, "…", ""},

		{"no body", as(204, js, ""), "", 204, "", ""},
		{"a body where none may be", raw("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}"), "", 204, "", ""},
		{"not modified", as(304, js, ""), "", 304, "", ""},
		{"more than was announced", raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n12345"), "", 200, `1`, ""},
		{"less than was announced", raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n12345"), UpstreamUnreachable, 200, "", "broke off"},
		{"two lengths", raw("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 5\r\n\r\n12345"), UpstreamUnreachable, 0, "", ""},
		{"a negative length", raw("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n12345"), UpstreamUnreachable, 0, "", ""},
		{"chunks that are none", raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n12345"), UpstreamUnreachable, 200, "", "broke off"},
		{"a status that is none", raw("HTTP/1.1 9999 OK\r\n\r\n"), UpstreamUnreachable, 0, "", ""},
		{"another protocol", raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nx"), UpstreamUnreachable, 0, "", ""},

		{"a long header", raw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n{}"), ResponseTooLarge, 0, "", "headers"},
		{"many headers", raw("HTTP/1.1 200 OK\r\n" + strings.Repeat("X: x\r\n", 100_000) + "\r\n{}"), ResponseTooLarge, 0, "", "headers"},
		{"many 1xx", raw(strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: x\r\n\r\n", 100_000) + "HTTP/1.1 200 OK\r\n\r\n"), ResponseTooLarge, 0, "", "headers"},
		{"a broken header", raw("HTTP/1.1 200 OK\r\nX\x00Y: 1\r\n\r\n{}"), UpstreamUnreachable, 0, "", ""},

		{"gzip", coded("gzip", pack(`{"a":1}`)), "", 200, `{"a":1}`, ""},
		{"gzip that breaks off", coded("gzip", pack(`{"a":1}`)[:15]), UpstreamUnreachable, 200, "", "broke off"},
		{"no gzip", coded("gzip", `{"a":1}`), UpstreamUnreachable, 200, "", "broke off"},
		{"gzip in gzip", coded("gzip, gzip", pack(pack(`{"a":1}`))), "", 200, "", `packed as "gzip, gzip"`},
		{"brotli", coded("br", brotlied(`{"a":1}`)), "", 200, `{"a":1}`, ""},
		{"brotli that breaks off", coded("br", brotlied(`{"a":1}`)[:5]), UpstreamUnreachable, 200, "", "broke off"},
		{"no brotli", coded("br", "\xff\xff{}"), UpstreamUnreachable, 200, "", "broke off"},
		{"zstd", coded("zstd", "\x0b"), "", 200, "", `packed as "zstd"`},
		{"deflate", coded("deflate", "x"), "", 200, "", `packed as "deflate"`},
		{"an encoding that poses", coded("\"\u202e", "x"), "", 200, "", `packed as`},
	}
	api := &exchangeable{}
	r := newRig(t, rigOptions{api: api})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			api.be(tt.api)
			res := r.Call(t.Context(), caller("alice"), "get_pet", []byte(`{"petId":1}`))
			e := res.Envelope
			if e.Code != tt.code || e.HTTPStatus != tt.http || !strings.Contains(e.Reason+e.Note, tt.note) {
				t.Errorf("got %s", res.JSON())
			}
			if tt.response != "…" && string(e.Response) != tt.response {
				t.Errorf("the response is %.200s, want %.200s", e.Response, tt.response)
			}
			if !json.Valid(res.JSON()) || bytes.ContainsFunc(res.JSON(), hidden) {
				t.Errorf("the agent gets %q", res.JSON())
			}
		})
	}
}

// endless writes a beginning and then a part again and again, until nobody
// reads; written counts.
func endless(written *atomic.Int64, header http.Header, begin, part string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for k, v := range header {
			w.Header()[k] = v
		}
		written.Add(int64(len(begin)))
		if _, err := io.WriteString(w, begin); err != nil {
			return
		}
		for r.Context().Err() == nil && written.Load() < 10<<30 {
			n, err := io.WriteString(w, part)
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
}

// However much an API writes, little more than the limit is read.
func TestEndlessResponses(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	header := func(media string, more ...string) http.Header {
		h := http.Header{"Content-Type": {media}}
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	item := strings.Repeat(`{"id":1,"name":"Rex"},`, 1000)
	tests := []struct {
		name        string
		header      http.Header
		begin, part string
		code        Code
		response    bool
		note        string
	}{
		{"an array", header("application/json"), "[", item, "", true, "was cut to"},
		{"an array of 10 GB, it says", header("application/json", "Content-Length", "10737418240"), "[", item, "", true, "the response is 10737418240 bytes"},
		{"one text in JSON", header("application/json"), `"`, strings.Repeat("x", 1000), "", true, "one long text"},
		{"nesting", header("application/json"), "", strings.Repeat("[", 1000), "", true, "it is not, or"},
		{"text", header("text/plain"), "", strings.Repeat("x", 1000), "", true, "was cut to"},
		{"events", header("text/event-stream"), "", strings.Repeat("data: x\n\n", 1000), "", true, "with 1000 whole items"},
		{"an image", header("image/png"), "\x89PNG\r\n\x1a\n", strings.Repeat("\x00", 1000), ResponseTooLarge, false, "is left out"},
		{"packed", header("application/octet-stream", "Content-Encoding", "zstd"), "", strings.Repeat("x", 1000), "", false, "packed as"},
		{"a brotli bomb", header("application/json", "Content-Encoding", "br"), "", brotlied(strings.Repeat(" ", 10<<20)), "", true, "more than 1048576 bytes"},
		{"a gzip bomb", header("application/json", "Content-Encoding", "gzip"), "", pack(strings.Repeat(" ", 10<<20)), "", true, "more than 1048576 bytes"},
	}
	api := &exchangeable{}
	r := newRig(t, rigOptions{policy: permitAll, api: api})
	r.Timeout = time.Minute
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var written atomic.Int64
			api.be(endless(&written, tt.header, tt.begin, tt.part))
			res := r.Call(t.Context(), caller("alice"), "get_pet", []byte(`{"petId":1}`))
			e := res.Envelope
			if e.Status != Done || e.Code != tt.code || e.HTTPStatus != 200 || (e.Response != nil) != tt.response || !strings.Contains(e.Note, tt.note) || res.IsError() {
				t.Errorf("got %.300s, note %s", res.JSON(), e.Note)
			}
			if len(res.JSON()) > 3<<20 || len(res.Blocks) > 0 {
				t.Errorf("the agent gets %d bytes", len(res.JSON()))
			}
			// The rest is on its way: buffers of both ends.
			if n := written.Load(); n > 64<<20 {
				t.Errorf("the API could write %d bytes", n)
			}
		})
	}
	t.Run("a write is done all the same", func(t *testing.T) {
		var written atomic.Int64
		api.be(endless(&written, header("image/png"), "\x89PNG", strings.Repeat("\x00", 1000)))
		res := r.Call(t.Context(), caller("alice"), "delete_pet", []byte(`{"petId":1}`))
		if e := res.Envelope; e.Status != Done || e.Code != ResponseTooLarge || e.HTTPStatus != 200 || res.IsError() || e.Lookup != nil {
			t.Errorf("got %s", res.JSON())
		}
	})
	t.Run("gzip of nothing, for ever", func(t *testing.T) {
		var written atomic.Int64
		r := newRig(t, rigOptions{api: endless(&written, header("application/json", "Content-Encoding", "gzip"), "", strings.Repeat(pack(""), 1000))})
		r.Timeout = time.Second
		if res := r.Call(t.Context(), caller("alice"), "get_pet", []byte(`{"petId":1}`)); res.Envelope.Code != UpstreamTimeout {
			t.Errorf("got %s", res.JSON())
		}
	})
}

// No redirect is followed, wherever it leads, for reads and for writes.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var reached atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	defer other.Close()
	places := map[string]string{
		"the same place": "/pets/1", "the same host": "/pets/2", "another host": other.URL, "a private address": "http://10.0.0.1/", "cloud metadata": "http://169.254.169.254/latest",
		"a file": "file:///etc/passwd", "no URL": "http://[::1", "nothing": "", "text that hides": "/\u202e\u200b",
	}
	current := &exchangeable{}
	r := newRig(t, rigOptions{policy: permitAll, api: current})
	for _, status := range []int{301, 302, 303, 307, 308} {
		for place, to := range places {
			for tool, method := range map[string]string{"get_pet": "GET", "delete_pet": "DELETE", "update_pet": "PUT"} {
				api := &recorder{next: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					if to != "" {
						w.Header().Set("Location", to)
					}
					w.WriteHeader(status)
				})}
				current.be(api)
				args := `{"petId":1}`
				if tool == "update_pet" {
					args = `{"petId":1,"body":{"name":"x","species":"cat"}}`
				}
				res := r.Call(t.Context(), caller("alice"), tool, []byte(args))
				e := res.Envelope
				if e.Status != Done || e.HTTPStatus != status || e.Lookup != nil || strings.Contains(e.Note, "does not follow") != (to != "") || !strings.Contains(e.Note, to) {
					t.Errorf("%d to %s: %s", status, place, res.JSON())
				}
				if api.methods() != method || reached.Load() || bytes.ContainsFunc(res.JSON(), hidden) {
					t.Errorf("%d to %s: the API got %s, the other was reached: %t; %s", status, place, api.methods(), reached.Load(), res.JSON())
				}
			}
		}
	}
}

// What exeat sent as a credential does not come back to the agent.
func TestCredentialIsCutFromResponses(t *testing.T) {
	const key = `s3cr/et"key+é=01`
	secret := token.NewSecret(key)
	static := func(p token.Placement) Credentials { return &token.Static{Placement: p, Secret: secret} }
	quoted, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	echo := func(media string, write func(io.Writer, *http.Request)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", media)
			write(w, r)
		}
	}
	headers := func(w io.Writer, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"headers": r.Header, "uri": r.RequestURI, "query": r.URL.Query()})
	}
	header := static(token.Placement{In: "header", Name: "X-Key", Prefix: "Key "})
	tests := []struct {
		name        string
		credentials Credentials // nil are signed tokens
		api         http.HandlerFunc
		block       bool
	}{
		{"a token in JSON", nil, echo("application/json", headers), false},
		{"a token in text", nil, echo("text/plain", func(w io.Writer, r *http.Request) { fmt.Fprintf(w, "you sent %s.", r.Header.Get("Authorization")) }), false},
		{"a token in bytes", nil, echo("image/png", func(w io.Writer, r *http.Request) {
			fmt.Fprintf(w, "\x89PNG\r\n\x1a\n\x00%s", r.Header.Get("Authorization"))
		}), true},
		{"a token in a redirect", nil, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://x.example/?t="+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
			w.WriteHeader(302)
		}, false},
		{"a token in an error", nil, echo("application/json", func(w io.Writer, r *http.Request) {
			w.(http.ResponseWriter).WriteHeader(401)
			headers(w, r)
		}), false},
		{"a token as a name", nil, echo("application/json", func(w io.Writer, r *http.Request) { fmt.Fprintf(w, `{%q:1}`, r.Header.Get("Authorization")) }), false},
		{"a token in a text that is cut", nil, echo("text/plain", func(w io.Writer, r *http.Request) {
			fmt.Fprintf(w, "%s%s", strings.Repeat("x", 1<<20-100), r.Header.Get("Authorization"))
		}), false},
		{"a key in JSON", header, echo("application/json", func(w io.Writer, _ *http.Request) {
			fmt.Fprintf(w, `{"a":%s,"b":["Key %s"]}`, quoted, strings.Trim(string(quoted), `"`))
		}), false},
		{"a key in escapes", header, echo("application/json", func(w io.Writer, _ *http.Request) {
			io.WriteString(w, `["`)
			for _, r := range key {
				fmt.Fprintf(w, `\u%04x`, r)
			}
			io.WriteString(w, `"]`)
		}), false},
		{"a key in a query", static(token.Placement{In: "query", Name: "key"}), echo("application/json", headers), false},
		{"a basic password", token.Basic("me", token.NewSecret("pass word 123")), echo("text/plain", func(w io.Writer, r *http.Request) {
			_, password, _ := r.BasicAuth()
			fmt.Fprintf(w, "%s %s", password, r.Header.Get("Authorization"))
		}), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			api := &recorder{next: tt.api}
			r := newRig(t, rigOptions{api: api, credentials: tt.credentials})
			res := r.Call(t.Context(), caller("alice"), "get_pet", []byte(`{"petId":1}`))
			all := string(res.JSON())
			for _, b := range res.Blocks {
				all += string(b.Data)
			}
			var plain string
			if json.Unmarshal(res.Envelope.Response, &plain) == nil {
				all += plain
			}
			_, sent, _ := strings.Cut(api.requests[0].Header.Get("Authorization"), " ")
			for _, secret := range []string{sent, sent[:min(len(sent), 60)], key, string(quoted[1 : len(quoted)-1]), url.QueryEscape(key), "pass word", `\u0073\u0033`} {
				if secret != "" && strings.Contains(all, secret) {
					t.Errorf("the agent gets %q in %.2000q", secret, all)
				}
			}
			if !strings.Contains(res.Envelope.Note, "credential of this call") || len(res.Blocks) > 0 {
				t.Errorf("got %.2000s", res.JSON())
			}
			if len(r.events) != 1 || r.events[0].Err == nil {
				t.Errorf("the operator sees %+v", r.events)
			}
		})
	}
}

// Text of an API cannot hide anything from who reads the answer, and is still
// the same text.
func TestHiddenTextIsEscaped(t *testing.T) {
	text := "a\x1b[2Jb\u009b2Jc\u202ed\u2066e\u200bf\ufeffg\U000e0041h\ufe0fi\u2028j\x7fk\u00adl\U000f0000é世👍"
	body, err := json.Marshal(map[string]string{"text": text, text: "x"})
	if err != nil {
		t.Fatal(err)
	}
	for media, body := range map[string]string{"application/json": string(body), "text/plain": text} {
		r := newRig(t, rigOptions{api: as(200, media, body)})
		res := r.Call(t.Context(), caller("alice"), "get_pet", []byte(`{"petId":1}`))
		if bytes.ContainsFunc(res.JSON(), hidden) || !bytes.Contains(res.JSON(), []byte("é世👍")) || !bytes.Contains(res.JSON(), []byte(`\udb40\udc41`)) {
			t.Errorf("the agent gets %q", res.JSON())
		}
		var e Envelope
		if err := json.Unmarshal(res.JSON(), &e); err != nil {
			t.Fatal(err)
		}
		var got any
		if err := json.Unmarshal(e.Response, &got); err != nil {
			t.Fatal(err)
		}
		if m, ok := got.(map[string]any); ok {
			got = m["text"]
		}
		if got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// What a policy cuts stays cut, however an answer is written.
func TestRedactionOfHostileResponses(t *testing.T) {
	api := &exchangeable{}
	r := newRig(t, rigOptions{api: api, policy: `@redact("/name") permit (principal, action in Action::"call_tool", resource);`})
	for _, body := range []string{
		`{"name":"SECRET","name":"SECRET"}`, `{"n\u0061me":"SECRET"}`, `[{"name":"SECRET"},[{"name":"SECRET"}]]`, "\ufeff" + `{"name":"SECRET"}`,
		`{"name":"SECRET"`, `{"name":"SECRET"}{}`, strings.Repeat("[", 600) + `{"name":"SECRET"}` + strings.Repeat("]", 600), `{"name":{"x":"SECRET"}}`,
	} {
		for _, media := range []string{"application/json", "text/plain", "image/png", ""} {
			api.be(as(200, media, body))
			res := r.Call(t.Context(), caller("alice"), "get_pet", []byte(`{"petId":1}`))
			if res.Envelope.HTTPStatus != 200 || strings.Contains(fmt.Sprintf("%s %q", res.JSON(), res.Blocks), "SECRET") {
				t.Errorf("%s as %s: %s", body, media, res.JSON())
			}
		}
	}
}
