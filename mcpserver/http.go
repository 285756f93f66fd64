package mcpserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/server"

	"github.com/exeat/exeat/authz"
)

// maxBody bounds one HTTP request to the MCP endpoint.
const maxBody = 16 << 20

// sessionIdle is how long a session of the 2025-11-25 era may be quiet.
const sessionIdle = time.Hour

// Authenticator says who makes an HTTP request. It is asked on every request;
// any error is a 401 whose text the client does not see.
type Authenticator interface {
	Authenticate(r *http.Request) (authz.Principal, error)
}

// Bearer authenticates one principal by one random token.
type Bearer struct {
	Principal authz.Principal
	sum       [sha256.Size]byte
}

// NewBearer returns an authenticator that takes token for p.
func NewBearer(token string, p authz.Principal) *Bearer {
	return &Bearer{Principal: p, sum: sha256.Sum256([]byte(token))}
}

// Authenticate compares the request's one bearer token in constant time.
func (b *Bearer) Authenticate(r *http.Request) (authz.Principal, error) {
	if h := r.Header.Values("Authorization"); len(h) == 1 {
		scheme, token, ok := strings.Cut(h[0], " ")
		sum := sha256.Sum256([]byte(token))
		if ok && strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(sum[:], b.sum[:]) == 1 {
			return b.Principal, nil
		}
	}
	return authz.Principal{}, errors.New("no valid bearer token")
}

// HTTPConfig is what the HTTP handler checks before MCP begins.
type HTTPConfig struct {
	Auth Authenticator
	// Hosts are the values that Host may have, and Origin after its scheme:
	// a page of another origin, or a rebound DNS name, is refused.
	Hosts []string
	// Issuer and JWKS, if set, are published below /.well-known for those who
	// check exeat's tokens.
	Issuer string
	JWKS   func() ([]byte, error)
}

// Handler serves MCP on /mcp and the public keys on /.well-known.
func (s *Server) Handler(cfg HTTPConfig) http.Handler {
	endpoint := server.NewStreamableHTTPServer(s.mcp,
		server.WithEndpointPath("/mcp"),
		server.WithStateful(true),
		server.WithSessionIdleTTL(sessionIdle),
	)
	mux := http.NewServeMux()
	mux.Handle("/mcp", authenticated(cfg.Auth, bounded(endpoint)))
	if cfg.JWKS != nil {
		mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) { serveJWKS(w, cfg.JWKS) })
		mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
			serveJSON(w, map[string]any{"issuer": cfg.Issuer, "jwks_uri": cfg.Issuer + "/.well-known/jwks.json",
				"response_types_supported": []string{}, "authorization_details_types_supported": []string{"urn:exeat:call:1"}})
		})
	}
	return sameSite(cfg.Hosts, mux)
}

// sameSite refuses foreign Host and Origin headers.
func sameSite(hosts []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(hosts, r.Host) {
			http.Error(w, "this server does not answer to that host name", http.StatusForbidden)
			return
		}
		for _, origin := range r.Header.Values("Origin") {
			_, host, _ := strings.Cut(origin, "://")
			if !slices.Contains(hosts, host) {
				http.Error(w, "requests from that origin are refused", http.StatusForbidden)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// authenticated puts the principal of every request into its context.
func authenticated(auth Authenticator, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := auth.Authenticate(r)
		if err != nil {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			http.Error(w, "a valid bearer token is needed", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), principalKey{}, p)))
	})
}

// bounded reads the body within maxBody and drops client notifications that
// belong to no session: in mcp-go one of those can cancel another client's call.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			status := http.StatusBadRequest
			if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
				status = http.StatusRequestEntityTooLarge
			}
			http.Error(w, "the request body could not be read within its limit of 16 MiB", status)
			return
		}
		if r.Header.Get("Mcp-Session-Id") == "" {
			var m struct {
				Method string `json:"method"`
			}
			if json.Unmarshal(body, &m) == nil && strings.HasPrefix(m.Method, "notifications/") {
				w.WriteHeader(http.StatusAccepted)
				return
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

func serveJWKS(w http.ResponseWriter, jwks func() ([]byte, error)) {
	b, err := jwks()
	if err != nil {
		http.Error(w, "the keys cannot be read", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "max-age=60")
	w.Write(b)
}

func serveJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}
