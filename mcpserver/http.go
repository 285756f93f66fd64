package mcpserver

import (
	"context"
	"net/http"

	"github.com/exeat/exeat/authz"
)

// HTTPConfig is what the HTTP handler checks before MCP begins.
type HTTPConfig struct {
	Auth Authenticator
	// SessionKey seals the ids of sessions: an id is good for as long as the key
	// is the same. Without one, ids end with the handler.
	SessionKey []byte
	// JWKS, if set, is published below /.well-known for those who check exeat's
	// tokens.
	JWKS func() ([]byte, error)
	// Challenge, if set, says over HTTP what access token a call needs that is
	// denied for the want of it.
	Challenge func(authz.Stronger) *Challenge
	// Open are further paths, by pattern of [http.ServeMux], that are served to
	// anybody.
	Open map[string]http.Handler
}

// Handler serves MCP on /mcp and the public keys on /.well-known. When ctx ends,
// waiting calls of its clients end, so that a server can be shut down. Host and
// Origin are not its to judge: serve it behind an edge.Edge.
func (s *Server) Handler(ctx context.Context, cfg HTTPConfig) http.Handler {
	mux := http.NewServeMux()
	mcp := authenticate(cfg.Auth, newFront(ctx, s, cfg))
	mux.Handle("/mcp", mcp)
	mux.Handle("/mcp/{$}", mcp) // some clients end every URL like this
	mux.HandleFunc("/sse", refuseStream)
	if cfg.JWKS != nil {
		mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) { serveJWKS(w, cfg.JWKS) })
	}
	for pattern, h := range cfg.Open {
		mux.Handle(pattern, h)
	}
	// Clients that know OAuth look for it after a 401, and show what they find.
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answerOAuth(w, http.StatusNotFound, "not_found",
			"MCP is at /mcp; there is no authorization server here: a 401 of /mcp says which token to send, and where to get it")
	})
	return mux
}

// refuseStream answers who asks for a stream: nothing ever comes on one, and a
// 405 tells a client to do without (MCP 2025-11-25, transports).
func refuseStream(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Allow", "POST, DELETE")
	http.Error(w, "use POST: send each message to /mcp (the transport \"streamable HTTP\"); the older HTTP+SSE transport is not served, and no stream is needed", http.StatusMethodNotAllowed)
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
