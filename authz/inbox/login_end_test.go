package inbox

import (
	"net/url"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// elsewhere is what another process on the same database is told.
func (s *site) elsewhere() *approval.Service {
	s.T.Helper()
	db, err := store.Open(s.T.Context(), s.Path)
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(func() { db.Close() })
	c := s.config
	c.Store = db
	other, err := approval.New(c)
	if err != nil {
		s.T.Fatal(err)
	}
	return other
}

// A login ends with the next request after another process was told so: no page, no
// verdict, and no way to undo it. Who logs in again goes on.
func TestLoginEndsElsewhere(t *testing.T) {
	s := newSite(t).login()
	h := s.open(call(alice, "k1"))
	s.want(s.get("/h/"+h.ID), 200, "")
	s.Pass(time.Second)
	if _, err := s.elsewhere().EndUser(t.Context(), approval.End{Subject: "User::alice", By: approval.Issuer("https://idp.example.com"), Cause: "session-revoked"}); err != nil {
		t.Fatal(err)
	}
	s.Pass(time.Second)
	next := s.open(call(alice, "k2"))
	for _, path := range []string{"/", "/h/" + next.ID, "/permissions", "/activity", "/sessions", "/passkeys", "/live"} {
		s.want(s.get(path), 401, "")
	}
	s.want(s.post("/h/"+next.ID, s.form(next, "approve")), 401, "")
	s.want(s.get("/api/holds"), 401, "")
	if got := s.Stored(next.ID).State; got != store.Pending {
		t.Errorf("the call is %s", got)
	}
	s.cookie = ""
	s.login().want(s.get("/h/"+next.ID), 200, "")
}

// A stopped user cannot log in, and the link that they had is spent.
func TestStoppedUserCannotLogIn(t *testing.T) {
	s := newSite(t).login()
	s.Pass(time.Second)
	other := s.elsewhere()
	end := approval.End{Subject: "User::alice", By: approval.Operator("root"), Cause: "by-hand", Stop: true}
	if _, err := other.EndUser(t.Context(), end); err != nil {
		t.Fatal(err)
	}
	s.Pass(time.Second)
	s.want(s.get("/"), 401, "")
	s.cookie = ""
	s.want(s.post("/login", url.Values{"code": {s.code()}}), 403, "You were stopped")
	if got := s.Entries(); got[len(got)-1] != "denied login_refused" {
		t.Errorf("entries %v", got)
	}
	if _, err := other.StartUser(t.Context(), end); err != nil {
		t.Fatal(err)
	}
	s.Pass(time.Second)
	s.login().want(s.get("/"), 200, "")
}
