package oauth

import (
	"crypto"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/exeat/exeat/authz/claims"
	"github.com/exeat/exeat/authz/issuer"
)

// proofAlgorithms are those of proofs, whose keys the clients choose.
var proofAlgorithms = []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.PS256, jose.RS256}

// checkProof checks the DPoP proof that comes with a token bound to the key with
// this thumbprint, in the order of RFC 9449, section 4.3. Last it spends the proof.
func (s *Server) checkProof(r *http.Request, thumbprint, token string) error {
	lines := r.Header.Values("DPoP")
	if len(lines) != 1 {
		return invalidProof("there has to be exactly one header DPoP with a proof")
	}
	p, err := parseProof(lines[0])
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(token))
	switch {
	case !same(p.thumbprint, thumbprint):
		return dpopProblem("invalid_token", "the token is bound to another key than the proof is signed with")
	case p.method != r.Method:
		return invalidProof("the proof is for another method (htm)")
	case !s.isHere(r, p.url):
		return invalidProof("the proof is for another URL (htu): this one is " + s.here(r))
	case !same(p.tokenHash, base64.RawURLEncoding.EncodeToString(sum[:])):
		return invalidProof("the proof is for another token (ath)")
	}
	now := s.c.Now()
	if p.nonce == "" || !s.nonceIsGood(p.nonce, now) {
		c := dpopProblem("use_dpop_nonce", "the proof has to hold the nonce that this answer names in the header DPoP-Nonce: make a new proof with it")
		c.DPoPNonce = s.newNonce(now)
		return c
	}
	if p.issued.Before(now.Add(-skew)) || p.issued.After(now.Add(skew)) {
		return invalidProof("the proof was made too long ago, or in the future (iat): make one for each request, and compare the clocks")
	}
	switch s.proofs.spend(p.thumbprint, p.id, now) {
	case proofSpent:
		return invalidProof("the proof was used before (jti): make one for each request")
	case proofsFull:
		return unavailable()
	}
	return nil
}

// invalidProof is the error of RFC 9449, section 7.1, for what is wrong with a
// proof.
func invalidProof(help string) error { return dpopProblem("invalid_dpop_proof", help) }

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// here is the public URL of a request, as the configuration has it: a request's
// own Host and the headers of proxies are not asked. The endpoint can be written
// with a slash at its end.
func (s *Server) here(r *http.Request) string {
	if strings.HasSuffix(r.URL.Path, "/") {
		return s.c.Resource + "/"
	}
	return s.c.Resource
}

// isHere compares a URL with that of a request, as RFC 9449 wants it: without query
// and fragment, in normal form (RFC 3986, sections 6.2.2 and 6.2.3).
func (s *Server) isHere(r *http.Request, htu string) bool {
	a, okA := normalURL(htu)
	b, okB := normalURL(s.here(r))
	return okA && okB && a == b
}

func normalURL(raw string) (string, bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || strings.Contains(strings.ToLower(u.RawPath), "%2f") {
		return "", false
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	scheme := strings.ToLower(u.Scheme)
	if port != "" && !(scheme == "https" && port == "443" || scheme == "http" && port == "80") {
		host += ":" + port
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return scheme + "://" + host + (&url.URL{Path: u.Path}).EscapedPath(), true
}

// parseProof reads a proof that is signed by the key that it holds.
func parseProof(raw string) (*proof, error) {
	c, err := issuer.ParseJWS(raw, maxToken)
	if err != nil {
		return nil, invalidProof("the proof cannot be read: " + err.Error())
	}
	switch {
	case !c.IsType("dpop+jwt"):
		return nil, invalidProof("the proof is of another kind: its typ is not dpop+jwt")
	case !slices.Contains(proofAlgorithms, jose.SignatureAlgorithm(c.Alg)):
		return nil, invalidProof("the proof is signed with an algorithm that is not taken: " + joinAlgorithms(proofAlgorithms) + " are")
	}
	key, thumbprint, ok := proofKey(c.Header["jwk"])
	if !ok {
		return nil, invalidProof("the proof does not hold the public key that it is signed with (jwk), and nothing but that")
	}
	if !c.Verify(key) {
		return nil, invalidProof("the signature of the proof is not that of the key in it")
	}
	p := &proof{thumbprint: thumbprint}
	ok = true
	for name, to := range map[string]*string{"jti": &p.id, "htm": &p.method, "htu": &p.url, "ath": &p.tokenHash} {
		*to, err = c.Payload.Text(name)
		ok = ok && err == nil && *to != ""
	}
	nonce, err := c.Payload.Text("nonce")
	if p.nonce = nonce; err != nil {
		ok = false
	}
	if p.issued, err = c.Payload.Time("iat"); err != nil || p.issued.IsZero() || !ok {
		return nil, invalidProof("the proof has not all of jti, htm, htu, iat and ath, each a plain text or time")
	}
	return p, nil
}

// proofKey reads the key in a proof's header: a public one, with its thumbprint
// (RFC 7638).
func proofKey(raw json.RawMessage) (key any, thumbprint string, ok bool) {
	members, err := claims.Parse(raw)
	if err != nil {
		return nil, "", false
	}
	for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, there := members[secret]; there {
			return nil, "", false
		}
	}
	var jwk jose.JSONWebKey
	if json.Unmarshal(raw, &jwk) != nil || !jwk.Valid() || !jwk.IsPublic() {
		return nil, "", false
	}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	return jwk.Key, base64.RawURLEncoding.EncodeToString(sum), err == nil
}
