package notify

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// texts are what people got, without the rest.
func texts(t *testing.T, r *receiver) (out []string) {
	t.Helper()
	got, _ := r.taken()
	for _, body := range got {
		var m struct{ Title, Message string }
		if err := json.Unmarshal([]byte(body), &m); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		out = append(out, m.Title+"\n"+m.Message)
	}
	return out
}

func TestDigest(t *testing.T) {
	w, r := newWorld(t), newReceiver(t)
	n := w.notifier(people(t, "phone", r))
	n.c.Digest = 3
	first := w.open(call(alice, "k0"))
	n.run(t)
	want := []string{"exeat: a call waits for you\nDELETE petstore/pets/{id}: Delete a pet\nAsked by claude-desktop, which is what it calls itself.\n60 min left to decide.\nhttp://127.0.0.1:8421/h/" + first.ID}
	if diff := cmp.Diff(want, texts(t, r)); diff != "" {
		t.Error(diff)
	}
	w.Pass(time.Minute)
	w.open(call(alice, "k1"))
	w.open(call(alice, "k2"))
	n.run(t)
	want = []string{"exeat: 2 calls wait for you\n2 × DELETE petstore/pets/{id}: Delete a pet\nAsked by claude-desktop, which is what it calls itself.\nThe first ends in 60 min.\nhttp://127.0.0.1:8421/"}
	if diff := cmp.Diff(want, texts(t, r)); diff != "" {
		t.Error("folded:", diff)
	}
	for i := range 8 {
		w.open(call(alice, fmt.Sprint("more", i)))
		n.run(t)
	}
	if got := texts(t, r); len(got) != 0 {
		t.Errorf("told one by one: %q", got)
	}
	w.Pass(digestEvery)
	n.run(t)
	want = []string{"exeat: 8 calls wait for you\n8 × DELETE petstore/pets/{id}: Delete a pet\nThe first ends in 55 min.\nhttp://127.0.0.1:8421/"}
	if diff := cmp.Diff(want, texts(t, r)); diff != "" {
		t.Error("digest:", diff)
	}
}

// An agent that withdraws each call at once has a person told so often, and then
// only now and then.
func TestPhoneIsNotFlooded(t *testing.T) {
	w, r := newWorld(t), newReceiver(t)
	n := w.notifier(people(t, "phone", r))
	total := 0
	for i := range 60 {
		h := w.open(call(alice, fmt.Sprint("k", i)))
		n.run(t)
		if _, err := w.Cancel(t.Context(), asker("User::alice"), h.ID); err != nil {
			t.Fatal(err)
		}
		total += len(texts(t, r))
		w.Pass(30 * time.Second)
	}
	if most := maxAnHour + int(30*time.Minute/digestEvery); total < maxAnHour || total > most {
		t.Errorf("%d messages in half an hour, at most %d", total, most)
	}
}

func TestQuietHours(t *testing.T) {
	w, phone, siem := newWorld(t), newReceiver(t), newReceiver(t)
	n := w.notifier(people(t, "phone", phone), machine(t, "siem", siem))
	var err error
	if n.c.Quiet, err = ParseQuiet("11:30", "12:45", "UTC"); err != nil {
		t.Fatal(err)
	}
	w.open(call(alice, "k1"))
	if next := n.run(t); next.After(noon.Add(pollAtLeast)) {
		t.Errorf("looks again only at %s", next)
	}
	if got, _ := siem.taken(); len(got) != 1 {
		t.Errorf("machines got %d", len(got))
	}
	if got := texts(t, phone); len(got) != 0 {
		t.Errorf("people got %q", got)
	}
	w.Pass(45 * time.Minute)
	n.run(t)
	if got := texts(t, phone); len(got) != 1 || !strings.Contains(got[0], "15 min left") {
		t.Errorf("people got %q", got)
	}
}

func TestQuietUntil(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse("2006-01-02 15:04 -0700", s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	tests := []struct{ from, to, zone, now, until string }{
		{"22:00", "07:00", "Europe/Berlin", "2026-11-23 21:59 +0100", ""},
		{"22:00", "07:00", "Europe/Berlin", "2026-11-23 22:00 +0100", "2026-11-24 07:00 +0100"},
		{"22:00", "07:00", "Europe/Berlin", "2026-11-24 06:59 +0100", "2026-11-24 07:00 +0100"},
		{"22:00", "07:00", "Europe/Berlin", "2026-11-24 07:00 +0100", ""},
		{"22:00", "07:00", "Europe/Berlin", "2026-03-28 23:00 +0100", "2026-03-29 07:00 +0200"}, // the night of 8 hours
		{"12:00", "13:00", "Asia/Tokyo", "2026-11-23 12:30 +0900", "2026-11-23 13:00 +0900"},
		{"00:00", "23:59", "UTC", "2026-12-31 23:58 +0000", "2026-12-31 23:59 +0000"},
	}
	for _, tt := range tests {
		q, err := ParseQuiet(tt.from, tt.to, tt.zone)
		if err != nil {
			t.Fatal(err)
		}
		now := at(tt.now)
		want := now
		if tt.until != "" {
			want = at(tt.until)
		}
		if got := q.until(now); !got.Equal(want) {
			t.Errorf("%+v: until %s", tt, got)
		}
	}
	for _, bad := range [][3]string{{"25:00", "07:00", ""}, {"", "07:00", ""}, {"07:00", "07:00", ""}, {"22:00", "07:00", "Mars/Base"}} {
		if _, err := ParseQuiet(bad[0], bad[1], bad[2]); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}
