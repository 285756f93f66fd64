package store

import (
	"database/sql"
	"errors"
	"time"
)

// Passkey is a person's public key credential (WebAuthn Level 3 §4, credential
// record). Times are kept to the microsecond.
type Passkey struct {
	ID         string // the credential's id, in base64url
	Version    int64  // counts changes; what compare-and-swap compares
	Person     string // "User::alice"
	Name       string // what the person calls it
	Credential []byte // its record: public key, counter, flags
	Created    time.Time
	Used       time.Time // zero before the first use
	Revoked    time.Time // zero while it is good
	// Mark is a MAC over all of the above, made with a key that is not in the
	// database.
	Mark []byte
}

const passkeyColumns = "id, version, person, name, credential, created, used, revoked, mark"

func scanPasskey(scan func(...any) error) (Passkey, error) {
	var p Passkey
	var created, used, revoked int64
	err := scan(&p.ID, &p.Version, &p.Person, &p.Name, &p.Credential, &created, &used, &revoked, &p.Mark)
	p.Created, p.Used, p.Revoked = fromMicros(created), fromMicros(used), fromMicros(revoked)
	return p, err
}

// InsertPasskey keeps a new passkey; ErrConflict if there is one of that ID.
func (tx *Tx) InsertPasskey(p Passkey) error {
	return one(tx.exec("INSERT INTO passkeys ("+passkeyColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
		p.ID, p.Version, p.Person, p.Name, p.Credential, micros(p.Created), micros(p.Used), micros(p.Revoked), p.Mark))
}

// SwapPasskey replaces the passkey of that ID and Version and counts Version up;
// ErrConflict if it was changed meanwhile.
func (tx *Tx) SwapPasskey(p Passkey) error {
	return one(tx.exec("UPDATE passkeys SET version = version + 1, name = $3, credential = $4, used = $5, revoked = $6, mark = $7 WHERE id = $1 AND version = $2",
		p.ID, p.Version, p.Name, p.Credential, micros(p.Used), micros(p.Revoked), p.Mark))
}

// one is ErrConflict for a statement that changed no row.
func one(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(ErrConflict, err)
	}
	return nil
}

// Passkey returns one passkey; ErrNotFound if there is none of that ID.
func (tx *Tx) Passkey(id string) (Passkey, error) {
	p, err := scanPasskey(tx.tx.QueryRowContext(tx.ctx, "SELECT "+passkeyColumns+" FROM passkeys WHERE id = $1", id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return p, err
}

// Passkeys returns a person's passkeys, revoked ones too, oldest first; those of
// everybody if person is "".
func (tx *Tx) Passkeys(person string) ([]Passkey, error) {
	rows, err := tx.tx.QueryContext(tx.ctx, "SELECT "+passkeyColumns+" FROM passkeys WHERE person = $1 OR $1 = '' ORDER BY created, id", person)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Passkey
	for rows.Next() {
		p, err := scanPasskey(rows.Scan)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, rows.Err()
}
