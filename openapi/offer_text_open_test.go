package openapi

import (
	"regexp"
	"strings"
	"testing"
)

// opened says by an expression what openAt finds by hand.
var opened = regexp.MustCompile(`(?s)(!?\[[^\]]*(\]\([^)]*)?|<[a-zA-Z/!][^>]*)$`)

func FuzzOpenAt(f *testing.F) {
	for _, s := range []string{"", "a [link", "a ![picture](http://x", "[a](b) [c](d", "[a](b", "[a] (b", "<b>x</b", "< 3", "<a href='>", "[x]", "[x](y)[", "![", "!![[]]](", "<!", "</", "<é", "[é](é", "<a [b]>", "[a](b) <c", "[[a](b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := -1
		if at := opened.FindStringIndex(s); at != nil {
			want = at[0]
		}
		if got := openAt(s); got != want {
			t.Errorf("%q is open at %d, not at %d", s, got, want)
		}
	})
}

// Every text of these few characters, so that none of their orders is forgotten.
func TestOpenAt(t *testing.T) {
	const of = "![]()<>a "
	for n := range 9 * 9 * 9 * 9 * 9 {
		var b strings.Builder
		for range 5 {
			b.WriteByte(of[n%9])
			n /= 9
		}
		want := -1
		if at := opened.FindStringIndex(b.String()); at != nil {
			want = at[0]
		}
		if got := openAt(b.String()); got != want {
			t.Fatalf("%q is open at %d, not at %d", b.String(), got, want)
		}
	}
}
