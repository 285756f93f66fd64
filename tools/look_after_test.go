package tools

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/exeat/exeat/examples/petstore"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/store"
)

// lossy is an API whose answers to writes are lost, after or before they were
// done.
type lossy struct {
	http.Handler
	does bool
}

func (a lossy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		if a.does {
			a.Handler.ServeHTTP(httptest.NewRecorder(), r)
		}
		dying(w, r)
		return
	}
	a.Handler.ServeHTTP(w, r)
}

func TestLookup(t *testing.T) {
	const (
		caution = "does not prove"
		pet     = `{"petId":1,"body":{"name":"Mimi","species":"cat","status":"available","fee":60,"tags":["shy"]}}`
		looked  = "call outcome:outcome_unknown call outcome"
	)
	only := func(more string) string {
		return `@id("w") permit (principal, action in [Action::"write", Action::"delete"], resource);` + more
	}
	tests := []struct {
		name, policy, tool, args string
		does                     bool
		found, says              string
		http                     int
		log                      string
	}{
		{"deleted", permitAll, "delete_pet", `{"petId":1}`, true, ItIsNot, "seems to have been executed", 404, looked},
		{"not deleted", permitAll, "delete_pet", `{"petId":1,"force":true,"If-Match":"\"a\""}`, false, ItIsThere, "seems not to have been executed", 200, looked},
		{"replaced", permitAll, "update_pet", pet, true, ItIsThere, "has everything that was sent", 200, looked},
		{"not replaced", permitAll, "update_pet", pet, false, ItIsThere, "not all of it is as it was sent", 200, looked},
		{"replaced, but there is none", permitAll, "update_pet", strings.Replace(pet, "1", "99", 1), false, ItIsNot, "seems not to have been executed", 404, looked},
		{"changed", permitAll, "patch_pet", `{"petId":1,"body":{"fee":61}}`, true, ItIsThere, "has everything that was sent", 200, looked},
		{"added", permitAll, "create_pet", `{"body":{"name":"x","species":"cat"}}`, true, CannotTell, "the API chooses the id", 0, "call outcome:outcome_unknown"},
		{"it may not be read", only(""), "delete_pet", `{"petId":1}`, true, CannotTell, "do not let this caller read it", 0, "call outcome:outcome_unknown"},
		{"this one may not be read", only(`@id("r") permit (principal, action in Action::"read", resource) when { context.input has petId && context.input.petId == 2 };`),
			"delete_pet", `{"petId":1}`, true, CannotTell, "without a person", 0, "call outcome:outcome_unknown denied:policy_denied"},
		{"a person would have to release it", only(`@id("r") permit (principal, action in Action::"read", resource) when { context has approval };`),
			"delete_pet", `{"petId":1}`, true, CannotTell, "without a person", 0, "call outcome:outcome_unknown denied:policy_denied"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, rigOptions{policy: tt.policy, api: lossy{petstore.New(), tt.does}})
			res := r.Call(t.Context(), caller("alice"), tt.tool, []byte(tt.args))
			l := res.Envelope.Lookup
			if res.Envelope.Code != OutcomeUnknown || !res.IsError() || l == nil {
				t.Fatalf("got %s", res.JSON())
			}
			if l.Found != tt.found || !strings.Contains(l.Reason, tt.says) || l.HTTPStatus != tt.http || (tt.http != 0) != strings.Contains(l.Reason, caution) {
				t.Errorf("got %s", res.JSON())
			}
			if got := strings.Join(r.entries(t), " "); got != tt.log {
				t.Errorf("the log has %q, want %q", got, tt.log)
			}
			entries := r.log(t)
			for _, e := range entries[2:] {
				if e.Txn == entries[0].Txn || !strings.Contains(e.Note, entries[0].Txn) || e.JTI != "" && e.JTI == entries[0].JTI {
					t.Errorf("the look has the entry %+v after %+v", e, entries[0])
				}
			}
		})
	}
}

// What a policy cuts from a read is cut from a look, too.
func TestLookupIsRedacted(t *testing.T) {
	r := newRig(t, rigOptions{api: lossy{petstore.New(), false}, policy: permitAll + `@redact("/note,/name") permit (principal, action == Petstore::Action::"get_pet", resource);`})
	res := r.Call(t.Context(), caller("alice"), "delete_pet", []byte(`{"petId":1}`))
	if l := res.Envelope.Lookup; l == nil || l.Found != ItIsThere || strings.Contains(string(l.Response), `"name"`) || !strings.Contains(string(l.Response), `"species"`) {
		t.Errorf("got %s", res.JSON())
	}
}

// An API that is gone cannot be asked.
func TestLookupOfAnAPIThatIsGone(t *testing.T) {
	r := newRig(t, rigOptions{policy: permitAll, api: http.HandlerFunc(dying)})
	res := r.Call(t.Context(), caller("alice"), "delete_pet", []byte(`{"petId":1}`))
	if l := res.Envelope.Lookup; l == nil || l.Found != CannotTell || !strings.Contains(l.Reason, "did not succeed") {
		t.Errorf("got %s", res.JSON())
	}
}

// A released call is looked up before it becomes final, and the handle keeps
// what was found.
func TestLookupOfAHeldCall(t *testing.T) {
	r := newRig(t, rigOptions{api: lossy{petstore.New(), true}})
	r.run(t)
	h := r.Call(t.Context(), caller("alice"), "delete_pet", []byte(`{"petId":1}`)).Envelope.Handle
	if err := r.decideHold(t, h, true, ""); err != nil {
		t.Fatal(err)
	}
	res := r.wait(t, h)
	if l := res.Envelope.Lookup; res.Envelope.Code != OutcomeUnknown || res.Disposition != UnknownOutcome || l == nil || l.Found != ItIsNot || l.HTTPStatus != 404 {
		t.Errorf("got %s, %s", res.JSON(), res.Disposition)
	}
	// The outcome of a read is committed with the next group, so its place varies.
	by := map[string]store.Entry{}
	for _, e := range r.log(t) {
		by[string(e.Kind)] = e
	}
	if len(by) != 6 || by["unknown"].Note != "looked up: it_is_not" || by["unknown"].Hold != h || by["send"].Hold != h ||
		by["call"].Hold != "" || by["outcome"].Status != 404 || by["call"].Txn != by["outcome"].Txn || !strings.Contains(by["call"].Note, by["send"].Txn) {
		t.Errorf("the log has %+v", by)
	}
}

// Where the reading operation could name another thing than the writing one,
// there is no telling.
func TestLookupOfTheSameThingOnly(t *testing.T) {
	const doc = `openapi: 3.1.0
info: {title: t, version: '1'}
servers: [{url: 'URL'}]
paths:
  /things:
    get: {operationId: listThings}
    delete: {operationId: clear}
    post: {operationId: make, requestBody: {content: {application/json: {schema: {type: object}}}}}
  /things/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get: {operationId: getThing, parameters: [{name: lang, in: query, schema: {type: string}}]}
    delete: {operationId: drop, parameters: [{name: lang, in: query, schema: {type: string}}]}
  /one:
    get: {operationId: getOne}
    put: {operationId: putOne, parameters: [{name: which, in: query, schema: {type: string}}], requestBody: {content: {application/json: {schema: {type: object}}}}}
  /keyed/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get: {operationId: getKeyed, parameters: [{name: tenant, in: query, required: true, schema: {type: string}}]}
    delete: {operationId: dropKeyed}
  /blind/{id}:
    delete: {operationId: dropBlind, parameters: [{name: id, in: path, required: true, schema: {type: string}}]}
  /sly/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get: {operationId: sly, x-exeat-effect: write}
    delete: {operationId: dropSly}
`
	tests := []struct{ tool, args, url, found, says string }{
		{"clear", ``, "/things", CannotTell, "a list"},
		{"make", `{"body":{"id":"a b"}}`, "/things/a%20b", ItIsThere, "under the id"},
		{"make", `{"body":{"id":7}}`, "", CannotTell, "arguments"},
		{"make", `{"body":{"id":["a"]}}`, "", CannotTell, "chooses the id"},
		{"make", `{"body":{"id":".."}}`, "", CannotTell, "arguments"},
		{"drop", `{"id":"x","lang":"de"}`, "/things/x?lang=de", ItIsThere, "is there"},
		{"put_one", `{"body":{"a":1}}`, "/one", ItIsThere, "everything that was sent"},
		{"put_one", `{"body":{"a":2}}`, "/one", ItIsThere, "not all of it"},
		{"put_one", `{"which":"b","body":{"a":1}}`, "", CannotTell, "the same thing"},
		{"drop_keyed", `{"id":"x"}`, "", CannotTell, "arguments"},
		{"drop_blind", `{"id":"x"}`, "", CannotTell, "no operation"},
		{"drop_sly", `{"id":"x"}`, "", CannotTell, "no operation"},
	}
	for _, tt := range tests {
		t.Run(tt.tool+tt.args, func(t *testing.T) {
			looked := make(chan string, 10)
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet {
					dying(w, r)
					return
				}
				looked <- r.RequestURI
				w.Header().Set("Content-Type", "application/json")
				if r.URL.Path == "/things" {
					w.Write([]byte(`[{"id":1}]`))
					return
				}
				w.Write([]byte(`{"a":1,"b":2}`))
			}))
			defer api.Close()
			file := filepath.Join(t.TempDir(), "doc.yaml")
			if err := os.WriteFile(file, []byte(strings.Replace(doc, "URL", api.URL, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			loaded, err := openapi.Load(context.Background(), file, openapi.Options{})
			if err != nil {
				t.Fatal(err)
			}
			r := newRig(t, rigOptions{doc: loaded, policy: permitAll})
			res := r.Call(t.Context(), caller("alice"), tt.tool, []byte(tt.args))
			close(looked)
			l := res.Envelope.Lookup
			if l == nil || l.Found != tt.found || !strings.Contains(l.Reason, tt.says) || <-looked != tt.url {
				t.Errorf("got %s", res.JSON())
			}
		})
	}
}

// A budget counts a look as what it is: a read of its own.
func TestLookupCountsForItsBudget(t *testing.T) {
	r := newRig(t, rigOptions{api: lossy{petstore.New(), false},
		policy: `permit (principal, action in [Action::"write", Action::"delete"], resource);
			permit (principal, action in Action::"read", resource) when { context.usage.day < 1 };`})
	first := r.Call(t.Context(), caller("alice"), "delete_pet", []byte(`{"petId":1}`)).Envelope.Lookup
	second := r.Call(t.Context(), caller("alice"), "delete_pet", []byte(`{"petId":1}`)).Envelope.Lookup
	if first == nil || first.Found != ItIsThere || second == nil || second.Found != CannotTell {
		t.Errorf("%+v, then %+v", first, second)
	}
	if res := r.Call(t.Context(), caller("alice"), "get_pet", []byte(`{"petId":1}`)); res.Envelope.Code != PolicyDenied || res.Envelope.Status != Denied {
		t.Errorf("got %s", res.JSON())
	}
}

func TestHolds(t *testing.T) {
	big := json.Number("9007199254740993")
	for _, tt := range []struct {
		response string
		body     any
		want     bool
	}{
		{`{"n":9007199254740993,"more":1}`, map[string]any{"n": big}, true},
		{`{"n":9007199254740992}`, map[string]any{"n": big}, false}, // the same as a float64
		{`{"n":null}`, map[string]any{"n": nil}, true},
		{`{}`, map[string]any{"n": nil}, false},
		{`{"a":{"b":[1]}}`, map[string]any{"a": map[string]any{"b": []any{json.Number("1")}}}, true},
		{`[1]`, map[string]any{"n": big}, false},
		{``, map[string]any{"n": big}, false},
		{`{"n":1}`, map[string]any{}, false},
		{`{"n":1}`, "text", false},
	} {
		if got := holds(json.RawMessage(tt.response), tt.body); got != tt.want {
			t.Errorf("%s of %v: %v", tt.response, tt.body, got)
		}
	}
}
