package credential

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/exeat/exeat/authz/token"
)

const (
	// githubBack and githubAhead are how long before now and after it the App's proof is
	// valid: a clock may be off by a minute. GitHub takes no more than ten minutes.
	githubBack  = time.Minute
	githubAhead = 5 * time.Minute
	// githubLife is the life of an installation's token, and what clocks differ by.
	githubLife = time.Hour + 5*time.Minute
	// githubKnown is how long it is kept where an owner's installation is, and
	// maxInstallations of how many repositories.
	githubKnown      = time.Hour
	maxInstallations = 1000
)

// githubToken is what GitHub gives for a target.
type githubToken struct {
	Token       token.Secret
	Expires     time.Time
	Permissions map[string]string
	Selection   string
	Repos       []string // full names
}

// installations are the ids of installations, by repository or organization.
type installations struct {
	mu sync.Mutex
	by map[string]foundInstallation
}

type foundInstallation struct {
	id    int64
	until time.Time
}

func (f *installations) get(of string, now time.Time) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if found := f.by[of]; now.Before(found.until) {
		return found.id
	}
	return 0
}

func (f *installations) put(of string, id int64, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.by) >= maxInstallations || f.by == nil {
		f.by = map[string]foundInstallation{}
	}
	f.by[of] = foundInstallation{id, now.Add(githubKnown)}
}

// tokenFor gets a token for a target. An installation that is not where it was is
// looked up once more.
func (g *GitHubApp) tokenFor(ctx context.Context, target githubTarget, fresh bool) (githubToken, error) {
	id, kept := g.Installation, false
	if id == 0 && !fresh {
		id = g.found.get(strings.ToLower(target.of()), g.now())
		kept = id != 0
	}
	if id == 0 {
		var err error
		if id, err = g.lookUp(ctx, target); err != nil {
			return githubToken{}, err
		}
	}
	t, err := g.mint(ctx, id, target)
	var refused githubRefusal
	if kept && errors.As(err, &refused) && refused.status == http.StatusNotFound {
		if id, err = g.lookUp(ctx, target); err != nil {
			return githubToken{}, err
		}
		t, err = g.mint(ctx, id, target)
	}
	if err != nil {
		return githubToken{}, err
	}
	if err := t.check(target, g.now()); err != nil {
		// Nothing uses it, so nothing else ends it.
		return githubToken{}, errors.Join(fmt.Errorf("cannot use the token of GitHub: %w", err), g.revoke(t.Token)(context.WithoutCancel(ctx)))
	}
	return t, nil
}

// lookUp asks for the installation of a target, and keeps its id.
func (g *GitHubApp) lookUp(ctx context.Context, target githubTarget) (int64, error) {
	path := "/repos/" + target.owner + "/" + target.repo + "/installation"
	if target.repo == "" {
		path = "/orgs/" + target.owner + "/installation"
	}
	var answer struct {
		ID int64 `json:"id"`
	}
	if err := g.ask(ctx, http.MethodGet, path, nil, http.StatusOK, &answer); err != nil {
		return 0, fmt.Errorf("cannot find the App's installation for %s: %w", target.of(), err)
	}
	if answer.ID <= 0 {
		return 0, errors.New("GitHub's answer names no installation")
	}
	g.found.put(strings.ToLower(target.of()), answer.ID, g.now())
	return answer.ID, nil
}

// mint asks for a token for exactly the target.
func (g *GitHubApp) mint(ctx context.Context, installation int64, target githubTarget) (githubToken, error) {
	wanted := struct {
		Repos       []string          `json:"repositories,omitempty"`
		Permissions map[string]string `json:"permissions"`
	}{Permissions: target.permissions}
	if target.repo != "" {
		wanted.Repos = []string{target.repo}
	}
	body, err := json.Marshal(wanted)
	if err != nil {
		return githubToken{}, err
	}
	var answer struct {
		Token       string            `json:"token"`
		Expires     time.Time         `json:"expires_at"`
		Permissions map[string]string `json:"permissions"`
		Selection   string            `json:"repository_selection"`
		Repos       []struct {
			Name string `json:"full_name"`
		} `json:"repositories"`
	}
	path := fmt.Sprintf("/app/installations/%d/access_tokens", installation)
	if err := g.ask(ctx, http.MethodPost, path, body, http.StatusCreated, &answer); err != nil {
		return githubToken{}, fmt.Errorf("cannot get a token for %s with %s: %w", target.of(), scopesOf(target.permissions), err)
	}
	if !accessToken.MatchString(answer.Token) {
		return githubToken{}, errors.New("GitHub's answer has no token that a header could carry")
	}
	t := githubToken{Token: token.NewSecret(answer.Token), Expires: answer.Expires.UTC(), Permissions: answer.Permissions, Selection: answer.Selection}
	for _, repo := range answer.Repos {
		t.Repos = append(t.Repos, repo.Name)
	}
	return t, nil
}

// check refuses a token that is other or more than what was asked for. Reading the
// metadata of its repositories is a part of every one.
func (t githubToken) check(target githubTarget, now time.Time) error {
	for _, name := range slices.Sorted(maps.Keys(t.Permissions)) {
		wanted := target.permissions[name]
		if wanted == "" && name == "metadata" {
			wanted = "read"
		}
		if have := githubAccess(t.Permissions[name]); have < 1 || have > max(githubAccess(wanted), 0) {
			return fmt.Errorf("it has the permission %s:%s, which was not asked for", brief(name), brief(t.Permissions[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(target.permissions)) {
		if githubAccess(t.Permissions[name]) < githubAccess(target.permissions[name]) {
			return fmt.Errorf("it lacks the permission %s:%s: give it to the App, and accept it for the installation", name, target.permissions[name])
		}
	}
	if target.repo != "" {
		switch {
		case t.Selection != "selected":
			return errors.New("it is not narrowed to repositories")
		case len(t.Repos) != 1 || !strings.EqualFold(t.Repos[0], target.of()):
			return fmt.Errorf("it is for other repositories than %s: the installation is of another owner, or the repository has another name now", target.of())
		}
	}
	if left := t.Expires.Sub(now); left <= 0 || left > githubLife {
		return errors.New("it does not end within the hour that GitHub's tokens live")
	}
	return nil
}

// revoke ends a token.
func (g *GitHubApp) revoke(t token.Secret) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		err := g.send(ctx, http.MethodDelete, "/installation/token", t, nil, http.StatusNoContent, nil)
		var refused githubRefusal
		if err == nil || errors.As(err, &refused) && refused.status == http.StatusUnauthorized { // it has ended already
			return nil
		}
		return fmt.Errorf("cannot revoke the token; it lives for up to an hour: %w", err)
	}
}

// ask sends a request as the App.
func (g *GitHubApp) ask(ctx context.Context, method, path string, body []byte, want int, into any) error {
	now := g.now()
	proof, err := g.Key.Sign("JWT", map[string]any{"iss": g.ID, "iat": now.Add(-githubBack).Unix(), "exp": now.Add(githubAhead).Unix()})
	if err != nil {
		return err
	}
	return g.send(ctx, method, path, token.NewSecret(proof), body, want, into)
}

// send sends a request and reads the answer, if its status is the one wanted. Its error
// holds nothing that GitHub wrote.
func (g *GitHubApp) send(ctx context.Context, method, path string, bearer token.Secret, body []byte, want int, into any) error {
	r, err := http.NewRequestWithContext(ctx, method, g.base()+path, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address of GitHub's API is not a URL")
	}
	r.Header.Set("Authorization", "Bearer "+bearer.Reveal())
	r.Header.Set("Accept", "application/vnd.github+json")
	r.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	r.Header.Set("User-Agent", "exeat")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return roundTrip(g.Client, r, "GitHub", func(res *http.Response) error {
		if res.StatusCode == want {
			return nil
		}
		return githubRefusal{res.StatusCode, res.Header.Get("Retry-After") != "" || res.Header.Get("X-Ratelimit-Remaining") == "0"}
	}, into)
}

// githubRefusal is an answer with another status than the one wanted.
type githubRefusal struct {
	status  int
	limited bool // too many requests
}

// Error says what the status means, and what to do.
func (r githubRefusal) Error() string {
	if r.limited && (r.status == http.StatusForbidden || r.status == http.StatusTooManyRequests) {
		return fmt.Sprintf("GitHub answered %d: the App has asked too often; try again later", r.status)
	}
	hint := map[int]string{
		http.StatusMovedPermanently:    ": the repository has another name now; use that",
		http.StatusUnauthorized:        ": it does not take the App's proof (look at app_id, the key, and this machine's clock)",
		http.StatusForbidden:           ": the installation is suspended, or the App may not do this",
		http.StatusNotFound:            ": the App is not installed there, or there is no such repository",
		http.StatusUnprocessableEntity: ": the App's installation has not that permission, or not that repository (see the App's settings, and accept new permissions for the installation)",
	}[r.status]
	return fmt.Sprintf("GitHub answered %d%s", r.status, hint)
}
