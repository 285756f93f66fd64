package approval

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/exeat/exeat/store"
)

// stages are the states of a hold that somebody who writes to the database may
// find, each with how the hold comes there.
var stages = []struct {
	name string
	to   func(*world, store.Hold) store.Hold
}{
	{"pending", func(_ *world, h store.Hold) store.Hold { return h }},
	{"approved", func(w *world, h store.Hold) store.Hold { return w.approve(h) }},
	{"sending", func(w *world, h store.Hold) store.Hold { w.approve(h); return w.claim() }},
	{"done", func(w *world, h store.Hold) store.Hold {
		w.approve(h)
		return w.finish(w.claim(), Finish{Result: []byte(`{"envelope":{"status":"done","http_status":204}}`)})
	}},
	{"denied", func(w *world, h store.Hold) store.Hold {
		h, err := w.Decide(w.t.Context(), Person{Principal: alice}, h.ID, Verdict{Digest: h.Digest, Reason: "not on Fridays"})
		if err != nil {
			w.t.Fatal(err)
		}
		return h
	}},
}

func (w *world) finish(h store.Hold, e Event) store.Hold {
	w.t.Helper()
	h, err := w.Finish(w.t.Context(), h, e, store.Entry{Kind: "outcome", Hold: h.ID})
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// rich is a call that leaves no field of a hold empty.
func rich(dedupe string) store.Hold {
	h := call(alice, dedupe)
	h.Request.ContentType, h.Request.Body = "application/json", []byte(`{"note":"x"}`)
	h.Request.Header = map[string][]string{"X-Env": {"test"}}
	h.Details = json.RawMessage(`{"type":"urn:exeat:call:1"}`)
	return h
}

// Whatever single thing is altered in the stored hold, nobody decides it, it is
// not sent, what it says is shown to nobody, the person is told, and there is an
// entry.
func TestAlteredHold(t *testing.T) {
	for _, stage := range stages {
		t.Run(stage.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t).login()
			s.MaxOpen = 1000
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
		if _, err := s.Cancel(s.t.Context(), h.Subject, h.ID); err != nil {
			s.t.Fatal(err)
		}
	case store.Approved:
		s.finish(s.claim(), Finish{})
	case store.Sending:
		s.finish(h, Finish{})
	}
}

// checkAltered looks at a hold as the person and the agent do.
func checkAltered(t *testing.T, s *site, h store.Hold) {
	was := s.t
	s.t = t
	defer func() { s.t = was }()
	page := s.get("/h/" + h.ID)
	s.want(page, 409, tamperedText)
	if strings.Contains(page.body, "/pets/") || strings.Contains(page.body, "verdict") {
		t.Errorf("the page shows it:\n%s", page.body)
	}
	for _, verdict := range []string{"approve", "deny"} {
		s.want(s.post("/h/"+h.ID, s.form(h, verdict)), 409, tamperedText)
	}
	s.want(s.get("/api/holds/"+h.ID), 409, `"type":"urn:exeat:inbox:tampered"`)
	if _, err := s.Get(t.Context(), "User::alice", h.ID); !errors.Is(err, ErrTampered) && !errors.Is(err, ErrNotFound) {
		t.Errorf("the agent reads it: %v", err)
	}
	if _, err := s.Cancel(t.Context(), "User::alice", h.ID); !errors.Is(err, ErrTampered) && !errors.Is(err, ErrNotFound) {
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
		s.pass(2 * time.Hour)
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	told := map[string]int{}
	if err := s.Store.Entries(t.Context(), 0, func(e store.Entry) error {
		if e.Code == tampered {
			told[e.Hold]++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for name, h := range holds {
		got := s.stored(h.ID)
		if open(got) {
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
		return func(w *world, id string) { w.sql("UPDATE holds SET "+what+" WHERE id = $1", id) }
	}
	out := map[string]func(*world, string){}
	for column, to := range map[string]string{"id": "'" + alteredID + "'", "version": "version + 1", "subject": "'User::mallory'", "api": "'petstore!'",
		"dedupe": "'another call'", "created": "created - 1", "expires": "expires + 3600000000", "lease": "lease + 1", "changed": "changed + 1"} {
		out["column "+column] = set(column + " = " + to)
	}
	was := w.stored(id).State
	for _, to := range []store.State{store.Pending, store.Approved, store.Sending, store.Done, store.Refused, store.Unknown, store.Denied, store.Expired, store.Cancelled} {
		if to != was {
			out["column state to "+string(to)] = set("state = '" + string(to) + "'")
		}
	}
	for _, column := range []string{"fixed", "bulk", "changing"} {
		for _, path := range paths(w.document(column, id)) {
			if column == "fixed" && path != "Summary" && was != store.Pending && was != store.Approved {
				continue // sealed once, whatever comes after
			}
			out[column+" "+path] = func(w *world, id string) { w.rewrite(column, path, id, true) }
		}
	}
	return out
}

// document is one of the JSON columns of a stored hold.
func (w *world) document(column, id string) (doc any) {
	w.t.Helper()
	var raw []byte
	if err := w.raw.QueryRow("SELECT "+column+" FROM holds WHERE id = $1", id).Scan(&raw); err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		w.t.Fatal(err)
	}
	return doc
}

// rewrite writes one value inside a JSON column, altered or as it is.
func (w *world) rewrite(column, path, id string, alter bool) {
	w.t.Helper()
	value := at(w.document(column, id), strings.Split(path, "."))
	if alter {
		value = altered(value)
	}
	b, err := json.Marshal(value)
	if err != nil {
		w.t.Fatal(err)
	}
	where := "$"
	for _, step := range strings.Split(path, ".") {
		if _, err := strconv.Atoi(step); err == nil {
			where += "[" + step + "]"
		} else {
			where += `."` + step + `"`
		}
	}
	w.sql("UPDATE holds SET "+column+" = json_set(CAST("+column+" AS TEXT), $1, json($2)) WHERE id = $3", where, string(b), id)
}

// paths lists every value of a document that holds no others.
func paths(doc any) (list []string) {
	add := func(step string, v any) {
		for _, p := range paths(v) {
			list = append(list, strings.TrimSuffix(step+"."+p, "."))
		}
	}
	switch doc := doc.(type) {
	case map[string]any:
		for k, v := range doc {
			add(k, v)
		}
	case []any:
		for i, v := range doc {
			add(strconv.Itoa(i), v)
		}
	default:
		return []string{""}
	}
	return list
}

func at(doc any, path []string) any {
	for _, step := range path {
		switch d := doc.(type) {
		case map[string]any:
			doc = d[step]
		case []any:
			i, _ := strconv.Atoi(step)
			doc = d[i]
		}
	}
	return doc
}

// altered is another value of the same kind.
func altered(v any) any {
	switch v := v.(type) {
	case string:
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return at.Add(time.Second)
		}
		if strings.HasPrefix(v, "b") { // "b" keeps base64 what it is
			return "c" + v[1:]
		}
		return "b" + v[min(1, len(v)):]
	case float64:
		return v + 1
	case bool:
		return !v
	}
	return "bbbb" // for a result that is not there yet
}

// What only looks different in the database is the same hold: the rows above
// fail because of what they alter.
func TestRewrittenHold(t *testing.T) {
	for _, stage := range stages {
		s := newSite(t).login()
		h := stage.to(s.world, s.open(rich("k1")))
		for _, column := range []string{"fixed", "bulk", "changing"} {
			for _, path := range paths(s.document(column, h.ID)) {
				s.rewrite(column, path, h.ID, false)
			}
		}
		if got := s.stored(h.ID); !s.sealed(got) || !s.outlined(got) {
			t.Errorf("%s: %+v", stage.name, got)
		}
		s.want(s.get("/h/"+h.ID), 200, h.Summary)
	}
}

// What somebody does to a hold while it is being sent does not keep its outcome
// from the record.
func TestAlteredWhileSending(t *testing.T) {
	for name, sql := range map[string]string{
		"owner":   `UPDATE holds SET changing = json_set(CAST(changing AS TEXT), '$.Owner', 'me too')`,
		"lease":   "UPDATE holds SET lease = 0",
		"state":   "UPDATE holds SET state = 'pending'",
		"version": "UPDATE holds SET version = 77",
		"denied":  "UPDATE holds SET state = 'denied'",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.approve(w.open(call(alice, "k1")))
			h := w.claim()
			w.sql(sql)
			w.finish(h, Finish{Result: []byte("{}")})
			got, err := w.Get(t.Context(), "User::alice", h.ID)
			if err != nil || got.State != store.Done || string(got.Result) != "{}" {
				t.Errorf("it is %s with %q, %v", got.State, got.Result, err)
			}
			if got := w.entries(); got[len(got)-1] != "outcome" {
				t.Errorf("entries %v", got)
			}
		})
	}
}
