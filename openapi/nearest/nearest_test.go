package nearest

import (
	"strings"
	"testing"
)

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"amuont", "amount", 2},
		{"größe", "grösse", 2}, {"abc", "abc", 0}, {"abc", "xyz", 3}, {"scope", "scopes", 1},
	} {
		if got := distance([]rune(tt.a), []rune(tt.b), 10); got != tt.want {
			t.Errorf("%q to %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
		for most := range tt.want {
			if got := distance([]rune(tt.b), []rune(tt.a), most); got <= most {
				t.Errorf("%q to %q within %d: %d", tt.b, tt.a, most, got)
			}
		}
	}
}

func TestFind(t *testing.T) {
	known := []string{"amount", "account", "Scopes", "scope"}
	for _, tt := range []struct {
		word   string
		within int
		plain  func(string) string
		want   string
	}{
		{"amuont", 2, nil, "amount"}, {"amuont", 1, nil, ""}, {"acccount", 2, nil, "account"},
		{"scopes", 1, nil, "Scopes"}, {"SCOPES", 0, strings.ToLower, "Scopes"}, {"scope", 1, nil, ""}, {"nothing", 2, nil, ""}, {"", 0, nil, ""},
	} {
		if got := Find(tt.word, known, tt.within, tt.plain); got != tt.want {
			t.Errorf("%q within %d: %q, want %q", tt.word, tt.within, got, tt.want)
		}
	}
}
