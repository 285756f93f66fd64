package oauth

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/exeat/exeat/authz/dpop"
)

const wellKnown = "/.well-known/oauth-protected-resource"

// newMetadata is the protected resource metadata (RFC 9728, section 2).
func (s *Server) newMetadata() ([]byte, error) {
	m := map[string]any{
		"resource":                 s.c.Resource,
		"resource_name":            s.name(),
		"bearer_methods_supported": []string{"header"},
	}
	if servers := slices.Sorted(maps.Keys(s.issuers)); len(servers) > 0 {
		m["authorization_servers"] = servers
	}
	if len(s.c.Scopes) > 0 {
		m["scopes_supported"] = s.c.Scopes
	}
	if bearer, proven := s.schemes(); proven {
		m["dpop_signing_alg_values_supported"] = strings.Fields(dpop.Algorithms())
		m["dpop_bound_access_tokens_required"] = !bearer
	}
	return json.Marshal(m)
}

func (s *Server) name() string {
	if s.c.Name == "" {
		return "exeat"
	}
	return s.c.Name
}

// split is the resource's origin, and what of its path is before the endpoint: the
// prefix below which a proxy may send everything here.
func (s *Server) split() (origin, prefix, endpoint string) {
	u, err := url.Parse(s.c.Resource)
	if err != nil {
		return s.c.Resource, "", "" // New has read it
	}
	path := u.EscapedPath()
	at := strings.LastIndexByte(path, '/')
	if at < 0 {
		return u.Scheme + "://" + u.Host, "", ""
	}
	return u.Scheme + "://" + u.Host, path[:at], path[at:]
}

// metadataURL is where clients are sent to. Below a prefix that is a place which a
// proxy certainly sends here, rather than the root of its host.
func (s *Server) metadataURL() string {
	origin, prefix, endpoint := s.split()
	return origin + prefix + wellKnown + endpoint
}

// MetadataPaths are the paths of the public origin where clients look for the
// metadata: with the resource's path appended, and at the root, of the host and of
// the prefix.
func (s *Server) MetadataPaths() []string {
	_, prefix, endpoint := s.split()
	paths := []string{wellKnown, wellKnown + prefix + endpoint, prefix + wellKnown, prefix + wellKnown + endpoint}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// Metadata serves the protected resource metadata. Any page may read it, and
// nothing else of this server: a client in a browser begins with it.
func (s *Server) Metadata() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		switch r.Method {
		case http.MethodOptions:
			w.Header().Set("Access-Control-Allow-Methods", "GET")
			w.Header().Set("Access-Control-Allow-Headers", "MCP-Protocol-Version")
			w.WriteHeader(http.StatusNoContent)
		case http.MethodGet, http.MethodHead:
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "max-age=60")
			w.Write(s.metadata)
		default:
			w.Header().Set("Allow", "GET, HEAD, OPTIONS")
			http.Error(w, "this is metadata to read: use GET", http.StatusMethodNotAllowed)
		}
	})
}
