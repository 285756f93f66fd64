package account

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/exeat/exeat/store"
)

// ErrTampered is that what is kept of an account is not what exeat kept: it was
// changed, belongs to another row, or was put back.
var ErrTampered = errors.New("what the database has of this account is not what exeat kept there: it was changed or put back, or the key accounts.secret is another. The person has to connect again")

// Connection is an account that a person connected.
type Connection struct {
	Account string           `json:"account,omitempty"` // what its server calls it
	Scopes  map[string]Given `json:"scopes"`            // by their names
	Since   time.Time        `json:"since"`             // the person connected it last
	Ended   string           `json:"ended,omitempty"`   // why it is of no use any more
	Refresh string           `json:"refresh"`           // secret
}

// Given is what a person gave with one scope.
type Given struct {
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
}

// Live reports whether a scope can be used.
func (c Connection) Live(scope string, now time.Time) bool {
	g, ok := c.Scopes[scope]
	return c.Ended == "" && ok && now.Before(g.Until) && !now.Before(g.At.Add(-time.Minute))
}

// sealer encrypts what is kept, with a key that is not in the database.
type sealer struct{ key []byte }

// aead is that of one row: a nonce is drawn at random for each sealing, and each row
// has a key of its own, so that none comes twice.
func (s sealer) aead(row store.Account) (cipher.AEAD, []byte, error) {
	bound, err := json.Marshal([]string{"exeat account 1", row.ID, row.Person, row.API})
	if err != nil {
		return nil, nil, err
	}
	key, err := hkdf.Key(sha256.New, s.key, nil, string(bound), 32)
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, nil, err
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	return gcm, bound, err
}

// seal is row with c in it.
func (s sealer) seal(row store.Account, c Connection) (store.Account, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return row, err
	}
	gcm, bound, err := s.aead(row)
	if err != nil {
		return row, fmt.Errorf("cannot encrypt the account: %w", err)
	}
	row.Sealed = gcm.Seal(nil, nil, text, bound)
	return row, nil
}

// open is what is in a row; ErrTampered if that is not for this person and API.
func (s sealer) open(row store.Account) (c Connection, err error) {
	gcm, bound, err := s.aead(row)
	if err != nil {
		return c, err
	}
	text, err := gcm.Open(nil, nil, row.Sealed, bound)
	if err != nil || json.Unmarshal(text, &c) != nil {
		return Connection{}, ErrTampered
	}
	return c, nil
}

// Folder is where what must not be in the database is kept: a folder of the machine
// that only exeat's user can read (token.Keys).
type Folder interface {
	Secret(name string) ([]byte, error)
	ReadFile(name string) ([]byte, error)
	ChangeFile(name string, change func([]byte) ([]byte, error)) error
}

// currentFile says, beside the keys, which row is the account of whom: one that was
// deleted or replaced is of no use if somebody puts it back.
const currentFile = "accounts.json"

// slot names a person and an API in that file.
func slot(person, api string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s%s", len(person), person, api))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// current is the id of the row that is the account of a person for an API.
func (b *Book) current(person, api string) (string, error) {
	ids, err := readIDs(b.c.Folder.ReadFile(currentFile))
	return ids[slot(person, api)], err
}

// setCurrent makes a row the account; "" says that there is none.
func (b *Book) setCurrent(person, api, id string) error {
	return b.c.Folder.ChangeFile(currentFile, func(text []byte) ([]byte, error) {
		ids, err := readIDs(text, nil)
		if err != nil {
			return nil, err
		}
		ids[slot(person, api)] = id
		if id == "" {
			delete(ids, slot(person, api))
		}
		return json.Marshal(ids)
	})
}

func readIDs(text []byte, err error) (map[string]string, error) {
	ids := map[string]string{}
	if err == nil && len(text) > 0 {
		err = json.Unmarshal(text, &ids)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s in the key folder, which says which accounts are connected: %w", currentFile, err)
	}
	return ids, nil
}
