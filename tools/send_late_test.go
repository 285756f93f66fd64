package tools

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/store"
)

// slow is an authorization server that takes its time: what happens meanwhile is meanwhile.
type slow struct {
	faulty
	meanwhile func()
}

func (s *slow) Attach(ctx context.Context, c token.Call, r *http.Request) (token.Receipt, error) {
	if r.Method == http.MethodDelete { // and not a look at what it changes
		s.meanwhile()
	}
	return s.faulty.Attach(ctx, c, r)
}

// While the credential of a write is asked for, somebody stops the agent or the user,
// or the approval or the claim ends: nothing is sent, and what was got is revoked.
func TestTooLateToSend(t *testing.T) {
	var clock atomic.Int64
	for name, tt := range map[string]struct {
		policy string
		happen func(*rig) error
		state  store.State
		code   Code
		log    string
	}{
		"the agent is stopped": {"", func(r *rig) error { return r.Holds.Stop(t.Context(), personOf("alice"), "test-agent") },
			store.Refused, PolicyDenied, "refuse"},
		"the user is stopped": {"", func(r *rig) error {
			_, err := r.Holds.EndUser(t.Context(), approval.End{Subject: "User::alice", By: approval.Operator("root"), Stop: true})
			return err
		}, store.Refused, PolicyDenied, "refuse"},
		"the approval ends": {"", func(r *rig) error { clock.Add(int64(time.Hour)); return nil }, store.Approved, "", "kept"},
		"the claim ends":    {"", func(r *rig) error { clock.Add(int64(r.lease() + time.Second)); return nil }, store.Approved, "", "kept"},
		"a direct write, and the agent is stopped": {permitAll, func(r *rig) error { return r.Holds.Stop(t.Context(), personOf("alice"), "test-agent") },
			"", PolicyDenied, ""},
	} {
		t.Run(name, func(t *testing.T) {
			as := &slow{faulty: faulty{revoked: make(chan string, 10)}}
			r := newRig(t, rigOptions{credentials: as, policy: tt.policy})
			clock.Store(time.Now().UnixNano())
			r.Now = func() time.Time { return time.Unix(0, clock.Load()) }
			as.meanwhile = func() {
				if err := tt.happen(r); err != nil {
					t.Error(err)
				}
			}
			res := r.call(t, "alice", "delete_pet", `{"petId":1}`)
			if tt.policy == "" {
				handle := res.Envelope.Handle
				if err := r.decideHold(t, handle, true, ""); err != nil {
					t.Fatal(err)
				}
				h, err := r.Holds.Claim(t.Context(), []string{r.APIs[0].Document.Name}, r.releases, r.owner, r.lease())
				if err != nil {
					t.Fatal(err)
				}
				r.release(t.Context(), h, Caller{})
				if h = r.hold(t, handle); h.State != tt.state || tt.code != "" && !strings.Contains(string(h.Result), string(tt.code)) {
					t.Errorf("the hold is %s: %s", h.State, h.Result)
				}
				r.Runner.Wait()
				if got := kinds(r.entriesOf(t, handle)); !strings.Contains(got, tt.log) || strings.Contains(got, "send") {
					t.Errorf("entries: %s", got)
				}
			} else if res.Envelope.Code != tt.code {
				t.Errorf("%+v", res.Envelope)
			}
			if n := r.shop.writes.Load(); n != 0 {
				t.Errorf("%d requests left", n)
			}
			if r.Runner.Wait(); len(as.revoked) != int(as.asked.Load()) {
				t.Error("what was got is not revoked")
			}
		})
	}
}
