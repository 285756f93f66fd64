package credential

import (
	_ "embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// githubPermissions says which permission each operation of GitHub's REST API needs
// from the token of an installation. It is made from GitHub's own data; its first
// lines say which (TestGitHubTable makes it).
//
//go:embed github_permissions.txt
var githubPermissions string

// githubNeed is what an operation needs: of a repository, unless it says org. If
// unclear, GitHub's data names several permissions, and does not say whether one of
// them or all are needed.
type githubNeed struct {
	permissions map[string]string // read, write or admin, by name
	org         bool              // a permission of the organization, not of its repositories
	unclear     bool
}

// String lists the permissions as entries and errors name them.
func (n githubNeed) String() string { return scopesOf(n.permissions) }

// scopesOf lists permissions, such as "contents:read issues:write".
func scopesOf(permissions map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(permissions)) {
		all = append(all, name+":"+permissions[name])
	}
	return strings.Join(all, " ")
}

// githubNeeds is the table, by operation: "get /repos/{}/{}/issues".
var githubNeeds = sync.OnceValues(func() (map[string]githubNeed, error) { return parseGitHubTable(githubPermissions) })

// parseGitHubTable reads lines such as "get /repos/{}/{}/issues issues:read". An @
// before a permission says that it is the organization's, a ? at the end that several
// are named and it is not said whether one is enough.
func parseGitHubTable(text string) (map[string]githubNeed, error) {
	table := map[string]githubNeed{}
	for i, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 3 {
			return nil, fmt.Errorf("line %d names no permission", i+1)
		}
		need := githubNeed{permissions: map[string]string{}}
		for _, field := range fields[2:] {
			if field == "?" {
				need.unclear = true
				continue
			}
			name, access, ok := strings.Cut(strings.TrimPrefix(field, "@"), ":")
			if !ok || githubAccess(access) < 1 {
				return nil, fmt.Errorf("line %d: %s is no permission", i+1, brief(field))
			}
			need.permissions[name] = access
			need.org = need.org || strings.HasPrefix(field, "@")
		}
		table[fields[0]+" "+fields[1]] = need
	}
	return table, nil
}

// githubAccess ranks what a permission allows; less than 1 is nothing that GitHub knows.
func githubAccess(access string) int {
	return slices.Index([]string{"", "read", "write", "admin"}, access)
}

var templateParam = regexp.MustCompile(`\{[^{}/]*\}`)

// githubOperation is the key of an operation in the table: documents differ in how they
// name parameters.
func githubOperation(method, template string) string {
	return strings.ToLower(method) + " " + templateParam.ReplaceAllString(template, "{}")
}
