package oauth

import (
	"errors"
	"net/http"
	"strings"

	"github.com/exeat/exeat/authz/dpop"
)

// checkProof checks the DPoP proof that comes with a token bound to the key with
// this thumbprint.
func (s *Server) checkProof(r *http.Request, thumbprint, token string) error {
	err := s.proofs.Check(r.Context(), r.Header, dpop.Request{Method: r.Method, URL: s.here(r), Token: token, Thumbprint: thumbprint}, s.c.Now())
	var problem *dpop.Problem
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &problem):
		return unavailable()
	}
	c := dpopProblem(problem.Code, problem.Help)
	c.DPoPNonce = problem.Nonce
	return c
}

// here is the public URL of a request, as the configuration has it: a request's
// own Host and the headers of proxies are not asked. The endpoint can be written
// with a slash at its end.
func (s *Server) here(r *http.Request) string {
	if strings.HasSuffix(r.URL.Path, "/") {
		return s.c.Resource + "/"
	}
	return s.c.Resource
}
