package scrub

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const key = `sk_live_+/9Zq"8<>&x-Ab`

// encodings are what servers do to a text that they show.
var encodings = map[string]func(string) string{
	"plain":       func(s string) string { return s },
	"large":       strings.ToUpper,
	"small":       strings.ToLower,
	"path":        url.PathEscape,
	"query":       url.QueryEscape,
	"percent":     func(s string) string { return each(s, "%%%02x") },
	"PERCENT":     func(s string) string { return each(s, "%%%02X") },
	"html":        html.EscapeString,
	"entities":    func(s string) string { return each(s, "&#%d;") },
	"hexentities": func(s string) string { return each(s, "&#x%X;") },
	"json":        func(s string) string { return strings.Trim(marshal(s), `"`) },
	"unicode":     func(s string) string { return each(s, `\u%04x`) },
	"hex":         func(s string) string { return hex.EncodeToString([]byte(s)) },
	"HEX":         func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"base64":      func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64 1":    func(s string) string { return base64.StdEncoding.EncodeToString([]byte("a" + s + "zz")) },
	"base64 2":    func(s string) string { return base64.RawStdEncoding.EncodeToString([]byte("ab" + s + "z")) },
	"base64url":   func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte("k:" + s)) },
	"base64 lines": func(s string) string {
		text := base64.StdEncoding.EncodeToString([]byte(s))
		return text[:5] + "\r\n" + text[5:13] + "\n" + text[13:]
	},
}

func each(s, format string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, format, s[i])
	}
	return b.String()
}

func marshal(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestText(t *testing.T) {
	s := New("[cut]", key)
	for name, encode := range encodings {
		for again, outer := range encodings {
			if strings.HasPrefix(again, "base64") || strings.HasPrefix(strings.ToLower(again), "hex") || again == "large" || again == "small" {
				outer, again = encodings["plain"], "plain"
			}
			text := "before " + outer(encode(key)) + " after"
			clean, found := s.Text(text)
			// What of base64 says something of its neighbours may stay.
			if !found || !strings.HasPrefix(clean, "before ") || !strings.HasSuffix(clean, " after") || len(clean) > len("before [cut] after")+6*8 {
				t.Errorf("%s in %s: %s gives %s", name, again, text, clean)
			}
			if _, found := s.JSON([]byte(marshal(map[string]any{"a": []string{text}}))); !found {
				t.Errorf("%s in %s: not found in JSON", name, again)
			}
		}
	}
	for _, text := range []string{"", "nothing", key[:len(key)-1], strings.Repeat("%", 100), `\u`, `\`, "&#;", "&#x;", "&#99999999;", "%4"} {
		if clean, found := s.Text(text); found || clean != text {
			t.Errorf("%q gives %q", text, clean)
		}
	}
	if _, found := New("", "short").Text("short"); found {
		t.Error("a short secret is looked for")
	}
}

func TestJSON(t *testing.T) {
	s := New("[cut]", "1234567890123")
	for in, want := range map[string]string{
		`{"a":1234567890123}`:                      `{"a":"[cut]"}`,
		`[-1234567890123.5e1,"x",true,null]`:       `["[cut]","x",true,null]`,
		`{"1234567890123":{"b":"a1234567890123"}}`: `{"[cut]":{"b":"a[cut]"}}`,
		`"\u0031234567890123"`:                     `"[cut]"`,
		`{"a":123456789012}`:                       `{"a":123456789012}`,
		`["12345678","90123"]`:                     `["12345678","90123"]`,
	} {
		got, _ := s.JSON([]byte(in))
		if string(got) != want || !json.Valid(got) {
			t.Errorf("%s gives %s", in, got)
		}
	}
}

// A text that was cut in the middle of a secret loses the beginning of it too.
func TestCut(t *testing.T) {
	s := New("[cut]", key)
	for _, name := range []string{"plain", "hex", "base64"} {
		whole := encodings[name](key)
		for n := Shortest; n < len(whole)-2; n++ {
			if clean, found := s.Cut("it is " + whole[:n]); !found || clean != "it is [cut]" {
				t.Errorf("%s: %q", name, clean)
			}
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("abc", uint64(1))
	f.Add(`%25&amp;\u0041`, uint64(2))
	names := []string{}
	for name := range encodings {
		names = append(names, name)
	}
	f.Fuzz(func(t *testing.T, around string, seed uint64) {
		s := New("[cut]", key)
		if clean, found := s.Text(around); !found && clean != around {
			t.Errorf("%q becomes %q", around, clean)
		}
		r := rand.New(rand.NewPCG(seed, 0))
		planted := encodings[names[r.IntN(len(names))]](key)
		at := 0
		if len(around) > 0 {
			at = r.IntN(len(around))
		}
		// A text that ends in half of an encoding joins with what comes after it.
		text := around[:at] + "\n" + planted + "\n" + around[at:]
		clean, found := s.Text(text)
		if !found || strings.Contains(clean, planted) {
			t.Errorf("%q gives %q", text, clean)
		}
		if !utf8.ValidString(text) {
			return
		}
		if out, found := s.JSON([]byte(marshal(text))); !found || !json.Valid(out) {
			t.Errorf("%q gives %s", text, out)
		}
	})
}

func BenchmarkText(b *testing.B) {
	s := New("[cut]", key, strings.Repeat("token", 100))
	text := strings.Repeat(`{"url":"https://api.example.com/users/some%20body","name":"a \"name\""},`, 1<<20/72)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		s.Found([]byte(text))
	}
}

// What is looked for first must begin all that is looked for then, and no text becomes
// longer by decoding than a scrubber thinks.
func TestHeads(t *testing.T) {
	for _, secret := range []string{"12345678", "123456789", key, strings.Repeat("token", 100)} {
		whole, begin := formsOf([]string{secret}), formsOf([]string{secret[:min(head, len(secret))]})
		for _, f := range whole {
			if !slices.ContainsFunc(begin, func(b form) bool { return b.packed == f.packed && strings.HasPrefix(f.text, b.text) }) {
				t.Errorf("no head of %q begins %q", secret, f.text)
			}
		}
	}
	for name := range strings.FieldsSeq("&nGt; &nLt; &lt; &NotEqualTilde; &fjlig; &#1114111; &#x10FFFF; %F0 \\uFFFF \\xFF") {
		for _, v := range views([]byte(name), false) {
			if len(v.text) > widest*len(name) {
				t.Errorf("%s becomes %d bytes", name, len(v.text))
			}
		}
	}
}

func BenchmarkScrub(b *testing.B) {
	token := strings.Repeat("eyJhbGciOiJFZERTQSJ9", 60)
	answer := []byte(`{"id":1,"name":"Minka","tags":["` + strings.Repeat("x", 400) + `"]}`)
	for name, secrets := range map[string][]string{"token": {"Bearer " + token, token}, "key": {"sk_live_0123456789abcdef"}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s := New("[cut]", secrets...)
				if s.Found(answer) || s.Found([]byte("application/json")) {
					b.Fatal("found")
				}
			}
		})
	}
}
