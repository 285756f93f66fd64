package tools

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/exeat/exeat/authz/token"
)

// waiting is a credential, or a way to an API, that does not come before the
// caller goes away.
type waiting struct{ reached chan bool }

func (w waiting) Attach(ctx context.Context, _ token.Call, _ *http.Request) (token.Receipt, error) {
	w.reached <- true
	<-ctx.Done()
	return token.Receipt{}, ctx.Err()
}

func (w waiting) RoundTrip(r *http.Request) (*http.Response, error) {
	_, err := w.Attach(r.Context(), token.Call{}, nil)
	return nil, err
}

// That a caller goes away is no fault of the API, and nobody's log says so.
func TestCancelled(t *testing.T) {
	reached := make(chan bool)
	release := make(chan bool)
	hangs := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			reached <- true
			<-release
			return
		}
		reached <- true
		<-r.Context().Done()
	}
	begins := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Write([]byte("{"))
		w.(http.Flusher).Flush()
		hangs(w, r)
	}
	for _, tt := range []struct {
		name, tool string
		o          rigOptions
		wire       http.RoundTripper
		code       Code
		http       int
		log        string
	}{
		{"before it is there", "get_pet", rigOptions{}, waiting{reached}, CallCancelled, 0, "call outcome:call_cancelled"},
		{"before it answers", "get_pet", rigOptions{api: http.HandlerFunc(hangs)}, nil, CallCancelled, 0, "call outcome:call_cancelled"},
		{"in the middle of the answer", "get_pet", rigOptions{api: http.HandlerFunc(begins)}, nil, CallCancelled, 0, "call outcome:call_cancelled"},
		{"before there is a credential", "get_pet", rigOptions{credentials: waiting{reached}}, nil, CallCancelled, 0, "denied:call_cancelled"},
		{"a write is seen through", "delete_pet", rigOptions{policy: permitAll, api: http.HandlerFunc(hangs)}, nil, "", 200, "call outcome"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.o)
			if tt.wire != nil {
				r.sendBy(tt.wire)
			}
			ctx, cancel := context.WithCancel(t.Context())
			answer := make(chan Result)
			go func() { answer <- r.Call(ctx, caller("alice"), tt.tool, []byte(`{"petId":1}`)) }()
			<-reached
			cancel()
			if tt.code == "" {
				release <- true
			}
			res := <-answer
			if e := res.Envelope; e.Code != tt.code || e.HTTPStatus != tt.http || tt.code != "" && e.Status != Cancelled {
				t.Errorf("%s", res.JSON())
			}
			if got := strings.Join(r.entries(t), " "); got != tt.log {
				t.Errorf("the log has %q, want %q", got, tt.log)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, e := range r.events {
				if e.Err != nil {
					t.Errorf("the operator is told of %v", e.Err)
				}
			}
		})
	}
}
