package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// The profile of RFC 9421 by which a request is signed: one signature, under one
// label, over components and with parameters that follow from the token. So there
// is exactly one Signature-Input for a token and a request.
const (
	signatureLabel = "exeat"
	signatureTag   = "exeat-call-1"
)

// signatureAlgorithms are the names in RFC 9421 of those that keys are for.
var signatureAlgorithms = map[string]string{string(jose.EdDSA): "ed25519", string(jose.ES256): "ecdsa-p256-sha256"}

// message is what of a request can be covered by a signature.
type message struct {
	method, authority string
	target            string // raw request-target
	header            http.Header
}

// component is the value of one component of a message (RFC 9421 §2.1, §2.2).
func (m message) component(name string) (string, error) {
	path, query, _ := strings.Cut(m.target, "?")
	switch name {
	case "@method":
		return m.method, nil
	case "@authority":
		return m.authority, nil
	case "@path":
		return path, nil
	case "@query":
		return "?" + query, nil
	}
	values := slices.Clone(m.header[http.CanonicalHeaderKey(name)])
	if len(values) == 0 {
		return "", fmt.Errorf("the request has no %s", name)
	}
	for i := range values {
		values[i] = strings.Trim(values[i], " \t")
	}
	return strings.Join(values, ", "), nil
}

// base is what is signed of a message (RFC 9421 §2.5). params is the value of
// @signature-params, which lists the same components.
func (m message) base(components []string, params string) ([]byte, error) {
	var b strings.Builder
	for _, name := range components {
		value, err := m.component(name)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "\"%s\": %s\n", name, value)
	}
	b.WriteString(`"@signature-params": ` + params)
	return []byte(b.String()), nil
}

// covered are the components that a signature for a request covers: all that the
// token binds, the host, and the token.
func (d Details) covered() []string {
	names := []string{"@method", "@authority", "@path", "@query"}
	if d.Request.ContentType != "" {
		names = append(names, "content-type")
	}
	names = append(names, "content-digest", "authorization")
	return append(names, slices.Sorted(maps.Keys(d.Request.Headers))...)
}

// signatureParams is the one value of @signature-params for a token, with a key of
// the issuer. The times and the nonce are the token's, so that both end and are
// spent together.
func signatureParams(components []string, created, expires int64, jti string, key jose.JSONWebKey) string {
	return fmt.Sprintf(`("%s");created=%d;expires=%d;nonce=%s;keyid=%s;alg="%s";tag="%s"`, strings.Join(components, `" "`),
		created, expires, sfString(jti), sfString(key.KeyID), signatureAlgorithms[key.Algorithm], signatureTag)
}

// sfString is a string of structured fields (RFC 9651 §4.1.6).
func sfString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// signBytes signs with a private key as RFC 9421 §3.3 says for its algorithm.
func signBytes(key jose.JSONWebKey, b []byte) ([]byte, error) {
	switch private := key.Key.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(private, b), nil
	case *ecdsa.PrivateKey:
		sum := sha256.Sum256(b)
		r, s, err := ecdsa.Sign(rand.Reader, private, sum[:])
		if err != nil {
			return nil, err
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
	}
	return nil, errors.New("the key is of a kind that cannot sign requests")
}

// signed reports whether a signature is that of a key.
func signed(key jose.JSONWebKey, b, signature []byte) bool {
	switch public := key.Key.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(public, b, signature)
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(b)
		return len(signature) == 64 && ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
	}
	return false
}

// signRequest adds Content-Digest, Signature-Input and Signature to a request that
// has its token.
func (m *made) signRequest(r *http.Request) error {
	d, key := m.claims.Details[0], m.ring.keys[0].JWK
	r.Header.Set("Content-Digest", d.Request.ContentDigest)
	components := d.covered()
	params := signatureParams(components, m.claims.IssuedAt, m.claims.Expires, m.claims.ID, key)
	base, err := message{r.Method, authorityOf(r.URL), r.URL.RequestURI(), r.Header}.base(components, params)
	if err != nil {
		return err
	}
	signature, err := signBytes(key, base)
	if err != nil {
		return err
	}
	r.Header.Set("Signature-Input", signatureLabel+"="+params)
	r.Header.Set("Signature", sfSignature(signature))
	return nil
}

func sfSignature(signature []byte) string {
	return signatureLabel + "=:" + base64.StdEncoding.EncodeToString(signature) + ":"
}

// checkSignature checks that the key of the issuer that the token names signed the
// request. What is signed is compared with what has to be, so that nothing of it is
// chosen by the sender. That the digest is that of the body, the details say.
func (v *Verifier) checkSignature(r *http.Request, c *Claims) *Refusal {
	for _, name := range []string{"Content-Digest", "Signature-Input", "Signature"} {
		switch n := len(r.Header[name]); {
		case n == 0:
			return unauthorized("no_signature", "the token is good for a signed request only, and this one has no %s", name)
		case n > 1:
			return refuse(http.StatusBadRequest, "repeated_header", "the request has %d %s headers", n, name)
		}
	}
	if r.Header.Get("Content-Digest") != c.Details.Request.ContentDigest {
		return refuse(http.StatusForbidden, "wrong_content_digest", "Content-Digest is not %s, which is that of the content", c.Details.Request.ContentDigest)
	}
	key, ref := v.key(r.Context(), c.Confirm.KeyID)
	if ref != nil {
		return ref
	}
	components := c.Details.covered()
	params := signatureParams(components, c.IssuedAt.Unix(), c.Expires.Unix(), c.ID, key)
	if want := signatureLabel + "=" + params; !same(r.Header.Get("Signature-Input"), want) {
		return unauthorized("wrong_signature_input", "Signature-Input is not %s, which this token asks for", want)
	}
	origin, err := v.origin()
	if err != nil {
		return misconfigured(err)
	}
	base, err := message{r.Method, authorityOf(origin), r.RequestURI, r.Header}.base(components, params)
	if err != nil {
		return unauthorized("wrong_signature", "%v, which the signature covers", err)
	}
	signature, ok := parseSignature(r.Header.Get("Signature"))
	if !ok || !signed(key, base, signature) {
		return unauthorized("wrong_signature", "the signature is not that of the key %q over this request as it was sent to %s", key.KeyID, authorityOf(origin))
	}
	return nil
}

// parseSignature reads a Signature field in its one spelling.
func parseSignature(field string) ([]byte, bool) {
	encoded, ok := strings.CutPrefix(field, signatureLabel+"=:")
	if !ok {
		return nil, false
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(encoded, ":"))
	return b, err == nil && sfSignature(b) == field
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
