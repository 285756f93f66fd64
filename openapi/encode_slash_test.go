package openapi

import (
	"strings"
	"testing"
)

const projects = v30 + `paths:
  /projects/{id}/files/{path}.{format}: {get: {operationId: file, parameters: [
    {name: id, in: path, required: true, schema: {type: string}},
    {name: path, in: path, required: true, schema: {type: string}},
    {name: format, in: path, required: true, schema: {type: string}}]}}
`

// Where the operator says so, a slash stays within its segment: the path that
// policies, the digest and the guard see has %2F in it.
func TestSlashesWithinASegment(t *testing.T) {
	api := loadText(t, projects, Options{Parameters: map[string]ParameterUse{"id": AsSegment, "file path": AsSegment}})
	op := one(t, api)
	r := encode(t, op, `{"id":"group/sub/project","path":"a b/c","format":"txt"}`)
	if want := "/projects/group%2Fsub%2Fproject/files/a%20b%2Fc.txt"; r.Path != want || r.Target != "/v1"+want {
		t.Errorf("%s at %s", r.Target, r.Path)
	}
	for _, bad := range []string{
		`{"id":"../x","path":"a","format":"b"}`, `{"id":"a/../b","path":"a","format":"b"}`, `{"id":"a/./b","path":"a","format":"b"}`,
		`{"id":"/a","path":"a","format":"b"}`, `{"id":"a/","path":"a","format":"b"}`, `{"id":"a//b","path":"a","format":"b"}`, `{"id":"/","path":"a","format":"b"}`,
		`{"id":"a%2Fb","path":"a","format":"b"}`, `{"id":"a%252Fb","path":"a","format":"b"}`, `{"id":"a\\b","path":"a","format":"b"}`, `{"id":"a/%2e%2e/b","path":"a","format":"b"}`,
		`{"id":"a/..;x/b","path":"a","format":"b"}`, `{"id":"a","path":"x/.","format":"."}`, `{"id":"a","path":"a","format":"x/y"}`, `{"id":"a\u2215..\uff0fb/..","path":"a","format":"b"}`,
	} {
		args, err := op.Parse([]byte(bad))
		if err != nil {
			t.Fatal(err)
		}
		if r, err := op.Encode(args); err == nil {
			t.Errorf("%s is sent to %s", bad, r.Target)
		}
	}
}

// Where nobody says so, the refusal says the rule.
func TestSlashesAreRefusedWithTheRule(t *testing.T) {
	op := one(t, loadText(t, projects, Options{}))
	args, err := op.Parse([]byte(`{"id":"group/project","path":"a","format":"b"}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := op.Encode(args); err == nil || !strings.Contains(err.Error(), "holds a slash") || !strings.Contains(err.Error(), "the operator can allow it") {
		t.Error(err)
	}
	if _, err := Load(t.Context(), writeFile(t, "doc.yaml", projects), Options{Parameters: map[string]ParameterUse{"id": AsArgument}}); err == nil {
		t.Error("a path parameter is an argument anyway, and to say so is not refused")
	}
}
