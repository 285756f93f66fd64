package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const slashDocument = `openapi: 3.0.3
info: {title: Projects, version: '1'}
servers: [{url: 'https://api.example.com'}]
paths:
  /projects/{id}/files/{file}:
    get:
      operationId: file
      parameters:
      - {name: id, in: path, required: true, schema: {type: string}}
      - {name: file, in: path, required: true, schema: {type: string}}
      responses: {'200': {description: ok}}
`

const slashPolicies = `permit (principal, action, resource);
@id("no-secrets") forbid (principal, action, resource in Projects::Path::"/projects/group%2Fsecret");
@id("no-group") forbid (principal, action, resource in Projects::Path::"/projects/group");
`

// slashed is exeat in front of a guard, with projects whose ids may hold slashes.
type slashed struct {
	*guarded
	config string
}

func newSlashed(t *testing.T) *slashed {
	t.Helper()
	dir := t.TempDir()
	s := &slashed{config: filepath.Join(dir, "exeat.yaml")}
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("projects.yaml", slashDocument)
	write("p.cedar", slashPolicies)
	config := func(base string) {
		write("exeat.yaml", fmt.Sprintf("apis: [{spec: projects.yaml, name: projects, base_url: '%s', audience: '%s', parameters: {id: segment}}]\n"+
			"policy: [p.cedar]\nissuer: %s\ndb: exeat.db\nkeys: keys\nuser: alice\n", base, guardAudience, guardIssuer))
	}
	config("http://127.0.0.1:1")
	out, _ := s.exeat(t, "keys", "jwks", "--keys", filepath.Join(dir, "keys"))
	s.guarded = newGuarded(t, "--jwks", write("jwks.json", out))
	config("http://" + s.addr)
	return s
}

func (s *slashed) exeat(t *testing.T, args ...string) (stdout string, code int) {
	t.Helper()
	var out, problems strings.Builder
	code = execute(t.Context(), args, strings.NewReader(""), &out, &problems)
	if problems.Len() > 0 {
		t.Log(problems.String())
	}
	return out.String(), code
}

// call makes a call as an agent does, and returns its status or code.
func (s *slashed) call(t *testing.T, id, file string) string {
	t.Helper()
	args, err := json.Marshal(map[string]string{"id": id, "file": file})
	if err != nil {
		t.Fatal(err)
	}
	out, _ := s.exeat(t, "call", "--config", s.config, "file", string(args))
	var e struct{ Status, Code string }
	if err := json.Unmarshal([]byte(out), &e); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return strings.TrimSpace(e.Status + " " + e.Code)
}

// TestGuardEncodedSlash sends slashes within a segment from exeat through the guard to
// an API: the digest, the guard and the policies' path have one segment, and nothing
// that a server could read as another path leaves.
func TestGuardEncodedSlash(t *testing.T) {
	s := newSlashed(t)
	const refused = "failed invalid_arguments"
	for _, c := range []struct{ id, file, want, seen string }{
		{"group/project", "a", "done", "/projects/group%2Fproject/files/a"},
		{"group/sub/project", "a b;v=1", "done", "/projects/group%2Fsub%2Fproject/files/a%20b%3Bv%3D1"},
		{"group/secrets", "100%", "done", "/projects/group%2Fsecrets/files/100%25"}, // not the forbidden one
		{"é/a", "é", "done", "/projects/%C3%A9%2Fa/files/%C3%A9"},
		{"a;b/c", "a", "done", "/projects/a%3Bb%2Fc/files/a"},
		{"group/secret", "a", "denied policy_denied", ""},
		{"group", "a", "denied policy_denied", ""},
		{"group/project", "a/b", refused, ""}, // not allowed for this one
		{"group%2Fsecret", "a", refused, ""},
		{"group%252Fsecret", "a", refused, ""},
		{"group%25252Fsecret", "a", refused, ""},
		{"group/./secret", "a", refused, ""},
		{"group/../secret", "a", refused, ""},
		{"group/%2e%2e/secret", "a", refused, ""},
		{"group/%252e%252e/secret", "a", refused, ""},
		{"group/..;v=1/secret", "a", refused, ""},
		{"group//secret", "a", refused, ""},
		{"/group", "a", refused, ""},
		{"group/", "a", refused, ""},
		{`group\secret`, "a", refused, ""},
		{"group%5Csecret", "a", refused, ""},
		{"group/secret\x00", "a", refused, ""},
		{"group/secret%00", "a", refused, ""},
		{"group/secret\r\nX: y", "a", refused, ""},
		{"group\uff0fsecret", "a", refused, ""},
		{"x", "..", refused, ""},
		{"x", "%2e%2e", refused, ""},
		{"x", "..%2F..", refused, ""},
		{"x", "a\x00", refused, ""},
		{"x", `a\b`, refused, ""},
	} {
		if got := s.call(t, c.id, c.file); got != c.want {
			t.Errorf("%q %q: %s, want %s", c.id, c.file, got, c.want)
		}
		var seen, codes []string
		if c.seen != "" {
			seen, codes = []string{"GET " + c.seen + " Bearer real-key [0] "}, []string{"passed"}
		}
		if diff := cmp.Diff(seen, s.taken()); diff != "" {
			t.Errorf("%q %q: what the API saw (-want +got):\n%s", c.id, c.file, diff)
		}
		if diff := cmp.Diff(codes, s.logged()); diff != "" {
			t.Errorf("%q %q: the guard's log (-want +got):\n%s", c.id, c.file, diff)
		}
	}
}

// TestGuardSpellings writes to the guard the target of a token in other spellings of
// the same path: only the one that was signed goes on. A token for a target that some
// server reads as another is good for nothing.
func TestGuardSpellings(t *testing.T) {
	g := newGuarded(t)
	ask := func(signed, sent string) (int, []string) {
		got := g.raw("GET "+sent+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "+g.token("GET", signed, "", "")+"\r\n\r\n", false)
		if len(got) != 1 {
			t.Fatalf("%s: answers %v", sent, got)
		}
		return got[0], g.taken()
	}
	const signed = "/projects/group%2Fproject/files/a"
	if status, seen := ask(signed, signed); status != 418 || len(seen) != 1 || !strings.HasPrefix(seen[0], "GET "+signed+" ") {
		t.Errorf("as it was signed: %d, %q", status, seen)
	}
	for _, sent := range []string{
		"/projects/group/project/files/a", "/projects/group%2fproject/files/a", "/projects/group%252Fproject/files/a", `/projects/group\project/files/a`,
		"/projects/group%5Cproject/files/a", "/projects/group%2F./project/files/a", "/projects/x/../group%2Fproject/files/a", "/projects/x/%2e%2e/group%2Fproject/files/a",
		"/projects/x/..;/group%2Fproject/files/a", "//projects/group%2Fproject/files/a", "/projects//group%2Fproject/files/a", "/projects/group%2Fproject/files/a;v=1",
		"/projects/group%2Fproject/files/a%00", "/projects/group%2Fproject/files/%61", "/projects/group%2Fproject/files/a/", "/projects/group%2Fproject/files/a?",
	} {
		if status, seen := ask(signed, sent); status < 400 || status == 418 || len(seen) != 0 {
			t.Errorf("%s: %d, and the API saw %q", sent, status, seen)
		}
	}
	for _, bad := range []string{
		"/a/..", "/a/../b", "/a/%2e%2e/b", "/a/.%2E/b", "/a/%252e%252e/b", "/a/%25252e%25252e/b", "/a/x%2F..%2Fb", "/a/x%2F%2e%2e%2Fb", "/a/x%252F..%252Fb", "/a/..;v=1/b", "/a/..%3Bv=1/b",
		`/a/..\b`, "/a/..%5Cb", "/a/..%255Cb", "/a/.", "/a/b%00", "/a/b%2500", "/a/%0d%0aX:y", "/a/b%7F",
	} {
		if status, seen := ask(bad, bad); status != 400 || len(seen) != 0 {
			t.Errorf("a token for %s: %d, and the API saw %q", bad, status, seen)
		}
	}
}
