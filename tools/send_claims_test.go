package tools

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/store"
)

const wantC1 = `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`

// onBehalf makes credentials of the caller's token, as Entra does: there is none for a
// login that lacks what it wants, and what an API wants it is told.
type onBehalf struct {
	strict     atomic.Bool // a token without c1 gets nothing
	challenged atomic.Int32
}

func (o *onBehalf) NeedsCaller(string) bool { return true }

func (o *onBehalf) Attach(_ context.Context, c token.Call, r *http.Request) (token.Receipt, error) {
	if o.strict.Load() && !strings.HasSuffix(c.Caller.Reveal(), "-c1") {
		return token.Receipt{}, &token.ClaimsError{Claims: json.RawMessage(wantC1)}
	}
	r.Header.Set("Authorization", "Bearer of-"+c.Caller.Reveal())
	return token.Receipt{Strategy: "entra_obo", Challenged: func(claims json.RawMessage) {
		if string(claims) == wantC1 {
			o.challenged.Add(1)
		}
	}}, nil
}

// claiming is an API that changes nothing for a token without c1, and says so.
func claiming(writes *atomic.Int32, claims string, lenient bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if lenient && r.Method == "GET" || strings.HasSuffix(r.Header.Get("Authorization"), "-c1") {
			if r.Method != "GET" {
				writes.Add(1)
			}
			w.Write([]byte(`{"id":1,"name":"Rex","status":"available"}`))
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="", error="insufficient_claims", claims="`+base64.StdEncoding.EncodeToString([]byte(claims))+`"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
}

// A held call whose API, or whose authorization server, wants another login stays
// approved, says what is wanted, and goes once its caller comes with it.
func TestClaimsChallengeOfHold(t *testing.T) {
	for name, tt := range map[string]struct {
		strict  bool // it is the authorization server who wants it
		lenient bool // the API lets anybody read
		entries string
	}{
		"the API":                  {false, true, "hold approve send kept send outcome"},
		"the API, of reads, too":   {false, false, "hold approve send kept send outcome"},
		"the authorization server": {true, true, "hold approve kept send outcome"},
	} {
		t.Run(name, func(t *testing.T) {
			var writes atomic.Int32
			o := new(onBehalf)
			r := newRig(t, rigOptions{credentials: o, api: claiming(&writes, wantC1, tt.lenient)})
			r.run(t)
			alice := caller("alice")
			alice.Token = token.NewSecret("live")
			handle := r.Call(t.Context(), alice, "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
			if err := r.decideHold(t, handle, true, ""); err != nil {
				t.Fatal(err)
			}
			o.strict.Store(tt.strict)
			res := r.Resume(t.Context(), alice, handle, MaxWait, "")
			e := res.Envelope
			if e.Status != Pending || e.Code != CredentialFailed || e.Remediation != authz.RemedyStepUp || string(res.Needs.Claims) != wantC1 || !strings.Contains(e.Next, "NOT executed") || writes.Load() != 0 {
				t.Fatalf("%+v, needs %s", e, res.Needs.Claims)
			}
			if claims, err := token.DecodeClaims(e.Challenge.Claims); err != nil || string(claims) != wantC1 {
				t.Errorf("the agent is told %+v", e.Challenge)
			}
			if h := r.hold(t, handle); h.State != store.Approved {
				t.Fatalf("it is %s", h.State)
			}
			if !tt.strict && o.challenged.Load() == 0 {
				t.Error("the strategy was not told")
			}
			alice.Token = token.NewSecret("live-c1")
			if res := r.Resume(t.Context(), alice, handle, MaxWait, ""); res.Envelope.Status != Done || res.Envelope.HTTPStatus != 200 || writes.Load() != 1 {
				t.Errorf("with what is wanted: %+v", res.Envelope)
			}
			if got := kinds(r.entriesOf(t, handle)); got != tt.entries {
				t.Errorf("entries: %s", got)
			}
		})
	}
}

// An API that always wants something else gets an approved call three times, no more.
func TestClaimsChallengeIsBounded(t *testing.T) {
	var writes atomic.Int32
	r := newRig(t, rigOptions{credentials: new(onBehalf), api: claiming(&writes, wantC1, true)})
	r.run(t)
	alice := caller("alice")
	alice.Token = token.NewSecret("live")
	handle := r.Call(t.Context(), alice, "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
	if err := r.decideHold(t, handle, true, ""); err != nil {
		t.Fatal(err)
	}
	for range maxChallenged {
		if res := r.Resume(t.Context(), alice, handle, MaxWait, ""); res.Envelope.Status != Pending {
			t.Fatalf("%+v", res.Envelope)
		}
	}
	if res := r.Resume(t.Context(), alice, handle, MaxWait, ""); res.Envelope.Status != Done || res.Envelope.HTTPStatus != 401 || res.Disposition != ExecutionError {
		t.Errorf("%+v %s", res.Envelope, res.Disposition)
	}
}

// A call that is allowed at once is not sent again by itself: the client is told what
// is wanted, and the agent, too.
func TestClaimsChallengeOfCall(t *testing.T) {
	var writes atomic.Int32
	alice := caller("alice")
	alice.Token = token.NewSecret("live")
	for _, tool := range []string{"get_pet", "delete_pet"} {
		r := newRig(t, rigOptions{policy: permitAll, credentials: new(onBehalf), api: claiming(&writes, wantC1, false)})
		res := r.Call(t.Context(), alice, tool, []byte(`{"petId":1}`))
		if e := res.Envelope; e.Status != Done || e.HTTPStatus != 401 || string(res.Needs.Claims) != wantC1 || e.Challenge == nil || writes.Load() != 0 {
			t.Errorf("%s: %+v, needs %s", tool, e, res.Needs.Claims)
		}
		if got := strings.Join(r.entries(t), " "); got != "call outcome" {
			t.Errorf("%s: entries %s", tool, got)
		}
		o := new(onBehalf)
		o.strict.Store(true)
		r = newRig(t, rigOptions{policy: permitAll, credentials: o, api: claiming(&writes, wantC1, false)})
		res = r.Call(t.Context(), alice, tool, []byte(`{"petId":1}`))
		if e := res.Envelope; e.Status != Failed || e.Code != CredentialFailed || string(res.Needs.Claims) != wantC1 || e.Remediation != authz.RemedyStepUp || e.Reason != wantsLogin {
			t.Errorf("%s, the authorization server: %+v, needs %s", tool, e, res.Needs.Claims)
		}
	}
}

// What is no claims request is an answer like others.
func TestClaimsThatAreNone(t *testing.T) {
	for _, claims := range []string{"", "x", `"text"`, `{"a":"` + strings.Repeat("x", 2000) + `"}`, "{\"a\":\"\u202e\"}"} {
		var writes atomic.Int32
		r := newRig(t, rigOptions{policy: permitAll, credentials: new(onBehalf), api: claiming(&writes, claims, false)})
		alice := caller("alice")
		alice.Token = token.NewSecret("live")
		if res := r.Call(t.Context(), alice, "delete_pet", []byte(`{"petId":1}`)); res.Envelope.HTTPStatus != 401 || !res.Needs.IsZero() {
			t.Errorf("%.20q: %+v", claims, res.Needs)
		}
	}
}

// A look at what is about to change, for which there is no credential, ends no hold.
func TestLookWithoutACredentialEndsNoHold(t *testing.T) {
	f := new(faulty)
	r := newRig(t, rigOptions{credentials: f})
	handle := r.call(t, "alice", "delete_pet", `{"petId":1}`).Envelope.Handle
	if b := r.hold(t, handle).Before; b == nil || !b.Checked {
		t.Fatalf("nothing was read: %+v", b)
	}
	if err := r.decideHold(t, handle, true, ""); err != nil {
		t.Fatal(err)
	}
	f.down.Store(true)
	h, err := r.Holds.Claim(t.Context(), []string{r.APIs[0].Document.Name}, r.releases, r.owner, r.lease())
	if err != nil {
		t.Fatal(err)
	}
	r.release(t.Context(), h, Caller{})
	if h := r.hold(t, handle); h.State != store.Approved {
		t.Errorf("it is %s", h.State)
	}
}
