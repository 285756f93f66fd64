package inbox

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

func heldWith(method, media, was, body string) store.Hold {
	h := call(alice, rand.Text())
	h.Request.Method, h.Request.ContentType, h.Request.Body = method, media, []byte(body)
	h.Before = &store.Snapshot{At: h.Created, Tool: "get_pet", Status: 200, Digest: "x", Value: []byte(was), Checked: true}
	return h
}

// said are lines as a person reads them: each with its depth as dots.
func said(lines []DiffLine) string {
	var out []string
	for _, line := range lines {
		text := strings.Repeat(".", line.Depth)
		switch line.Op {
		case "added":
			text += "+"
		case "removed":
			text += "-"
		case "moved":
			text += fmt.Sprintf("%d>", line.From)
		}
		text += line.name()
		kind := func(s string) string {
			if s != "" {
				return " (" + s + ")"
			}
			return ""
		}
		if line.Was != nil {
			text += " " + *line.Was + kind(line.WasKind)
		}
		if line.Was != nil && line.Is != nil {
			text += " >"
		}
		if line.Is != nil {
			text += " " + *line.Is + kind(line.IsKind)
		}
		if line.Same {
			text += " same number"
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

// What a person reads of a change, line by line, and in brackets what stays.
func TestBeforeView(t *testing.T) {
	const was = `{"name":"Mia","fee":60,"tags":["shy"],"owner":{"name":"Ann","zip":1}}`
	const big = `{"id":42,"created":"2020","name":"Mia","owner":{"id":7,"name":"Ann"}}`
	fixed := func(h store.Hold) store.Hold {
		h.Before.Fixed = []string{"/id", "/created", "/owner/id"}
		return h
	}
	for name, tt := range map[string]struct {
		h    store.Hold
		want string
	}{
		"delete":            {heldWith("DELETE", "", was, ""), "-name Mia; -fee 60; -tags; .-[1] shy; -owner; .-name Ann; .-zip 1 []"},
		"put":               {heldWith("PUT", "application/json", was, `{"name":"Rex","fee":60,"age":2}`), "name Mia > Rex; +age 2; -tags; .-[1] shy; -owner; .-name Ann; .-zip 1 [fee 60]"},
		"merge patch":       {heldWith("PATCH", "application/merge-patch+json", was, `{"fee":null,"owner":{"zip":2},"tags":["old","shy"]}`), "tags; .+[1] old; owner.zip 1 > 2; -fee 60 [tags; .[2] shy; owner.name Ann; name Mia]"},
		"patch":             {heldWith("PATCH", "application/json; charset=utf-8", was, `{"name":"Rex"}`), "name Mia > Rex [fee 60; tags; .[1] shy; owner; .name Ann; .zip 1] guess"},
		"json patch":        {heldWith("PATCH", "application/json-patch+json", was, `[{"op":"replace","path":"/name","value":"Rex"},{"op":"remove","path":"/owner/zip"},{"op":"move","from":"/fee","path":"/price"}]`), "name Mia > Rex; -owner.zip 1; +price 60; -fee 60 [owner.name Ann; tags; .[1] shy]"},
		"a refused one":     {heldWith("PATCH", "application/json-patch+json", was, `[{"op":"test","path":"/fee","value":61},{"op":"remove","path":"/fee"}]`), `test./fee 60 > 61; remove./fee 60 [name Mia; fee 60; tags; .[1] shy; owner; .name Ann; .zip 1] refused: operation 1: what is at "/fee" is not what it tests for`},
		"no json patch":     {heldWith("PATCH", "application/json-patch+json", was, `{}`), " [name Mia; fee 60; tags; .[1] shy; owner; .name Ann; .zip 1]"},
		"another kind":      {heldWith("PUT", "application/json", `{"fee":60}`, `{"fee":"60"}`), "fee 60 (number) > 60 (text) []"},
		"every digit":       {heldWith("PUT", "application/json", `{"n":9007199254740993}`, `{"n":9007199254740992}`), "n 9007199254740993 > 9007199254740992 []"},
		"as written":        {heldWith("PUT", "application/json", `{"n":1.0}`, `{"n":1}`), "n 1.0 > 1 same number []"},
		"nothing":           {heldWith("PUT", "application/json", `{"n":1,"m":[{}]}`, `{"m":[{}],"n":1}`), " [m; .[1] {}; n 1] nothing"},
		"nothing to patch":  {heldWith("PATCH", "application/merge-patch+json", `{"n":1}`, `{"n":1}`), " [n 1] nothing"},
		"read-only":         {fixed(heldWith("PUT", "application/json", big, `{"name":"Rex","owner":{"name":"Ann"}}`)), "name Mia > Rex [owner.name Ann] fixed: /id /created /owner/id"},
		"nothing else":      {fixed(heldWith("PUT", "application/json", big, `{"name":"Mia","owner":{"name":"Ann"}}`)), " [name Mia; owner.name Ann] nothing fixed: /id /created /owner/id"},
		"read-only but set": {fixed(heldWith("PUT", "application/json", big, `{"id":43,"name":"Mia"}`)), "id 42 > 43; -owner; .-id 7; .-name Ann [name Mia] fixed: /created"},
		"wrapped":           {heldWith("PUT", "application/json", `{"data":{"name":"Mia"}}`, `{"name":"Rex"}`), " [data.name Mia]"},
		"a form":            {heldWith("PUT", "application/x-www-form-urlencoded", was, `name=Rex`), " [name Mia; fee 60; tags; .[1] shy; owner; .name Ann; .zip 1]"},
		"an action":         {heldWith("POST", "application/json", `{"state":"open"}`, `{"state":"x"}`), " [state open]"},
		"no JSON to delete": {heldWith("DELETE", "", `"a text"`, ""), "- a text []"},
		"things in a list":  {heldWith("PUT", "application/json", `{"l":[{"id":1,"n":"a"},{"id":2,"n":"b"}]}`, `{"l":[{"id":2,"n":"c"},{"id":1,"n":"a"}]}`), "l; .[1]; ..n b > c; .1>[2] {\"id\":1,\"n\":\"a\"} [l; .[1]; ..id 2]"},
		"a list for a text": {heldWith("PUT", "application/json", `{"l":"a"}`, `{"l":["a","b"]}`), "-l a; +l; .+[1] a; .+[2] b []"},
		"reads like JSON":   {heldWith("PUT", "application/json", `{"a":1}`, `{"a":1,"b":"null"}`), "+b null (text) [a 1]"},
		"odd names":         {heldWith("PUT", "application/json", `{"a":{"b":1}}`, `{"a":{"b":1},"a.b":2}`), `+["a.b"] 2 [a.b 1]`},
	} {
		t.Run(name, func(t *testing.T) {
			v := viewOf(tt.h)
			got := said(v.Changes) + " [" + said(v.Same) + "]"
			if v.Guess {
				got += " guess"
			}
			if v.Nothing {
				got += " nothing"
			}
			if v.Refused != "" {
				got += " refused: " + v.Refused
			}
			if len(v.Fixed) > 0 {
				got += " fixed: " + strings.Join(v.Fixed, " ")
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// viewOf is what a call changes, with nothing hidden.
func viewOf(h store.Hold) *BeforeView {
	v := full(h)
	v.finish()
	return v.Before
}

// What the policies hide is neither new nor gone without a word.
func TestBeforeWithHiddenFields(t *testing.T) {
	for _, tt := range []struct{ method, media, body, want string }{
		{"PUT", "application/json", `{"name":"Mia","ssn":"1"}`, "ssn hidden by a policy > 1"},
		{"PUT", "application/json", `{"name":"Mia"}`, "-ssn hidden by a policy"},
		{"PATCH", "application/merge-patch+json", `{"name":"Rex"}`, "name Mia > Rex"},
		{"PATCH", "application/merge-patch+json", `{"ssn":null}`, "-ssn hidden by a policy"},
		{"DELETE", "", ``, "-name Mia; -ssn hidden by a policy"},
	} {
		h := heldWith(tt.method, tt.media, `{"name":"Mia"}`, tt.body)
		h.Before.Hidden = []string{"/ssn", "/not/there", ""}
		if got := said(viewOf(h).Changes); got != tt.want {
			t.Errorf("%s %s: %s", tt.method, tt.body, got)
		}
	}
}

// However many fields there are, both sides are whole: each is told, in a line or in
// the text of what is left.
func TestBeforeOfManyFields(t *testing.T) {
	for _, n := range []int{1500, 3000} {
		was, is := map[string]any{}, map[string]any{}
		for i := range n {
			was[fmt.Sprintf("field_%d", i)] = fmt.Sprintf("old %d", i)
			is[fmt.Sprintf("field_%d", i)] = fmt.Sprintf("new %d", i)
		}
		before, _ := json.Marshal(was)
		body, _ := json.Marshal(is)
		h := heldWith("PUT", "application/json", string(before), string(body))
		h.Args = []byte(`{"id":42,"body":` + string(body) + `}`)
		v := full(h)
		v.finish()
		var all strings.Builder
		for _, line := range v.Before.Changes {
			all.WriteString(line.name() + " ")
			for _, s := range []*string{line.Was, line.Is} {
				if s != nil {
					all.WriteString(*s + "\n")
				}
			}
		}
		text := all.String()
		for i := range n {
			if !strings.Contains(text, fmt.Sprintf("old %d", i)) || !strings.Contains(text, fmt.Sprintf("new %d", i)) {
				t.Fatalf("%d fields: number %d is not told", n, i)
			}
		}
		if !slices.Contains(v.MustSee, "fields") {
			t.Errorf("what is folded has to be seen: %q", v.MustSee)
		}
		if len(v.Before.Changes) > maxLines+1 {
			t.Errorf("%d lines", len(v.Before.Changes))
		}
	}
}

// The page shows it, as foreign text, and what had changed if it was not sent.
func TestBeforeOnThePage(t *testing.T) {
	s := newSite(t)
	s.login()
	h := heldWith("PUT", "application/json", `{"name":"<script>Mia\u202e","fee":60}`, `{"name":"Rex","fee":60}`)
	h = s.open(h)
	page := s.get("/h/" + h.ID)
	s.want(page, http.StatusOK, "What changes")
	for _, part := range []string{"&lt;script&gt;Mia", "⟨U+202E⟩", "Rex", "What stays as it is: 1", "sent only if this is still so then."} {
		if !strings.Contains(page.body, part) {
			t.Errorf("the page has no %q", part)
		}
	}
	if found := foreign(page.body); len(found) > 0 {
		t.Errorf("the page holds %q", found)
	}
	if _, err := s.Decide(t.Context(), approval.Person{Principal: alice}, h.ID, approval.Verdict{Approve: true, Digest: h.Digest}); err != nil {
		t.Fatal(err)
	}
	claimed, err := s.Claim(t.Context(), []string{h.API}, anyHold, "us", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	after := store.Snapshot{At: h.Created, Status: 200, Digest: "y", Value: []byte(`{"name":"Tom","fee":60}`)}
	if _, err := s.Finish(t.Context(), claimed, approval.Refuse{After: &after}, entryOf(h, store.KindRefuse)); err != nil {
		t.Fatal(err)
	}
	s.want(s.get("/h/"+h.ID), http.StatusOK, "this had changed. So it was not sent")
	s.want(s.get("/h/"+h.ID), http.StatusOK, "Tom")
	// Nobody changes what it was afterwards either.
	s.SQL("UPDATE holds SET changing = replace(CAST(changing AS TEXT), 'Tom', 'Mia')")
	s.want(s.get("/h/"+h.ID), http.StatusConflict, "")
}

// A patch whose every operation names the whole document shows it a few times only.
func TestBeforeOfAPatchIsBounded(t *testing.T) {
	was := `{"text":"` + strings.Repeat("x", 250<<10) + `"}`
	v := viewOf(heldWith("PATCH", "application/json-patch+json", was, "["+strings.Repeat(`{"op":"test","path":""},`, 900)+`{"op":"remove","path":"/text"}]`))
	size := 0
	for _, s := range v.texts() {
		size += len(*s)
	}
	if size > 3*maxWas || len(v.Changes) != 901 || v.Refused == "" {
		t.Errorf("%d bytes", size)
	}
}

// Long texts are compared by their words, and what is folded says how much it is.
func TestLongTextOnThePage(t *testing.T) {
	s := newSite(t)
	s.login()
	was := strings.Repeat("all stays as it is here, ", 20) + "the price is 100 euros" + strings.Repeat(", and so it goes on", 20)
	is := strings.Replace(was, "100", "900", 1)
	body, _ := json.Marshal(map[string]string{"name": is})
	before, _ := json.Marshal(map[string]string{"name": was})
	h := s.open(heldWith("PUT", "application/json", string(before), string(body)))
	page := s.get("/h/" + h.ID)
	for _, want := range []string{"<del>", "removed:", "100</del>", "900</ins>", "characters …", "In full", was, is} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page has no %.60q", want)
		}
	}
	if found := foreign(page.body); len(found) > 0 {
		t.Errorf("the page holds %q", found)
	}
}
