package approval

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/store"
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
		case errors.Is(err, ErrTooMany):
			refused++
		case err != nil:
			t.Fatal(err)
		}
	}
	if want := asks*9/10 - 99; refused != want {
		t.Errorf("refused %d, want %d", refused, want)
	}
	if n := len(s.entries()); n != 1+100+1 { // login, holds, the first refusal of this minute
		t.Errorf("%d entries", n)
	}
	s.pass(time.Minute)
	if _, err := s.Open(t.Context(), call(alice, "late")); !errors.Is(err, ErrTooMany) {
		t.Error(err)
	}
	if got := s.entries(); got[len(got)-1] != "denied rate_limited" {
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

// Holds that are made and withdrawn again are bounded too: each of them stays in
// the database.
func TestFloodOfWithdrawn(t *testing.T) {
	w := newWorld(t)
	w.MaxOpen = 10
	made := 0
	for i := range 200 {
		h, err := w.Open(t.Context(), call(alice, fmt.Sprint(i)))
		if errors.Is(err, ErrTooMany) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		made++
		if _, err := w.Cancel(t.Context(), "User::alice", h.ID); err != nil {
			t.Fatal(err)
		}
	}
	if made != madeFactor*10 {
		t.Errorf("%d were made", made)
	}
	w.open(call(bob, "b"))
	w.pass(time.Hour)
	w.open(call(alice, "k"))
}

// A handle of somebody else is answered as one that never was, and both are
// recorded, ten times a minute.
func TestMissedHandles(t *testing.T) {
	w := newWorld(t)
	theirs := w.open(call(bob, "b"))
	never := newHandle()
	for _, ask := range []func(id string) error{
		func(id string) error { _, err := w.Get(t.Context(), "User::alice", id); return err },
		func(id string) error { _, err := w.Wait(t.Context(), "User::alice", id); return err },
		func(id string) error { _, err := w.Cancel(t.Context(), "User::alice", id); return err },
	} {
		stolen, guessed := ask(theirs.ID), ask(never)
		if !errors.Is(stolen, ErrNotFound) || stolen.Error() != guessed.Error() {
			t.Errorf("stolen: %v, guessed: %v", stolen, guessed)
		}
	}
	for range 200 {
		if _, err := w.Get(t.Context(), "User::alice", newHandle()); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
	}
	if list, err := w.List(t.Context(), "User::alice"); err != nil || len(list) != 0 {
		t.Errorf("listed %d, %v", len(list), err)
	}
	var got []string
	if err := w.Store.Entries(t.Context(), 0, func(e store.Entry) error {
		if e.Kind == "denied" {
			got = append(got, strings.TrimPrefix(e.Principal+" "+e.Code+" "+e.Hold, "User::alice handle_not_found "))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{theirs.ID, "", theirs.ID, "", theirs.ID, "", "", "", "", ""}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
	if got := w.stored(theirs.ID); got.State != store.Pending || got.Version != 1 {
		t.Errorf("it is %s", got.State)
	}
}

// Wrong login links end in 429 and a bounded number of entries; the right one
// still works.
func TestGuessedLinks(t *testing.T) {
	s := newSite(t)
	var told []error
	s.inbox.Trouble = func(err error) { told = append(told, err) }
	code := s.code()
	for i := range 100 {
		status := http.StatusForbidden
		if i >= maxGuesses {
			status = http.StatusTooManyRequests
		}
		form := url.Values{"code": {randomText(16)}}
		if a := s.post("/login", form); a.status != status || a.header.Get("Set-Cookie") != "" {
			t.Fatalf("guess %d: %d", i, a.status)
		}
	}
	s.want(s.send("POST", "/api/login", `{"code":"`+randomText(16)+`"}`, "Content-Type: application/json"), 429, "urn:exeat:inbox:guesses")
	s.want(s.post("/login", url.Values{"code": {code}}), 303, "")
	if len(told) != 1 || !strings.Contains(told[0].Error(), "somebody tries login links") {
		t.Errorf("told of %v", told)
	}
	if got := s.entries(); len(got) != maxGuesses+1 || got[0] != "denied login_refused" || got[maxGuesses] != "login User::alice" {
		t.Errorf("entries %v", got)
	}
	s.pass(time.Minute)
	s.want(s.post("/login", url.Values{"code": {code}}), 403, "was used already")
}

// A login replaces the session that the browser had, and takes no name for one
// from outside.
func TestSessionFixation(t *testing.T) {
	s := newSite(t)
	chosen := s.inbox.cookieName() + "=" + strings.Repeat("a", 52)
	s.cookie = chosen
	s.login()
	if s.cookie == chosen {
		t.Error("the session has the name that somebody chose")
	}
	first, csrf := s.cookie, s.csrf
	s.login()
	if s.cookie == first || s.csrf == csrf {
		t.Error("the second login kept the secrets of the first")
	}
	s.cookie = first
	s.want(s.get("/"), 401, "Log in")
	s.cookie = chosen
	s.want(s.get("/"), 401, "Log in")
}

func TestTallyIsBounded(t *testing.T) {
	var c tally
	now := time.Now()
	for i := range 2 * maxSpans {
		c.count(fmt.Sprint(i), now, time.Hour)
	}
	if n := len(c.spans); n > maxSpans {
		t.Errorf("%d names", n)
	}
	if c.count("a", now, time.Minute) != 1 || c.count("a", now.Add(time.Minute-1), time.Minute) != 2 || c.count("a", now.Add(time.Minute), time.Minute) != 1 {
		t.Error("counted wrongly")
	}
}
