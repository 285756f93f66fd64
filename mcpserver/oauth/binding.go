package oauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"

	"github.com/exeat/exeat/authz/claims"
	"github.com/exeat/exeat/mcpserver"
)

// checkBinding checks that whoever sends a token has the key that it is bound to
// (RFC 7800). A binding that cannot be checked here is a refusal, or a stolen
// token would work where it was not meant to.
func (s *Server) checkBinding(r *http.Request, g *grant, scheme, token string) error {
	var cnf claims.Set
	if g.claims.Has("cnf") {
		var err error
		if cnf, err = claims.Parse(g.claims["cnf"]); err != nil || len(cnf) == 0 {
			return invalid("the claim cnf of the token cannot be read")
		}
	}
	for name := range cnf {
		if name != "jkt" && name != "x5t#S256" {
			return invalid("the token is bound to a key in a way that this server cannot check")
		}
	}
	if cnf.Has("x5t#S256") {
		if err := checkCertificate(r, cnf); err != nil {
			return err
		}
	}
	thumbprint, err := cnf.Text("jkt")
	bound := cnf.Has("jkt")
	switch {
	case err != nil || bound && thumbprint == "":
		return invalid("the claim cnf of the token cannot be read")
	case bound && g.from.DPoP == Off:
		return invalid("the token is bound to a key by DPoP, which is not taken from its issuer here")
	case bound && scheme != schemeDPoP:
		return dpopProblem("invalid_token", "the token is bound to a key: send it as Authorization: DPoP TOKEN, with a proof in the header DPoP")
	case !bound && scheme == schemeDPoP:
		return dpopProblem("invalid_token", "the token is not bound to a key, so it does not belong into the scheme DPoP")
	case !bound && g.from.DPoP == Require:
		return dpopProblem("invalid_token", "tokens of this issuer have to be bound to a key by DPoP (RFC 9449): get one that is")
	case bound:
		return s.checkProof(r, thumbprint, token)
	}
	return nil
}

// checkCertificate holds a token against the certificate with which the client
// made this very connection (RFC 8705, section 3). A header of a proxy proves
// nothing.
func checkCertificate(r *http.Request, cnf claims.Set) error {
	want, err := cnf.Text("x5t#S256")
	if err != nil || want == "" {
		return invalid("the claim cnf of the token cannot be read")
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return invalid("the token is bound to a certificate, and this connection was made without one: connect with the client's certificate")
	}
	sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
	if subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(want)) != 1 {
		return invalid("the token is bound to another certificate than the one of this connection")
	}
	return nil
}

func dpopProblem(code, help string) *mcpserver.Challenge {
	return &mcpserver.Challenge{Scheme: schemeDPoP, Code: code, Help: help}
}
