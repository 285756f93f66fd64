package githubtest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// checkApp checks the JWT of an App: RS256, iss the App, iat not in the future, exp not
// more than ten minutes ahead. What is wrong is the message of GitHub's 401.
func (s *Server) checkApp(compact string) string {
	const undecodable = "A JSON web token could not be decoded"
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return undecodable
	}
	var header struct {
		Alg string `json:"alg"`
	}
	var claims struct {
		Issuer  string `json:"iss"`
		Issued  *int64 `json:"iat"`
		Expires *int64 `json:"exp"`
	}
	for i, into := range []any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(text, into) != nil {
			return undecodable
		}
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	now := s.now().Unix()
	switch {
	case header.Alg != "RS256", err != nil, rsa.VerifyPKCS1v15(s.Key, crypto.SHA256, digest[:], signature) != nil:
		return undecodable
	case claims.Issuer != s.AppID && claims.Issuer != s.ClientID:
		return "'Issuer' claim ('iss') must be the App's client ID or ID"
	case claims.Issued == nil || *claims.Issued > now:
		return "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
	case claims.Expires == nil || *claims.Expires <= now:
		return "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"
	case *claims.Expires > now+600:
		return "'Expiration time' claim ('exp') is too far in the future"
	}
	return ""
}

// asApp answers what an App asks with its JWT.
func (s *Server) asApp(w http.ResponseWriter, r *http.Request, segments []string) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	s.asked = append(s.asked, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+string(body)))
	if wrong := s.checkApp(bearer(r)); wrong != "" {
		say(w, http.StatusUnauthorized, wrong)
		return
	}
	switch {
	case r.Method == http.MethodGet && len(segments) == 4 && segments[0] == "repos" && segments[3] == "installation":
		if i := s.find(segments[1]); i != nil && slices.Contains(i.Repos, segments[2]) {
			answer(w, http.StatusOK, map[string]any{"id": i.ID, "account": map[string]any{"login": i.Owner}, "permissions": i.Permissions})
			return
		}
	case r.Method == http.MethodGet && len(segments) == 3 && segments[0] == "orgs" && segments[2] == "installation":
		if i := s.find(segments[1]); i != nil && i.Org {
			answer(w, http.StatusOK, map[string]any{"id": i.ID, "account": map[string]any{"login": i.Owner}, "permissions": i.Permissions})
			return
		}
	case r.Method == http.MethodPost && len(segments) == 4 && segments[1] == "installations" && segments[3] == "access_tokens":
		for _, i := range s.installations {
			if strconv.FormatInt(i.ID, 10) == segments[2] {
				s.mint(w, i, body)
				return
			}
		}
	}
	say(w, http.StatusNotFound, "Not Found")
}

// mint gives a token for what was asked for, or for all that the installation has.
func (s *Server) mint(w http.ResponseWriter, i *Installation, body []byte) {
	wanted := struct {
		Repos       []string          `json:"repositories"`
		RepoIDs     []int64           `json:"repository_ids"`
		Permissions map[string]string `json:"permissions"`
	}{}
	switch {
	case len(body) > 0 && json.Unmarshal(body, &wanted) != nil:
		say(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	case i.Suspended:
		say(w, http.StatusForbidden, "This installation has been suspended")
		return
	}
	t := &Token{Installation: i, Repos: i.Repos, Permissions: map[string]string{}, Expires: s.now().Add(time.Hour).UTC().Truncate(time.Second)}
	for name, access := range wanted.Permissions {
		if !covers(i.Permissions[name], access) {
			say(w, http.StatusUnprocessableEntity, "The permissions requested are not granted to this installation.")
			return
		}
		t.Permissions[name] = access
	}
	if wanted.Permissions == nil {
		for name, access := range i.Permissions {
			t.Permissions[name] = access
		}
	}
	for _, name := range wanted.Repos {
		if !slices.Contains(i.Repos, name) {
			say(w, http.StatusUnprocessableEntity, "There is at least one repository that does not exist or is not accessible to the parent installation.")
			return
		}
	}
	selection := "all"
	if len(wanted.Repos) > 0 {
		selection, t.Repos = "selected", wanted.Repos
	}
	if i.Permissions["metadata"] != "" && t.Permissions["metadata"] == "" {
		t.Permissions["metadata"] = "read"
	}
	if s.Widen != nil {
		s.Widen(t)
	}
	s.give(w, t, selection)
}

// give keeps a token and answers with it.
func (s *Server) give(w http.ResponseWriter, t *Token, selection string) {
	name := "ghs_" + s.AppID + "_" + rand.Text()
	if s.tokens == nil {
		s.tokens = map[string]*Token{}
	}
	s.tokens[name] = t
	made := map[string]any{"token": name, "expires_at": t.Expires.Format(time.RFC3339), "permissions": t.Permissions, "repository_selection": selection}
	if selection == "selected" {
		var repos []map[string]any
		for _, repo := range t.Repos {
			repos = append(repos, map[string]any{"name": repo, "full_name": t.Installation.Owner + "/" + repo})
		}
		made["repositories"] = repos
	}
	if s.Change != nil {
		s.Change(made)
	}
	answer(w, http.StatusCreated, made)
}

// covers reports whether a permission that was given is enough for one that is wanted.
func covers(given, wanted string) bool {
	ranks := []string{"read", "write", "admin"}
	have, want := slices.Index(ranks, given), slices.Index(ranks, wanted)
	return want >= 0 && have >= want
}

// revoke ends the token that the request carries.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	t := s.live(w, r)
	switch {
	case t == nil:
	case r.Method != http.MethodDelete:
		say(w, http.StatusNotFound, "Not Found")
	default:
		t.Revoked = true
		w.WriteHeader(http.StatusNoContent)
	}
}
