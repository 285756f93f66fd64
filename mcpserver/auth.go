package mcpserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/tools"
)

// Authenticator says who makes an HTTP request. It is asked on every request.
// The caller has a principal, and an agent only if that is proven: otherwise an
// agent has the name that it gives itself. An error that is a [*Challenge] says
// what would let the request in, or that nobody can say now; the text of any other
// reaches nobody, and is a 401.
type Authenticator interface {
	Authenticate(r *http.Request) (tools.Caller, error)
}

// authenticate puts the caller of every request into its context.
func authenticate(auth Authenticator, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := auth.Authenticate(r)
		if err != nil {
			challenge := &Challenge{}
			errors.As(err, &challenge)
			challenge.Answer(w)
			return
		}
		caller.Session.Transport = "http"
		next.ServeHTTP(w, r.WithContext(withCaller(r.Context(), caller)))
	})
}

type callerKey struct{}

func withCaller(ctx context.Context, c tools.Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// callerOf is who stands behind a request, as its transport found out.
func callerOf(ctx context.Context) tools.Caller {
	c, _ := ctx.Value(callerKey{}).(tools.Caller)
	return c
}

// Bearer authenticates one principal by one random token.
type Bearer struct {
	principal authz.Principal
	sum       [sha256.Size]byte
	help      string
}

// NewBearer returns an authenticator that takes token for p. whence says, in a
// few words, where a person finds the token; "" leaves it open.
func NewBearer(token string, p authz.Principal, whence string) *Bearer {
	help := "send the header Authorization: Bearer TOKEN"
	if whence != "" {
		help += "; " + whence
	}
	return &Bearer{principal: p, sum: sha256.Sum256([]byte(token)), help: help}
}

// Authenticate compares the request's one bearer token in constant time.
func (b *Bearer) Authenticate(r *http.Request) (tools.Caller, error) {
	h := r.Header.Values("Authorization")
	if len(h) == 0 {
		return tools.Caller{}, &Challenge{Help: "no token came: " + b.help}
	}
	scheme, token, ok := strings.Cut(h[0], " ")
	sum := sha256.Sum256([]byte(token))
	switch {
	case len(h) > 1:
		return tools.Caller{}, &Challenge{Code: "invalid_request", Help: "the header Authorization came twice: " + b.help}
	case !ok || !strings.EqualFold(scheme, "Bearer"):
		return tools.Caller{}, &Challenge{Help: "the header Authorization has no bearer token: " + b.help}
	case subtle.ConstantTimeCompare(sum[:], b.sum[:]) != 1:
		return tools.Caller{}, &Challenge{Code: "invalid_token", Help: "the token is not the one of this exeat: " + b.help}
	}
	return tools.Caller{Principal: b.principal}, nil
}
