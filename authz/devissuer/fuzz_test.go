package devissuer

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever a document says, its client is the one of its URL, and sends people
// nowhere but by https or to their own machine.
func FuzzClientDocument(f *testing.F) {
	const id = "https://client.example/x"
	f.Add([]byte(`{"client_id":"https://client.example/x","client_name":"A","redirect_uris":["http://127.0.0.1/cb"]}`))
	f.Add([]byte(`{"client_id":"https://client.example/x","CLIENT_ID":"y","redirect_uris":["https://a.example/cb","cursor://x"]}`))
	f.Add([]byte(`{"client_id":"https://client.example/x","redirect_uris":null,"ID":"z"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := parseDocument(id, body)
		if err != nil {
			return
		}
		if c.ID != id || !c.Registered.IsZero() || len(c.Redirects) == 0 || len(c.Redirects) > maxRedirects || utf8.RuneCountInString(c.Name) > maxName {
			t.Errorf("%+v", c)
		}
		for _, uri := range c.Redirects {
			if !c.allows(uri) {
				t.Errorf("%q is its own and is not allowed", uri)
			}
		}
	})
}

// What a client's URI lets through leads to the same host, by the same path.
func FuzzRedirect(f *testing.F) {
	f.Add("http://127.0.0.1/cb", "http://127.0.0.1:4711/cb")
	f.Add("http://[::1]:1/cb?x", "http://[::1]/cb?x")
	f.Add("https://a.example/cb", "https://a.example@b.example/cb")
	f.Add("http://localhost/cb", "http://localhost:@b.example/cb")
	f.Fuzz(func(t *testing.T, own, asked string) {
		c := client{Redirects: []string{own}}
		if c.check() != nil || !c.allows(asked) {
			return
		}
		a, err := url.Parse(own)
		b, err2 := url.Parse(asked)
		if err != nil || err2 != nil || a.Scheme != b.Scheme || a.Hostname() != b.Hostname() || a.EscapedPath() != b.EscapedPath() || a.RawQuery != b.RawQuery || b.User != nil || b.Fragment != "" {
			t.Errorf("%q lets %q through", own, asked)
		}
		if b.Scheme == "https" && own != asked || strings.ContainsAny(asked, "\r\n\t ") {
			t.Errorf("%q lets %q through", own, asked)
		}
	})
}
