package openapi

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

func pathOperation(t testing.TB) *Operation {
	return newOperation(t, "GET", "/things/{id}/parts", anything, param{Property: "id", Name: "id", In: "path", Style: "simple"})
}

func quoted(t testing.TB, s string) string {
	t.Helper()
	b, err := json.Marshal(map[string]string{"id": s})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// hostile are values that would reach another path with some reader.
var hostile = []string{
	"", ".", "..", "...", " ", ". ", ".. ", "../admin", "..\\admin", "a/b", "/", "//", "/etc/passwd", "a\\b",
	"%2e", "%2e%2e", "%2E%2E", ".%2e", "%2e.", "%2f", "%2F", "a%2fb", "%5c", "a%5Cb", "..%2f..%2fadmin", "%2e%2e%2fadmin",
	"%252e%252e", "%252f", "a%25252fb", "%25%32%66", "%2525252525252e", "..;", "..;x=1", ".;", "..%3b", "..%253bx", "%2e%2e;x",
	"..\x00", "a\x01b", "a\nb", "a\r\nHost: evil", "a\tb", "%00", "a%00", "%0d%0a", "%2500", "\x7f", "\u0085", "\u2028",
	"%c0%af", "%c0%ae%c0%ae", "%ff", "%u002f", "%u002e%u002e", "%U005c", "／", "a／b", "．．", "．", "․․", "‥", "＼", "℀", "%ef%bc%8f", "%ef%bc%8e%ef%bc%8e",
	"..%20", "%20", "%2e%20", "..%09",
}

func TestHostilePathValues(t *testing.T) {
	if len(hostile) < 60 {
		t.Fatal("the corpus was cut")
	}
	op := pathOperation(t)
	for _, value := range hostile {
		if strings.ContainsRune(value, 0) {
			if _, err := op.Parse([]byte(quoted(t, value))); err == nil {
				t.Errorf("%q was parsed", value)
			}
			if unsafeSegment(value) == "" {
				t.Errorf("%q is a safe segment", value)
			}
			continue
		}
		bad := refusal(t, op, quoted(t, value))
		if bad.Problems[0].Pointer != "/id" {
			t.Errorf("%q: %v", value, bad)
		}
	}
}

func TestHarmlessPathValues(t *testing.T) {
	op := pathOperation(t)
	for value, want := range map[string]string{
		"42": "42", "a.b": "a.b", "..a": "..a", "a..": "a..", "-": "-", "me@example.com": "me%40example.com", "a b": "a%20b", "100%": "100%25",
		"50%25": "50%2525", "a:b;c=d,e": "a%3Ab%3Bc%3Dd%2Ce", "?x=1#y": "%3Fx%3D1%23y", "日本": "%E6%97%A5%E6%9C%AC", "a+b&c": "a%2Bb%26c",
		"{id}": "%7Bid%7D", "%zz": "%25zz", "ﬁ": "%EF%AC%81", "sha256:ab~_": "sha256%3Aab~_", "~": "~",
	} {
		r := encode(t, op, quoted(t, value))
		if r.Path != "/things/"+want+"/parts" || r.Target != "/v1"+r.Path {
			t.Errorf("%q: %s", value, r.Target)
		}
	}
}

func TestSegmentsOfSeveralValues(t *testing.T) {
	simple := func(name string) param { return param{Property: name, Name: name, In: "path", Style: "simple"} }
	op := newOperation(t, "GET", "/{a}{b}/{c}...{d}", anything, simple("a"), simple("b"), simple("c"), simple("d"))
	refusal(t, op, `{"a":".","b":".","c":"x","d":"y"}`)
	refusal(t, op, `{"a":"%2","b":"e%2e","c":"x","d":"y"}`)
	refusal(t, op, `{"a":"x","b":"y","c":"z"}`)
	if r := encode(t, op, `{"a":"x","b":"{c}","c":"main","d":"dev"}`); r.Path != "/x%7Bc%7D/main...dev" {
		t.Error(r.Path)
	}
}

// FuzzEncodePath checks that a path value stays what it is and where it is: the
// server sees as many segments as the template has, and the value in its own.
func FuzzEncodePath(f *testing.F) {
	for _, value := range hostile {
		f.Add(value, "x")
	}
	f.Add("42", "a b")
	f.Add("100%", "é")
	f.Fuzz(func(t *testing.T, value, query string) {
		op := newOperation(t, "GET", "/things/{id}/parts", anything,
			param{Property: "id", Name: "id", In: "path", Style: "simple"},
			param{Property: "q", Name: "q", In: "query", Style: "form", Explode: true, AllowReserved: true})
		raw, err := json.Marshal(map[string]string{"id": value, "q": query})
		if err != nil {
			t.Skip()
		}
		args, err := op.Parse(raw)
		if err != nil {
			return
		}
		value, query = args.Value()["id"].(string), args.Value()["q"].(string)
		r, err := op.Encode(args)
		if err != nil {
			return
		}
		u, err := url.Parse("http://localhost" + r.Target)
		if err != nil {
			t.Fatalf("%q: %v", r.Target, err)
		}
		if u.RequestURI() != r.Target {
			t.Fatalf("goes out as %q, want %q", u.RequestURI(), r.Target)
		}
		segments := strings.Split(u.EscapedPath(), "/")
		if len(segments) != 5 || strings.Split(r.Path, "/")[1] != "things" {
			t.Fatalf("%q has %d segments", r.Target, len(segments))
		}
		if got, err := url.PathUnescape(segments[3]); err != nil || got != value {
			t.Fatalf("the segment decodes to %q, want %q", got, value)
		}
		if clean := u.JoinPath("."); strings.Trim(clean.EscapedPath(), "/") != strings.Trim(u.EscapedPath(), "/") {
			t.Fatalf("%q cleans to %q", u.EscapedPath(), clean.EscapedPath())
		}
		values, err := url.ParseQuery(u.RawQuery)
		if err != nil || len(values) != 1 || values.Get("q") != query {
			t.Fatalf("query %q decodes to %q, want %q", u.RawQuery, values, query)
		}
	})
}
