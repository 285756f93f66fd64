package githubtest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// operations are those that this GitHub serves, and what each needs, as the
// documentation of the operation says.
var operations = map[string]struct{ permission, access string }{
	"GET /repos/{owner}/{repo}":                          {"metadata", "read"},
	"DELETE /repos/{owner}/{repo}":                       {"administration", "write"},
	"GET /repos/{owner}/{repo}/issues":                   {"issues", "read"},
	"POST /repos/{owner}/{repo}/issues":                  {"issues", "write"},
	"GET /repos/{owner}/{repo}/issues/{n}":               {"issues", "read"},
	"PATCH /repos/{owner}/{repo}/issues/{n}":             {"issues", "write"},
	"POST /repos/{owner}/{repo}/issues/{n}/comments":     {"issues", "write"},
	"GET /repos/{owner}/{repo}/pulls":                    {"pull_requests", "read"},
	"PUT /repos/{owner}/{repo}/pulls/{n}/merge":          {"contents", "write"},
	"GET /repos/{owner}/{repo}/contents/{path}":          {"contents", "read"},
	"GET /orgs/{org}/members":                            {"members", "read"},
	"GET /repos/{owner}/{repo}/collaborators/{username}": {"metadata", "read"},
}

// live is the token of a request, if it is good; else it answers.
func (s *Server) live(w http.ResponseWriter, r *http.Request) *Token {
	t := s.tokens[bearer(r)]
	switch {
	case t == nil || t.Revoked || !s.now().Before(t.Expires):
		say(w, http.StatusUnauthorized, "Bad credentials")
	case t.Installation.Suspended:
		say(w, http.StatusForbidden, "This installation has been suspended")
	default:
		return t
	}
	return nil
}

// api serves operations to tokens that may do them.
func (s *Server) api(w http.ResponseWriter, r *http.Request, segments []string) {
	t := s.live(w, r)
	if t == nil {
		return
	}
	name, needs, ok := operation(r.Method, segments)
	switch {
	case !ok:
		say(w, http.StatusNotFound, "Not Found")
	case segments[0] == "repos" && (!strings.EqualFold(segments[1], t.Installation.Owner) || !slices.Contains(t.Repos, segments[2])):
		say(w, http.StatusNotFound, "Not Found") // as for a private repository
	case segments[0] == "orgs" && !strings.EqualFold(segments[1], t.Installation.Owner), !covers(t.Permissions[needs.permission], needs.access):
		w.Header().Set("X-Accepted-GitHub-Permissions", needs.permission+"="+needs.access)
		say(w, http.StatusForbidden, "Resource not accessible by integration")
	case name == "POST /repos/{owner}/{repo}/issues":
		var issue struct {
			Title string `json:"title"`
		}
		if json.NewDecoder(r.Body).Decode(&issue) != nil || issue.Title == "" {
			say(w, http.StatusUnprocessableEntity, "Validation Failed")
			return
		}
		s.issues = append(s.issues, segments[1]+"/"+segments[2]+": "+issue.Title)
		answer(w, http.StatusCreated, map[string]any{"number": len(s.issues), "title": issue.Title, "state": "open"})
	case strings.HasSuffix(name, "/issues"), strings.HasSuffix(name, "/pulls"), strings.HasSuffix(name, "/members"):
		answer(w, http.StatusOK, []any{})
	default:
		answer(w, http.StatusOK, map[string]any{"full_name": strings.Join(segments[1:min(3, len(segments))], "/")})
	}
}

// operation finds the operation of a request.
func operation(method string, segments []string) (string, struct{ permission, access string }, bool) {
	for name, needs := range operations {
		verb, path, _ := strings.Cut(name, " ")
		parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
		if verb == method && slices.EqualFunc(parts, segments, func(part, segment string) bool { return part == segment || strings.HasPrefix(part, "{") }) {
			return name, needs, true
		}
	}
	return "", struct{ permission, access string }{}, false
}
