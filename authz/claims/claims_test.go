package claims

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	for text, ok := range map[string]bool{
		`{}`:                      true,
		`{"a":1,"A":2}`:           true, // names are compared exactly, so these are two
		`{"a":1,"a":1}`:           false,
		`{"a":1,"\u0061":1}`:      false,
		`{"a":1} `:                true,
		`{"a":1}{}`:               false,
		`[]`:                      false,
		``:                        false,
		`{"a":`:                   false,
		"{\"a\":\"\xff\"}":        false,
		`{"a":"\ud800"}`:          true, // it is the text that is refused
		`{"\ud800":1,"\ud801":2}`: false,
	} {
		if _, err := Parse([]byte(text)); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestTexts(t *testing.T) {
	many := func(n int) string { return `["g"` + strings.Repeat(`,"g"`, n-1) + `]` }
	for _, c := range []struct {
		claims, where string
		want          []string
		ok            bool
	}{
		{`{}`, "groups", nil, true},
		{`{"groups":null}`, "groups", nil, true},
		{`{"groups":"a"}`, "groups", []string{"a"}, true},
		{`{"groups":["a","b"]}`, "groups", []string{"a", "b"}, true},
		{`{"groups":[]}`, "groups", []string{}, true},
		{`{"Groups":["a"]}`, "groups", nil, true},
		{`{"https://x.example/roles":["a"]}`, "https://x.example/roles", []string{"a"}, true},
		{`{"realm_access":{"roles":["a"]}}`, "/realm_access/roles", []string{"a"}, true},
		{`{"a/b":{"c~d":["a"]}}`, "/a~1b/c~0d", []string{"a"}, true},
		{`{"realm_access":null}`, "/realm_access/roles", nil, true},
		{`{"realm_access":{"roles":["a"],"roles":["b"]}}`, "/realm_access/roles", nil, false},
		{`{"realm_access":["roles"]}`, "/realm_access/roles", nil, false},
		{`{"groups":[""]}`, "groups", nil, false},
		{`{"groups":[null]}`, "groups", nil, false},
		{`{"groups":["a",1]}`, "groups", nil, false},
		{`{"groups":"a\u200b"}`, "groups", nil, false},
		{`{"groups":["a\u202e"]}`, "groups", nil, false},
		{`{"groups":["\ud800"]}`, "groups", nil, true}, // reads as U+FFFD, which shows
		{`{"groups":{"a":true}}`, "groups", nil, false},
		{`{"groups":` + many(MaxList) + `}`, "groups", strings.Split(strings.Repeat("g", MaxList), ""), true},
		{`{"groups":` + many(MaxList+1) + `}`, "groups", nil, false},
		{`{"groups":["` + strings.Repeat("g", MaxText+1) + `"]}`, "groups", nil, false},
		{`{}`, strings.Repeat("/a", maxDepth+1), nil, false},
	} {
		s, err := Parse([]byte(c.claims))
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Texts(c.where)
		if strings.Contains(c.claims, "ud800") {
			c.want = []string{"\uFFFD"}
		}
		if (err == nil) != c.ok || !cmp.Equal(got, c.want) {
			t.Errorf("%.60s: %.60v, %v", c.claims, got, err)
		}
	}
}

func TestTime(t *testing.T) {
	for value, want := range map[string]int64{`1795425467`: 1795425467, `1795425467.9`: 1795425467, `1e9`: 1e9,
		`"1795425467"`: 0, `0`: 0, `-5`: 0, `1e12`: 0, `true`: 0, `[]`: 0} {
		s, err := Parse(fmt.Appendf(nil, `{"exp":%s}`, value))
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Time("exp")
		if (err == nil) != (want != 0) || err == nil && !got.Equal(time.Unix(want, 0)) {
			t.Errorf("%s: %v, %v", value, got, err)
		}
	}
	if at, err := (Set{}).Time("exp"); err != nil || !at.IsZero() {
		t.Errorf("absent: %v, %v", at, err)
	}
}
