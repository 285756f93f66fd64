package openapi

import (
	"strings"
	"testing"
)

func TestSecrets(t *testing.T) {
	api := loadText(t, v30+`paths:
  /a:
    post:
      operationId: a
      parameters:
        - {name: pin, in: query, schema: {type: string, format: password}}
        - {name: page, in: query, schema: {type: integer}}
      requestBody:
        content:
          application/json:
            schema: {$ref: '#/components/schemas/User'}
components:
  schemas:
    Secret: {type: string, writeOnly: true}
    User:
      type: object
      properties:
        name: {type: string}
        password: {$ref: '#/components/schemas/Secret'}
        keys: {type: array, items: {type: object, properties: {id: {type: string}, value: {type: string, format: password}}}}
        'a/b': {allOf: [{type: object, properties: {token: {type: string, format: password}}}]}
        friend: {$ref: '#/components/schemas/User'}
        card: {type: object, properties: {number: {type: string}}}
      additionalProperties: {type: string, format: password}
`, Options{})
	op := one(t, api)
	for _, tt := range []struct{ args, also, want string }{
		{`{"page":1,"body":{"name":"x"}}`, "", ""},
		{`{"pin":"1234"}`, "", "/pin"},
		{`{"body":{"password":"x","name":"y"}}`, "", "/body/password"},
		{`{"body":{"keys":[{"id":"1","value":"x"},{"id":"2","value":"y"}]}}`, "", "/body/keys/0/value /body/keys/1/value"},
		{`{"body":{"a/b":{"token":"x"},"friend":{"friend":{"password":"z"}}}}`, "", "/body/a~1b/token /body/friend/friend/password"},
		{`{"body":{"else":"x"}}`, "", "/body/else"},
		{`{"body":{"card":{"number":"4"},"keys":[{"id":"1"},{"id":"2"}]}}`, "/body/card/number /body/keys/id /body/no page", "/body/card/number /body/keys/0/id /body/keys/1/id"},
		{`{"body":{"keys":[{"id":"1"},{"id":"2"}]}}`, "/body/keys/1/id", "/body/keys/1/id"},
	} {
		args, err := op.Parse([]byte(tt.args))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(op.Secrets(args, strings.Fields(tt.also)...), " "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.args, got, tt.want)
		}
	}
	args, err := op.Parse([]byte(`{"pin":"1","body":{"password":"x","keys":[{"id":"1","value":"x"},{"id":"2"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(op.Places(args, "/body/keys/id", "/body/password", "/body/none", "x"), " "); got != "/body/keys/0/id /body/keys/1/id /body/password" {
		t.Errorf("places: %q", got)
	}
	if got := op.Places(args); got != nil {
		t.Errorf("places of nothing: %q", got)
	}
	many := `{"body":{"keys":[` + strings.TrimSuffix(strings.Repeat(`{"value":"x"},`, maxSecrets+1), ",") + `]}}`
	if args, err = op.Parse([]byte(many)); err != nil {
		t.Fatal(err)
	}
	if got := op.Secrets(args); len(got) != 1 || got[0] != "" {
		t.Errorf("of very many: %q", got)
	}
}
