package openapi

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What vendors write that is not in the corpus: each operation is there, and its
// request is what a reader of the document would expect.
func TestOddities(t *testing.T) {
	api, err := Load(t.Context(), filepath.Join("testdata", "real", "oddities.yaml"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range api.Findings {
		if f.LeftOut {
			t.Errorf("left out: %+v", f)
		}
	}
	byPath := map[string]*Operation{}
	for _, op := range api.Operations {
		byPath[op.Method+" "+op.Path] = op
	}
	for at, tt := range map[string]struct{ args, target, body string }{
		"GET /users('{user-id}')/messages/{message-id}/$value": {`{"user-id":"a@b.c","message-id":"x=","filter":"a eq 'b'","select":["id","to"]}`,
			"/v1/users('a%40b.c')/messages/x%3D/$value?%24filter=a%20eq%20%27b%27&%24select=id,to", ""},
		"POST /operations/{name}:cancel":        {`{"name":"op 1","body":{}}`, "/v1/operations/op%201:cancel", `{}`},
		"PUT /admin/products/{product_id}.json": {`{"product_id":7,"body":{"product":{"title":"x"}}}`, "/v1/admin/products/7.json", `{"product":{"title":"x"}}`},
		"PATCH /pages/{page_id}":                {`{"page_id":"p","Notion-Version":"2022-06-28","body":{"properties":{}}}`, "/v1/pages/p", `{"properties":{}}`},
		"GET /containers/json":                  {`{"all":true,"filters":{"label":["a=b"]}}`, "/v1/containers/json?all=true&filters=%7B%22label%22%3A%5B%22a%3Db%22%5D%7D", ""},
		"POST /subscriptions/{id}/list":         {`{"id":"s","api-version":"2024-01-01"}`, "/v1/subscriptions/s/list?action=keys&api-version=2024-01-01", ""},
		"POST /envelopes":                       {`{"body":{"documents":[{"name":"a","envelope":{"documents":[]}}]}}`, "/v1/envelopes", `{"documents":[{"envelope":{"documents":[]},"name":"a"}]}`},
	} {
		op := byPath[at]
		if op == nil {
			t.Errorf("%s is not there", at)
			continue
		}
		args, err := op.Parse([]byte(tt.args))
		if err != nil {
			t.Errorf("%s: %v in %s", at, err, op.Input)
			continue
		}
		r, err := op.Encode(args)
		if err != nil {
			t.Errorf("%s: %v", at, err)
			continue
		}
		if diff := cmp.Diff([2]string{tt.target, tt.body}, [2]string{r.Target, string(r.Body)}); diff != "" {
			t.Errorf("%s: %s", at, diff)
		}
	}
}
