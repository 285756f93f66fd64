package store

import (
	"database/sql"
	"errors"
	"time"
)

// Client is an OAuth client that registered itself (RFC 7591). Times are kept to
// the microsecond.
type Client struct {
	ID            string
	Body          []byte // JSON: what it said of itself; never changes
	Created, Ends time.Time
}

// Access is what a person let a client do. It has one secret that is good: first
// a code, then one refresh token after the other. Only MACs of them are kept,
// made with a key that is not in the database.
type Access struct {
	ID      string
	Version int64     // counts changes; what compare-and-swap compares
	Family  []byte    // MAC of what all of its secrets begin with
	Current []byte    // MAC of the secret that is good, and of what never changes
	Due     time.Time // until when that one is
	Code    bool      // it is a code
	Person  string    // "User::alice"
	Client  string    // the client_id
	Body    []byte    // JSON: what was allowed; never changes
	Created time.Time
	Used    time.Time
	Ends    time.Time
}

// InsertClient keeps a new client; ErrConflict if there is one of that ID.
func (tx *Tx) InsertClient(c Client) error {
	return one(tx.exec("INSERT INTO issuer_clients (id, body, created, ends) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
		c.ID, c.Body, micros(c.Created), micros(c.Ends)))
}

// Client returns a client that has not ended; ErrNotFound if there is none.
func (tx *Tx) Client(id string, now time.Time) (Client, error) {
	c := Client{ID: id}
	var created, ends int64
	err := tx.tx.QueryRowContext(tx.ctx, "SELECT body, created, ends FROM issuer_clients WHERE id = $1 AND ends > $2", id, micros(now)).Scan(&c.Body, &created, &ends)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	c.Created, c.Ends = fromMicros(created), fromMicros(ends)
	return c, err
}

// KeepClient lets a client live until then, if it would have ended before.
func (tx *Tx) KeepClient(id string, until time.Time) error {
	_, err := tx.exec("UPDATE issuer_clients SET ends = max(ends, $2) WHERE id = $1", id, micros(until))
	return err
}

// TrimClients deletes the clients that have ended and then, of those that nobody
// let do anything, the oldest, until there are fewer than most. It returns how
// many are left.
func (tx *Tx) TrimClients(now time.Time, most int) (left int, err error) {
	if _, err := tx.exec("DELETE FROM issuer_clients WHERE ends <= $1", micros(now)); err != nil {
		return 0, err
	}
	_, err = tx.exec(`DELETE FROM issuer_clients WHERE id IN (SELECT id FROM issuer_clients
		WHERE id NOT IN (SELECT client FROM issuer_access) ORDER BY created, id
		LIMIT max(0, (SELECT count(*) FROM issuer_clients) - $1 + 1))`, most)
	if err == nil {
		err = tx.tx.QueryRowContext(tx.ctx, "SELECT count(*) FROM issuer_clients").Scan(&left)
	}
	return left, err
}

const accessColumns = "id, version, family, current, due, code, person, client, body, created, used, ends"

func scanAccess(scan func(...any) error) (Access, error) {
	var a Access
	var due, created, used, ends int64
	err := scan(&a.ID, &a.Version, &a.Family, &a.Current, &due, &a.Code, &a.Person, &a.Client, &a.Body, &created, &used, &ends)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	a.Due, a.Created, a.Used, a.Ends = fromMicros(due), fromMicros(created), fromMicros(used), fromMicros(ends)
	return a, err
}

// InsertAccess keeps a new access; ErrConflict if there is one of that ID or
// family.
func (tx *Tx) InsertAccess(a Access) error {
	return one(tx.exec("INSERT INTO issuer_access ("+accessColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING",
		a.ID, a.Version, a.Family, a.Current, micros(a.Due), a.Code, a.Person, a.Client, a.Body, micros(a.Created), micros(a.Used), micros(a.Ends)))
}

// SwapAccess replaces what can change of the access of that ID and Version (Current,
// Due, Code and Used) and counts Version up; ErrConflict if it was changed
// meanwhile.
func (tx *Tx) SwapAccess(a Access) error {
	return one(tx.exec("UPDATE issuer_access SET version = version + 1, current = $3, due = $4, code = $5, used = $6 WHERE id = $1 AND version = $2",
		a.ID, a.Version, a.Current, micros(a.Due), a.Code, micros(a.Used)))
}

// EndAccess deletes an access of a person, and with it what its secrets are good
// for; ErrNotFound if that person has none of that ID.
func (tx *Tx) EndAccess(person, id string) error {
	err := one(tx.exec("DELETE FROM issuer_access WHERE id = $1 AND person = $2", id, person))
	if errors.Is(err, ErrConflict) {
		return ErrNotFound
	}
	return err
}

// AccessOf returns the access whose secrets begin with what has this MAC;
// ErrNotFound if there is none.
func (tx *Tx) AccessOf(family []byte) (Access, error) {
	return scanAccess(tx.tx.QueryRowContext(tx.ctx, "SELECT "+accessColumns+" FROM issuer_access WHERE family = $1", family).Scan)
}

// AccessBy returns what a person let clients do and what has not ended, the
// newest first. Codes that no client took up are not among them.
func (tx *Tx) AccessBy(person string, now time.Time) ([]Access, error) {
	rows, err := tx.tx.QueryContext(tx.ctx, "SELECT "+accessColumns+` FROM issuer_access
		WHERE person = $1 AND ends > $2 AND due > $2 AND code = 0 ORDER BY created DESC, id`, person, micros(now))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Access
	for rows.Next() {
		a, err := scanAccess(rows.Scan)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, rows.Err()
}

// TrimAccess deletes what has ended, and of what a person has given that which
// was not used for longest, until it is less than most.
func (tx *Tx) TrimAccess(person string, now time.Time, most int) error {
	if _, err := tx.exec("DELETE FROM issuer_access WHERE ends <= $1 OR due <= $1", micros(now)); err != nil {
		return err
	}
	_, err := tx.exec(`DELETE FROM issuer_access WHERE id IN (SELECT id FROM issuer_access WHERE person = $1 ORDER BY used, id
		LIMIT max(0, (SELECT count(*) FROM issuer_access WHERE person = $1) - $2 + 1))`, person, most)
	return err
}
