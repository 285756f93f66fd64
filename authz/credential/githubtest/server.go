// Package githubtest plays the part of GitHub that gives tokens to GitHub Apps and
// checks them, for tests. It is written from GitHub's public documentation ("Generating
// a JSON Web Token for a GitHub App", "Create an installation access token for an app",
// "Revoke an installation access token", "Troubleshooting the REST API") and refuses
// what that says GitHub refuses, with the same status. It is this reading that the tests
// are against, and not GitHub.
//
// server.go has the state, apps.go what an App asks, api.go a few operations that need
// the token of an installation.
package githubtest

import (
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Installation is an account's consent to an App.
type Installation struct {
	ID          int64
	Owner       string
	Org         bool
	Repos       []string          // those that it was given, by name
	Permissions map[string]string // those that it was given
	Suspended   bool
}

// Token is one that was given out.
type Token struct {
	Installation *Installation
	Repos        []string // names
	Permissions  map[string]string
	Expires      time.Time
	Revoked      bool
}

// Server is one GitHub with one App.
type Server struct {
	AppID    string
	ClientID string
	Key      *rsa.PublicKey
	Now      func() time.Time // nil means time.Now
	// Change, if not nil, changes what GitHub says of a token that it gave: it is then
	// not what was asked for.
	Change func(answer map[string]any)
	// Widen, if not nil, changes what a token can do.
	Widen func(*Token)

	mu            sync.Mutex
	installations []*Installation
	tokens        map[string]*Token
	asked         []string // method, path and body of what an App asked
	issues        []string // what was made
}

// Install adds an installation.
func (s *Server) Install(i Installation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.installations = append(s.installations, &i)
}

// Asked is what the App asked, as "POST /app/installations/7/access_tokens {…}".
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// Tokens are those that were given out.
func (s *Server) Tokens() map[string]Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]Token{}
	for name, t := range s.tokens {
		all[name] = *t
	}
	return all
}

// Issues are the titles of the issues that were made, as "octo/hello: A title".
func (s *Server) Issues() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.issues)
}

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// ServeHTTP answers as GitHub's REST API does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	segments := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	switch {
	case r.Header.Get("User-Agent") == "":
		say(w, http.StatusForbidden, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header")
	case segments[0] == "app", len(segments) > 2 && segments[len(segments)-1] == "installation":
		s.asApp(w, r, segments)
	case r.URL.Path == "/installation/token":
		s.revoke(w, r)
	default:
		s.api(w, r, segments)
	}
}

// find is the installation of an owner.
func (s *Server) find(owner string) *Installation {
	for _, i := range s.installations {
		if strings.EqualFold(i.Owner, owner) {
			return i
		}
	}
	return nil
}

// bearer is the credential of a request, as GitHub takes it.
func bearer(r *http.Request) string {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if len(r.Header["Authorization"]) == 1 && (strings.EqualFold(scheme, "bearer") || strings.EqualFold(scheme, "token")) {
		return value
	}
	return ""
}

// say answers with a message.
func say(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]any{"message": message, "documentation_url": "https://docs.github.com/rest", "status": fmt.Sprint(status)})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
