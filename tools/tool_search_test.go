package tools

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/openapi"
)

func TestWords(t *testing.T) {
	for in, want := range map[string][]string{
		"listPetsByStatus":                         {"list", "pet", "status"},
		"repos/{owner}/create-issue":               {"repo", "owner", "create", "issue"},
		"The categories of addresses, and a class": {"category", "addresse", "class"},
		"HTTPServer v2":                            {"httpserver", "v2"},
		"":                                         nil,
		"…!":                                       nil,
	} {
		if diff := cmp.Diff(want, words(in)); diff != "" {
			t.Errorf("%q: %s", in, diff)
		}
	}
}

func TestSignature(t *testing.T) {
	for schema, want := range map[string]string{
		`{"type":"object","properties":{"tag":{"type":"string"},"petId":{"type":"integer"}},"required":["petId"]}`:                                    "petId*: integer, tag: string",
		`{"properties":{"body":{"$ref":"#/$defs/Pet"},"s":{"enum":["a",1]}},"$defs":{"Pet":{"properties":{"name":{},"tag":{}},"required":["name"]}}}`: `body: {name*, tag}, s: "a"|1`,
		`{"properties":{"x":true}}`:                  "x: any",
		`{"properties":{"x":{"type":["a","null"]}}}`: "x: a|null",
		`{"properties":{"x":{}}}`:                    "x: any",
		`true`:                                       "",
	} {
		if got := signature(json.RawMessage(schema)); got != want {
			t.Errorf("%s: %q, want %q", schema, got, want)
		}
	}
}

// found are the names that a search gives.
func found(t testing.TB, res Result) (names []string) {
	t.Helper()
	var r struct{ Tools []Found }
	if err := json.Unmarshal(res.Envelope.Response, &r); err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Tools {
		names = append(names, f.Name)
	}
	return names
}

func TestFind(t *testing.T) {
	r := newRig(t, rigOptions{policy: `permit (principal == User::"alice", action, resource);
permit (principal, action == Petstore::Action::"get_pet", resource);`})
	for _, tt := range []struct {
		who, query string
		limit      int
		want       []string
	}{
		{"alice", "remove a pet", 1, []string{"delete_pet"}},
		{"alice", "picture", 2, []string{"get_photo", "upload_photo"}},
		{"alice", "pho", 2, []string{"get_photo", "upload_photo"}},
		{"alice", "get_photo", 1, []string{"get_photo"}},
		{"alice", "xylophone", 0, nil},
		{"alice", "", 2, []string{"create_pet", "delete_pet"}},
		{"bob", "remove a pet", 0, []string{"get_pet"}},
		{"bob", "", 0, []string{"get_pet"}},
	} {
		if diff := cmp.Diff(tt.want, found(t, r.Find(t.Context(), caller(tt.who), tt.query, tt.limit))); diff != "" {
			t.Errorf("%s, %q: %s", tt.who, tt.query, diff)
		}
	}
	if res := r.Description(t.Context(), caller("alice"), "delete_pet", ""); !strings.Contains(string(res.JSON()), `"inputSchema":{`) {
		t.Errorf("%s", res.JSON())
	}
	for _, name := range []string{"delete_pet", "nothing"} {
		if res := r.Description(t.Context(), caller("bob"), name, ""); res.Envelope.Code != InvalidArguments || !strings.HasPrefix(res.Envelope.Reason, "there is no tool") {
			t.Errorf("%s", res.JSON())
		}
	}
}

// document is a real document as tools, if the corpus is here.
func document(t testing.TB, name string) *index {
	t.Helper()
	file := filepath.Join("..", "..", "shared", "specs", name)
	if _, err := os.Stat(file); err != nil {
		t.Skip("the real documents are not here")
	}
	doc, err := openapi.Load(context.Background(), file, openapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return newIndex(FromAPIs([]*API{{Document: doc}}, Offer{}))
}

// What an agent would ask for, and the tool that does it, in real documents.
var asked = map[string]map[string]string{
	"github.json": {
		"create an issue":                    "issues_create",
		"open a new issue":                   "issues_create",
		"comment on an issue":                "issues_create_comment",
		"list pull requests":                 "pulls_list",
		"merge pull request":                 "pulls_merge",
		"delete a repository":                "repos_delete",
		"remove repo":                        "repos_delete",
		"star a repo":                        "activity_star_repo_for_authenticated_user",
		"add labels to an issue":             "issues_add_labels",
		"who am I, authenticated user":       "users_get_authenticated",
		"latest release":                     "repos_get_latest_release",
		"search code":                        "search_code",
		"workflow runs of a repository":      "actions_list_workflow_runs_for_repo",
		"cancel workflow run":                "actions_cancel_workflow_run",
		"list branches":                      "repos_list_branches",
		"create gist":                        "gists_create",
		"rate limit":                         "rate_limit_get",
		"request reviewers for pull request": "pulls_request_reviewers",
		"file contents":                      "repos_get_content",
		"invite a user to an organization":   "orgs_create_invitation",
		"fork a repo":                        "repos_create_fork",
		"close issue":                        "issues_update",
	},
	"stripe.yaml": {
		"create a customer":     "post_customers",
		"search customers":      "get_customers_search",
		"list all charges":      "get_charges",
		"refund a charge":       "post_charges_charge_refund",
		"cancel subscription":   "delete_subscription_exposed_id",
		"retrieve balance":      "get_balance",
		"create payment intent": "post_payment_intents",
		"update a customer":     "post_customers_customer",
		"void an invoice":       "post_invoices_invoice_void",
		"pay invoice":           "post_invoices_invoice_pay",
	},
	"kubernetes.json": {
		"list pods in a namespace": "list_core_v1_namespaced_pod",
		"read log of pod":          "read_core_v1_namespaced_pod_log",
		"create deployment":        "create_apps_v1_namespaced_deployment",
		"scale of a deployment":    "read_apps_v1_namespaced_deployment_scale",
		"delete a pod":             "delete_core_v1_namespaced_pod",
		"namespaces":               "list_core_v1_namespace",
	},
	"twilio_api_v2010.json": {
		"send a message":            "create_message",
		"make a phone call":         "create_call",
		"list phone numbers":        "list_incoming_phone_number",
		"list recordings of a call": "list_call_recording",
	},
	"openai.yaml": {
		"chat completion":   "create_chat_completion",
		"generate an image": "create_image",
		"transcribe audio":  "create_transcription",
		"create embeddings": "create_embedding",
		"list files":        "list_files",
	},
	"slack.json": {
		"post a message to a channel":  "chat_post_message",
		"history of a conversation":    "conversations_history",
		"invite users to conversation": "conversations_invite",
		"list users":                   "users_list",
		"add a reaction":               "reactions_add",
		"upload a file":                "files_upload",
	},
}

// Of what is asked for, nearly all is among the ten that a search gives, and
// most at the top.
func TestFindInRealDocuments(t *testing.T) {
	var all, first, five, ten int
	for name, queries := range asked {
		x := document(t, name)
		for query, want := range queries {
			all++
			place := slices.IndexFunc(x.rank(query), func(t *Tool) bool {
				return t.Name == want || len(t.Name) == maxName && strings.HasPrefix(want, t.Name[:maxName-9])
			})
			switch {
			case place < 0 || place >= 10:
				t.Logf("%s: %q has %s at %d", name, query, want, place+1)
				continue
			case place == 0:
				first++
			}
			if ten++; place < 5 {
				five++
			} else {
				t.Logf("%s: %q has %s at %d", name, query, want, place+1)
			}
		}
	}
	t.Logf("of %d: %d first, %d among five, %d among ten", all, first, five, ten)
	if first*100 < all*70 || five*100 < all*90 || ten*100 < all*95 {
		t.Error("fewer than 70, 90 and 95 of 100")
	}
}

func BenchmarkFind(b *testing.B) {
	x := document(b, "github.json")
	for b.Loop() {
		if len(x.rank("add labels to an issue")) == 0 {
			b.Fatal("nothing found")
		}
	}
}

func BenchmarkIndex(b *testing.B) {
	list := document(b, "github.json").all
	for b.Loop() {
		newIndex(list)
	}
}

// What a query costs does not grow with its length.
func TestFindIsBounded(t *testing.T) {
	r := newRig(t, rigOptions{policy: permitAll})
	query := strings.Repeat("pet ", 2<<20)
	if allocs := testing.AllocsPerRun(1, func() { r.Find(t.Context(), caller("alice"), query, MaxFound) }); allocs > 20_000 {
		t.Errorf("%.0f allocations", allocs)
	}
	if names := found(t, r.Find(t.Context(), caller("alice"), query, 3)); len(names) != 3 {
		t.Errorf("%v", names)
	}
}
