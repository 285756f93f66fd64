package credential

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// githubTableHead is how the table begins. Whoever makes it anew writes down what it
// was made from.
const githubTableHead = `# What the token of a GitHub App's installation needs for each operation of GitHub's REST API.
# Made from github/docs, src/github-apps/data/fpt-2026-03-10/server-to-server-permissions.json
# (commit 02ac71cd67f12f791665800215adb392e5bbea21, read on 28 November 2026) by
#   EXEAT_GITHUB_PERMISSIONS=FILE go test ./authz/credential -run '^TestGitHubTable$'
# @ is a permission of the organization, ? means that it is not said whether one is enough.
`

// githubEntry is one line of GitHub's data.
type githubEntry struct {
	Verb   string `json:"verb"`
	Path   string `json:"requestPath"`
	Access string `json:"access"`
	Server bool   `json:"server-to-server"`
}

// githubSets are the permissions that GitHub's data lists for one operation, each with
// how often: once for each set of permissions of which it is a part.
type githubSets map[string]int

// The table in the repository is the one that this makes from GitHub's data
// (EXEAT_GITHUB_PERMISSIONS), or it is written. Without the data, the table is read.
func TestGitHubTable(t *testing.T) {
	table, err := parseGitHubTable(githubPermissions)
	if err != nil || len(table) < 800 || !strings.HasPrefix(githubPermissions, githubTableHead) {
		t.Errorf("%d operations, %v", len(table), err)
	}
	source := os.Getenv("EXEAT_GITHUB_PERMISSIONS")
	if source == "" {
		return
	}
	data, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	made, err := makeGitHubTable(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("github_permissions.txt", made, 0o644); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(made, []byte(githubPermissions)) {
		t.Error("the table has changed: look at the difference")
	}
}

// makeGitHubTable is the table of GitHub's data.
func makeGitHubTable(data []byte) ([]byte, error) {
	var sections map[string]struct {
		Title   string        `json:"displayTitle"` // Repository permissions for "Issues"
		Entries []githubEntry `json:"permissions"`
	}
	if err := json.Unmarshal(data, &sections); err != nil {
		return nil, err
	}
	operations := map[string]githubSets{}
	for name, s := range sections {
		at := ""
		switch kind, _, _ := strings.Cut(s.Title, " "); kind {
		case "Organization":
			at = "@"
		case "Repository":
		default:
			continue // no installation of an organization has what is of users and enterprises
		}
		for _, e := range s.Entries {
			if !e.Server {
				continue
			}
			key := githubOperation(e.Verb, e.Path)
			if operations[key] == nil {
				operations[key] = githubSets{}
			}
			operations[key][at+name+":"+e.Access]++
		}
	}
	out := bytes.NewBufferString(githubTableHead)
	for _, key := range slices.Sorted(maps.Keys(operations)) {
		fmt.Fprintf(out, "%s %s\n", key, operations[key].needed(key))
	}
	return out.Bytes(), nil
}

// needed is what to ask for. A permission that is listed once more than all others is
// enough alone: one of the sets has nothing else. Of two that GitHub lists once each,
// the one that the path speaks of is asked for, which is less than both; should GitHub
// want both, it refuses the call.
func (s githubSets) needed(key string) string {
	names := slices.Sorted(maps.Keys(s))
	if len(names) == 1 {
		return names[0]
	}
	for _, name := range names {
		others := 0
		for _, other := range names {
			if other != name {
				others += s[other]
			}
		}
		if s[name] == others+1 {
			return name
		}
	}
	speaksOf := "issues:"
	if strings.Contains(key, "/pulls") {
		speaksOf = "pull_requests:"
	}
	for _, name := range names {
		if strings.HasPrefix(name, speaksOf) {
			return name
		}
	}
	return strings.Join(names, " ") + " ?"
}

// What is in the table is in GitHub's OpenAPI document, and most of what the document
// says that Apps can do is in the table.
func TestGitHubTableOfTheDocument(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "specs", "github.json"))
	if err != nil {
		t.Skip("GitHub's document is not here")
	}
	var doc struct {
		Paths map[string]map[string]struct {
			GitHub struct {
				Apps bool `json:"enabledForGitHubApps"`
			} `json:"x-github"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	table, err := githubNeeds()
	if err != nil {
		t.Fatal(err)
	}
	there, apps, known := map[string]bool{}, 0, 0
	for path, item := range doc.Paths {
		for method, op := range item {
			key := githubOperation(method, path)
			there[key] = true
			if op.GitHub.Apps && strings.HasPrefix(path, "/repos/") {
				apps++
				if _, ok := table[key]; ok {
					known++
				}
			}
		}
	}
	gone := 0
	for key := range table {
		if !there[key] {
			t.Logf("the document has no %s", key)
			gone++
		}
	}
	t.Logf("%d of %d operations of repositories that Apps can do are in the table of %d", known, apps, len(table))
	if gone > 5 || known*100 < apps*90 {
		t.Error("the table and the document are too far from each other: make the table anew")
	}
}

func TestParseGitHubTableRefuses(t *testing.T) {
	for _, line := range []string{"get /x", "get /x issues", "get /x issues:all", "get /x issues:"} {
		if _, err := parseGitHubTable(line); err == nil {
			t.Errorf("%q is taken", line)
		}
	}
}
