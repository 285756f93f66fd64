package token

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// rotationType is the JOSE typ of a rotation. That of a token is another, so
// neither passes for the other, although the same key signs both.
const rotationType = "exeat-keys+jwt"

// maxRotations is how many rotations are published. A guard that missed more has
// to be enrolled again.
const maxRotations = 32

// rotation names the keys that sign from now on. The key that signed until now
// signs it, so that whoever trusts that key can trust these.
type rotation struct {
	Seq  int64             `json:"seq"` // one more than that of the rotation before
	At   int64             `json:"at"`  // Unix seconds
	Keys []jose.JSONWebKey `json:"keys"`
}

// sealRotation signs r with the key that is about to retire.
func sealRotation(r rotation, key jose.JSONWebKey) (string, error) {
	payload, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	signer, err := newSigner(key, rotationType)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// readRotation reads a rotation without checking its signature.
func readRotation(compact string) (rotation, error) {
	var r rotation
	if !isCompact(compact) {
		return r, errors.New("a rotation of keys is not a JWS in compact form")
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(compact, ".")[1])
	if err != nil {
		return r, errors.New("a rotation of keys is not base64url")
	}
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil || r.Seq < 1 || r.At < 0 || r.At > lastYear || len(r.Keys) == 0 {
		return r, errors.New("a rotation of keys cannot be read")
	}
	for _, key := range r.Keys {
		if err := usable(key); err != nil {
			return r, fmt.Errorf("rotation %d of the keys has a key that cannot sign tokens: %w", r.Seq, err)
		}
	}
	return r, nil
}

// trust are the keys that somebody relies on: those that a person enrolled, and
// those that followed them, each named by one that was relied on before.
type trust struct {
	Seq  int64        `json:"seq"` // of the last rotation that is known
	Keys []trustedKey `json:"keys"`
}

type trustedKey struct {
	Until int64           `json:"until,omitempty"` // Unix seconds; 0 while no rotation has retired it
	JWK   jose.JSONWebKey `json:"jwk"`
}

// follow goes on to the keys of a rotation: the next one, signed by a key that
// is relied on and not retired.
func (t *trust) follow(compact string) error {
	next, err := readRotation(compact)
	if err != nil {
		return err
	}
	if next.Seq != t.Seq+1 {
		return fmt.Errorf("rotation %d of the keys follows rotation %d", next.Seq, t.Seq)
	}
	alg, kid, ref := joseHeader(compact, rotationType)
	if ref != nil {
		return ref
	}
	var by *jose.JSONWebKey
	for i, key := range t.Keys {
		if key.JWK.KeyID == kid && key.Until == 0 {
			by = &t.Keys[i].JWK
		}
	}
	if by == nil || by.Algorithm != alg {
		return fmt.Errorf("rotation %d of the keys is not signed by a key that is enrolled", next.Seq)
	}
	signed, err := jose.ParseSignedCompact(compact, algorithms)
	if err != nil {
		return err
	}
	if _, err := signed.Verify(by.Key); err != nil {
		return fmt.Errorf("the signature of rotation %d of the keys does not verify", next.Seq)
	}
	followed := trust{Seq: next.Seq}
	for _, key := range next.Keys {
		followed.Keys = append(followed.Keys, trustedKey{JWK: key})
	}
	for _, key := range t.Keys {
		if followed.has(key.JWK.KeyID) {
			continue
		}
		if key.Until == 0 {
			key.Until = next.At + int64(overlap/time.Second)
		}
		followed.Keys = append(followed.Keys, key)
	}
	*t = followed
	return nil
}

func (t *trust) has(kid string) bool {
	for _, key := range t.Keys {
		if key.JWK.KeyID == kid {
			return true
		}
	}
	return false
}

// forget drops the keys whose tokens are all dead.
func (t *trust) forget(now time.Time) {
	kept := t.Keys[:0]
	for _, key := range t.Keys {
		if key.Until == 0 || key.Until > now.Unix() {
			kept = append(kept, key)
		}
	}
	t.Keys = kept
}

// keyDocument is what exeat publishes: a JWK Set (RFC 7517), whose further
// members say how its keys followed one another.
type keyDocument struct {
	Keys      []json.RawMessage `json:"keys"`
	Seq       int64             `json:"exeat_seq,omitempty"`
	Rotations []string          `json:"exeat_rotations,omitempty"` // the last ones, oldest first
}

// enrollable are the keys of a document that a person vouches for.
func (d keyDocument) enrollable(published map[string]jose.JSONWebKey) (*trust, error) {
	t := new(trust)
	if len(d.Rotations) == 0 {
		for _, key := range published {
			t.Keys = append(t.Keys, trustedKey{JWK: key})
		}
		t.Seq = d.Seq
	} else {
		first, err := readRotation(d.Rotations[0])
		if err != nil {
			return nil, err
		}
		t.Seq = first.Seq
		for _, key := range first.Keys {
			t.Keys = append(t.Keys, trustedKey{JWK: key})
		}
		for _, r := range d.Rotations[1:] {
			if err := t.follow(r); err != nil {
				return nil, err
			}
		}
	}
	if len(t.Keys) == 0 {
		return nil, errors.New("it holds no key that can sign tokens")
	}
	return t, d.agrees(t, published)
}

// advance goes on from t to what the document says, if every step is signed.
func (d keyDocument) advance(t *trust, published map[string]jose.JSONWebKey) error {
	if d.Seq < t.Seq {
		return fmt.Errorf("its keys are older than those that are enrolled (rotation %d, and %d is known): somebody else may answer there, or an old copy of the key folder was put back", d.Seq, t.Seq)
	}
	for _, compact := range d.Rotations {
		r, err := readRotation(compact)
		if err != nil {
			return err
		}
		if r.Seq <= t.Seq {
			continue
		}
		if r.Seq > t.Seq+1 {
			return fmt.Errorf("the keys were rotated %d times since they were last read here, and only the last %d rotations are kept", d.Seq-t.Seq, len(d.Rotations))
		}
		if err := t.follow(compact); err != nil {
			return err
		}
	}
	return d.agrees(t, published)
}

// agrees checks that the document proves all rotations that it speaks of, and
// publishes a key that signs now. What else it publishes is not looked at.
func (d keyDocument) agrees(t *trust, published map[string]jose.JSONWebKey) error {
	if d.Seq != t.Seq {
		return fmt.Errorf("it says that its keys were rotated %d times, and proves %d", d.Seq, t.Seq)
	}
	for _, key := range t.Keys {
		if got, there := published[key.JWK.KeyID]; there && key.Until == 0 && sameKey(got, key.JWK) {
			return nil
		}
	}
	return errors.New("its keys are not those that are enrolled, nor signed by them: somebody else may answer there")
}

// sameKey compares two public keys by what they are, not by what they are called.
func sameKey(a, b jose.JSONWebKey) bool {
	x, err1 := thumbprint(a)
	y, err2 := thumbprint(b)
	return err1 == nil && err2 == nil && x == y && a.Algorithm == b.Algorithm
}
