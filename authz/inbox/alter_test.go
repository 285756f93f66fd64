package inbox

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/approval/approvaltest"
	"github.com/exeat/exeat/store"
)

// Whatever single thing is altered in the stored hold, nobody decides it, it is
// not sent, what it says is shown to nobody, the person is told, and there is an
// entry.
func TestAlteredHold(t *testing.T) {
	for _, stage := range stages {
		t.Run(stage.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t).login()
			s.restart(func(c *approval.Config) { c.MaxOpen = 1000 })
			probe := stage.to(s.world, s.open(rich("probe")))
			alter := alterations(s.world, probe.ID)
			s.settle(probe)
			holds := map[string]store.Hold{}
			for name := range alter {
				holds[name] = stage.to(s.world, s.open(rich(name)))
			}
			for name, h := range holds {
				alter[name](s.world, h.ID)
				if name == "column id" {
					h.ID = alteredID
					holds[name] = h
				}
			}
			for name, h := range holds {
				t.Run(name, func(t *testing.T) { checkAltered(t, s, h) })
			}
			page, list := s.get("/"), s.get("/api/holds")
			for _, h := range holds {
				s.want(page, 200, tamperedText+` <span class="meta mono">`+h.ID)
				s.want(list, 200, `"id":"`+h.ID+`","state":"tampered"`)
			}
			checkNeverSent(t, s, holds)
		})
	}
}

// settle ends a hold that is in the way.
func (s *site) settle(h store.Hold) {
	switch h.State {
	case store.Pending:
		if _, err := s.Cancel(s.T.Context(), asAgent(h.Subject), h.ID); err != nil {
			s.T.Fatal(err)
		}
	case store.Approved:
		s.finish(s.claim(), approval.Finish{})
	case store.Sending:
		s.finish(h, approval.Finish{})
	}
}

// checkAltered looks at a hold as the person and the agent do.
func checkAltered(t *testing.T, s *site, h store.Hold) {
	was := s.T
	s.T = t
	defer func() { s.T = was }()
	page := s.get("/h/" + h.ID)
	s.want(page, 409, tamperedText)
	if strings.Contains(page.body, "/pets/") || strings.Contains(page.body, "verdict") {
		t.Errorf("the page shows it:\n%s", page.body)
	}
	for _, verdict := range []string{"approve", "deny"} {
		s.want(s.post("/h/"+h.ID, s.form(h, verdict)), 409, tamperedText)
	}
	s.want(s.get("/api/holds/"+h.ID), 409, `"type":"urn:exeat:inbox:tampered"`)
	if _, err := s.Get(t.Context(), asAgent("User::alice"), h.ID); !errors.Is(err, approval.ErrTampered) && !errors.Is(err, approval.ErrNotFound) {
		t.Errorf("the agent reads it: %v", err)
	}
	if _, err := s.Cancel(t.Context(), asAgent("User::alice"), h.ID); !errors.Is(err, approval.ErrTampered) && !errors.Is(err, approval.ErrNotFound) {
		t.Errorf("the agent withdraws it: %v", err)
	}
}

// checkNeverSent lets those who send and those who sweep find the holds, until
// all their time is over.
func checkNeverSent(t *testing.T, s *site, holds map[string]store.Hold) {
	for range 2 {
		if got, err := s.Claim(t.Context(), []string{"petstore", "petstore!"}, anyHold, "me", time.Minute); err == nil {
			t.Fatalf("claimed %+v", got)
		}
		s.Pass(2 * time.Hour)
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	told := map[string]int{}
	if err := s.DB.Entries(t.Context(), 0, func(e store.Entry) error {
		if e.Code == approval.Tampered {
			told[e.Hold]++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for name, h := range holds {
		got := s.Stored(h.ID)
		if got.State == store.Pending || got.State == store.Approved || got.State == store.Sending {
			t.Errorf("%s: it is still %s", name, got.State)
		}
		// One that was being sent is found, and later lost.
		if n := told[h.ID]; n != 1 && (n != 2 || got.State != store.Unknown) {
			t.Errorf("%s: %d entries tell of it", name, n)
		}
	}
}

const alteredID = "hold_altered"

// alterations are all ways to alter one column, or one value inside the JSON, of
// a stored hold.
func alterations(w *world, id string) map[string]func(*world, string) {
	set := func(what string) func(*world, string) {
		return func(w *world, id string) { w.SQL("UPDATE holds SET "+what+" WHERE id = $1", id) }
	}
	out := map[string]func(*world, string){}
	for column, to := range map[string]string{"id": "'" + alteredID + "'", "version": "version + 1", "subject": "'User::mallory'", "api": "'petstore!'",
		"dedupe": "'another call'", "created": "created - 1", "expires": "expires + 3600000000", "lease": "lease + 1", "changed": "changed + 1"} {
		out["column "+column] = set(column + " = " + to)
	}
	was := w.Stored(id).State
	for _, to := range []store.State{store.Pending, store.Approved, store.Sending, store.Done, store.Refused, store.Unknown, store.Denied, store.Expired, store.Cancelled} {
		if to != was {
			out["column state to "+string(to)] = set("state = '" + string(to) + "'")
		}
	}
	for _, column := range []string{"fixed", "bulk", "changing"} {
		for _, path := range approvaltest.Paths(w.Document(column, id)) {
			if column == "fixed" && path != "Summary" && was != store.Pending && was != store.Approved {
				continue // sealed once, whatever comes after
			}
			out[column+" "+path] = func(w *world, id string) { w.Rewrite(column, path, id, true) }
		}
	}
	return out
}

// What only looks different in the database is the same hold: the rows above
// fail because of what they alter.
func TestRewrittenHoldOnThePage(t *testing.T) {
	for _, stage := range stages {
		s := newSite(t).login()
		h := stage.to(s.world, s.open(rich("k1")))
		for _, column := range []string{"fixed", "bulk", "changing"} {
			for _, path := range approvaltest.Paths(s.Document(column, h.ID)) {
				s.Rewrite(column, path, h.ID, false)
			}
		}
		s.want(s.get("/h/"+h.ID), 200, h.Summary)
	}
}
