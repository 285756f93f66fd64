package inbox

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestHeaders(t *testing.T) {
	s := newSite(t).login()
	h := s.open(call(alice, "k1"))
	for path, status := range map[string]int{"/": 200, "/login": 200, "/style.css": 200, "/h/" + h.ID: 200, "/h/x": 404, "/nothing": 404, "/api/holds": 200,
		"/api/holds/x": 404, "/api/nothing": 404, "/api/holds/x/decision": 404, "/logout": 404} {
		a := s.get(path)
		if a.status != status {
			t.Errorf("%s: %d, want %d", path, a.status, status)
		}
		checkHeaders(t, path, a)
	}
	checkHeaders(t, "wrong host", s.get("/", "Host: evil.example"))
	checkHeaders(t, "cross site", s.post("/login", nil, "Sec-Fetch-Site: cross-site"))
	s.cookie = ""
	checkHeaders(t, "login", s.get("/"))
}

const liveScript, pageScript = `<script src="/live.js" defer></script>`, `<script src="/page.js" defer></script>`

func checkHeaders(t *testing.T, name string, a answer) {
	t.Helper()
	// The pages that hear of changes run one script, which is ours.
	const live = " script-src 'self'; connect-src 'self';"
	script, body := "", strings.NewReplacer(liveScript, "", pageScript, "").Replace(a.body)
	if body != a.body || body == "" && strings.Contains(a.header.Get("Content-Security-Policy"), live) {
		script = live
	}
	for k, want := range map[string]string{
		"Content-Security-Policy":    "default-src 'none'; style-src 'self';" + script + " form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
		"X-Content-Type-Options":     "nosniff",
		"X-Frame-Options":            "DENY",
		"Referrer-Policy":            "no-referrer",
		"Cache-Control":              "no-store",
		"Cross-Origin-Opener-Policy": "same-origin",
	} {
		if got := a.header.Get(k); got != want {
			t.Errorf("%s: %s is %q", name, k, got)
		}
	}
	for _, bad := range []string{"<script", "style=", "onclick", "javascript:", "http://", "https://fonts"} {
		if strings.Contains(body, bad) && strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: the page holds %q", name, bad)
		}
	}
}

func TestForeignRequests(t *testing.T) {
	s := newSite(t).login()
	h := s.open(call(alice, "k1"))
	_, port, _ := strings.Cut(strings.TrimPrefix(s.inbox.c.URL, "http://"), ":")
	for name, tt := range map[string]struct {
		headers []string
		status  int
	}{
		"rebound name":          {[]string{"Host: evil.example:" + port}, 421},
		"another name for us":   {[]string{"Host: localhost:" + port}, 421},
		"no port":               {[]string{"Host: 127.0.0.1"}, 421},
		"another origin":        {[]string{"Origin: https://evil.example", "Sec-Fetch-Site: "}, 403},
		"another port":          {[]string{"Origin: http://127.0.0.1:1", "Sec-Fetch-Site: same-site"}, 403},
		"another scheme":        {[]string{"Origin: " + strings.Replace(s.inbox.c.URL, "http", "https", 1)}, 403},
		"cross-site":            {[]string{"Sec-Fetch-Site: cross-site"}, 403},
		"no origin, cross-site": {[]string{"Origin: ", "Sec-Fetch-Site: cross-site"}, 403},
		"typed by the person":   {[]string{"Sec-Fetch-Site: none"}, 403},
		"sandboxed frame":       {[]string{"Sec-Fetch-Site: "}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.post("/h/"+h.ID, s.form(h, "approve"), tt.headers...)
			if a.status != tt.status {
				t.Errorf("got %d, want %d", a.status, tt.status)
			}
			if got := s.Stored(h.ID); got.Version != 1 {
				t.Errorf("it is %s", got.State)
			}
		})
	}
	// The same with an origin spelt out is ours.
	s.want(s.post("/h/"+h.ID, s.form(h, "approve"), "Origin: "+s.inbox.c.URL, "Sec-Fetch-Site: "), 303, "")
}

func TestToken(t *testing.T) {
	s := newSite(t).login()
	h := s.open(call(alice, "k1"))
	first := s.csrf
	s.login() // another session of the same person
	for name, form := range map[string]url.Values{
		"missing":     {"digest": {h.Digest}, "verdict": {"approve"}},
		"empty":       {"csrf": {""}, "digest": {h.Digest}, "verdict": {"approve"}},
		"wrong":       {"csrf": {strings.Repeat("a", 26)}, "digest": {h.Digest}, "verdict": {"approve"}},
		"of another":  {"csrf": {first}, "digest": {h.Digest}, "verdict": {"approve"}},
		"in the path": {},
	} {
		t.Run(name, func(t *testing.T) {
			path := "/h/" + h.ID
			if name == "in the path" {
				path += "?" + s.form(h, "approve").Encode()
			}
			s.want(s.post(path, form), 403, "not from this login")
			if got := s.Stored(h.ID); got.Version != 1 {
				t.Errorf("it is %s", got.State)
			}
		})
	}
}

func TestGetChangesNothing(t *testing.T) {
	s := newSite(t).login()
	h := s.open(call(alice, "k1"))
	before := len(s.Entries())
	q := "?" + s.form(h, "approve").Encode()
	for _, path := range []string{"/", "/h/" + h.ID, "/logout", "/login", "/login/link", "/api/holds/" + h.ID, "/api/holds/" + h.ID + "/decision", "/api/login"} {
		for _, method := range []string{"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"} {
			s.send(method, path+q, "", "Sec-Fetch-Site: same-origin")
		}
	}
	if got := s.Stored(h.ID); got.Version != 1 || len(s.Entries()) != before {
		t.Errorf("it is %s, entries %v", got.State, s.Entries())
	}
	s.want(s.get("/"), 200, "Delete a pet") // and still logged in
}

func TestLargeForms(t *testing.T) {
	s := newSite(t).login()
	h := s.open(call(alice, "k1"))
	form := s.form(h, "deny")
	form.Set("reason", strings.Repeat("x", maxForm))
	s.want(s.post("/h/"+h.ID, form), 413, "too large")
	s.want(s.send("POST", "/api/login", strings.Repeat("x", maxForm+1), "Content-Type: application/json"), 413, "too large")
	// Without a length it ends at the limit as well.
	req, err := http.NewRequest("POST", s.inbox.c.URL+"/h/"+h.ID, io.MultiReader(strings.NewReader(form.Encode())))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", s.cookie)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 403 || s.Stored(h.ID).Version != 1 {
		t.Errorf("a body without end: %d", resp.StatusCode)
	}
}

// What goes wrong inside is for the operator, and decides nothing.
func TestTrouble(t *testing.T) {
	s := newSite(t).login()
	var told []error
	s.inbox.c.Trouble = func(err error) { told = append(told, err) }
	h := s.open(call(alice, "k1"))
	s.SQL("UPDATE holds SET fixed = 'secret damage'")
	for _, a := range []answer{s.get("/"), s.get("/h/" + h.ID), s.post("/h/"+h.ID, s.form(h, "approve")), s.get("/api/holds")} {
		s.want(a, 500, "Look at the call again")
		if strings.Contains(a.body, "damage") {
			t.Errorf("the page tells of it: %s", a.body)
		}
	}
	if len(told) < 4 || !strings.Contains(told[0].Error(), "damaged") {
		t.Errorf("told of %v", told)
	}
}

func TestHoldURL(t *testing.T) {
	in := &Inbox{c: Config{URL: "http://127.0.0.1:8421"}}
	if got := in.HoldURL("hold_a/../b?c"); got != "http://127.0.0.1:8421/h/hold_a%2F..%2Fb%3Fc" {
		t.Error(got)
	}
}

// An inbox without an address of its own answers nobody.
func TestNoURL(t *testing.T) {
	rec := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/login", nil)
	r.Host = ""
	if _, err := New(Config{}); err == nil {
		t.Error("it is made")
	}
	(&Inbox{}).Handler(t.Context()).ServeHTTP(rec, r)
	if rec.Code != http.StatusMisdirectedRequest {
		t.Errorf("got %d", rec.Code)
	}
}

// A header that is sent twice says two things.
func TestTwoOrigins(t *testing.T) {
	in := &Inbox{c: Config{URL: "http://a"}}
	for _, name := range []string{"Origin", "Sec-Fetch-Site"} {
		r := httptest.NewRequest("POST", "/", nil)
		value := map[string]string{"Origin": in.c.URL, "Sec-Fetch-Site": "same-origin"}[name]
		r.Header[name] = []string{value}
		if !in.sameOrigin(r) {
			t.Errorf("one %s is refused", name)
		}
		r.Header[name] = []string{value, value}
		if in.sameOrigin(r) {
			t.Errorf("two %s pass", name)
		}
	}
}
