package dpop

import (
	"net/http"
	"strings"
	"sync/atomic"
)

// maxNonce bounds a nonce that a server gives.
const maxNonce = 512

// Given is the nonce that one server gave last, for the next proof. Safe for
// concurrent use.
type Given struct{ nonce atomic.Pointer[string] }

// Nonce is what the next proof has to hold; "" if none was given.
func (g *Given) Nonce() string {
	if nonce := g.nonce.Load(); nonce != nil {
		return *nonce
	}
	return ""
}

// Answered keeps the nonce that an answer of a resource server brings. It reports
// whether the answer asks for the same request with that nonce, having done nothing
// (RFC 9449 §9).
func (g *Given) Answered(res *http.Response) (again bool) {
	nonce := res.Header.Get("DPoP-Nonce")
	if nonce == "" || len(nonce) > maxNonce {
		return false
	}
	g.nonce.Store(&nonce)
	challenges := strings.Join(res.Header.Values("WWW-Authenticate"), ", ")
	return res.StatusCode == http.StatusUnauthorized && strings.Contains(challenges, `error="use_dpop_nonce"`)
}
