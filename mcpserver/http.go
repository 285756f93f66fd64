package mcpserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/tools"
)

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

// Handler serves MCP on /mcp and the public keys on /.well-known. When ctx ends,
// streams and waiting calls of its clients end, so that a server can be shut down.
func (s *Server) Handler(ctx context.Context, cfg HTTPConfig) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/mcp", authenticated(cfg.Auth, newFront(ctx, s)))
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

// subjectOf is the principal of a request that [authenticated] let through.
func subjectOf(ctx context.Context) string {
	p, _ := ctx.Value(principalKey{}).(authz.Principal)
	return tools.Caller{Principal: p}.Subject()
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
