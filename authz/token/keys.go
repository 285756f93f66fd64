package token

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
}

// KeyInfo is what may be told of a key.
type KeyInfo struct {
	ID      string    `json:"kid"` // RFC 7638 thumbprint
	Alg     string    `json:"alg"`
	Status  string    `json:"status"` // active, next, retired
	Created time.Time `json:"created"`
	Until   time.Time `json:"until,omitzero"` // retired: when it leaves the JWKS
}

// keyFile is the content of keys.json.
type keyFile struct {
	Version int         `json:"version"` // 1
	Keys    []storedKey `json:"keys"`
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
	keys   []storedKey // active, next, then retired, newest first
	signer jose.Signer // of the active key
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
	if old := k.info; old != nil && os.SameFile(old, info) && old.ModTime().Equal(info.ModTime()) && old.Size() == info.Size() && old.Mode() == info.Mode() {
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
	signer, err := newSigner(f.Keys[0].JWK)
	if err != nil {
		return nil, err
	}
	return &ring{keys: f.Keys, signer: signer}, nil
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
	signer, err := newSigner(s.JWK)
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
func newSigner(key jose.JSONWebKey) (jose.Signer, error) {
	signing := jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}
	return jose.NewSigner(signing, new(jose.SignerOptions).WithType(tokenType))
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
// next one. The new active key has been published since the rotation before, so
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
	rotated := []storedKey{next}
	for _, key := range r.keys {
		switch key.Status {
		case statusNext:
			key.Status = statusActive
		case statusActive:
			key.Status = statusRetired
			key.Until = now.UTC().Truncate(time.Second).Add(overlap)
			key.JWK = key.JWK.Public()
		case statusRetired:
			if !key.Until.After(now) {
				continue
			}
		}
		rotated = append(rotated, key)
	}
	return k.store(keyFile{Version: 1, Keys: rotated})
}

// JWKS returns the published public keys as a JWK Set (RFC 7517).
func (k *Keys) JWKS(now time.Time) ([]byte, error) {
	r, err := k.load()
	if err != nil {
		return nil, err
	}
	var set jose.JSONWebKeySet
	for _, key := range r.keys {
		if key.Status != statusRetired || key.Until.After(now) {
			set.Keys = append(set.Keys, key.JWK.Public())
		}
	}
	return json.Marshal(set)
}

var secretName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)

// Secret returns a random 32-byte secret kept in the same directory under
// name, making it on first use: for MACs over approvals.
func (k *Keys) Secret(name string) ([]byte, error) {
	if !secretName.MatchString(name) {
		return nil, fmt.Errorf("%q is no name for a secret: use lower-case letters, digits, _ and -", name)
	}
	path := filepath.Join(k.dir, name+".secret")
	secret, err := readSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	unlock, err := lockDir(k.dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	secret, err = readSecret(path) // another process may have been first
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	secret = make([]byte, 32)
	rand.Read(secret)
	if err := writePrivate(path, []byte(hex.EncodeToString(secret)+"\n")); err != nil {
		return nil, fmt.Errorf("cannot write a secret: %w", err)
	}
	return secret, nil
}

func readSecret(path string) ([]byte, error) {
	b, _, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	secret, err := hex.DecodeString(string(bytes.TrimSpace(b)))
	if err != nil || len(secret) != 32 {
		return nil, fmt.Errorf("the secret file %s is damaged; remove it, and what it protected must be done again", path)
	}
	return secret, nil
}
