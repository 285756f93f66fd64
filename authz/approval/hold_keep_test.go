package approval

import (
	"errors"
	"testing"
	"time"

	"github.com/exeat/exeat/store"
)

// A call that the API refused, and did nothing, may go again: as often as it did so, and
// no row that is put back makes it one more.
func TestRefusedSendGoesAgain(t *testing.T) {
	w := newWorld(t)
	w.approve(w.open(call(alice, "k1")))
	send := func() store.Hold {
		t.Helper()
		h := w.claim()
		if err := w.DB.Log(entryOf(h, store.KindSend))(); err != nil {
			t.Fatal(err)
		}
		return h
	}
	copyTo := func(name string) {
		t.Helper()
		if _, err := w.Raw.Exec("CREATE TABLE " + name + " AS SELECT * FROM holds"); err != nil {
			t.Fatal(err)
		}
	}
	copyTo("approved")
	h := send()
	if _, err := w.Finish(t.Context(), h, Keep{Refused: true}, entryOf(h, store.KindKept)); err != nil {
		t.Fatal(err)
	}
	copyTo("refused")
	h = send()
	if got := w.Stored(h.ID); got.Approval.Refused != 1 {
		t.Errorf("refused %d times", got.Approval.Refused)
	}
	if _, err := w.Finish(t.Context(), h, Finish{Result: []byte(`{}`)}, entryOf(h, store.KindOutcome)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"approved", "refused"} {
		w.restart(nil) // another process does not remember what this one claimed
		w.SQL("DELETE FROM holds")
		w.SQL("INSERT INTO holds SELECT * FROM " + name)
		if _, err := w.Claim(t.Context(), apis, anyHold, "me", time.Minute); !errors.Is(err, ErrTampered) {
			t.Errorf("the row from when it was %s: %v", name, err)
		}
	}
}

// Nobody who can write the database can say that the API refused a call.
func TestForgedRefusal(t *testing.T) {
	w := newWorld(t)
	w.approve(w.open(call(alice, "k1")))
	h := w.claim()
	if err := w.DB.Log(entryOf(h, store.KindSend))(); err != nil {
		t.Fatal(err)
	}
	w.restart(nil)
	w.SQL(`UPDATE holds SET state = 'approved', changing = json_set(CAST(changing AS TEXT), '$.Approval.refused', 1) WHERE id = $1`, h.ID)
	if err := w.DB.Log(entryOf(h, store.KindKept))(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Claim(t.Context(), apis, anyHold, "me", time.Minute); !errors.Is(err, ErrTampered) {
		t.Error(err)
	}
}
