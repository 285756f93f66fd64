// Package dpop makes and checks the proofs of DPoP (RFC 9449): a token is bound to
// a key, and each request with it carries a proof that its sender has that key.
//
// A proof covers the method, the URL without its query, and the token. It covers
// neither the query nor the body.
package dpop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// proofType is the JOSE typ of a proof.
const proofType = "dpop+jwt"

// Key is the key of a client, which stays in the process that made it. It signs
// with ES256, which every server takes. Safe for concurrent use.
type Key struct {
	signer     jose.Signer
	thumbprint string
}

// NewKey makes a new key.
func NewKey() (*Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make a key for proofs: %w", err)
	}
	return newKey(private)
}

func newKey(private *ecdsa.PrivateKey) (*Key, error) {
	options := (&jose.SignerOptions{EmbedJWK: true}).WithType(proofType)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: private}, options)
	if err != nil {
		return nil, fmt.Errorf("cannot make a key for proofs: %w", err)
	}
	public := jose.JSONWebKey{Key: &private.PublicKey}
	sum, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("cannot make a key for proofs: %w", err)
	}
	return &Key{signer: signer, thumbprint: base64.RawURLEncoding.EncodeToString(sum)}, nil
}

// Thumbprint names the key (RFC 7638), as the claim cnf.jkt of a token that is bound
// to it does, or the parameter dpop_jkt.
func (k *Key) Thumbprint() string { return k.thumbprint }

// proofClaims are the claims of a proof.
type proofClaims struct {
	ID        string `json:"jti"`
	Method    string `json:"htm"`
	URL       string `json:"htu"`
	Issued    int64  `json:"iat"`
	TokenHash string `json:"ath,omitempty"`
	Nonce     string `json:"nonce,omitempty"`
}

// Proof returns the value of the header DPoP for one request: it is good for this
// method and URL, once and for seconds. A query and a fragment of the URL are left
// out. token is the access token that is sent with it, and empty when it is a token
// that is asked for; nonce is what the server gave last in DPoP-Nonce, if it did.
func (k *Key) Proof(method, url, token, nonce string) (string, error) {
	return k.proof(method, url, token, nonce, time.Now())
}

func (k *Key) proof(method, url, token, nonce string, now time.Time) (string, error) {
	if end := strings.IndexAny(url, "?#"); end >= 0 {
		url = url[:end]
	}
	c := proofClaims{ID: rand.Text(), Method: method, URL: url, Issued: now.Unix(), Nonce: nonce}
	if token != "" {
		c.TokenHash = hash(token)
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("cannot make a proof: %w", err)
	}
	signed, err := k.signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("cannot make a proof: %w", err)
	}
	return signed.CompactSerialize()
}

// hash is the claim ath for a token.
func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
