package inbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/exeat/exeat/store"
)

// Thirty-two decide one call at once, on pages and over JSON, with a yes and
// with a no: one of them has decided, and all others learn what.
func TestDecideAtOnce(t *testing.T) {
	s := newSite(t).login()
	for round := range 4 {
		h := s.open(call(alice, fmt.Sprint(round)))
		answers := make([]answer, 32)
		start := make(chan struct{})
		var group sync.WaitGroup
		for i := range answers {
			group.Go(func() {
				<-start
				approve := i%2 == 0
				verdict := map[bool]string{true: "approve", false: "deny"}[approve]
				if i%4 < 2 {
					answers[i] = s.post("/h/"+h.ID, s.form(h, verdict))
				} else {
					answers[i] = s.json("/api/holds/"+h.ID+"/decision", fmt.Sprintf(`{"approve":%v,"digest":%q}`, approve, h.Digest))
				}
			})
		}
		close(start)
		group.Wait()
		stored := s.Stored(h.ID)
		told := map[store.State][2]string{store.Approved: {"Approved.", "It is approved, decided by User::alice."}, store.Denied: {"Denied.", "It is denied, decided by User::alice."}}[stored.State]
		winners := 0
		for i, a := range answers {
			switch {
			case a.status == http.StatusSeeOther || a.status == http.StatusOK:
				winners++
				if (i%2 == 0) != (stored.State == store.Approved) {
					t.Errorf("request %d won, and the call is %s", i, stored.State)
				}
			case i%4 < 2:
				s.want(a, 409, "came late and changed nothing")
				s.want(a, 409, told[0])
			default:
				s.want(a, 409, "came late and changed nothing")
				s.want(a, 409, told[1])
			}
		}
		if winners != 1 || stored.Version != 2 {
			t.Errorf("%d won; it is %s in version %d", winners, stored.State, stored.Version)
		}
	}
	if n := len(s.Entries()); n != 1+4*2 {
		t.Errorf("entries %v", s.Entries())
	}
}

// json sends a body as a terminal does.
func (s *site) json(path, body string, headers ...string) answer {
	return s.send("POST", path, body, append([]string{"Content-Type: application/json", csrfHeader + ": " + s.csrf, "Origin: ", "Sec-Fetch-Site: "}, headers...)...)
}

// The JSON of a terminal takes one form of a decision, with the session's token
// in its header and nowhere else.
func TestForgedJSON(t *testing.T) {
	s := newSite(t)
	first := s.login().csrf
	s.cookie = "" // so that the first login lives on
	s.login()
	h := s.open(call(alice, "k1"))
	path := "/api/holds/" + h.ID + "/decision"
	yes, _ := json.Marshal(map[string]any{"approve": true, "digest": h.Digest})
	good := string(yes)
	token := csrfHeader + ": " + s.csrf
	tests := []struct {
		name, path, body string
		headers          []string
		status           int
	}{
		{"no token", path, good, []string{csrfHeader + ": "}, 403},
		{"the token of another login", path, good, []string{csrfHeader + ": " + first}, 403},
		{"the token in the URL", path + "?csrf=" + s.csrf + "&" + csrfHeader + "=" + s.csrf, good, []string{csrfHeader + ": "}, 403},
		{"the token in the body", path, good[:len(good)-1] + `,"csrf":"` + s.csrf + `"}`, []string{csrfHeader + ": "}, 403},
		{"the token in a cookie", path, good, []string{csrfHeader + ": ", "Cookie: " + s.cookie + "; csrf=" + s.csrf}, 403},
		{"the cookie as the token", path, good, []string{csrfHeader + ": " + s.cookie[strings.Index(s.cookie, "=")+1:]}, 403},
		{"the token as the cookie", path, good, []string{"Cookie: " + s.inbox.cookieName() + "=" + s.csrf}, 401},
		{"no cookie", path, good, []string{"Cookie: "}, 401},
		{"plain text", path, good, []string{"Content-Type: text/plain"}, 400},
		{"no type", path, good, []string{"Content-Type: "}, 400},
		{"a form", path, s.form(h, "approve").Encode(), []string{"Content-Type: application/x-www-form-urlencoded"}, 400},
		{"cross-site", path, good, []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"same-site", path, good, []string{"Sec-Fetch-Site: same-site"}, 403},
		{"another origin", path, good, []string{"Origin: http://127.0.0.1:1"}, 403},
		{"no verdict", path, `{"digest":"` + h.Digest + `"}`, nil, 400},
		{"an unknown field", path, good[:len(good)-1] + `,"once":false}`, nil, 400},
		{"two bodies", path, good + good, nil, 400},
		{"a stale digest", path, strings.ReplaceAll(good, h.Digest, strings.Repeat("f", 64)), nil, 409},
		{"a trailing slash", path + "/", good, nil, 405},
		{"the page's address", "/h/" + h.ID, good, nil, 403},
		{"a method override in a header", "/api/holds/" + h.ID, good, []string{"X-HTTP-Method-Override: POST", "X-Original-Url: " + path}, 405},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := s.json(tt.path, tt.body, tt.headers...)
			if a.status != tt.status {
				t.Errorf("got %d, want %d: %s", a.status, tt.status, a.body)
			}
			if got := s.Stored(h.ID); got.Version != 1 {
				t.Errorf("it is %s", got.State)
			}
		})
	}
	// What overrides the method elsewhere makes no POST of a GET here.
	q := "?_method=POST&" + s.form(h, "approve").Encode()
	for _, header := range []string{"X-HTTP-Method-Override: POST", "X-HTTP-Method: POST", "X-Method-Override: POST"} {
		s.get("/h/"+h.ID+q, header, token)
		s.get(path+q, header, token)
	}
	if got := s.Stored(h.ID); got.Version != 1 {
		t.Errorf("it is %s", got.State)
	}
	s.want(s.send("POST", "/h/"+h.ID, "--x\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n"+s.csrf+"\r\n--x--", "Content-Type: multipart/form-data; boundary=x"), 403, "not from this login")
	s.want(s.json(path, good), 200, `"state":"approved"`) // and that is all it takes
}
