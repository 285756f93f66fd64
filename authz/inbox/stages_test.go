package inbox

import (
	"github.com/exeat/exeat/authz/approval"
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
		return w.finish(w.claim(), approval.Finish{Result: []byte(`{"envelope":{"status":"done","http_status":204}}`)})
	}},
	{"denied", func(w *world, h store.Hold) store.Hold {
		h, err := w.Decide(w.T.Context(), approval.Person{Principal: alice}, h.ID, approval.Verdict{Digest: h.Digest, Reason: "not on Fridays"})
		if err != nil {
			w.T.Fatal(err)
		}
		return h
	}},
}

func (w *world) finish(h store.Hold, e approval.Event) store.Hold {
	w.T.Helper()
	h, err := w.Finish(w.T.Context(), h, e, store.Entry{Kind: store.KindOutcome, Hold: h.ID})
	if err != nil {
		w.T.Fatal(err)
	}
	return h
}
