package inbox

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Wrong login links end in 429 and a bounded number of entries; the right one
// still works.
func TestGuessedLinks(t *testing.T) {
	s := newSite(t)
	var told []error
	s.inbox.c.Trouble = func(err error) { told = append(told, err) }
	code := s.code()
	for i := range 100 {
		status := http.StatusForbidden
		if i >= maxGuesses {
			status = http.StatusTooManyRequests
		}
		form := url.Values{"code": {newToken()}}
		if a := s.post("/login", form); a.status != status || a.header.Get("Set-Cookie") != "" {
			t.Fatalf("guess %d: %d", i, a.status)
		}
	}
	s.want(s.send("POST", "/api/login", `{"code":"`+newToken()+`"}`, "Content-Type: application/json"), 429, "urn:exeat:inbox:guesses")
	s.want(s.post("/login", url.Values{"code": {code}}), 303, "")
	if len(told) != 1 || !strings.Contains(told[0].Error(), "somebody tries login links") {
		t.Errorf("told of %v", told)
	}
	if got := s.Entries(); len(got) != maxGuesses+1 || got[0] != "denied login_refused" || got[maxGuesses] != "login User::alice" {
		t.Errorf("entries %v", got)
	}
	s.Pass(time.Minute)
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
