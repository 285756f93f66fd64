package token

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzGuard gives the guard any bytes as a connection, read by net/http's own
// parser, with two tokens for one request put in where the bytes say @1 and @2:
// the API must see that request, at most once for each, and nothing else.
func FuzzGuard(f *testing.F) {
	const body = `{"name":"Rex"}`
	head := "PUT /pets/42?force=true&tag=a HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIf-Match: \"v1\"\r\n"
	good := head + "Authorization: Bearer @1\r\nContent-Length: 14\r\n\r\n" + body
	chunked := head + "Authorization: Bearer @1\r\nTransfer-Encoding: chunked\r\n\r\ne\r\n" + body + "\r\n0\r\n\r\n"
	seeds := []string{
		good, good + good, good + strings.Replace(good, "@1", "@2", 1), chunked, chunked + good, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/0.9\r\n\r\n",
		strings.Replace(chunked, "\r\n0\r\n\r\n", "\r\n0\r\nX-Sum: 1\r\n\r\n", 1), strings.Replace(chunked, "\r\ne\r\n", "\r\ne;x=1\r\n", 1),
	}
	for _, c := range [][2]string{
		{"PUT", "DELETE"}, {"PUT", "TRACE"}, {"/pets/42", "/pets/43"}, {"/pets/42", "//pets/42"}, {"/pets/42", "/x/../pets/42"}, {"/pets/42", "/pets/%34%32"},
		{"/pets/42?", "/pets/42/?"}, {"/pets/42", "/pets;x/42"}, {"PUT /", "PUT http://x/"}, {"tag=a", "tag=%61"}, {"tag=a", "tag=a&tag=a"}, {"v1", "v2"},
		{"Content-Length: 14", "Content-Length: 13"}, {"Content-Length: 14", "Content-Length: 15"}, {"Content-Length: 14", "Content-Length: 14\r\nContent-Length: 0"},
		{"Content-Length: 14", "Content-Length: 14\r\nTransfer-Encoding: chunked"}, {"Content-Length: 14", "Content-Length: +14"}, {"Content-Length: 14", "Transfer-Encoding: xchunked"},
		{"Content-Length: 14", "Content-Length: 14\r\nTransfer-Encoding : chunked"}, {"Content-Type: application/json\r\n", ""}, {"If-Match", "If_Match"}, {"HTTP/1.1", "HTTP/1.0"},
		{"Host: x", "Host: x\r\nConnection: authorization"}, {"Host: x", "Host: x\r\nConnection: close, If-Match"}, {"Host: x", "Host: x\r\nUpgrade: h2c"}, {"Host: x", "Host: x\r\nExpect: 100-continue"},
		{"Bearer @1", "Bearer @1, Bearer @2"}, {"Bearer @1", "Bearer @1\r\nAuthorization: Bearer @2"}, {"Bearer @1", "Bearer @1\r\nauthorization: x"}, {"Bearer @1", "Bearer\r\n @1"}, {"\r\n", "\n"},
	} {
		seeds = append(seeds, strings.Replace(good, c[0], c[1], 1))
	}
	for _, s := range seeds {
		f.Add([]byte(s))
	}

	w := newWorld(f, "EdDSA")
	want := newTestRequest()
	var sent []string // by the guard, in order
	guard, err := (&Guard{Verifier: w.verifier, Upstream: "http://api.example", Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		var b bytes.Buffer
		if err := r.Write(&b); err != nil {
			return nil, err
		}
		sent = append(sent, b.String())
		return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	})}).Handler()
	if err != nil {
		f.Fatal(err)
	}
	first, second := []byte(w.mint(want.call())), []byte(w.mint(want.call()))
	f.Fuzz(func(t *testing.T, text []byte) {
		clear(w.spent.until)
		sent = nil
		good := string(text) == good
		text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("@1"), first), []byte("@2"), second)
		conn := bufio.NewReader(bytes.NewReader(text))
		for {
			r, err := http.ReadRequest(conn)
			if err != nil {
				break
			}
			guard.ServeHTTP(httptest.NewRecorder(), r)
			if _, err := io.Copy(io.Discard, r.Body); err != nil || r.Close {
				break
			}
		}
		if good && len(sent) != 1 {
			t.Fatalf("the good request reached the API %d times", len(sent))
		}
		if len(sent) > 2 {
			t.Fatalf("the API saw %d requests for two tokens: %q", len(sent), sent)
		}
		for _, s := range sent {
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(s)))
			if err != nil {
				t.Fatalf("the API saw no request: %q", s)
			}
			b, _ := io.ReadAll(r.Body)
			if r.Method != want.method || r.RequestURI != want.target || string(b) != want.body || r.Header.Get("Content-Type") != want.contentType ||
				r.Header.Get("If-Match") != `"v1"` || r.Header["Authorization"] != nil || r.Header["Idempotency-Key"] != nil || r.Host != "api.example" {
				t.Fatalf("the API saw another request: %q", s)
			}
			if r.ContentLength != int64(len(want.body)) || r.TransferEncoding != nil {
				t.Fatalf("the API saw another framing: %q", s)
			}
		}
	})
}
