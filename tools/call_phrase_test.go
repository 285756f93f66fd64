package tools

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/exeat/exeat/authz/phrase"
	language "github.com/exeat/exeat/authz/words"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/store"
)

// phraseDocs are documents for sentences; those that are only beside the repository may
// be missing.
func phraseDocs(t *testing.T, names ...string) map[string]*openapi.API {
	docs := map[string]*openapi.API{}
	expenses := filepath.Join(t.TempDir(), "expenses.yaml")
	if err := os.WriteFile(expenses, []byte(expensesDocument), 0o600); err != nil {
		t.Fatal(err)
	}
	const dir = "../../shared/specs/"
	for name, file := range map[string]string{"expenses": expenses, "pets": "../examples/petstore/openapi.yaml", "github": dir + "github.json",
		"petstore3": dir + "petstore3.json", "train": dir + "readme31-train-travel.json", "stripe": dir + "stripe.yaml"} {
		if _, err := os.Stat(file); err != nil || !slices.Contains(names, name) {
			continue
		}
		include := []string(nil)
		if name == "github" {
			include = []string{"/repos/**", "/gists/**"}
		}
		if name == "stripe" {
			include = []string{"/v1/customers/**", "/v1/refunds/**", "/v1/customers", "/v1/refunds"}
		}
		doc, err := openapi.Load(t.Context(), file, openapi.Options{Name: name, Include: include})
		if err != nil {
			t.Fatal(err)
		}
		docs[name] = doc
	}
	return docs
}

// sentenceOf is the sentence of a call of "METHOD /path".
func sentenceOf(t *testing.T, doc *openapi.API, where, args, before string, mask ...string) phrase.Sentence {
	t.Helper()
	for _, op := range doc.Operations {
		if op.Method+" "+op.Path != where {
			continue
		}
		parsed, err := op.Parse([]byte(args))
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		var snapshot *store.Snapshot
		if before != "" {
			snapshot = &store.Snapshot{Value: json.RawMessage(before)}
		}
		made := tell(op, parsed, snapshot, op.Secrets(parsed, mask...), mask)
		kept, err := json.Marshal(made)
		if err != nil {
			t.Fatal(err)
		}
		read, ok := phrase.Parse(kept)
		if !ok {
			t.Fatalf("%s: %s cannot be read", where, kept)
		}
		return read
	}
	t.Fatalf("there is no %s", where)
	return phrase.Sentence{}
}

// The sentences were written before they were made.
func TestSentences(t *testing.T) {
	docs := phraseDocs(t, "expenses", "pets", "github", "petstore3", "train", "stripe")
	pdf := base64.StdEncoding.EncodeToString([]byte("%PDF-1.7\n" + strings.Repeat("x", 213_991)))
	const expense = `{"id":10,"text":"Taxi","amount":"100.00","due":"2026-12-01","paid":false,"level":1,"note":"by night","pin":"1234"}`
	for _, c := range []struct{ doc, where, args, before, want string }{
		// the issue's own
		{"pets", "DELETE /pets/{petId}", `{"petId":42}`, `{"id":42,"name":"Bruno","species":"dog","fee":250}`, `Delete pet 42 “Bruno”`},
		{"expenses", "PATCH /expenses/{expense_id}", `{"expense_id":"10","body":{"amount":"555.50"}}`, expense, `Change “amount” of expense 10 “Taxi” from € 100.00 to € 555.50`},
		{"expenses", "POST /payments", `{"body":{"amount":912000,"currency":"EUR","iban":"NL91ABNA0417164300"}}`, ``, `Pay € 9,120.00 to “NL91ABNA0417164300”`},
		{"expenses", "POST /expenses/{expense_id}/receipts", `{"expense_id":"10","body":{"file":{"filename":"invoice.pdf","content_type":"image/png","data":"` + pdf + `"}}}`, ``, `Upload “invoice.pdf” (PDF, 214 kB) to expense 10`},
		// expenses
		{"expenses", "DELETE /expenses/{expense_id}", `{"expense_id":"10"}`, expense, `Delete expense 10 “Taxi”`}, // not as the document says
		{"expenses", "DELETE /expenses/{expense_id}", `{"expense_id":"10"}`, ``, `Delete expense 10`},
		{"expenses", "DELETE /expenses/{expense_id}", `{"expense_id":"a-b"}`, ``, `Delete expense “a-b”`},
		{"expenses", "PATCH /expenses/{expense_id}", `{"expense_id":"10","body":{"due":"2026-12-24"}}`, expense, `Change “due” of expense 10 “Taxi” from 1 Dec 2026 to 24 Dec 2026`},
		{"expenses", "PATCH /expenses/{expense_id}", `{"expense_id":"10","body":{"paid":true}}`, expense, `Change “paid” of expense 10 “Taxi” from no to yes`},
		{"expenses", "PATCH /expenses/{expense_id}", `{"expense_id":"10","body":{"level":2}}`, expense, `Change “level” of expense 10 “Taxi” from 1 (“low”) to 2 (“urgent”)`},
		{"expenses", "PATCH /expenses/{expense_id}", `{"expense_id":"10","body":{"note":null}}`, expense, `Remove “note” from expense 10 “Taxi”, which is “by night”`},
		{"expenses", "PATCH /expenses/{expense_id}", `{"expense_id":"10","body":{"paid":true}}`, ``, `Set “paid” of expense 10 to yes`},
		{"expenses", "PATCH /expenses/{expense_id}", `{"expense_id":"10","body":{"paid":false}}`, expense, `Change nothing of expense 10 “Taxi”`},
		{"expenses", "PATCH /expenses/{expense_id}", `{"expense_id":"10","body":{"paid":true,"note":"x"}}`, expense, `Change “note”, “paid” of expense 10 “Taxi”`},
		{"expenses", "PATCH /expenses/{expense_id}", `{"expense_id":"10","body":{"amount":"1","note":"x"}}`, expense, `Change “amount” of expense 10 “Taxi” from € 100.00 to € 1.00; and change “note”`},
		{"expenses", "PATCH /expenses/{expense_id}", `{"expense_id":"10","body":{"pin":"9999"}}`, expense, `Change “pin” of expense 10 “Taxi”`},
		{"expenses", "PUT /expenses/{expense_id}", `{"expense_id":"10","body":{"text":"Taxi","amount":"80"}}`, `{"id":10,"text":"Taxi","amount":"100.00","note":"x"}`, `Change “amount” of expense 10 “Taxi” from € 100.00 to € 80.00; 1 field is left out`},
		{"expenses", "PUT /expenses/{expense_id}", `{"expense_id":"10","body":{"text":"Bus"}}`, ``, `Set expense 10`},
		{"expenses", "POST /expenses", `{"body":{"text":"Taxi","amount":"1234567.8"}}`, ``, `Create expense “Taxi” (€ 1,234,567.80)`},
		{"expenses", "POST /expenses", `{"body":{"note":"no title"}}`, ``, `Create expense`},
		{"expenses", "POST /expenses/{expense_id}/approve", `{"expense_id":"10"}`, ``, `Run “Approve an expense” on expense 10`},
		{"expenses", "DELETE /expenses/{expense_id}/receipts/{receipt_id}", `{"expense_id":"10","receipt_id":"3"}`, ``, `Delete receipt 3 in expense 10`},
		{"expenses", "POST /payments", `{"body":{"amount":500,"currency":"JPY","iban":"x"}}`, ``, `Pay JPY 500 to “x”`},
		{"expenses", "POST /payments", `{"body":{"amount":500,"currency":"USD"}}`, ``, `Run “Make a payment”`}, // its sentence needs the iban
		{"expenses", "POST /offers", `{"body":{"title":"Bike","price":12000,"unit":"usd"}}`, ``, `Create offer “Bike” (12,000 USD)`},
		{"expenses", "DELETE /entries/{id}", `{"id":"7"}`, ``, `Delete “ledger entry” 7`},
		// pets
		{"pets", "POST /pets", `{"body":{"name":"Mia","species":"cat","fee":60}}`, ``, `Create pet “Mia”`},
		{"pets", "PATCH /pets/{petId}", `{"petId":42,"body":{"fee":1}}`, `{"name":"Bruno","fee":80}`, `Change “fee” of pet 42 “Bruno” from 80 to 1`},
		{"pets", "GET /pets/{petId}", `{"petId":42}`, ``, `Read pet 42`},
		{"petstore3", "POST /pet/{petId}/uploadImage", `{"petId":5}`, ``, `Run “Uploads an image.” on pet 5`},
		{"petstore3", "DELETE /user/{username}", `{"username":"root"}`, `{"email":"r@x.example"}`, `Delete user “root” “r@x.example”`},
		// GitHub
		{"github", "POST /repos/{owner}/{repo}/issues", `{"owner":"octocat","repo":"hello","body":{"title":"It breaks"}}`, ``, `Create issue “It breaks” in repo “octocat/hello”`},
		{"github", "DELETE /repos/{owner}/{repo}", `{"owner":"octocat","repo":"hello"}`, `{"name":"hello","private":true}`, `Delete repo “octocat/hello” “hello”`},
		{"github", "PUT /gists/{gist_id}/star", `{"gist_id":"abc"}`, ``, `Set star in gist “abc”`},
		{"github", "PATCH /repos/{owner}/{repo}/issues/{issue_number}", `{"owner":"o","repo":"r","issue_number":7,"body":{"state":"closed"}}`, `{"title":"It breaks","state":"open"}`, `Change “state” of issue 7 “It breaks” in repo “o/r” from “open” to “closed”`},
		// Stripe
		{"stripe", "DELETE /v1/customers/{customer}", `{"customer":"cus_1"}`, `{"name":"Ada","email":"ada@x.example"}`, `Delete customer “cus_1” “Ada”`},
		{"stripe", "POST /v1/customers/{customer}", `{"customer":"cus_1","body":{"email":"eve@x.example"}}`, `{"name":"Ada","email":"ada@x.example"}`, `Change “email” of customer “cus_1” “Ada” from “ada@x.example” to “eve@x.example”`},
		{"stripe", "POST /v1/refunds", `{"body":{"amount":2000,"charge":"ch_1"}}`, ``, `Create refund`},
		// Train travel
		{"train", "DELETE /bookings/{bookingId}", `{"bookingId":"1725ff48-ab45-4bb5-9d02-88745177dedb"}`, ``, `Delete booking “1725ff48-ab45-4bb5-9d02-88745177dedb”`},
	} {
		doc := docs[c.doc]
		if doc == nil {
			continue
		}
		t.Run(c.where, func(t *testing.T) {
			if got := phrase.Plain(sentenceOf(t, doc, c.where, c.args, c.before).Say(language.Language{})); got != c.want {
				t.Errorf("%s\n got %s\nwant %s", c.args[:min(len(c.args), 200)], got, c.want)
			}
		})
	}
}

// In four languages: the words and marks are the language's, the values are the same.
func TestSentenceLanguages(t *testing.T) {
	doc := phraseDocs(t, "expenses")["expenses"]
	s := sentenceOf(t, doc, "PATCH /expenses/{expense_id}", `{"expense_id":"10","body":{"amount":"9120.5"}}`, `{"text":"Taxi","amount":"100.00"}`)
	pay := sentenceOf(t, doc, "POST /payments", `{"body":{"amount":912000,"currency":"USD","iban":"NL91"}}`, "")
	want := []string{
		"Change “amount” of expense 10 “Taxi” from € 100.00 to € 9,120.50|Pay USD 9,120.00 to “NL91”",
		"“amount” von expense 10 “Taxi” ändern: aus 100,00 € wird 9.120,50 €|9.120,00 USD an “NL91” zahlen",
		"Modifier “amount” de expense 10 “Taxi” : de 100,00 € à 9 120,50 €|Payer 9 120,00 USD à “NL91”",
		"Cambiar “amount” de expense 10 “Taxi”: de 100,00 € a 9.120,50 €|Pagar 9.120,00 USD a “NL91”",
	}
	for i, l := range language.Languages() {
		if got := phrase.Plain(s.Say(l)) + "|" + phrase.Plain(pay.Say(l)); got != want[i] {
			t.Errorf("%s\n got %s\nwant %s", l.Tag(), got, want[i])
		}
	}
}

// What is hidden is no part of a sentence, by whatever rule it is hidden, and neither is
// what it was before.
func TestSentenceHides(t *testing.T) {
	doc := phraseDocs(t, "expenses")["expenses"]
	const secret = "hunter2secret"
	for _, mask := range [][]string{{"/body/text"}, {"/body"}, {"/expense_id"}, {""}} {
		for _, where := range []string{"PATCH /expenses/{expense_id}", "PUT /expenses/{expense_id}"} {
			id, text := "10", secret
			if mask[0] == "/expense_id" {
				id, text = secret, "x"
			}
			s := sentenceOf(t, doc, where, fmt.Sprintf(`{"expense_id":%q,"body":{"text":%q,"pin":%q}}`, id, text, secret), fmt.Sprintf(`{"text":%q,"pin":%q}`, text+"0", secret+"1"), mask...)
			if kept, _ := json.Marshal(s); strings.Contains(string(kept), secret) {
				t.Errorf("%v: %s", mask, kept)
			}
		}
	}
	if s := sentenceOf(t, doc, "POST /payments", `{"body":{"amount":1,"currency":"EUR","iban":"`+secret+`"}}`, "", "/body/iban"); s.Own != nil {
		t.Errorf("its own sentence is made with what is hidden: %v", s)
	}
}
