package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What the suites send reaches exeat as they sent it, or their checks of hosts,
// origins and tokens would check the proxy.
func TestProxy(t *testing.T) {
	type seen struct{ Host, Origin, Authorization, Path, Body string }
	var got seen
	exeat := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, 100)
		n, _ := r.Body.Read(body)
		got = seen{r.Host, strings.Join(r.Header.Values("Origin"), " "), strings.Join(r.Header.Values("Authorization"), " "), r.URL.RequestURI(), string(body[:n])}
		w.WriteHeader(http.StatusTeapot)
	}))
	defer exeat.Close()
	at, err := url.Parse(exeat.URL)
	if err != nil {
		t.Fatal(err)
	}
	l, own, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	defer serve(l, newProxy(own, at, "secret"))()
	for _, test := range []struct {
		name, host string
		header     http.Header
		want       seen
	}{
		{name: "its own address becomes exeat's", host: "localhost:" + own.Port(), header: http.Header{"Origin": {"http://localhost:" + own.Port()}},
			want: seen{Host: "localhost:" + at.Port(), Origin: "http://localhost:" + at.Port(), Authorization: "Bearer secret"}},
		{name: "a foreign host and origin stay", host: "evil.example.com", header: http.Header{"Origin": {"http://evil.example.com", "null"}},
			want: seen{Host: "evil.example.com", Origin: "http://evil.example.com null", Authorization: "Bearer secret"}},
		{name: "a foreign host on the right port stays foreign", host: "evil.example.com:" + own.Port(),
			want: seen{Host: "evil.example.com:" + at.Port(), Authorization: "Bearer secret"}},
		{name: "a token of the client's own stays", host: own.Host, header: http.Header{"Authorization": {"Bearer forged"}},
			want: seen{Host: at.Host, Authorization: "Bearer forged"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), "POST", own.String()+"/mcp?a=1", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			req.Host = test.host
			for k, v := range test.header {
				req.Header[k] = v
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusTeapot {
				t.Fatalf("the answer is %s, not exeat's", resp.Status)
			}
			test.want.Path, test.want.Body = "/mcp?a=1", "{}"
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("what reaches exeat (-want +got):\n%s", diff)
			}
		})
	}
}

// The API answers as its document says: the suites would not notice a picture
// that is none.
func TestAPI(t *testing.T) {
	api := newAPI()
	for _, test := range []struct {
		method, path, body string
		status             int
		is                 string // by its first bytes
	}{
		{method: "GET", path: "/text", status: 200, is: "text/plain; charset=utf-8"},
		{method: "GET", path: "/image", status: 200, is: "image/png"},
		{method: "GET", path: "/audio", status: 200, is: "audio/wave"},
		{method: "GET", path: "/file", status: 200, is: "application/octet-stream"},
		{method: "GET", path: "/error", status: 409, is: "text/plain; charset=utf-8"},
		{method: "POST", path: "/contacts", body: `{"name":"Ada","email":"ada@example.com"}`, status: 200, is: "text/plain; charset=utf-8"},
		{method: "POST", path: "/contacts", body: `[]`, status: 400, is: "text/plain; charset=utf-8"},
	} {
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequest(test.method, test.path, strings.NewReader(test.body)))
		if is := http.DetectContentType(w.Body.Bytes()); w.Code != test.status || is != test.is {
			t.Errorf("%s %s %s: %d with %s, want %d with %s", test.method, test.path, test.body, w.Code, is, test.status, test.is)
		}
	}
}
