package inbox

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/approval"
)

// An agent that asks and asks gets its hundred holds, and no more. Others get
// theirs, the inbox stays usable, and what was refused leaves a bounded trace.
func TestFlood(t *testing.T) {
	s := newSite(t).login()
	equal := s.open(call(alice, "equal"))
	const asks = 500
	refused := 0
	for i := range asks {
		if i%10 == 0 {
			if h := s.open(call(alice, "equal")); h.ID != equal.ID {
				t.Fatalf("%s is a second hold of one call", h.ID)
			}
			continue
		}
		switch _, err := s.Open(t.Context(), call(alice, fmt.Sprint(i))); {
		case errors.Is(err, approval.ErrTooMany):
			refused++
		case err != nil:
			t.Fatal(err)
		}
	}
	if want := asks*9/10 - 99; refused != want {
		t.Errorf("refused %d, want %d", refused, want)
	}
	if n := len(s.Entries()); n != 1+100+1 { // login, holds, the first refusal of this minute
		t.Errorf("%d entries", n)
	}
	s.Pass(time.Minute)
	if _, err := s.Open(t.Context(), call(alice, "late")); !errors.Is(err, approval.ErrTooMany) {
		t.Error(err)
	}
	if got := s.Entries(); got[len(got)-1] != "denied rate_limited" {
		t.Errorf("the last entry is %q", got[len(got)-1])
	}
	s.open(call(bob, "b"))
	page := s.get("/")
	if !strings.Contains(page.body, "and 99 more of this tool") || page.status != 200 {
		t.Errorf("%d: %s", page.status, page.body)
	}
	s.want(s.post("/h/"+equal.ID, s.form(equal, "deny")), 303, "")
	s.open(call(alice, "room"))
}
