package words

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Every text is there once, in every language, with the same placeholders, and holds
// no markup: pages write it as it is.
func TestTexts(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range entries() {
		if e.key() == "" {
			if len(e) > 0 {
				t.Errorf("no English for %v", e)
			}
			continue
		}
		if seen[e.key()] {
			t.Errorf("twice: %q", e.key())
		}
		seen[e.key()] = true
		for _, tag := range tags {
			if e[tag.String()] == "" {
				t.Errorf("%q is not there in %s", e.key(), tag)
			}
		}
		for tag, said := range e {
			language, form, _ := strings.Cut(tag, ".")
			if !slices.ContainsFunc(Languages(), func(l Language) bool { return l.Tag() == language }) || form != "" && form != "one" {
				t.Errorf("%q has a line for %q", e.key(), tag)
			}
			want, got := placeholders(e.key()), placeholders(said)
			if form == "one" { // which may say the number in a word
				got, want = slices.DeleteFunc(got, func(b byte) bool { return b == 'd' }), slices.DeleteFunc(want, func(b byte) bool { return b == 'd' })
			}
			if !slices.Equal(want, got) && !slices.Equal(want, slices.DeleteFunc(got, func(b byte) bool { return b == 0 })) {
				t.Errorf("%q has other placeholders in %s: %q", e.key(), tag, said)
			}
			if strings.ContainsAny(said, "<>&\"`{}") || strings.TrimSpace(said) != said {
				t.Errorf("%s: %q has markup, quotes or outer spaces", tag, said)
			}
		}
	}
	if len(seen) < 100 {
		t.Errorf("only %d texts", len(seen))
	}
}

func TestSay(t *testing.T) {
	german := Choose("de", "")
	for _, tt := range []struct {
		l         Language
		key, want string
		args      []any
	}{
		{Language{}, "%d min", "5 min", []any{5}},
		{german, "in the name of %s", "im Namen von alice", []any{"alice"}},
		{german, "no such text, 100 % of %s", "no such text, 100 % of %s", nil}, // and no format
		{german, "%s left", "noch 90 s", []any{90 * time.Second}},
		{german, "%s left", "noch Approved.", []any{"Approved."}},
		{german, "%s left", "noch Genehmigt.", []any{T("Approved.")}},
	} {
		if got := tt.l.Say(tt.key, tt.args...); got != tt.want {
			t.Errorf("%s: %q: %q, not %q", tt.l.Tag(), tt.key, got, tt.want)
		}
	}
	if got := german.Time(time.Date(2026, 3, 1, 15, 4, 5, 0, time.UTC)); got != "1. März 2026, 15:04:05 UTC" {
		t.Error(got)
	}
}

func TestChoose(t *testing.T) {
	for _, tt := range []struct{ chosen, accept, want string }{
		{"", "", "en"}, {"", "de-AT,de;q=0.9", "de"}, {"", "nl, fr;q=0.5", "fr"}, {"fr", "de", "fr"}, {"xx", "es", "es"}, {"", "ja", "en"},
		{"", "*", "en"}, {"", "de;q=x,,;;", "en"}, {"", strings.Repeat("de,", 1000), "en"},
	} {
		if got := Choose(tt.chosen, tt.accept).Tag(); got != tt.want {
			t.Errorf("%q, %q: %s, not %s", tt.chosen, tt.accept, got, tt.want)
		}
	}
	if !regexp.MustCompile(`^(ltr|rtl)$`).MatchString(Language{}.Dir()) {
		t.Error(Language{}.Dir())
	}
}
