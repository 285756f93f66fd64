package token

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The status of a key.
const (
	statusActive  = "active"
	statusNext    = "next"
	statusRetired = "retired"
)

// overlap is how long a retired key stays published: as long as a token that it
// signed can live (MaxTTL and the leeway), and as long again for a process that
// read the keys just before the rotation. Twice MaxTTL covers both.
const overlap = 2 * MaxTTL

// algorithms are those that exeat signs with and accepts.
var algorithms = []jose.SignatureAlgorithm{jose.EdDSA, jose.ES256}

// Keys is a directory (mode 0700) of signing keys (in one file of mode 0600,
// keys.json, so that every change is one rename). One is active, one is next
// and already published, the rest are retired and published for two minutes
// more, until every token they signed is dead; the private half of a retired
// key is gone at once. Safe for concurrent use; several processes may share the
// directory, and see each other's changes at their next call.
type Keys struct {
	dir string
	alg jose.SignatureAlgorithm

	mu   sync.Mutex
	info fs.FileInfo // of the file that ring was read from
	ring *ring
	kept map[string]keptSecret // by path
}

// keptSecret is a secret as it was read from a file.
type keptSecret struct {
	info   fs.FileInfo
	secret []byte
}

// KeyInfo is what may be told of a key.
type KeyInfo struct {
	ID      string    `json:"kid"` // RFC 7638 thumbprint
	Alg     string    `json:"alg"`
	Status  string    `json:"status"` // active, next, retired
	Created time.Time `json:"created"`
	Until   time.Time `json:"until,omitzero"` // retired: when it leaves the JWKS
}

// OpenKeys opens dir, making it and the first two keys if it does not exist or
// is empty. alg is EdDSA (Ed25519; also if empty) or ES256, for keys made from
// now on. Loose permissions are an error that names the file and the chmod to
// run.
func OpenKeys(dir, alg string) (*Keys, error) {
	if alg == "" {
		alg = string(jose.EdDSA)
	}
	k := &Keys{dir: dir, alg: jose.SignatureAlgorithm(alg)}
	if !slices.Contains(algorithms, k.alg) {
		return nil, fmt.Errorf("keys cannot be of algorithm %q; use EdDSA or ES256", alg)
	}
	made, err := makeDir(dir)
	if err != nil {
		return nil, err
	}
	if err := k.open(); err != nil {
		if made {
			os.Remove(dir) // succeeds only while nothing is in it
		}
		return nil, err
	}
	return k, nil
}

// makeDir makes dir if it is not there, and tells whether it did.
func makeDir(dir string) (made bool, err error) {
	_, err = os.Lstat(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return false, checkDir(dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, fmt.Errorf("cannot make the key directory: %w", err)
	}
	return true, checkDir(dir)
}

// open reads the keys, or makes the first two.
func (k *Keys) open() error {
	_, err := k.load()
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	unlock, err := lockDir(k.dir)
	if err != nil {
		return err
	}
	defer unlock()
	_, err = k.load() // another process may have been first
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	now := time.Now()
	active, err := newKey(k.alg, statusActive, now)
	if err != nil {
		return err
	}
	next, err := newKey(k.alg, statusNext, now)
	if err != nil {
		return err
	}
	return k.store(keyFile{Version: 1, Keys: []storedKey{active, next}})
}

func (k *Keys) path() string { return filepath.Join(k.dir, "keys.json") }

// load returns the keys as they are now. A look at the file's metadata saves
// reading it again.
func (k *Keys) load() (*ring, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	info, err := os.Lstat(k.path())
	if err != nil {
		return nil, fmt.Errorf("cannot read the signing keys: %w", err)
	}
	if unchanged(k.info, info) {
		return k.ring, nil
	}
	b, info, err := readPrivate(k.path())
	if err != nil {
		return nil, fmt.Errorf("cannot read the signing keys: %w", err)
	}
	r, err := parseKeys(b)
	if err != nil {
		return nil, fmt.Errorf("the key file %s is damaged: %v; put a copy of it back, or move the directory away to start with new keys", k.path(), err)
	}
	k.info, k.ring = info, r
	return r, nil
}

// unchanged reports whether a file is as it was when it was read: each change puts
// another one in its place.
func unchanged(old, info fs.FileInfo) bool {
	return old != nil && os.SameFile(old, info) && old.ModTime().Equal(info.ModTime()) && old.Size() == info.Size() && old.Mode() == info.Mode()
}

// store replaces keys.json. The caller holds the lock of the directory.
func (k *Keys) store(f keyFile) error {
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot write the signing keys: %w", err)
	}
	if _, err := parseKeys(b); err != nil {
		return fmt.Errorf("cannot write the signing keys: %w", err)
	}
	if err := writePrivate(k.path(), append(b, '\n')); err != nil {
		return fmt.Errorf("cannot write the signing keys: %w", err)
	}
	return nil
}

// List returns the keys, active first. Retired ones stay in it until the first
// rotation after they have left the JWKS.
func (k *Keys) List() ([]KeyInfo, error) {
	r, err := k.load()
	if err != nil {
		return nil, err
	}
	infos := make([]KeyInfo, len(r.keys))
	for i, key := range r.keys {
		infos[i] = KeyInfo{ID: key.JWK.KeyID, Alg: key.JWK.Algorithm, Status: key.Status, Created: key.Created, Until: key.Until}
	}
	return infos, nil
}

// Rotate makes the next key active, retires the active one and makes a new
// next one; the key that retires signs which ones follow it. The new active key has been published since the rotation before, so
// unless that was minutes ago every verifier knows it.
func (k *Keys) Rotate(now time.Time) error {
	unlock, err := lockDir(k.dir)
	if err != nil {
		return err
	}
	defer unlock()
	r, err := k.load()
	if err != nil {
		return err
	}
	next, err := newKey(k.alg, statusNext, now)
	if err != nil {
		return err
	}
	at := now.UTC().Truncate(time.Second)
	step, err := sealRotation(rotation{Seq: r.seq + 1, At: at.Unix(), Keys: []jose.JSONWebKey{r.keys[1].JWK.Public(), next.JWK.Public()}}, r.keys[0].JWK)
	if err != nil {
		return fmt.Errorf("cannot sign the rotation of the keys: %w", err)
	}
	steps := append(slices.Clone(r.rotations), step)
	steps = steps[max(0, len(steps)-maxRotations):]
	rotated := []storedKey{next}
	for _, key := range r.keys {
		switch key.Status {
		case statusNext:
			key.Status = statusActive
		case statusActive:
			key.Status = statusRetired
			key.Until = at.Add(overlap)
			key.JWK = key.JWK.Public()
		case statusRetired:
			if !key.Until.After(now) {
				continue
			}
		}
		rotated = append(rotated, key)
	}
	return k.store(keyFile{Version: 1, Keys: rotated, Seq: r.seq + 1, Rotations: steps})
}

// Sign returns the claims of an access token as a compact JWS of the type at+jwt
// (RFC 9068), signed with the active key.
func (k *Keys) Sign(claims []byte) (string, error) {
	r, err := k.load()
	if err != nil {
		return "", err
	}
	return r.sign(claims)
}

// SignType returns claims as a compact JWS of another type than an access token,
// signed with the active key: what exeat says of somebody to an authorization server.
// A guard and an API that look at the type do not take it for a token.
func (k *Keys) SignType(typ string, claims []byte) (string, error) {
	r, err := k.load()
	if err != nil {
		return "", err
	}
	if strings.TrimPrefix(strings.ToLower(typ), "application/") == tokenType {
		return "", errors.New("an access token is signed by Sign")
	}
	signer, err := newSigner(r.keys[0].JWK, jose.ContentType(typ))
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// JWKS returns the published public keys as a JWK Set (RFC 7517), with the last
// rotations, by which those who enrolled earlier keys come to rely on these.
func (k *Keys) JWKS(now time.Time) ([]byte, error) {
	r, err := k.load()
	if err != nil {
		return nil, err
	}
	d := keyDocument{Seq: r.seq, Rotations: r.rotations}
	for _, key := range r.keys {
		if key.Status == statusRetired && !key.Until.After(now) {
			continue
		}
		b, err := json.Marshal(key.JWK.Public())
		if err != nil {
			return nil, err
		}
		d.Keys = append(d.Keys, b)
	}
	return json.Marshal(d)
}

var secretName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)

// Secret returns a random 32-byte secret kept in the same directory under
// name, making it on first use: for MACs over approvals.
func (k *Keys) Secret(name string) ([]byte, error) {
	if !secretName.MatchString(name) {
		return nil, fmt.Errorf("%q is no name for a secret: use lower-case letters, digits, _ and -", name)
	}
	path := filepath.Join(k.dir, name+".secret")
	secret, err := k.readSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	unlock, err := lockDir(k.dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	secret, err = k.readSecret(path) // another process may have been first
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	return newSecret(path)
}

// RotateSecret puts a new secret in the place of the one called name, and returns it.
func (k *Keys) RotateSecret(name string) ([]byte, error) {
	if !secretName.MatchString(name) {
		return nil, fmt.Errorf("%q is no name for a secret: use lower-case letters, digits, _ and -", name)
	}
	unlock, err := lockDir(k.dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return newSecret(filepath.Join(k.dir, name+".secret"))
}

// newSecret makes a secret and keeps it. The caller holds the lock.
func newSecret(path string) ([]byte, error) {
	secret := make([]byte, 32)
	rand.Read(secret)
	if err := writePrivate(path, []byte(hex.EncodeToString(secret)+"\n")); err != nil {
		return nil, fmt.Errorf("cannot write a secret: %w", err)
	}
	return secret, nil
}

// readSecret reads a secret, of which each request may need one: as load reads the keys.
func (k *Keys) readSecret(path string) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if info, err := os.Lstat(path); err == nil && unchanged(k.kept[path].info, info) {
		return bytes.Clone(k.kept[path].secret), nil
	}
	b, info, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	secret, err := hex.DecodeString(string(bytes.TrimSpace(b)))
	if err != nil || len(secret) != 32 {
		return nil, fmt.Errorf("the secret file %s is damaged; remove it, and what it protected must be done again", path)
	}
	if k.kept == nil {
		k.kept = map[string]keptSecret{}
	}
	k.kept[path] = keptSecret{info, secret}
	return bytes.Clone(secret), nil
}
