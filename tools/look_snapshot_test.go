package tools

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/exeat/exeat/store"
)

// state is what a thing answers.
type state struct {
	status int
	etag   string
	body   string
	wants  bool // it looks at If-Match
}

// thing is an API with one thing, whose GET a test can change.
type thing struct {
	state
	mu     sync.Mutex
	reads  int
	writes []http.Header
	hang   chan struct{} // closed when a hanging GET may go on
}

func (a *thing) set(change func(*thing)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(a)
}

func (a *thing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	a.mu.Lock()
	hang := a.hang
	a.mu.Unlock()
	if r.Method == http.MethodGet && hang != nil {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Method != http.MethodGet {
		a.writes = append(a.writes, r.Header.Clone())
		if tag := r.Header.Get("If-Match"); a.wants && tag != a.etag {
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
		w.WriteHeader(http.StatusNoContent)
		return
	}
	a.reads++
	if a.etag != "" {
		w.Header().Set("ETag", a.etag)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(max(a.status, http.StatusOK))
	io.WriteString(w, a.body)
}

func (r *rig) hold(t *testing.T, handle string) (h store.Hold) {
	t.Helper()
	if err := r.Store.View(context.Background(), func(tx *store.Tx) (err error) {
		h, err = tx.Hold(handle)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return h
}

// What a call changes is read when it is held, and it is not sent if that is
// another when it is released.
func TestBefore(t *testing.T) {
	const mia, rex = `{"id":1,"name":"Mia"}`, `{"id":1,"name":"Rex"}`
	readless := `permit (principal, action in Action::"write", resource) when { context has approval };
permit (principal, action in Action::"delete", resource) when { context has approval };
permit (principal, action == Action::"approve", resource);`
	redacting := `@redact("/name") permit (principal, action in Action::"read", resource);
permit (principal, action in Action::"delete", resource) when { context has approval };
permit (principal, action == Action::"approve", resource);`
	for _, tt := range []struct {
		name    string
		policy  string
		tool    string
		args    string
		before  SnapshotMode
		at      state        // when it is held
		then    func(*thing) // until it is released
		ifMatch string       // that is sent
		value   string       // that the person sees
		why     string       // they see none
		code    Code         // "" is sent
		reads   int
	}{
		{name: "it is the same", at: state{body: mia}, value: mia, reads: 2},
		{name: "in other words", at: state{body: mia}, then: func(a *thing) { a.body = "{ \"name\": \"Mia\",\"id\":1}\n" }, value: mia, reads: 2},
		{name: "it has changed", at: state{body: mia}, then: func(a *thing) { a.body = rex }, value: mia, code: StateChanged, reads: 2},
		{name: "it is gone", at: state{body: mia}, then: func(a *thing) { a.status, a.body = 404, "" }, value: mia, code: StateChanged, reads: 2},
		{name: "it cannot be read any more", at: state{body: mia}, then: func(a *thing) { a.status = 503 }, value: mia, code: StateChanged, reads: 4},
		{name: "it never was", at: state{status: 404}, reads: 2},
		{name: "it comes to be", at: state{status: 404}, then: func(a *thing) { a.status, a.body = 200, mia }, code: StateChanged, reads: 2},
		{name: "strong ETag", at: state{body: mia, etag: `"1"`, wants: true}, ifMatch: `"1"`, value: mia, reads: 1},
		{name: "strong ETag, changed", at: state{body: mia, etag: `"1"`, wants: true}, then: func(a *thing) { a.body, a.etag = rex, `"2"` }, ifMatch: `"1"`, value: mia, code: StateChanged, reads: 2},
		{name: "weak ETag", at: state{body: mia, etag: `W/"1"`}, value: mia, reads: 2},
		{name: "weak ETag, changed", at: state{body: mia, etag: `W/"1"`}, then: func(a *thing) { a.body = rex }, value: mia, code: StateChanged, reads: 2},
		{name: "an ETag that is none", at: state{body: mia, etag: `"1", "2"`}, value: mia, reads: 2},
		{name: "the agent's own If-Match", args: `{"petId":1,"If-Match":"\"7\""}`, at: state{body: mia, etag: `"1"`}, ifMatch: `"7"`, value: mia, reads: 2},
		{name: "the API fails", at: state{status: 500, body: `{}`}, why: "answered with 500", reads: 1},
		{name: "a policy forbids it", policy: readless, at: state{body: mia}, why: "policies"},
		{name: "fields are hidden", policy: redacting, at: state{body: mia}, value: `{"id":1}`, reads: 2},
		{name: "a hidden field has changed", policy: redacting, at: state{body: mia}, then: func(a *thing) { a.body = rex }, value: `{"id":1}`, code: StateChanged, reads: 2},
		{name: "too large to show", at: state{body: `"` + strings.Repeat("x", maxStateKept) + `"`}, reads: 2},
		{name: "too large to compare", at: state{body: `"` + strings.Repeat("x", maxState) + `"`}, why: "larger than", reads: 1},
		{name: "it is shown only", before: SnapshotShow, at: state{body: mia, etag: `"1"`}, then: func(a *thing) { a.body = rex }, value: mia, reads: 1},
		{name: "off", before: SnapshotOff, at: state{body: mia, etag: `"1"`}, then: func(a *thing) { a.body = rex }},
		{name: "adding to a collection", tool: "create_pet", args: `{"body":{"name":"x","species":"cat"}}`, at: state{body: mia}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			api := &thing{state: tt.at}
			r := newRig(t, rigOptions{policy: tt.policy, api: api})
			r.APIs[0].Before = tt.before
			r.run(t)
			if tt.tool == "" {
				tt.tool = "delete_pet"
			}
			if tt.args == "" {
				tt.args = `{"petId":1}`
			}
			pending := r.Call(t.Context(), caller("alice"), tt.tool, []byte(tt.args))
			again := r.Call(t.Context(), caller("alice"), tt.tool, []byte(tt.args))
			if pending.Envelope.Status != Pending || again.Envelope.Handle != pending.Envelope.Handle {
				t.Fatalf("%s\n%s", pending.JSON(), again.JSON())
			}
			if text := string(pending.JSON()); strings.Contains(text, "Mia") {
				t.Errorf("the agent is told what it did not ask for: %s", text)
			}
			h := r.hold(t, pending.Envelope.Handle)
			got := h.Before
			if got == nil {
				got = &store.Snapshot{}
			}
			if string(got.Value) != tt.value || !strings.Contains(got.Why, tt.why) || tt.why == "" && got.Why != "" {
				t.Errorf("the person sees %+v", got)
			}
			if tt.then != nil {
				api.set(tt.then)
			}
			if err := r.decideHold(t, h.ID, true, ""); err != nil {
				t.Fatal(err)
			}
			res := r.wait(t, h.ID)
			api.mu.Lock()
			defer api.mu.Unlock()
			if res.Envelope.Code != tt.code || strings.Contains(string(res.JSON()), "Rex") {
				t.Errorf("the agent gets %s", res.JSON())
			}
			if api.reads != tt.reads {
				t.Errorf("%d reads, want %d", api.reads, tt.reads)
			}
			sent := tt.code == "" || tt.ifMatch != "" && tt.code == StateChanged
			if (len(api.writes) == 1) != sent || len(api.writes) > 1 {
				t.Fatalf("%d writes", len(api.writes))
			}
			if sent && api.writes[0].Get("If-Match") != tt.ifMatch {
				t.Errorf("If-Match is %q, want %q", api.writes[0].Get("If-Match"), tt.ifMatch)
			}
			end := r.hold(t, h.ID)
			if tt.code == StateChanged && (end.State != store.Refused || end.After == nil || end.After.Digest == end.Before.Digest) {
				t.Errorf("%s, then it was %+v", end.State, end.After)
			}
		})
	}
}

// Reading is a call of its own in the log, for the person, and a slow API keeps
// nobody waiting for long.
func TestBeforeIsRecorded(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	api := &thing{state: state{body: `{"id":1}`}}
	r := newRig(t, rigOptions{api: api})
	h := r.Call(t.Context(), caller("alice"), "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
	log := r.log(t)
	kinds := []string{}
	for _, e := range log {
		kinds = append(kinds, string(e.Kind)+" "+e.Tool)
	}
	if want := []string{"call get_pet", "outcome get_pet", "hold delete_pet"}; !slices.Equal(kinds, want) {
		t.Fatalf("the log has %q", kinds)
	}
	if read, held := log[0], log[2]; read.Txn == held.Txn || !strings.Contains(read.Note, held.Txn) || read.JTI == "" || r.hold(t, h).Before.Txn != read.Txn {
		t.Errorf("%+v\n%+v", read, held)
	}
	hang := make(chan struct{})
	defer close(hang)
	api.set(func(a *thing) { a.hang = hang })
	slow := r.Call(t.Context(), caller("alice"), "delete_pet", []byte(`{"petId":2}`)).Envelope
	if slow.Status != Pending || r.hold(t, slow.Handle).Before.Why == "" {
		t.Errorf("%+v", slow)
	}
}

// What a person saw cannot be changed in the database before the send.
func TestBeforeIsSealed(t *testing.T) {
	for from, to := range map[string]string{"Mia": "Rex", `"digest":"`: `"digest":"0`, `"checked":true`: `"checked":false`, `"Before"`: `"Nothing"`} {
		t.Run(from, func(t *testing.T) {
			api := &thing{state: state{body: `{"id":1,"name":"Mia"}`}}
			r := newRig(t, rigOptions{api: api})
			h := r.Call(t.Context(), caller("alice"), "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
			if err := r.decideHold(t, h, true, ""); err != nil {
				t.Fatal(err)
			}
			tamper(t, r.path, h, from, to)
			r.run(t)
			res := r.wait(t, h)
			api.mu.Lock()
			defer api.mu.Unlock()
			if len(api.writes) > 0 || res.Envelope.Status == Done {
				t.Errorf("it was sent: %s", res.JSON())
			}
		})
	}
}
