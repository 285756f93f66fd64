package inbox

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// record writes entries as calls leave them.
func (w *world) record(entries ...store.Entry) {
	w.T.Helper()
	err := w.DB.Update(w.T.Context(), func(tx *store.Tx) error {
		for _, e := range entries {
			if e.Time.IsZero() {
				e.Time = w.Clock()
			}
			if err := tx.Append(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

func TestActivity(t *testing.T) {
	s := newSite(t)
	entry := func(txn, kind, principal, tool string, set ...func(*store.Entry)) store.Entry {
		e := store.Entry{Kind: store.Kind(kind), Txn: txn, Principal: principal, Agent: "claude", API: "petstore", Tool: tool, Method: "GET", Path: "/" + txn}
		for _, f := range set {
			f(&e)
		}
		return e
	}
	by := func(p string) func(*store.Entry) { return func(e *store.Entry) { e.By = p } }
	code := func(c string) func(*store.Entry) { return func(e *store.Entry) { e.Code = c } }
	status := func(n int) func(*store.Entry) { return func(e *store.Entry) { e.Status = n } }
	allow := func(e *store.Entry) { e.Decision = "allow" }
	standing := func(e *store.Entry) { e.Strategy, e.Standing = "static", true }
	exchanged := func(wider string) func(*store.Entry) {
		return func(e *store.Entry) {
			e.Strategy, e.Credential = "exchange", &store.Credential{Issuer: "as.example", Scope: "pets:read", Wider: wider}
		}
	}
	s.record(entry("txn_old", "call", "User::alice", "list_pets", allow))
	s.Pass(2 * time.Hour)
	s.login()
	s.record(
		entry("txn_read", "call", "User::alice", "get_pet", allow, standing), entry("txn_read", "outcome", "User::alice", "get_pet", status(200)),
		entry("txn_no", "denied", "User::alice", "get_pet", code("policy_denied")),
		entry("txn_held", "hold", "User::alice", "delete_pet"), entry("txn_held", "approve", "User::alice", "delete_pet", by("User::alice")),
		entry("txn_held", "send", "User::alice", "delete_pet", exchanged("")), entry("txn_held", "outcome", "User::alice", "delete_pet", status(204)),
		entry("txn_held", "spent", "User::alice", "delete_pet", exchanged(""), code("credential_failed")),
		entry("txn_foreign", "call", "User::bob", "get_pet", allow),
		entry("txn_bobs", "hold", "User::bob", "delete_pet"), entry("txn_bobs", "deny", "User::bob", "delete_pet", by("User::alice")),
	)
	all := []string{"txn_read", "txn_no", "txn_held", "txn_bobs"}
	for _, tt := range []struct {
		query string
		want  []string
	}{
		{"?since=1h", all},
		{"", append([]string{"txn_old"}, all...)},
		{"?since=1h&decision=hold", []string{"txn_held", "txn_bobs"}},
		{"?since=1h&decision=deny", []string{"txn_no"}},
		{"?since=1h&decision=allow", []string{"txn_read"}},
		{"?since=1h&tool=" + key("petstore/get_pet"), []string{"txn_read", "txn_no"}},
		{"?since=1h&agent=" + key("claude"), all},
		{"?since=1h&agent=nobody", nil},
		{"?since=1h&q=DELETE_pet", []string{"txn_held", "txn_bobs"}},
		{"?since=1h&q=+txn_no+", []string{"txn_no"}},
		{"?since=1h&q=claude", all},
		{"?since=1h&q=denied+by+a+person", []string{"txn_bobs"}},
		{"?since=1h&q=nothing+of+the+kind", nil},
		{"?since=1h&credential=loose", []string{"txn_read"}},
		{"?since=%00&decision=%3Cscript%3E", nil},
	} {
		a := s.get("/activity" + tt.query)
		if a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", tt.query, a.status, a.body)
		}
		checkHeaders(t, tt.query, a)
		got := map[string]bool{}
		for _, m := range regexp.MustCompile(`href="/activity/(\w+)"`).FindAllStringSubmatch(a.body, -1) {
			got[m[1]] = true
		}
		for _, txn := range tt.want {
			if !got[txn] {
				t.Errorf("%s: %s is not listed", tt.query, txn)
			}
		}
		if len(got) != len(tt.want) {
			t.Errorf("%s: %v is listed", tt.query, got)
		}
		if drawn := strings.Contains(a.body, "<rect "); drawn != (len(tt.want) > 0) {
			t.Errorf("%s: drawn: %v", tt.query, drawn)
		}
	}
	page := s.get("/activity?since=1h").body
	for _, want := range []string{"held, status 204", "denied, policy_denied", "held, denied by a person", "allowed, status 200", "decided by alice", ": 1 allowed", ": 2 held", ": 1 denied"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestChainPage(t *testing.T) {
	s := newSite(t).login()
	h := s.approve(s.open(call(alice, "k")))
	a := s.get("/activity/" + h.Txn)
	if a.status != http.StatusOK || !strings.Contains(a.body, `href="/h/`+h.ID+`"`) {
		t.Fatal(a.status, a.body)
	}
	if hold, approve := strings.Index(a.body, "<h2>hold"), strings.Index(a.body, "<h2>approve"); hold < 0 || approve < hold {
		t.Error("the chain is not in order", hold, approve)
	}
	s.record(store.Entry{Kind: store.KindCall, Txn: "txn_bob", Principal: "User::bob"}, store.Entry{Kind: store.KindLogin, Principal: "User::alice"})
	for _, txn := range []string{"txn_bob", "txn_nothing", "%3Cb%3E"} {
		if got := s.get("/activity/" + txn); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", txn, got.status)
		}
	}
}

// The way of each call is told in five steps, and says which were not taken.
func TestWayOfACall(t *testing.T) {
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	entry := func(kind store.Kind, set func(*store.Entry)) store.Entry {
		at = at.Add(time.Second)
		e := store.Entry{Kind: kind, Time: at, Agent: "claude"}
		if set != nil {
			set(&e)
		}
		return e
	}
	by, token := func(e *store.Entry) { e.By = "User::alice" }, func(e *store.Entry) { e.Strategy = "mint" }
	answered := func(n int) func(*store.Entry) { return func(e *store.Entry) { e.Status = n } }
	for _, tt := range []struct {
		name    string
		entries []store.Entry
		want    string // of each step its class, - if it was not taken, ? if it waits
	}{
		{"a read", []store.Entry{entry(store.KindCall, token), entry(store.KindOutcome, answered(200))}, "good good good good good"},
		{"no such thing", []store.Entry{entry(store.KindCall, nil), entry(store.KindOutcome, answered(404))}, "good good - good bad"},
		{"refused", []store.Entry{entry(store.KindDenied, nil)}, "good bad - - -"},
		{"waits", []store.Entry{entry(store.KindHold, nil)}, "good ? - - -"},
		{"approved", []store.Entry{entry(store.KindHold, nil), entry(store.KindApprove, by), entry(store.KindSend, token), entry(store.KindOutcome, answered(204)), entry(store.KindSpent, token)}, "good good good good good"},
		{"denied", []store.Entry{entry(store.KindHold, nil), entry(store.KindDeny, by)}, "good bad - - -"},
		{"too late", []store.Entry{entry(store.KindHold, nil), entry(store.KindExpire, nil)}, "good bad - - -"},
		{"changed before it was sent", []store.Entry{entry(store.KindHold, nil), entry(store.KindApprove, by), entry(store.KindRefuse, nil)}, "good good - bad -"},
		{"no answer", []store.Entry{entry(store.KindHold, nil), entry(store.KindApprove, by), entry(store.KindSend, token), entry(store.KindUnknown, nil)}, "good good good good bad"},
	} {
		var got []string
		for _, s := range wayOf(tt.entries) {
			switch {
			case s.At.IsZero():
				got = append(got, "-")
			case s.Class == "":
				got = append(got, "?")
			default:
				got = append(got, s.Class)
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %v, not %s", tt.name, got, tt.want)
		}
	}
}

// The page is bounded however long the log is, and says what it leaves out.
func TestActivityOfALongLog(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	s := newSite(t).login()
	var entries []store.Entry
	for i := range approval.ActivityEntries + 10 {
		entries = append(entries, store.Entry{Kind: store.KindCall, Txn: fmt.Sprintf("txn_%d", i), Principal: "User::alice", Agent: fmt.Sprintf("agent %d", i%10), Method: "GET", Path: "/pets"})
	}
	s.record(entries...)
	a := s.get("/activity")
	body := html.UnescapeString(a.body)
	for _, want := range []string{"4,800 more calls are not listed", "more than its newest 5,000"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if len(a.body) > 500_000 {
		t.Errorf("a page of %d bytes", len(a.body))
	}
	if a := s.get("/activity/txn_5009"); a.status != http.StatusOK {
		t.Error(a.status)
	}
}
