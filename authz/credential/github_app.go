package credential

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/exeat/exeat/authz/token"
)

// githubAPI is where GitHub's REST API is, unless it is one's own GitHub.
const githubAPI = "https://api.github.com"

// githubUploads is the other host of that API: release assets go there.
const githubUploads = "uploads.github.com"

// GitHubApp gets the token of a GitHub App's installation for each call: for the one
// repository of the call's path, with the one permission that the operation needs,
// revoked once the call has its answer. Without a repository in the path it is for the
// organization, and then only with a permission of the organization.
type GitHubApp struct {
	// URL is the REST API's, such as https://github.example/api/v3; empty is
	// github.com's. Tokens go nowhere else.
	URL string
	// ID is the App's client id, or its app id.
	ID  string
	Key *SigningKey // RSA
	// Installation is the only one that is used; 0: the one that the owner in the path
	// has. Where that is, is kept for an hour.
	Installation int64
	// Permissions are asked for in place of the table's, by tool.
	Permissions map[string]map[string]string

	Client *http.Client     // nil means one that follows no redirects and uses no proxy
	Now    func() time.Time // nil means time.Now

	found installations
}

// githubTarget is what the token of a call is for.
type githubTarget struct {
	owner, repo string // without repo: the organization
	permissions map[string]string
}

// of names the target in entries and errors.
func (t githubTarget) of() string {
	if t.repo == "" {
		return "the organization " + t.owner
	}
	return t.owner + "/" + t.repo
}

// Check reports what cannot work, so that a wrong configuration does not start.
func (g *GitHubApp) Check() error {
	if _, err := token.ParseLocation(g.base()); err != nil {
		return fmt.Errorf("the URL of GitHub's API: %w", err)
	}
	switch {
	case !githubAppID.MatchString(g.ID):
		return errors.New("give the App's client id (app_id), as its settings show it, or its app id")
	case g.Key == nil || g.Key.alg != jose.RS256:
		return errors.New("the key of a GitHub App is RSA: generate one in the App's settings")
	case g.Installation < 0:
		return errors.New("an installation id is a positive number")
	}
	for tool, permissions := range g.Permissions {
		if len(permissions) == 0 {
			return fmt.Errorf("permissions: %s: name at least one, such as {issues: write}; none would mean all that the App has", tool)
		}
		for name, access := range permissions {
			if githubAccess(access) < 1 || !githubPermission.MatchString(name) {
				return fmt.Errorf("permissions: %s: %s: %s is not a permission; write it as {issues: read}, with read, write or admin", tool, brief(name), brief(access))
			}
		}
	}
	_, err := githubNeeds()
	return err
}

var (
	githubAppID      = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	githubPermission = regexp.MustCompile(`^[a-z_]{1,64}$`)
	// githubName is an owner or a repository. A repository is not called . or ..
	githubName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
)

// Attach gets a token for c and sets it on r.
func (g *GitHubApp) Attach(ctx context.Context, c token.Call, r *http.Request) (token.Receipt, error) {
	if err := token.FreeAuthorization(r); err != nil {
		return token.Receipt{}, err
	}
	if err := g.goesTo(r.URL); err != nil {
		return token.Receipt{}, err
	}
	target, err := g.target(c)
	if err != nil {
		return token.Receipt{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	t, err := g.tokenFor(ctx, target, c.Fresh)
	if err != nil {
		return token.Receipt{}, err
	}
	r.Header.Set("Authorization", "Bearer "+t.Token.Reveal())
	receipt := token.Receipt{Strategy: "github_app", Issuer: g.host(), Audience: target.of(), Scope: scopesOf(t.Permissions), Expires: t.Expires, Revoke: g.revoke(t.Token)}
	if target.repo != "" {
		receipt.Narrowed = "the repository " + target.of()
	} else {
		receipt.Wider = "what it allows of repositories, it allows of all that the installation has"
	}
	return receipt, nil
}

// goesTo refuses a request that goes elsewhere than to GitHub.
func (g *GitHubApp) goesTo(to *url.URL) error {
	base, err := url.Parse(g.base())
	if err != nil {
		return err
	}
	if to.Scheme == base.Scheme && (strings.EqualFold(to.Host, base.Host) || g.base() == githubAPI && to.Host == githubUploads) {
		return nil
	}
	return fmt.Errorf("the request goes to %s, and the token would be one of %s: say which GitHub it is (github_app: url)", to.Host, base.Host)
}

// target is what the token for a call is to be for.
func (g *GitHubApp) target(c token.Call) (githubTarget, error) {
	var t githubTarget
	if len(c.Details.Actions) != 1 {
		return t, errors.New("the call has no method")
	}
	org, err := t.locate(c)
	if err != nil {
		return t, err
	}
	if own, ok := g.Permissions[c.Details.Identifier]; ok {
		t.permissions = own
		return t, nil
	}
	table, err := githubNeeds()
	if err != nil {
		return t, err
	}
	operation := githubOperation(c.Details.Actions[0], c.Template)
	need, known := table[operation]
	how := fmt.Sprintf("write it in github_app: permissions: {%s: {NAME: read}}, with what GitHub's documentation says of the operation", c.Details.Identifier)
	switch {
	case !known:
		return t, githubLack{"it is not known which permission they need: write it in github_app: permissions", fmt.Sprintf("it is not known which permission %s needs, and a token with all of them is not asked for: %s", operation, how)}
	case need.unclear:
		return t, githubLack{"GitHub names several permissions for them, and not whether one is enough: write it in github_app: permissions", fmt.Sprintf("GitHub names several permissions for %s (%s), and not whether one of them is enough: %s", operation, need, how)}
	case org && !need.org && !onlyMetadata(need.permissions):
		return t, githubLack{"they name no repository, and would need a permission for every one: write it in github_app: permissions", fmt.Sprintf("%s names no repository, and %s would be for every repository of the installation. To allow that nevertheless, %s", operation, need, how)}
	}
	t.permissions = need.permissions
	return t, nil
}

// githubLack is why there is no token for an operation: of many at once, and of one.
type githubLack struct{ all, one string }

func (l githubLack) Error() string { return l.one }

// Lacks says why no call of an operation can have a token; empty if one can.
func (g *GitHubApp) Lacks(tool, method, template string) string {
	_, err := g.target(anyCall(tool, method, template))
	var lack githubLack
	if !errors.As(err, &lack) {
		return ""
	}
	return lack.all
}

// anyCall is a call of an operation with some value in each place of its path.
func anyCall(tool, method, template string) token.Call {
	c := token.Call{Template: template, Path: map[string]string{}, Details: token.Details{Actions: []string{method}, Identifier: tool}}
	for _, param := range templateParam.FindAllString(template, -1) {
		c.Path[strings.Trim(param, "{}")] = "x"
	}
	return c
}

// onlyMetadata reports permissions that every token of an installation has.
func onlyMetadata(permissions map[string]string) bool {
	return len(permissions) == 1 && permissions["metadata"] == "read"
}

// locate finds the repository in the path of a call, or else the organization.
func (t *githubTarget) locate(c token.Call) (org bool, err error) {
	segments := strings.Split(c.Template, "/")
	value := func(i int) string {
		if i >= len(segments) || !strings.HasPrefix(segments[i], "{") || !strings.HasSuffix(segments[i], "}") {
			return ""
		}
		return c.Path[strings.Trim(segments[i], "{}")]
	}
	if i := slices.Index(segments, "repos"); i >= 0 && value(i+1) != "" && value(i+2) != "" {
		t.owner, t.repo = value(i+1), value(i+2)
	} else if len(segments) > 1 && (segments[1] == "orgs" || segments[1] == "organizations") {
		t.owner, org = value(2), true
	}
	switch {
	case t.owner == "":
		return org, githubLack{"they have neither a repository nor an organization in their path: use another credential for them (credential_for)", fmt.Sprintf("%s has neither a repository nor an organization in its path, so there is nothing to which a token could be narrowed: use another credential for it (credential_for)", c.Template)}
	case !githubName.MatchString(t.owner) || t.repo != "" && (!githubName.MatchString(t.repo) || strings.Trim(t.repo, ".") == ""):
		return org, errors.New("the owner or the repository in the path is not a name that GitHub has")
	}
	return org, nil
}

func (g *GitHubApp) base() string {
	if g.URL == "" {
		return githubAPI
	}
	return strings.TrimSuffix(g.URL, "/")
}

// host names GitHub in entries.
func (g *GitHubApp) host() string { return hostOf(g.base()) }

func (g *GitHubApp) now() time.Time { return timeOf(g.Now) }
