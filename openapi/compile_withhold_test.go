package openapi

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// bodyNames are the properties of an operation's body, as the tool has them, and
// those that it requires.
func bodyNames(t *testing.T, op *Operation) (names, required []string) {
	t.Helper()
	type schema struct {
		Properties map[string]schema `json:"properties"`
		Required   []string          `json:"required"`
		AllOf      []schema          `json:"allOf"`
		AnyOf      []schema          `json:"anyOf"`
		Ref        string            `json:"$ref"`
	}
	var whole struct {
		Properties struct{ Body schema } `json:"properties"`
		Defs       map[string]schema     `json:"$defs"`
	}
	if err := json.Unmarshal(op.Input, &whole); err != nil {
		t.Fatal(err)
	}
	var walk func(s schema)
	walk = func(s schema) {
		if s.Ref != "" {
			walk(whole.Defs[strings.TrimPrefix(s.Ref, "#/$defs/")])
		}
		for name := range s.Properties {
			names = append(names, name)
		}
		required = append(required, s.Required...)
		for _, part := range slices.Concat(s.AllOf, s.AnyOf) {
			walk(part)
		}
	}
	walk(whole.Properties.Body)
	slices.Sort(names)
	return slices.Compact(names), required
}

const (
	keyInQuery  = "components: {securitySchemes: {k: {type: apiKey, in: query, name: key}}}\nsecurity: [{k: []}]\n"
	keyInHeader = "components: {securitySchemes: {k: {type: apiKey, in: header, name: X-API-Key}}}\nsecurity: [{k: []}]\n"
	byBearer    = "components: {securitySchemes: {o: {type: http, scheme: bearer}}}\nsecurity: [{o: []}]\n"
)

// A credential that a document lists at the top of a body is not offered; data that is
// called like one is.
func TestBodiesWithCredentials(t *testing.T) {
	for _, tt := range []struct {
		name, head, path, property string
		required                   bool
		kept                       bool // as an argument
		served                     bool
	}{
		{"access_token beside a bearer", byBearer, "/pay", "access_token: {type: string}", true, false, true},
		{"oauth_token beside a bearer", byBearer, "/pay", "oauth_token: {type: string}", false, false, true},
		{"api_key of the scheme", keyInHeader, "/pay", "api_key: {type: string}", true, false, true},
		{"api_key of a scheme that is called so", strings.ReplaceAll(byBearer, "o:", "apiKey:"), "/pay", "api_key: {type: string}", true, false, true},
		{"token of a scheme that is called so", strings.ReplaceAll(byBearer, "o:", "token:"), "/pay", "token: {type: string}", true, true, true},
		{"apikey of the scheme", keyInHeader, "/pay", "apikey: {type: string}", true, false, true},
		{"key of the scheme", keyInQuery, "/pay", "key: {type: string}", true, false, true},
		{"key of the scheme, told", keyInQuery, "/pay", "key: {type: string, description: Your API key}", false, false, true},
		{"another's key", keyInQuery, "/pay", "key: {type: string, description: The name of the setting}", true, true, true},
		{"key without a scheme", "", "/pay", "key: {type: string}", true, true, true},
		{"key beside a bearer", byBearer, "/pay", "key: {type: string}", true, true, true},
		{"a public key", keyInQuery, "/user/keys", "key: {type: string}", true, true, true},
		{"the api_key of a connector", byBearer, "/connectors", "api_key: {type: string, description: The API key of the service}", true, true, true},
		{"a token, told", byBearer, "/pay", "token: {type: string, description: 'Authentication token. Requires scope: `pay`'}", true, false, true},
		{"a token that is revoked", byBearer, "/oauth/revoke", "access_token: {type: string}", true, true, true},
		{"access_token, nothing fills it", "", "/pay", "access_token: {type: string}", false, false, true},
		{"access_token, required, nothing fills it", "", "/pay", "access_token: {type: string}", true, false, false},
		{"api_key, required, nothing fills it", "", "/pay", "api_key: {type: string}", true, false, false},
		{"client_secret, nothing fills it", "", "/pay", "client_secret: {type: string}", false, false, true},
		{"client_secret of a grant", byBearer, "/oauth/token", "client_secret: {type: string}, grant_type: {type: string}", false, false, true},
		{"client_secret of a provider", byBearer, "/providers", "client_secret: {type: string}", true, true, true},
		{"credentials that are an object", byBearer, "/users", "credentials: {type: object, description: How the user authenticates}", true, true, true},
		{"an api_key that is an object", "", "/pay", "api_key: {type: object}", true, true, true},
	} {
		name, _, _ := strings.Cut(tt.property, ":")
		must := ""
		if tt.required {
			must = ", required: [" + name + ", q]"
		}
		object := "{type: object, properties: {" + tt.property + ", q: {type: string}}" + must + "}"
		for shape, doc := range map[string]string{
			"JSON":      v30 + tt.head + "paths: {" + tt.path + ": {post: {operationId: a, requestBody: {content: {application/json: {schema: " + object + "}}}}}}",
			"form":      v30 + tt.head + "paths: {" + tt.path + ": {post: {operationId: a, requestBody: {content: {application/x-www-form-urlencoded: {schema: " + object + "}}}}}}",
			"multipart": v30 + tt.head + "paths: {" + tt.path + ": {post: {operationId: a, requestBody: {content: {multipart/form-data: {schema: " + object + "}}}}}}",
			"allOf":     v30 + tt.head + "paths: {" + tt.path + ": {post: {operationId: a, requestBody: {content: {application/json: {schema: {allOf: [" + object + ", {type: object}]}}}}}}}",
			"shared": v30 + strings.Replace(tt.head, "components: {", "components: {schemas: {S: "+object+"}, ", 1) + "paths: {" + tt.path +
				": {post: {operationId: a, requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/S'}}}}}}}\n" + sharedAlone(tt.head, object),
		} {
			t.Run(tt.name+" in "+shape, func(t *testing.T) {
				api := loadText(t, doc, Options{})
				if !tt.served {
					if len(api.Operations) != 0 || !api.Findings[0].LeftOut || !strings.Contains(api.Findings[0].Message, "no security scheme fills") {
						t.Fatalf("%+v", api.Findings)
					}
					return
				}
				op := one(t, api)
				names, required := bodyNames(t, op)
				if kept := slices.Contains(names, name); kept != tt.kept || !slices.Contains(names, "q") || !kept && (len(api.Findings) == 0 || slices.Contains(required, name)) {
					t.Fatalf("%v, required %v, findings %+v", names, required, api.Findings)
				}
				for _, spelling := range []string{name, strings.ToUpper(name)} {
					args, err := op.Parse([]byte(`{"body":{"q":"x","` + spelling + `":"mine"}}`))
					if err == nil {
						_, err = op.Encode(args)
					}
					if !tt.kept && (err == nil || !strings.Contains(err.Error(), "is a credential")) {
						t.Errorf("%s is not offered, and an agent sets it: %v", spelling, err)
					}
				}
			})
		}
	}
}

// sharedAlone is where a shared schema stands in a document without security.
func sharedAlone(head, object string) string {
	if head != "" {
		return ""
	}
	return "components: {schemas: {S: " + object + "}}\n"
}

// What is kept back at the top of one body is offered where the same schema is within
// another.
func TestSharedSchemasKeepWhatIsDataElsewhere(t *testing.T) {
	api := loadText(t, v30+strings.Replace(keyInHeader, "components: {", "components: {schemas: {S: {type: object, properties: {api_key: {type: string}, q: {type: string}, inner: {$ref: '#/components/schemas/S'}}}}, ", 1)+`paths:
  /a: {post: {operationId: a, requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/S'}}}}}}
  /b: {post: {operationId: b, requestBody: {content: {application/json: {schema: {type: object, properties: {s: {$ref: '#/components/schemas/S'}}}}}}}}
`, Options{})
	for i, want := range []string{"inner q", "s"} {
		names, _ := bodyNames(t, api.Operations[i])
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s offers %s, want %s", api.Operations[i].Name, got, want)
		}
		if !strings.Contains(string(api.Operations[i].Input), `"api_key"`) {
			t.Errorf("%s has no inner api_key: %s", api.Operations[i].Name, api.Operations[i].Input)
		}
	}
}

// Swagger 2.0's form fields are the same; a required one that nothing fills is a finding.
func TestFormDataThatIsACredential(t *testing.T) {
	doc := func(head, parameter string) string {
		return "swagger: '2.0'\ninfo: {title: T, version: '1'}\nhost: api.example.com\nschemes: [https]\n" + head +
			"paths: {/pay: {post: {operationId: a, parameters: [" + parameter + ", {name: q, in: formData, type: string}]}}}\n"
	}
	scheme := "securityDefinitions: {k: {type: apiKey, in: query, name: token}}\nsecurity: [{k: []}]\n"
	for _, tt := range []struct {
		name, doc    string
		served, kept bool
	}{
		{"of a scheme", doc(scheme, "{name: token, in: formData, type: string, required: true}"), true, false},
		{"optional, nothing fills it", doc("", "{name: api_key, in: formData, type: string}"), true, false},
		{"required, nothing fills it", doc("", "{name: api_key, in: formData, type: string, required: true}"), false, false},
		{"an ordinary one", doc("", "{name: key, in: formData, type: string, required: true}"), true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			api := loadText(t, tt.doc, Options{})
			if served := len(api.Operations) == 1; served != tt.served || len(api.Findings) == 0 && !tt.kept {
				t.Fatalf("served %t, findings %+v", served, api.Findings)
			}
			if !tt.served {
				return
			}
			names, required := bodyNames(t, api.Operations[0])
			if kept := len(names) == 2; kept != tt.kept || kept != (len(required) == 1) {
				t.Errorf("%v, required %v", names, required)
			}
		})
	}
}

// The operator has the last word on bodies, too.
func TestOperatorSaysWhatABodyHolds(t *testing.T) {
	doc := v30 + "paths: {/pay: {post: {operationId: a, requestBody: {content: {application/json: {schema: {type: object, required: [api_key], properties: {api_key: {type: string}, sum: {type: integer}, pin: {type: string}}}}}}}}}"
	for _, tt := range []struct {
		uses map[string]ParameterUse
		want string
	}{
		{nil, "left out"},
		{map[string]ParameterUse{"api_key": AsArgument}, "api_key pin sum"},
		{map[string]ParameterUse{"a api_key": AsArgument, "/pay pin": AsCredential}, "api_key sum"},
	} {
		api := loadText(t, doc, Options{Parameters: tt.uses})
		got := "left out"
		if len(api.Operations) == 1 {
			names, _ := bodyNames(t, api.Operations[0])
			got = strings.Join(names, " ")
		}
		if got != tt.want {
			t.Errorf("%v: %s, want %s", tt.uses, got, tt.want)
		}
	}
}
