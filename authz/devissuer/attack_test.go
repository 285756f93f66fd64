package devissuer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// A code works once, for the client, verifier, place and resource that it was asked
// for with. Whatever comes otherwise ends it, and what it has led to.
func TestCodes(t *testing.T) {
	w := newWorld(t)
	client, other := w.register(redirect), w.register(redirect)
	for name, change := range map[string]func(url.Values){
		"another verifier":        func(f url.Values) { f.Set("code_verifier", strings.Repeat("a", 43)) },
		"no verifier":             func(f url.Values) { f.Del("code_verifier") },
		"the challenge":           func(f url.Values) { f.Set("code_verifier", f.Get("challenge")); f.Del("challenge") },
		"another client":          func(f url.Values) { f.Set("client_id", other) },
		"a client with a URL":     func(f url.Values) { f.Set("client_id", "https://client.example/x") },
		"another port":            func(f url.Values) { f.Set("redirect_uri", "http://127.0.0.1:4712/callback") },
		"another path":            func(f url.Values) { f.Set("redirect_uri", "http://127.0.0.1:4711/callback/") },
		"the registered redirect": func(f url.Values) { f.Set("redirect_uri", redirect) },
		"another resource":        func(f url.Values) { f.Set("resource", "https://other.example/mcp") },
		"as a refresh token": func(f url.Values) {
			f.Set("grant_type", "refresh_token")
			f.Set("refresh_token", f.Get("code"))
		},
	} {
		q, verifier := w.asks(client)
		good := redeems(q, w.allow(q), verifier)
		bad := clone(good)
		if name == "the challenge" {
			bad.Set("challenge", q.Get("code_challenge"))
		}
		change(bad)
		if status, got := w.post("/token", bad); status != 400 || got["access_token"] != nil {
			t.Errorf("%s: %d %v", name, status, got)
		}
		if status, got := w.post("/token", good); status != 400 || got["error"] != "invalid_grant" {
			t.Errorf("%s: the code outlived it: %d %v", name, status, got)
		}
	}
	q, verifier := w.asks(client)
	form := redeems(q, w.allow(q), verifier)
	_, got := w.post("/token", form)
	w.Pass(3 * time.Minute)
	if status, again := w.post("/token", form); status != 400 || again["error"] != "invalid_grant" {
		t.Errorf("a code came twice: %d %v", status, again)
	}
	if status, again := w.refresh(client, text(got["refresh_token"])); status != 400 {
		t.Errorf("what came of a code that came twice lives: %d %v", status, again)
	}
	q, verifier = w.asks(client)
	form = redeems(q, w.allow(q), verifier)
	w.Pass(codeLife)
	if status, got := w.post("/token", form); status != 400 {
		t.Errorf("an old code: %d %v", status, got)
	}
}

// A refresh token that comes twice ends all of its family, also when two come at
// once; nobody else's.
func TestRefreshReuse(t *testing.T) {
	w := newWorld(t)
	client := w.register(redirect)
	first, bystander := w.tokens(client), w.tokens(client)
	_, second := w.refresh(client, text(first["refresh_token"]))
	if status, got := w.refresh(client, text(first["refresh_token"])); status != 400 || got["error"] != "invalid_grant" {
		t.Errorf("%d %v", status, got)
	}
	if status, got := w.refresh(client, text(second["refresh_token"])); status != 400 || got["error"] != "invalid_grant" {
		t.Errorf("the thief or the client goes on: %d %v", status, got)
	}
	if last := w.Entries(); !strings.HasPrefix(last[len(last)-1], "disconnect") {
		t.Errorf("%v", last)
	}
	if status, got := w.refresh(client, text(bystander["refresh_token"])); status != 200 {
		t.Errorf("%d %v", status, got)
	}

	both := w.tokens(client)
	var statuses [8]int
	var ready sync.WaitGroup
	for n := range statuses {
		ready.Go(func() { statuses[n], _ = w.refresh(client, text(both["refresh_token"])) })
	}
	ready.Wait()
	good := 0
	for _, s := range statuses {
		if s == 200 {
			good++
		}
	}
	if good != 1 {
		t.Errorf("of eight at once %d got tokens: %v", good, statuses)
	}
	for name, change := range map[string]func(url.Values){
		"another client":   func(f url.Values) { f.Set("client_id", w.register(redirect)) },
		"another resource": func(f url.Values) { f.Set("resource", "https://other.example/mcp") },
		"cut":              func(f url.Values) { f.Set("refresh_token", strings.Split(f.Get("refresh_token"), ".")[0]) },
		"as a code": func(f url.Values) {
			f.Set("grant_type", "authorization_code")
			f.Set("code", f.Get("refresh_token"))
			f.Set("redirect_uri", redirect)
		},
		"forged": func(f url.Values) { f.Set("refresh_token", newSecret()+"."+newSecret()) },
	} {
		f := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text(w.tokens(client)["refresh_token"])}, "client_id": {client}}
		change(f)
		if status, got := w.post("/token", f); status != 400 || got["access_token"] != nil {
			t.Errorf("%s: %d %v", name, status, got)
		}
	}
	lost := w.tokens(client)
	w.Pass(refreshLife)
	if status, got := w.refresh(client, text(lost["refresh_token"])); status != 400 {
		t.Errorf("not used for a week: %d %v", status, got)
	}
	long := w.tokens(client)
	for range 5 {
		w.Pass(6 * 24 * time.Hour)
		_, got := w.refresh(client, text(long["refresh_token"]))
		if got["refresh_token"] != nil {
			long = got
		}
	}
	if status, got := w.refresh(client, text(long["refresh_token"])); status != 400 && got["error"] != "invalid_client" {
		t.Errorf("after 30 days: %d %v", status, got)
	}
	if status, got := w.post("/revoke", url.Values{"token": {"a.b.c"}, "client_id": {client}}); got["error"] != "unsupported_token_type" && status != 401 {
		t.Errorf("%d %v", status, got)
	}
}

// A refresh token gives no scope that was not allowed, and can give fewer.
func TestScopes(t *testing.T) {
	w := newWorld(t)
	client := w.register(redirect)
	for asked, want := range map[string]string{"": "api.read api.write", "api.read": "api.read", "api.read admin openid": "api.read", "admin": "<nil>"} {
		q, verifier := w.asks(client)
		if asked != "" {
			q.Set("scope", asked)
		}
		_, got := w.post("/token", redeems(q, w.allow(q), verifier))
		if text(got["scope"]) != want || got["access_token"] == nil {
			t.Errorf("%q: %v", asked, got)
		}
		_, got = w.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text(got["refresh_token"])}, "client_id": {client}, "scope": {"api.write"}})
		if asked == "api.read" && got["scope"] != nil || asked == "" && got["scope"] != "api.write" {
			t.Errorf("%q, then api.write: %v", asked, got)
		}
	}
}

// Who can write the database makes no refresh token and widens none.
func TestAlteredAccess(t *testing.T) {
	w := newWorld(t)
	client := w.register(redirect)
	for name, change := range map[string]string{
		"person":  "UPDATE issuer_access SET person = 'User::bob'",
		"body":    `UPDATE issuer_access SET body = CAST(replace(CAST(body AS TEXT), '"alice"', '"bob"') AS BLOB)`,
		"client":  "UPDATE issuer_access SET client = '" + w.register(redirect) + "'",
		"ends":    "UPDATE issuer_access SET ends = ends + 1000000",
		"current": "UPDATE issuer_access SET current = family",
	} {
		got := w.tokens(client)
		w.SQL(change)
		if status, got := w.refresh(client, text(got["refresh_token"])); status != 400 {
			t.Errorf("%s: %d %v", name, status, got)
		}
	}
}

// Where people are sent back to is one of the client's own URIs, to the letter, but
// for the port of a loopback address.
func TestRedirects(t *testing.T) {
	w := newWorld(t)
	client := w.register("https://client.example/cb?a=b", "http://127.0.0.1:1/cb", "http://localhost/cb", "http://[::1]/cb")
	for uri, good := range map[string]bool{
		"https://client.example/cb?a=b":                         true,
		"http://127.0.0.1/cb":                                   true,
		"http://127.0.0.1:65000/cb":                             true,
		"http://localhost:2/cb":                                 true,
		"http://[::1]:2/cb":                                     true,
		"":                                                      false,
		"https://client.example/cb":                             false,
		"https://client.example/cb?a=b&c=d":                     false,
		"https://client.example:444/cb?a=b":                     false,
		"https://client.example.evil.example/cb?a=b":            false,
		"https://client.example@evil.example/cb?a=b":            false,
		"https://client.example/cb/../x?a=b":                    false,
		"https://client.example/CB?a=b":                         false,
		"https://client.example/cb?a=b#f":                       false,
		"http://client.example/cb?a=b":                          false,
		"http://127.0.0.1/cb/":                                  false,
		"http://127.0.0.1/cb?x=1":                               false,
		"http://127.0.0.1:2/cb#x":                               false,
		"http://127.0.0.1:2/c%62":                               false,
		"http://127.0.0.2/cb":                                   false,
		"http://u@127.0.0.1/cb":                                 false,
		"http://127.0.0.1:99999999/cb":                          false,
		"http://127.0.0.1:@evil.example/cb":                     false,
		"https://127.0.0.1/cb":                                  false,
		"http://127.0.0.1.evil.example/cb":                      false,
		"http://127.0.0.1\\@evil.example/cb":                    false,
		"//evil.example/cb":                                     false,
		"javascript:alert(1)":                                   false,
		"data:text/html,x":                                      false,
		"cursor://anysphere.cursor-mcp/oauth/callback":          false,
		"https://client.example/cb?a=b\r\nLocation: //evil.com": false,
	} {
		q, _ := w.asks(client)
		q.Set("redirect_uri", uri)
		ask, err := w.ask(q)
		if good {
			if err != nil || ask.Redirect != uri {
				t.Errorf("%s: %v", uri, err)
			}
			continue
		}
		if r := refused(t, err); r.Back != "" {
			t.Errorf("%s: people are sent to %s", uri, r.Back)
		}
	}
	q, _ := w.asks(client)
	q.Set("redirect_uri", "https://client.example/cb?a=b")
	if got := w.allowRaw(q); !strings.HasPrefix(got, "https://client.example/cb?") || !strings.Contains(got, "a=b") || !strings.Contains(got, "iss=") {
		t.Error(got)
	}
	for _, uri := range []string{"http://client.example/cb", "cursor://x/y", "https://client.example/cb#x", "https://u:p@client.example/", "javascript:alert(1)", "https://CLIENT.example/", "https://client.example;script-src/",
		"https://client.example/" + strings.Repeat("x", maxURI), "http://127.0.0.1:123456/", "/callback", "https://", "http://0.0.0.0/", "https://client.example/\u202e"} {
		if status, got := w.postJSON("/register", map[string]any{"redirect_uris": []string{redirect, uri}}); uri == "https://client.example/\u202e" && status == 201 {
			t.Logf("%v", got) // it is escaped wherever it is used
		} else if status != 400 || got["error"] != "invalid_redirect_uri" {
			t.Errorf("%s: %d %v", uri, status, got)
		}
	}
}

func (w *world) allowRaw(q url.Values) string {
	w.T.Helper()
	ask, err := w.ask(q)
	if err != nil {
		w.T.Fatal(err)
	}
	back, err := w.issuer.Answer(w.T.Context(), w.alice(), ask.Sealed, true)
	if err != nil {
		w.T.Fatal(err)
	}
	return back
}

// What else a client may get wrong in what it asks for is told to it, at its own
// address and with the issuer's name, and nobody is asked.
func TestAuthorizationRequests(t *testing.T) {
	w := newWorld(t)
	client := w.register(redirect)
	for name, tt := range map[string]struct {
		change func(url.Values)
		want   string // the error that the client is told; "": nobody is sent anywhere
	}{
		"no challenge":          {func(q url.Values) { q.Del("code_challenge") }, "invalid_request"},
		"no method":             {func(q url.Values) { q.Del("code_challenge_method") }, "invalid_request"},
		"plain":                 {func(q url.Values) { q.Set("code_challenge_method", "plain") }, "invalid_request"},
		"short challenge":       {func(q url.Values) { q.Set("code_challenge", "abc") }, "invalid_request"},
		"no resource":           {func(q url.Values) { q.Del("resource") }, "invalid_target"},
		"another resource":      {func(q url.Values) { q.Set("resource", "https://other.example/mcp") }, "invalid_target"},
		"below the resource":    {func(q url.Values) { q.Set("resource", w.resource+"/x") }, "invalid_target"},
		"token":                 {func(q url.Values) { q.Set("response_type", "token") }, "unauthorized_client"},
		"id_token":              {func(q url.Values) { q.Set("response_type", "id_token") }, "unauthorized_client"},
		"code and token":        {func(q url.Values) { q.Set("response_type", "code token") }, "unauthorized_client"},
		"no type":               {func(q url.Values) { q.Del("response_type") }, "invalid_request"},
		"fragment":              {func(q url.Values) { q.Set("response_mode", "fragment") }, "invalid_request"},
		"form_post":             {func(q url.Values) { q.Set("response_mode", "form_post") }, "invalid_request"},
		"jwt":                   {func(q url.Values) { q.Set("response_mode", "query.jwt") }, "invalid_request"},
		"wrong and in fragment": {func(q url.Values) { q.Set("response_mode", "fragment"); q.Set("response_type", "token") }, "unauthorized_client"},
		"request object":        {func(q url.Values) { q.Set("request", "eyJhbGciOiJub25lIn0.e30.") }, "request_not_supported"},
		"request_uri":           {func(q url.Values) { q.Set("request_uri", "https://client.example/r") }, "request_not_supported"},
		"prompt none":           {func(q url.Values) { q.Set("prompt", "none") }, "interaction_required"},
		"prompt none and login": {func(q url.Values) { q.Set("prompt", "none login") }, "invalid_request"},
		"long state":            {func(q url.Values) { q.Set("state", strings.Repeat("x", maxState+1)) }, "invalid_request"},
		"two states":            {func(q url.Values) { q.Add("state", "x") }, ""},
		"two resources":         {func(q url.Values) { q.Add("resource", "https://other.example/mcp") }, ""},
		"two redirects":         {func(q url.Values) { q.Add("redirect_uri", "https://evil.example/") }, ""},
		"no client":             {func(q url.Values) { q.Del("client_id") }, ""},
		"unknown client":        {func(q url.Values) { q.Set("client_id", "client_"+newSecret()) }, ""},
	} {
		q, _ := w.asks(client)
		tt.change(q)
		_, err := w.ask(q)
		r := refused(t, err)
		if tt.want == "" {
			if r.Back != "" || r.Text == "" {
				t.Errorf("%s: %+v", name, r)
			}
			continue
		}
		if got := w.answer(r.Back, q); got.Get("error") != tt.want || got.Has("code") {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, change := range []func(url.Values){
		func(q url.Values) { q.Set("response_mode", "query") },
		func(q url.Values) { q.Set("resource", w.resource+"/") },
		func(q url.Values) { q.Set("prompt", "consent") },
		func(q url.Values) { q.Set("nonce", "x") },
		func(q url.Values) { q.Del("state") },
	} {
		q, _ := w.asks(client)
		change(q)
		if _, err := w.ask(q); err != nil {
			t.Error(err)
		}
	}
}

// A question is answered by whom it was put to, as it was put, within its time, by
// somebody who is logged in, and lately enough.
func TestAnswers(t *testing.T) {
	w := newWorld(t)
	q, _ := w.asks(w.register(redirect))
	ask, err := w.ask(q)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(who approval.Identity, sealed string) error {
		_, err := w.issuer.Answer(t.Context(), who, sealed, true)
		return err
	}
	body, sum, _ := strings.Cut(ask.Sealed, ".")
	other := newWorld(t)
	for name, err := range map[string]error{
		"nobody":          answer(approval.Identity{}, ask.Sealed),
		"another door":    answer(new(approval.Doorkeeper).Admit(approval.Person{}, w.Clock().Add(time.Hour)), ask.Sealed),
		"another person":  answer(w.as("bob"), ask.Sealed),
		"nothing":         answer(w.alice(), ""),
		"no seal":         answer(w.alice(), body),
		"another body":    answer(w.alice(), body[:len(body)-4]+"AAAA."+sum),
		"another process": answer(w.alice(), other.issuer.seal(request{Person: "User::alice", Ends: w.Clock().Add(time.Hour)})),
	} {
		if err == nil {
			t.Errorf("%s: it was answered", name)
		}
	}
	back, err := w.issuer.Answer(t.Context(), w.alice(), ask.Sealed, false)
	if got := w.answer(back, q); err != nil || got.Get("error") != "access_denied" || got.Has("code") {
		t.Errorf("%v %v", got, err)
	}
	w.Pass(askLife)
	if err := answer(w.alice(), ask.Sealed); err != ErrAsk {
		t.Errorf("after ten minutes: %v", err)
	}
	if n := w.count("issuer_access"); n != 0 {
		t.Errorf("%d were let do something", n)
	}
}

// A client that wants a fresh login has the person log in anew; one that was made
// for it is good.
func TestFreshLogin(t *testing.T) {
	w := newWorld(t)
	q, _ := w.asks(w.register(redirect))
	old := w.alice()
	w.Pass(10 * time.Minute)
	for change, good := range map[string]bool{"prompt=login": false, "max_age=0": false, "max_age=60": false, "max_age=601": true, "max_age=99999999999": true, "prompt=select_account": true} {
		name, value, _ := strings.Cut(change, "=")
		r := httptest.NewRequest("GET", AuthorizePath+"?"+q.Encode()+"&"+name+"="+value, nil)
		ask, err := w.issuer.Ask(r, old)
		if good != (err == nil) {
			t.Errorf("%s: %v", change, err)
		}
		if ask, err = w.issuer.Ask(r, w.alice()); err != nil {
			t.Errorf("%s, anew: %v", change, err)
		}
		if _, err := w.issuer.Answer(t.Context(), old, ask.Sealed, true); good != (err == nil) {
			t.Errorf("%s, answered by the old login: %v", change, err)
		}
	}
}

// A person sees and takes back what they allowed, and nobody else does.
func TestTakeBack(t *testing.T) {
	w := newWorld(t)
	client := w.register(redirect)
	got := w.tokens(client)
	list, err := w.issuer.AccessOf(t.Context(), w.alice())
	if err != nil || len(list) != 1 || list[0].Client != client || list[0].Name != "Claude" {
		t.Fatal(list, err)
	}
	if list, err := w.issuer.AccessOf(t.Context(), w.as("bob")); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	if _, err := w.issuer.AccessOf(t.Context(), approval.Identity{}); err == nil {
		t.Error("a stranger sees it")
	}
	for _, err := range []error{w.issuer.Revoke(t.Context(), w.as("bob"), list[0].ID), w.issuer.Revoke(t.Context(), w.alice(), "access_x"), w.issuer.Revoke(t.Context(), approval.Identity{}, list[0].ID)} {
		if err == nil {
			t.Error("it was taken back")
		}
	}
	if err := w.issuer.Revoke(t.Context(), w.alice(), list[0].ID); err != nil {
		t.Fatal(err)
	}
	if status, got := w.refresh(client, text(got["refresh_token"])); status != 400 || got["error"] != "invalid_grant" {
		t.Errorf("%d %v", status, got)
	}
	for range maxAccess + 3 {
		w.tokens(client)
		w.Pass(time.Second)
	}
	if n := w.count("issuer_access"); n > maxAccess {
		t.Errorf("%d are kept", n)
	}
}

// What somebody let clients do ends with all else that they have, and nobody who is
// stopped lets one do more.
func TestEndOfUser(t *testing.T) {
	w := newWorld(t)
	client := w.register(redirect)
	old, bob := w.tokens(client), approval.End{Subject: "User::bob", By: approval.Operator("root"), Cause: "test"}
	w.Pass(time.Second)
	if _, err := w.holds.EndUser(t.Context(), bob); err != nil {
		t.Fatal(err)
	}
	if status, got := w.refresh(client, text(old["refresh_token"])); status != 200 {
		t.Errorf("somebody else ended: %d %v", status, got)
	} else {
		old = got
	}
	alice := bob
	alice.Subject = "User::alice"
	if _, err := w.holds.EndUser(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	w.Pass(time.Second)
	if status, got := w.refresh(client, text(old["refresh_token"])); status != 400 || got["error"] != "invalid_grant" {
		t.Errorf("%d %v", status, got)
	}
	anew := w.tokens(client)
	if status, got := w.refresh(client, text(anew["refresh_token"])); status != 200 {
		t.Errorf("a login after it: %d %v", status, got)
	}
	q, verifier := w.asks(client)
	form := redeems(q, w.allow(q), verifier)
	alice.Stop = true
	if _, err := w.holds.EndUser(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	if status, got := w.post("/token", form); status != 400 || got["access_token"] != nil {
		t.Errorf("a code of before: %d %v", status, got)
	}
	w.Pass(time.Second)
	if _, err := w.ask(q); !errors.Is(err, approval.ErrUserStopped) {
		t.Errorf("who is stopped is asked: %v", err)
	}
}

func (w *world) count(table string) (n int) {
	w.T.Helper()
	if err := w.Raw.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
		w.T.Fatal(err)
	}
	return n
}

// A flood of registrations is slowed down, ends by itself, and pushes out nobody
// whom a person let do something.
func TestRegistrationFlood(t *testing.T) {
	w := newWorld(t)
	used := w.register(redirect)
	got := w.tokens(used)
	limited := 0
	for range maxOfAddress + 5 {
		if status, _ := w.postJSON("/register", map[string]any{"redirect_uris": []string{redirect}}); status == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited < 5 {
		t.Errorf("%d were told to wait", limited)
	}
	kept := 0
	for n := range maxRegistrations {
		r, rec := httptest.NewRequest("POST", "/oauth/register", strings.NewReader(`{"redirect_uris":["`+redirect+`"]}`)), httptest.NewRecorder()
		r.Header.Set("Content-Type", "application/json")
		r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", n)
		if w.issuer.register(rec, r); rec.Code == http.StatusCreated {
			kept++
		} else if rec.Code != http.StatusTooManyRequests || rec.Header().Get("Retry-After") == "" {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	}
	if kept >= maxRegistrations || kept == 0 {
		t.Errorf("of many addresses %d were kept", kept)
	}
	err := w.DB.Update(t.Context(), func(tx *store.Tx) error {
		for n := range maxClients {
			if err := tx.InsertClient(store.Client{ID: fmt.Sprint("flood", n), Body: []byte("{}"), Created: w.Clock().Add(time.Duration(n) * time.Millisecond), Ends: w.Clock().Add(time.Hour)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Pass(time.Minute)
	newest := w.register(redirect)
	if n := w.count("issuer_clients"); n > maxClients {
		t.Errorf("%d are kept", n)
	}
	for _, client := range []string{used, newest} {
		if _, err := w.issuer.findClient(t.Context(), client); err != nil {
			t.Errorf("%s: %v", client, err)
		}
	}
	w.Pass(unusedLife)
	if status, _ := w.refresh(used, text(got["refresh_token"])); status != 200 {
		t.Error("a client that a person let do something was forgotten")
	}
	if _, err := w.issuer.findClient(t.Context(), newest); err != errNoClient {
		t.Errorf("one that nobody did: %v", err)
	}
	for name, body := range map[string]any{
		"no redirects":   map[string]any{},
		"many redirects": map[string]any{"redirect_uris": strings.Split(strings.Repeat(redirect+" ", maxRedirects)+redirect, " ")},
		"another grant":  map[string]any{"redirect_uris": []string{redirect}, "grant_types": []string{"client_credentials"}},
		"a list":         []string{redirect},
		"too long":       map[string]any{"redirect_uris": []string{redirect}, "client_name": strings.Repeat("x", maxBody)},
	} {
		if status, got := w.postJSON("/register", body); status != 400 || got["error"] == nil {
			t.Errorf("%s: %d %v", name, status, got)
		}
	}
	if resp, err := http.Post(w.base+"/register", "text/plain", strings.NewReader(`{"redirect_uris":["`+redirect+`"]}`)); err != nil || resp.StatusCode != 400 {
		t.Error("a form of another site can register")
	}
	_, long := w.postJSON("/register", map[string]any{"redirect_uris": []string{redirect}, "client_name": strings.Repeat("é", maxName+1), "token_endpoint_auth_method": "client_secret_basic", "client_secret": "x"})
	if len([]rune(text(long["client_name"]))) != maxName || long["token_endpoint_auth_method"] != "none" || long["client_secret"] != nil {
		t.Errorf("%v", long)
	}
}

// The document of a client is read at its very URL, from a public address, whole
// and in time, or not at all.
func TestClientDocuments(t *testing.T) {
	var fetched int
	id, name := "", "A client"
	srv, reached := documentServer(t, func(rw http.ResponseWriter, r *http.Request) {
		fetched++
		rw.Header().Set("Content-Type", "application/json")
		self := "https://" + r.Host + r.URL.Path
		doc := func(id string) string {
			return fmt.Sprintf(`{"client_id":%q,"client_name":%q,"redirect_uris":[%q]}`, id, name, redirect)
		}
		switch r.URL.Path {
		case "/good":
			fmt.Fprint(rw, doc(self))
		case "/another":
			fmt.Fprint(rw, doc("https://"+r.Host+"/good"))
		case "/redirect":
			http.Redirect(rw, r, "/good", http.StatusFound)
		case "/huge":
			fmt.Fprint(rw, strings.Replace(doc(self), "{", "{"+strings.Repeat(" ", maxDocument), 1))
		case "/html":
			rw.Header().Set("Content-Type", "text/html")
			fmt.Fprint(rw, doc(self))
		case "/no-json":
			fmt.Fprint(rw, "client")
		case "/no-redirects":
			fmt.Fprintf(rw, `{"client_id":%q}`, self)
		case "/evil-redirects":
			fmt.Fprintf(rw, `{"client_id":%q,"redirect_uris":["http://evil.example/"]}`, self)
		case "/hangs":
			<-r.Context().Done()
		default:
			http.NotFound(rw, r)
		}
	})
	w := newWorld(t, reached)
	id = srv.URL + "/good"
	got := w.tokens(id)
	if status, _ := w.refresh(id, text(got["refresh_token"])); status != 200 {
		t.Error(status)
	}
	if fetched != 1 {
		t.Errorf("it was fetched %d times", fetched)
	}
	q, _ := w.asks(id)
	ask, err := w.ask(q)
	if err != nil || ask.Document != strings.TrimPrefix(srv.URL, "https://") || !ask.Registered.IsZero() {
		t.Errorf("%+v %v", ask, err)
	}
	for _, path := range []string{"/another", "/redirect", "/huge", "/html", "/no-json", "/no-redirects", "/evil-redirects", "/nothing", "", "/", "/good?x", "/good#x", "/x/../good", "/./good", "//good"} {
		q, _ := w.asks(srv.URL + path)
		_, err := w.ask(q)
		if r := refused(t, err); r.Back != "" {
			t.Errorf("%s: people are sent to %s", path, r.Back)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	time.AfterFunc(0, stop)
	if _, err := w.issuer.documents.client(ctx, srv.URL+"/hangs", w.Clock()); err == nil {
		t.Error("one that hangs")
	}

	// It renames itself: what was allowed keeps the name that was shown.
	name = "Another name"
	w.Pass(documentLife)
	if ask, err := w.ask(q); err != nil || ask.Name != name {
		t.Errorf("%+v %v", ask, err)
	}
	if list, err := w.issuer.AccessOf(t.Context(), w.alice()); err != nil || len(list) != 1 || list[0].Name != "A client" {
		t.Errorf("%+v %v", list, err)
	}
	for range maxFetches {
		q, _ := w.asks(srv.URL + "/" + rand.Text())
		_, err = w.ask(q)
	}
	if r := refused(t, err); !strings.Contains(r.Text, "too many") {
		t.Error(r.Text)
	}
}

// A client_id leads to no address within this network, and says nothing of one.
func TestClientDocumentsOfThisNetwork(t *testing.T) {
	srv, reached := documentServer(t, func(rw http.ResponseWriter, r *http.Request) { t.Error("it was reached") })
	w := newWorld(t, func(c *Config) {
		reach := c.Reach
		reached(c)
		c.Reach = reach // the server's certificate is good; its address is not
	})
	_, port, _ := strings.Cut(strings.TrimPrefix(srv.URL, "https://"), ":")
	for _, id := range []string{srv.URL + "/x", "https://localhost:" + port + "/x", "https://169.254.169.254/latest/meta-data", "https://10.0.0.1/x", "https://192.168.1.1/x", "https://0.0.0.0:" + port + "/x",
		"https://100.100.100.200/x", "http://127.0.0.1:" + port + "/x", "https://u@localhost/x", "https://[::1]:" + port + "/x", "https://[fd00::1]/x"} {
		q, _ := w.asks(id)
		_, err := w.ask(q)
		r := refused(t, err)
		if r.Back != "" || strings.Contains(r.Text, "refused") || strings.Contains(r.Text, "network") && !strings.Contains(r.Text, "public") {
			t.Errorf("%s: %+v", id, r)
		}
	}
}
