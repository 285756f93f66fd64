package inbox

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

const secret = "tiger-in-the-tank"

func secretCall() store.Hold {
	h := call(alice, rand.Text())
	h.Tool, h.Effect, h.Args = "delete_pet", "delete", json.RawMessage(`{"body":{"keys":[{"value":"`+secret+`"}],"name":"Mia","password":"`+secret+`"},"pin":"`+secret+`"}`)
	h.Request = store.Request{Method: "PUT", Origin: "https://api.example.com", Path: "/users/1", Target: "/users/1?pin=" + secret + "&page=2", ContentType: "application/json",
		Header: map[string][]string{"X-Pin": {secret}, "X-Page": {"2"}}, Body: []byte(`{"keys":[{"value":"` + secret + `"}],"name":"Mia","password":"` + secret + `"}`)}
	h.Before = &store.Snapshot{Digest: "x", Status: 200, Value: json.RawMessage(`{"name":"Tom","password":"` + secret + `"}`)}
	h.Masked = []string{"/body/keys/0/value", "/body/password", "/pin"}
	return h
}

// Secrets are on no page and in no answer to a terminal until a person asks for
// them, which is recorded; all else is there.
func TestSecretsAreHidden(t *testing.T) {
	s := newSite(t)
	s.login()
	h, other := s.open(secretCall()), s.open(secretCall())
	choice := s.choice(h, approval.KindGrant)
	some := s.choice(h, approval.KindGrant, "args", approval.ArgsSome, "keep", "0")
	some.Add("keep", "2")
	pages := map[string]string{"hold": "/h/" + h.ID, "several": "/several?like=" + h.ID, "list": "/", "grant form": "/h/" + h.ID + "/grant?kind=grant",
		"grant": "/h/" + h.ID + "/grant?" + choice.Encode(), "grant of some": "/h/" + h.ID + "/grant?" + some.Encode(), "terminal": "/api/holds/" + h.ID, "terminal's list": "/api/holds"}
	for name, path := range pages {
		a := s.get(path)
		if a.status != http.StatusOK || strings.Contains(a.body, secret) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	page := s.get(pages["hold"]).body
	for _, there := range []string{"Mia", "Tom", "page=2", "X-Page", "users/1?pin="} {
		if !strings.Contains(page, there) {
			t.Errorf("the page has no %q", there)
		}
	}
	if n := strings.Count(strings.Join(s.Entries(), " "), "reveal"); n != 0 {
		t.Errorf("%d entries", n)
	}
	if shown := s.get(pages["hold"] + "?reveal=1").body; strings.Count(shown, secret) < 6 {
		t.Error("it is not shown to who asks")
	}
	if got := s.Entries(); got[len(got)-1] != "reveal User::alice" {
		t.Errorf("the log ends with %q", got[len(got)-1])
	}
	// Nor are they where the permission is shown, or in the log.
	s.want(s.post("/h/"+h.ID+"/grant", choice), http.StatusSeeOther, "")
	for _, path := range []string{"/permissions", "/api/permissions"} {
		if a := s.get(path); strings.Contains(a.body, secret) || !strings.Contains(a.body, "hidden") {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	if err := s.DB.Entries(t.Context(), 0, func(e store.Entry) error {
		if b, _ := json.Marshal(e); strings.Contains(string(b), secret) {
			t.Errorf("an entry holds it: %s", b)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	// What is hidden cannot be chosen by who writes to the database.
	s.SQL(`UPDATE holds SET bulk = replace(CAST(bulk AS TEXT), '"/pin"', '"/body/name"') WHERE id = ?`, other.ID)
	s.want(s.get("/h/"+other.ID), http.StatusConflict, "")
}

// A secret hides nothing but itself, whatever the agent chooses for one.
func TestASecretHidesNothingElse(t *testing.T) {
	h := secretCall()
	h.Args = json.RawMessage(`{"body":{"name":"a","password":"a"},"pin":"a"}`)
	h.Request.Body, h.Request.Target = []byte(`{"name":"a","password":"a"}`), "/a/users?pin=a&who=anna&b=a"
	h.Masked = []string{"/body/password", "/pin"}
	v := full(h)
	v.mask(h)
	if v.Body != `{"name":"a","password":"`+masked+`"}` || !strings.Contains(v.URL, "who=anna") || !strings.Contains(v.URL, "&b=") || !strings.Contains(string(v.Args), `"name":"a"`) {
		t.Errorf("%s\n%s\n%s", v.URL, v.Body, v.Args)
	}
	// What cannot be hidden piece by piece is hidden whole.
	for name, change := range map[string]func(*store.Hold){
		"a form": func(h *store.Hold) {
			h.Request.ContentType, h.Request.Body = "application/x-www-form-urlencoded", []byte("password="+secret)
		},
		"an image": func(h *store.Hold) { h.Request.ContentType, h.Request.Body = "image/png", []byte(secret) },
		"too many": func(h *store.Hold) { h.Masked = []string{""} },
		"in a list": func(h *store.Hold) {
			h.Args, h.Masked = json.RawMessage(`{"pins":["`+secret+`"]}`), []string{"/pins/0", "/body"}
		},
		"whole body": func(h *store.Hold) { h.Masked = []string{"/body", "/pin"} },
	} {
		h := secretCall()
		change(&h)
		v := full(h)
		v.mask(h)
		if b, _ := json.Marshal(v); strings.Contains(string(b), secret) {
			t.Errorf("%s: %s", name, b)
		}
	}
}
