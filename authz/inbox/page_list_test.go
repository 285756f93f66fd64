package inbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/phrase"
	"github.com/exeat/exeat/store"
)

func callOf(who authz.Principal, agent, session, tool string, n int) store.Hold {
	h := call(who, fmt.Sprintf("%s %s %s %d", agent, session, tool, n))
	h.Agent = []byte(fmt.Sprintf(`{"id":%q}`, agent))
	h.Session = []byte(fmt.Sprintf(`{"id":%q,"transport":"http"}`, session))
	h.Tool, h.Summary = tool, fmt.Sprintf("%s %d", tool, n)
	return h
}

// One agent in one session is one group, and its calls of one tool are one line,
// in the order of the oldest of each.
func TestWaitingIsGroupedAndFolded(t *testing.T) {
	s := newSite(t)
	s.login()
	for i, h := range []store.Hold{
		callOf(alice, "claude", "a", "delete_pet", 1), callOf(alice, "cursor", "b", "delete_pet", 2), callOf(alice, "claude", "a", "add_pet", 3),
		callOf(alice, "claude", "a", "delete_pet", 4), callOf(alice, "claude", "c", "delete_pet", 5), callOf(alice, "claude", "a", "delete_pet", 6),
	} {
		s.Pass(time.Duration(i) * time.Millisecond)
		s.open(h)
	}
	_, body, _ := strings.Cut(s.get("/").body, "<main>")
	var got []string
	for _, m := range regexp.MustCompile(`<q class="agent">(.*?)</q>|http (\w)</p>|<span class="what">(.*?)</span>|<summary>(.*?)</summary>`).FindAllStringSubmatch(body, -1) {
		got = append(got, strings.Join(m[1:], ""))
	}
	want := []string{"claude", "a", "delete_pet 1", "and 2 more of this tool", "delete_pet 4", "delete_pet 6", "add_pet 3", "cursor", "b", "delete_pet 2", "claude", "c", "delete_pet 5"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s\n%s", d, body)
	}
}

// What moves more, is marked or does more is not folded behind what is less.
func TestNothingLargerHides(t *testing.T) {
	s := newSite(t).login()
	pay := func(n int, unit, amount string, change ...func(*store.Hold)) {
		h := callOf(alice, "claude", "a", "pay", n)
		h.Effect = "write"
		said := phrase.Sentence{Verb: phrase.Run, Named: "pay", Own: map[string]string{"en": fmt.Sprintf("Pay %d: {amount}", n)}, Values: map[string]phrase.Value{"amount": {From: phrase.Agent, Kind: phrase.Money, Text: amount, Unit: unit}}}
		b, err := json.Marshal(said)
		if err != nil {
			t.Fatal(err)
		}
		h.Phrase = b
		for _, f := range change {
			f(&h)
		}
		s.Pass(time.Millisecond)
		s.open(h)
	}
	pay(0, "EUR", "10.00")
	pay(1, "EUR", "9.00")
	pay(2, "EUR", "9120.00")
	pay(3, "EUR", "50.00")
	pay(4, "USD", "1.00")
	pay(5, "EUR", "-20000.00")
	pay(6, "EUR", "1e9")
	pay(7, "EUR", "1.00", func(h *store.Hold) { h.Marks = []string{"money"} })
	pay(8, "EUR", "1.00", func(h *store.Hold) { h.Effect = "delete" })
	body := s.get("/").body
	open := regexp.MustCompile(`(?s)<details>.*?</details>`).ReplaceAllString(body, "")
	for n, want := range []bool{true, false, false, false, true, true, true, true, true} {
		if got := strings.Contains(open, fmt.Sprintf("Pay %d: ", n)); got != want {
			t.Errorf("payment %d is in the open: %v", n, got)
		}
		if !strings.Contains(body, fmt.Sprintf("Pay %d: ", n)) {
			t.Errorf("payment %d is not on the page", n)
		}
	}
	if !strings.Contains(body, "and 3 more of this tool") {
		t.Error("it does not say how many are folded")
	}
}

// Pages hang on the calls themselves: what comes or is decided meanwhile moves
// nothing, and following the links shows every line once.
func TestWaitingPages(t *testing.T) {
	s := newSite(t)
	s.restart(func(c *approval.Config) { c.MaxOpen = 1000 })
	s.login()
	var all []store.Hold
	add := func(n int) {
		for range n {
			s.Pass(time.Millisecond)
			all = append(all, s.open(callOf(alice, fmt.Sprintf("agent%d", len(all)), "a", "delete_pet", len(all))))
		}
	}
	add(2*perPage + 10)
	seen := map[string]int{}
	path, pages := "/", 0
	for path != "" {
		body := s.get(path).body
		for _, m := range regexp.MustCompile(`href="/h/(hold_\w+)"`).FindAllStringSubmatch(body, -1) {
			seen[m[1]]++
		}
		if pages == 0 {
			if !strings.Contains(body, fmt.Sprintf("%d calls wait", len(all))) {
				t.Error("it does not say how many wait")
			}
			// Decided: one that was shown, and the one on which the next page hangs.
			for _, h := range []store.Hold{all[0], all[perPage-1]} {
				if a := s.post("/h/"+h.ID, s.form(h, "deny")); a.status != http.StatusSeeOther {
					t.Fatal(a.status)
				}
			}
			add(5)
		}
		path = ""
		if m := regexp.MustCompile(`href="(/\?after=[^"]+)"`).FindStringSubmatch(body); m != nil {
			path = m[1]
		}
		if pages++; pages > 5 {
			t.Fatal("it never ends")
		}
	}
	if pages != 3 || len(seen) != len(all) {
		t.Errorf("%d pages with %d of %d calls", pages, len(seen), len(all))
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s is shown %d times", id, n)
		}
	}
	for _, cursor := range []string{"x", "-", "999999999999999999999-hold", "1-%00", "%F0"} {
		if a := s.get("/?after=" + cursor); a.status != http.StatusOK {
			t.Errorf("the cursor %q: %d", cursor, a.status)
		}
	}
}

// Nobody learns how many calls of others wait.
func TestWaitingCountsWhatOneMaySee(t *testing.T) {
	s := newSite(t)
	s.restart(func(c *approval.Config) { c.MaxOpen = 1000 })
	s.login()
	for i := range 2 * perPage {
		s.open(callOf(bob, fmt.Sprintf("agent%d", i), "a", "delete_pet", i))
	}
	if body := s.get("/").body; !strings.Contains(body, "Nothing waits for you") || strings.Contains(body, "agent1") {
		t.Error(body)
	}
	s.open(callOf(alice, "mine", "a", "delete_pet", 1))
	if body := s.get("/").body; strings.Contains(body, "calls wait") || strings.Contains(body, "agent1") || !strings.Contains(body, "mine") {
		t.Error(body)
	}
}

// BenchmarkWaiting is the page of 1,000 calls with 100 kB each that wait, of 20
// principals, for somebody who may decide them all.
func BenchmarkWaiting(b *testing.B) {
	s := newSite(b, `permit (principal, action in Action::"read", resource);
permit (principal, action, resource) when { context has approval };
permit (principal, action == Action::"approve", resource);`)
	s.restart(func(c *approval.Config) { c.MaxOpen = 1000 })
	s.login()
	body := []byte(strings.Repeat("x", 100_000))
	for i := range 1000 {
		h := callOf(authz.Principal{Type: "User", ID: fmt.Sprintf("p%d", i%20)}, fmt.Sprintf("agent%d", i%40), "a", fmt.Sprintf("tool%d", i%7), i)
		h.Request.Body = body
		s.open(h)
	}
	if p := s.get("/").body; !strings.Contains(p, "1000 calls wait") {
		b.Fatal(p)
	}
	for b.Loop() {
		s.get("/")
	}
}
