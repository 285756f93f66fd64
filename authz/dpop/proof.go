package dpop

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/exeat/exeat/authz/claims"
	"github.com/exeat/exeat/authz/issuer"
)

// maxProof is how long a proof may be, in bytes.
const maxProof = 8 << 10

// algorithms are those of proofs, whose keys the clients choose.
var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.PS256, jose.RS256}

// Algorithms are the names of those that a proof can be signed with, with spaces
// between.
func Algorithms() string {
	names := make([]string, len(algorithms))
	for i, alg := range algorithms {
		names[i] = string(alg)
	}
	return strings.Join(names, " ")
}

// proof is one that was read.
type proof struct {
	thumbprint                        string // of the key that signed it
	id, method, url, tokenHash, nonce string
	issued                            time.Time
}

// parseProof reads a proof that is signed by the key that it holds.
func parseProof(raw string) (*proof, error) {
	c, err := issuer.ParseJWS(raw, maxProof)
	if err != nil {
		return nil, invalidProof("the proof cannot be read: " + err.Error())
	}
	switch {
	case !c.IsType(proofType):
		return nil, invalidProof("the proof is of another kind: its typ is not " + proofType)
	case !slices.Contains(algorithms, jose.SignatureAlgorithm(c.Alg)):
		return nil, invalidProof("the proof is signed with an algorithm that is not taken: " + Algorithms() + " are")
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
	for name, to := range map[string]*string{"jti": &p.id, "htm": &p.method, "ath": &p.tokenHash} {
		*to, err = c.Payload.Text(name)
		ok = ok && err == nil && *to != ""
	}
	if json.Unmarshal(c.Payload["htu"], &p.url) != nil || p.url == "" { // which may be longer than a text
		ok = false
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

// sameURL compares two URLs as RFC 9449 wants it: without query and fragment, in
// normal form (RFC 3986, sections 6.2.2 and 6.2.3).
func sameURL(a, b string) bool {
	x, okX := normalURL(a)
	y, okY := normalURL(b)
	return okX && okY && x == y
}

// plainHost is a host that is written as it is meant.
var plainHost = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?$`)

func normalURL(raw string) (string, bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || !plainHost.MatchString(u.Host) {
		return "", false
	}
	scheme, port := u.Scheme, u.Port() // Parse has the scheme in lower case
	host := strings.TrimSuffix(strings.ToLower(u.Host), ":"+port)
	if port != "" && !(scheme == "https" && port == "443" || scheme == "http" && port == "80") {
		host += ":" + port
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return scheme + "://" + host + normalPath(path), true
}

// normalPath undoes the percent-encoding of what needs none, and no other: a slash
// that is hidden stays hidden. What follows a % are two hex digits.
func normalPath(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			b.WriteByte(path[i])
			continue
		}
		triple := strings.ToUpper(path[i : i+3])
		i += 2
		if c, err := url.PathUnescape(triple); err == nil && isUnreserved(c[0]) {
			triple = c
		}
		b.WriteString(triple)
	}
	return b.String()
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}
