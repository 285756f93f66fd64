package openapi

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSnake(t *testing.T) {
	for in, want := range map[string]string{
		"getHTMLPage": "get_html_page", "repos/get-content": "repos_get_content", "GitHub's API": "githubs_api", "GitHub v3 REST API": "github_v3_rest_api",
		"OpenAI API": "openai_api", "OAuth2Token": "oauth2_token", "it\u2019s": "its", "v1.1": "v1_1", "__a__b__": "a_b", "Zürich": "z_rich", "ПРИВЕТ": "",
		"listPets": "list_pets", "LIST": "list", "ABTest": "ab_test", "pets2Go": "pets2_go",
	} {
		if got := snake(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// The names of arguments depend on nothing but the parameters.
func TestArgumentNames(t *testing.T) {
	tests := []struct {
		params []string // place and name
		body   bool
		want   []string
	}{
		{[]string{"path id", "query id", "header id", "cookie id"}, false, []string{"id", "id_query", "id_header", "id_cookie"}},
		{[]string{"path id", "query ID"}, false, []string{"id", "ID_query"}},
		{[]string{"path id", "query id", "query id_query"}, false, []string{"id", "id_query_2", "id_query"}},
		{[]string{"query a[]", "query a[b]", "query a"}, false, []string{"a_query", "a_b", "a"}},
		{[]string{"query f[", "query f]"}, false, []string{"f", "f_query"}},
		{[]string{"query body"}, true, []string{"body_query"}},
		{[]string{"query Body"}, true, []string{"Body_query"}},
		{[]string{"query body"}, false, []string{"body"}},
		{[]string{"query $", "query ?"}, false, []string{"query", "query_query"}},
		{[]string{"header " + strings.Repeat("a", 90)}, false, []string{strings.Repeat("a", 50)}},
	}
	for _, tt := range tests {
		var list []parameter
		for _, p := range tt.params {
			in, name, _ := strings.Cut(p, " ")
			list = append(list, parameter{in: in, name: name})
		}
		if d := cmp.Diff(tt.want, argumentNames(list, tt.body)); d != "" {
			t.Errorf("%v: %s", tt.params, d)
		}
	}
	x, y := `{name: "id", in: query, schema: {type: integer}}`, `{name: "f[]", in: query, schema: {type: boolean}}`
	load := func(a, b string) string {
		paths := "paths: {'/{id}': {get: {operationId: a, parameters: [%s, %s, {name: id, in: path, required: true, schema: {type: string}}]}}}"
		return schemaAt(t, one(t, loadText(t, v30+fmt.Sprintf(paths, a, b), Options{})), "properties")
	}
	if got := load(x, y); got != load(y, x) || got != `{"f":{"type":"boolean"},"id":{"type":"string"},"id_query":{"type":"integer"}}` {
		t.Error(got)
	}
}

// Another operation can be called what a suffix makes of two.
func TestNamesAreUnique(t *testing.T) {
	taken := ""
	for range 3 { // each time the name that a clash leads to is claimed, too
		paths := "/a: {get: {operationId: listPets}}, /b: {get: {operationId: list_pets}}"
		if taken != "" {
			paths += ", /c: {get: {operationId: " + taken + "}}"
		}
		names := map[string]bool{}
		ops := loadText(t, v30+"paths: {"+paths+"}", Options{}).Operations
		for _, op := range ops {
			names[op.Name] = true
			if op.Path == "/a" {
				taken = op.Name
			}
			if len(op.Name) > maxName {
				t.Error(op.Name)
			}
		}
		if len(names) != len(ops) {
			t.Errorf("%d names for %d operations: %v", len(names), len(ops), names)
		}
	}
}

// What is wrong with one operation renames no other.
func TestNamesOfWhatIsLeftOut(t *testing.T) {
	const kept = "/a: {get: {operationId: listPets}}, "
	var names []string
	for _, other := range []string{
		"/b: {get: {operationId: list_pets}}", "/b: {get: {operationId: list_pets, x-exeat-effect: bad}}", "/b/..: {get: {operationId: list_pets}}",
		"/b: {get: {operationId: list_pets, parameters: [{name: x}]}}",
	} {
		for _, op := range loadText(t, v30+"paths: {"+kept+other+"}", Options{}).Operations {
			if op.Path == "/a" {
				names = append(names, op.Name)
			}
		}
	}
	if len(names) != 4 || names[0] == "list_pets" || names[1] != names[0] || names[2] != names[0] || names[3] != names[0] {
		t.Error(names)
	}
}

// What frameworks add to ids is not in names, unless it tells tools apart.
func TestShortNames(t *testing.T) {
	tests := []struct {
		ops  []string // method, path and id
		want []string
	}{
		{[]string{"DELETE /expenses/{expense_id} delete_expense_expenses__expense_id__delete"}, []string{"delete_expense"}},
		{[]string{"GET /items/{itemId} read_item_items__itemId__get", "GET /items read_items_items_get"}, []string{"read_item", "read_items"}},
		{[]string{"GET /api/v1/users/me/ read_user_me_api_v1_users_me__get"}, []string{"read_user_me"}},
		{[]string{"GET /users get_users_get", "GET /items get_items_get"}, []string{"get_users_get", "get_items_get"}},
		{[]string{"GET /users list_users_get", "GET /x list"}, []string{"list_users_get", "list"}},
		{[]string{"GET /users read_users_get"}, []string{"read_users_get"}}, // "read" is the policies' own
		{[]string{"GET /users users_get"}, []string{"users_get"}},           // all of it is path and method
		{[]string{"GET / root__get"}, []string{"root_get"}},
		{[]string{"POST /users list_users_get"}, []string{"list_users_get"}}, // of another method
		{[]string{"DELETE /pets/{id} deletePetUsingDELETE", "GET /pets/{id} getPetUsingGET_1"}, []string{"delete_pet", "get_pet"}},
		{[]string{"GET /a findUsingGET", "GET /b findUsingGET_1"}, []string{"find_using_get", "find_using_get_1"}},
		{[]string{"GET /a findUsingPOST"}, []string{"find_using_post"}},
		{[]string{"GET /a usingGET"}, []string{"using_get"}},
		// NestJS, LoopBack
		{[]string{"GET /users/{id} UsersController_findOne", "DELETE /users/{id} UserController.deleteById"}, []string{"users_find_one", "user_delete_by_id"}},
		{[]string{"GET /v1/users UsersController_findAll_v1", "GET /v2/users UsersController_findAll_v2"}, []string{"users_controller_find_all_v1", "users_controller_find_all_v2"}},
		{[]string{"GET /v2/pets PetsController_findAll_v2", "GET /pets PetsController_import_v1"}, []string{"pets_find_all", "pets_import_v1"}},
		{[]string{"GET /users UsersController_find", "GET /x users_find"}, []string{"users_controller_find", "users_find"}},
		{[]string{"GET /users UsersController_find", "GET /x UsersController_find"}, []string{"users_controller_find_ca0e1629", "users_controller_find_541a2d0d"}},
		{[]string{"GET /c listControllerRevisions", "GET /d Controller_list", "GET /e MotorController"}, []string{"list_controller_revisions", "controller_list", "motor_controller"}},
		// Django, ASP.NET
		{[]string{"GET /users/{id} users_retrieve", "GET /users/{id}/x Users_GetById"}, []string{"users_retrieve", "users_get_by_id"}},
		// Spring Data REST
		{[]string{"GET /pets/{id} getItemResource-pet-get", "PUT /pets/{id} putItemResource-pet-put", "GET /pets getCollectionResource-pet-get_1"},
			[]string{"get_item_resource_pet", "put_item_resource_pet", "get_collection_resource_pet"}},
		{[]string{"GET /a get_pet-get", "GET /b get_pet-get_1"}, []string{"get_pet_get", "get_pet_get_1"}},
		{[]string{"POST /budgets create_budget_post", "GET /budget get_budget"}, []string{"create_budget_post", "get_budget"}},
		// Ids that are the path itself, beyond what hosts take
		{[]string{"GET /v1/customers/{customer}/balance_transactions GetCustomersCustomerBalanceTransactions"}, []string{"get_customer_balance_transactions"}},
		{[]string{"GET /v1/treasury/companies/{company_id}/capabilities/{capability} GetTreasuryCompaniesCompanyIdCapabilitiesCapability"}, []string{"get_treasury_company_id_capability"}},
		{[]string{"DELETE /api/v1/secrets/default/secret_keys/{secret_key} DELETE_/api/v1/secrets/default/secret_keys/{secret_key}"}, []string{"delete_secrets_default_secret_key"}},
		{[]string{"GET /customers/{customer} GetCustomersCustomer"}, []string{"get_customers_customer"}}, // short as it is
		{[]string{"GET /v1/customers/{customer}/balance_transactions GetCustomersCustomerBalanceTransactions", "GET /x get_customer_balance_transactions"},
			[]string{"get_customers_customer_balance_5305d150", "get_customer_balance_transactions"}},
		{[]string{"GET /a/customers/{customer}/balance_transactions GetCustomersCustomerBalanceTransactions", "GET /b/customers/{customer}/balance_transactions GetCustomersCustomerBalanceTransactions"},
			[]string{"get_customers_customer_balance_953a2ec0", "get_customers_customer_balance_bfed154e"}},
		{[]string{"GET /a/{b} " + strings.Repeat("long_", 9) + "a__b__get"}, []string{strings.Repeat("long_", 6) + "l_a5c38ae4"}},
	}
	for _, tt := range tests {
		var ops []*Operation
		for _, o := range tt.ops {
			f := strings.Fields(o)
			ops = append(ops, &Operation{Method: f[0], Path: f[1], ID: f[2]})
		}
		var got []string
		nameOperations(slices.Clone(ops)) // which sorts them
		for _, op := range ops {
			got = append(got, op.Name)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%q: %s", tt.ops, d)
		}
	}
}

func TestRename(t *testing.T) {
	doc := v30 + `paths: {/a: {get: {operationId: getA}, put: {operationId: putA}}, /b: {get: {operationId: getB}}}`
	names := func(o Options) string {
		var names []string
		for _, op := range loadText(t, doc, o).Operations {
			names = append(names, op.Name+"="+op.ID)
		}
		return strings.Join(names, " ")
	}
	if got := names(Options{Rename: map[string]string{"get_a": "look", "putA": "get_a"}, Include: []string{"look", "get_a"}, Effects: map[string]Effect{"get_a": Delete}}); got != "get_a=putA look=getA" {
		t.Error(got)
	}
	for says, rename := range map[string]map[string]string{
		`"Look" for "get_a" is not legal`:           {"get_a": "Look"},
		`"read" for "get_a" is not legal`:           {"get_a": "read"},
		`"" for "get_a" is not legal`:               {"get_a": ""},
		`the name for "get_c" matches no operation`: {"get_c": "c"},
		`GET /a gets two names, "y" and "x"`:        {"getA": "y", "get_a": "x"},
		`GET /a and PUT /a would both be "put_a"`:   {"get_a": "put_a"},
		`GET /a and GET /b would both be "same"`:    {"get_a": "same", "get_b": "same"},
	} {
		_, err := Load(t.Context(), writeFile(t, "doc.yaml", doc), Options{Rename: rename})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: %v, want %s", rename, err, says)
		}
	}
}
