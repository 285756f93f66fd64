package token

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// keyFile is the content of keys.json.
type keyFile struct {
	Version int         `json:"version"` // 1
	Keys    []storedKey `json:"keys"`
	// Seq counts the rotations; Rotations are the last of them, oldest first.
	Seq       int64    `json:"seq,omitzero"`
	Rotations []string `json:"rotations,omitempty"`
}

// storedKey is one key: the JWK is private unless the key is retired.
type storedKey struct {
	Status  string          `json:"status"`
	Created time.Time       `json:"created"`
	Until   time.Time       `json:"until,omitzero"`
	JWK     jose.JSONWebKey `json:"jwk"`
}

// ring is a keyFile that was checked and is ready for use. It does not change.
type ring struct {
	keys      []storedKey // active, next, then retired, newest first
	header    string      // of the tokens that the active key signs, in base64url
	seq       int64
	rotations []string
}

// parseKeys checks the content of keys.json: nothing is signed with, or
// published, that is not exactly as exeat wrote it.
func parseKeys(b []byte) (*ring, error) {
	var f keyFile
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, err
	}
	if f.Version != 1 {
		return nil, fmt.Errorf("version %d is not one that this exeat can read", f.Version)
	}
	if dec.More() {
		return nil, errors.New("something follows the JSON object")
	}
	order := map[string]int{statusActive: 0, statusNext: 1, statusRetired: 2}
	count, seen := map[string]int{}, map[string]bool{}
	for i, key := range f.Keys {
		if err := key.check(); err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		if seen[key.JWK.KeyID] {
			return nil, fmt.Errorf("key %d is there twice", i+1)
		}
		seen[key.JWK.KeyID] = true
		count[key.Status]++
	}
	if count[statusActive] != 1 || count[statusNext] != 1 {
		return nil, errors.New("it does not hold exactly one active and one next key")
	}
	slices.SortStableFunc(f.Keys, func(a, b storedKey) int {
		if a.Status != b.Status {
			return order[a.Status] - order[b.Status]
		}
		return b.Until.Compare(a.Until)
	})
	header, err := headerOf(f.Keys[0].JWK)
	if err != nil {
		return nil, err
	}
	r := &ring{keys: f.Keys, header: header, seq: f.Seq, rotations: f.Rotations}
	return r, r.checkRotations()
}

// headerOf is the first part of the tokens that a key signs: it is always the same.
func headerOf(key jose.JSONWebKey) (string, error) {
	signer, err := newSigner(key, tokenType)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign([]byte("{}"))
	if err != nil {
		return "", err
	}
	compact, err := signed.CompactSerialize()
	header, _, _ := strings.Cut(compact, ".")
	return header, err
}

// sign signs the claims of a token with the active key.
func (r *ring) sign(claims []byte) (string, error) {
	b := make([]byte, 0, len(r.header)+base64.RawURLEncoding.EncodedLen(len(claims))+90)
	b = append(append(b, r.header...), '.')
	b = base64.RawURLEncoding.AppendEncode(b, claims)
	signature, err := signBytes(r.keys[0].JWK, b) // of JWS, too (RFC 7518 §3.4, RFC 8037 §3.1)
	if err != nil {
		return "", err
	}
	return string(base64.RawURLEncoding.AppendEncode(append(b, '.'), signature)), nil
}

// checkRotations refuses rotations that do not lead to the keys.
func (r *ring) checkRotations() error {
	if (r.seq == 0) != (len(r.rotations) == 0) || len(r.rotations) > maxRotations {
		return fmt.Errorf("it holds %d rotations of %d", len(r.rotations), r.seq)
	}
	d, published := keyDocument{Seq: r.seq, Rotations: r.rotations}, map[string]jose.JSONWebKey{}
	for _, key := range r.keys {
		published[key.JWK.KeyID] = key.JWK.Public()
	}
	_, err := d.enrollable(published)
	return err
}

// check refuses a key that is not what it says it is.
func (s storedKey) check() error {
	switch s.Status {
	case statusActive, statusNext:
		if s.JWK.IsPublic() {
			return fmt.Errorf("the %s key has no private half", s.Status)
		}
	case statusRetired:
		if !s.JWK.IsPublic() {
			return errors.New("a retired key still has its private half")
		}
	default:
		return fmt.Errorf("unknown status %q", s.Status)
	}
	public := s.JWK.Public()
	id, err := thumbprint(public)
	if err != nil {
		return err
	}
	if id != s.JWK.KeyID {
		return errors.New("its kid is not its thumbprint")
	}
	if err := usable(public); err != nil {
		return err
	}
	if s.Status == statusRetired {
		return nil
	}
	// A key whose halves do not belong together would sign what nobody accepts.
	signer, err := newSigner(s.JWK, tokenType)
	if err != nil {
		return err
	}
	signed, err := signer.Sign([]byte("{}"))
	if err != nil {
		return err
	}
	if _, err := signed.Verify(public.Key); err != nil {
		return errors.New("its halves do not belong together")
	}
	return nil
}

// newSigner returns a signer whose JOSE header is {alg, kid, typ}.
func newSigner(key jose.JSONWebKey, typ jose.ContentType) (jose.Signer, error) {
	signing := jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}
	return jose.NewSigner(signing, new(jose.SignerOptions).WithType(typ))
}

func newKey(alg jose.SignatureAlgorithm, status string, now time.Time) (storedKey, error) {
	var private any
	var err error
	if alg == jose.ES256 {
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		_, private, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		return storedKey{}, fmt.Errorf("cannot make a signing key: %w", err)
	}
	jwk := jose.JSONWebKey{Key: private, Algorithm: string(alg), Use: "sig"}
	jwk.KeyID, err = thumbprint(jwk)
	if err != nil {
		return storedKey{}, fmt.Errorf("cannot make a signing key: %w", err)
	}
	return storedKey{Status: status, Created: now.UTC().Truncate(time.Second), JWK: jwk}, nil
}

// thumbprint is the RFC 7638 name of a key.
func thumbprint(key jose.JSONWebKey) (string, error) {
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}
