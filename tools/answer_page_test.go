package tools

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/store"
)

const paged = `openapi: 3.0.3
info: {title: Paged, version: "1"}
servers: [{url: "https://api.example.com/v1"}]
paths:
  /items:
    get:
      operationId: list
      parameters:
        - {name: page, in: query, schema: {type: integer}}
        - {name: per_page, in: query, schema: {type: integer}}
        - {name: cursor, in: query, schema: {type: string}}
        - {name: starting_after, in: query, schema: {type: string}}
        - {name: "Page[Token]", in: query, schema: {type: string}}
        - {name: ids, in: query, schema: {type: array, items: {type: string}}}
      responses: {"200": {description: ok}}
`

// How APIs say that there is more, and what an agent is told.
func TestPage(t *testing.T) {
	spec := filepath.Join(t.TempDir(), "paged.yaml")
	if err := os.WriteFile(spec, []byte(paged), 0o600); err != nil {
		t.Fatal(err)
	}
	doc, err := openapi.Load(t.Context(), spec, openapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := &call{tool: FromAPIs([]*API{{Document: doc}}, Offer{})[0], request: store.Request{Method: "GET", Origin: "https://api.example.com", Target: "/v1/items?per_page=2"}}
	link := func(s string) http.Header { return http.Header{"Link": {s}} }
	for name, tt := range map[string]struct {
		header http.Header
		body   string
		want   string
	}{
		"GitHub":              {link(`<https://api.example.com/v1/items?per_page=2&page=3>; rel="next", <https://api.example.com/v1/items?page=9>; rel="last"`), `[]`, `{"page":3}`},
		"several links":       {link(`</v1/items?page=1>; rel=prev, </v1/items?page=3>; title="a, b"; rel="x next"`), `[]`, `{"page":3}`},
		"relative":            {link(`<?page=2>; rel="next"`), `[]`, `{"page":2}`},
		"Stripe":              {nil, `{"has_more":true,"data":[{"id":"a"},{"id":"b"}]}`, `{"starting_after":"b"}`},
		"Stripe's last":       {nil, `{"has_more":false,"data":[{"id":"a"}]}`, `null`},
		"Slack":               {nil, `{"response_metadata":{"next_cursor":"dXNlcg=="}}`, `{"cursor":"dXNlcg=="}`},
		"Slack's last":        {nil, `{"response_metadata":{"next_cursor":""}}`, `null`},
		"Twilio":              {nil, `{"next_page_uri":"/v1/items?page=1&per_page=2"}`, `{"page":1}`},
		"DigitalOcean":        {nil, `{"links":{"pages":{"next":"https://api.example.com/v1/items?page=2&per_page=2"}}}`, `{"page":2}`},
		"a name in brackets":  {link(`<?Page%5BToken%5D=x>; rel=next`), ``, `{"Page_Token":"x"}`},
		"another host":        {link(`<https://evil.example/v1/items?page=3>; rel="next"`), `[]`, `null`},
		"another path":        {link(`<https://api.example.com/v1/users?page=3>; rel="next"`), `[]`, `null`},
		"another scheme":      {link(`<http://api.example.com/v1/items?page=3>; rel="next"`), `[]`, `null`},
		"a login":             {link(`<https://a:b@api.example.com/v1/items?page=3>; rel="next"`), `[]`, `null`},
		"unknown parameters":  {link(`<?page=3&sig=secret>; rel="next"`), `[]`, `null`},
		"no number":           {link(`<?page=x>; rel="next"`), `[]`, `null`},
		"what cannot be seen": {nil, `{"next_cursor":"a\u202eb"}`, `null`},
		"a list":              {link(`<?ids=1>; rel="next"`), `[]`, `null`},
		"nothing":             {nil, `{"data":[]}`, `null`},
		"no JSON":             {nil, ``, `null`},
	} {
		p := c.page(tt.header, json.RawMessage(tt.body))
		got := "null"
		if p != nil {
			got = string(mustJSON(p.Next))
			// It is an argument that the tool takes.
			if _, err := c.tool.op.Parse(mustJSON(p.Next)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
