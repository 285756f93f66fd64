package credential

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"github.com/exeat/exeat/authz/token"
)

// ClientAuth proves to an authorization server that it is exeat who asks.
type ClientAuth interface {
	// prove adds to the parameters of a request what proves it.
	prove(form url.Values) (proof, error)
}

// proof is what a request carries beside its parameters.
type proof struct {
	id, secret string
	style      oauth2.AuthStyle
}

// SecretAuth proves it by a secret (RFC 6749 §2.3.1), in the header Authorization or
// in the body. Finding out by trying would send every request that fails twice.
// Without a secret the client is a public one, or TLS proves who it is (RFC 8705).
type SecretAuth struct {
	ID     string
	Secret token.Secret
	InBody bool
}

func (a SecretAuth) prove(url.Values) (proof, error) {
	p := proof{a.ID, a.Secret.Reveal(), oauth2.AuthStyleInHeader}
	if a.InBody || a.Secret.IsZero() {
		p.style = oauth2.AuthStyleInParams
	}
	return p, nil
}

// assertionType is that of RFC 7523 §2.2.
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assertionTTL is how long an assertion is good for.
const assertionTTL = time.Minute

// KeyAuth proves it by a signed assertion (private_key_jwt, RFC 7523 §2.2).
type KeyAuth struct {
	ID string
	// Audience names the server: its issuer identifier, and nothing else (RFC 10070).
	Audience string
	Key      *SigningKey
	// NotBefore adds the claim nbf, which few servers want: a clock that is a second
	// ahead breaks it.
	NotBefore bool
	Now       func() time.Time // nil means time.Now
}

func (a KeyAuth) prove(form url.Values) (proof, error) {
	now := timeOf(a.Now)
	claims := map[string]any{"iss": a.ID, "sub": a.ID, "aud": a.Audience, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(assertionTTL).Unix()}
	if a.NotBefore {
		claims["nbf"] = now.Unix()
	}
	signed, err := a.Key.Sign("JWT", claims)
	if err != nil {
		return proof{}, err
	}
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", signed)
	return proof{id: a.ID, style: oauth2.AuthStyleInParams}, nil
}

// FileAuth proves it by an assertion that another program keeps in a file and renews:
// a SPIFFE JWT-SVID, a projected service account token. The file is read each time.
type FileAuth struct {
	ID   string // empty: the assertion says it
	Path string
}

func (a FileAuth) prove(form url.Values) (proof, error) {
	assertion, err := token.SecretFromFile(a.Path)
	if err != nil {
		return proof{}, err
	}
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", assertion.Reveal())
	return proof{id: a.ID, style: oauth2.AuthStyleInParams}, nil
}

// IdentityAuth proves it by what says who exeat is to a server that trusts its issuer
// (workload identity federation).
type IdentityAuth struct {
	ID       string
	Identity func() (string, error)
}

func (a IdentityAuth) prove(form url.Values) (proof, error) {
	signed, err := a.Identity()
	if err != nil {
		return proof{}, err
	}
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", signed)
	return proof{id: a.ID, style: oauth2.AuthStyleInParams}, nil
}

// SigningKey signs assertions.
type SigningKey struct {
	key    crypto.PrivateKey
	alg    jose.SignatureAlgorithm
	header map[jose.HeaderKey]any
}

// ReadSigningKey reads a private key of a PEM file: RSA (RS256), P-256 (ES256) or
// Ed25519 (EdDSA). kid names it to the server; empty sends no kid.
func ReadSigningKey(path, kid string) (*SigningKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the key: %w", err)
	}
	key, err := ParseSigningKey(text, kid)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// ParseSigningKey reads a private key in PEM, as ReadSigningKey does.
func ParseSigningKey(text []byte, kid string) (*SigningKey, error) {
	key, alg, err := parseKey(text)
	if err != nil {
		return nil, err
	}
	k := newSigningKey(key, alg, kid)
	return k, k.certify(text)
}

func newSigningKey(key crypto.PrivateKey, alg jose.SignatureAlgorithm, kid string) *SigningKey {
	k := &SigningKey{key: key, alg: alg, header: map[jose.HeaderKey]any{}}
	if kid != "" {
		k.header["kid"] = kid
	}
	return k
}

// PSS is the same key, and if it is RSA, signs with PS256.
func (k *SigningKey) PSS() *SigningKey {
	pss := *k
	if pss.alg == jose.RS256 {
		pss.alg = jose.PS256
	}
	return &pss
}

// Certified reports whether the key came with its certificate.
func (k *SigningKey) Certified() bool { return k.header["x5t#S256"] != nil }

// JWKS is the public half, as an issuer publishes it (RFC 7517).
func (k *SigningKey) JWKS() ([]byte, error) {
	kid, _ := k.header["kid"].(string)
	return json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: k.key.(crypto.Signer).Public(), KeyID: kid, Algorithm: string(k.alg), Use: "sig"}}})
}

// certify has signatures name the certificate of the key that is in the same PEM, if
// there is one (x5t#S256, RFC 7515 §4.1.8).
func (k *SigningKey) certify(text []byte) error {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return errors.New("the certificate cannot be read")
		}
		own, ok := certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
		if ok && own.Equal(k.key.(crypto.Signer).Public()) {
			sum := sha256.Sum256(certificate.Raw)
			k.header["x5t#S256"] = base64.RawURLEncoding.EncodeToString(sum[:])
			return nil
		}
	}
	return nil
}

func parseKey(text []byte) (crypto.PrivateKey, jose.SignatureAlgorithm, error) {
	block, rest := pem.Decode(text)
	for block != nil && !strings.HasSuffix(block.Type, "PRIVATE KEY") {
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return nil, "", errors.New("there is no private key in PEM here")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, "", errors.New("the private key cannot be read; it must not be encrypted (openssl pkey -in FILE writes it so)")
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return k, jose.RS256, nil
	case *ecdsa.PrivateKey:
		if k.Curve == elliptic.P256() {
			return k, jose.ES256, nil
		}
	case ed25519.PrivateKey:
		return k, jose.EdDSA, nil
	}
	return nil, "", errors.New("the key is of another kind than RSA, P-256 and Ed25519")
}

// Sign returns claims as a compact JWT of a type.
func (k *SigningKey) Sign(typ string, claims any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	options := (&jose.SignerOptions{}).WithType(jose.ContentType(typ))
	for name, value := range k.header {
		options.WithHeader(name, value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.alg, Key: k.key}, options)
	if err != nil {
		return "", fmt.Errorf("cannot sign: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("cannot sign: %w", err)
	}
	return signed.CompactSerialize()
}
