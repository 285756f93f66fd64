package store

import (
	"database/sql"
	"errors"
	"time"
)

// Account is an account of a person at the authorization server of an API. Times are
// kept to the microsecond.
type Account struct {
	ID      string
	Version int64  // counts changes; what compare-and-swap compares
	Person  string // "User::alice"
	API     string // the document's name
	Sealed  []byte // refresh token and scopes, encrypted
	// Owner renews it now, and nobody else before Busy: most servers take a refresh
	// token once.
	Owner string
	Busy  time.Time
}

// AccountOf returns a person's account for an API; ErrNotFound if there is none.
func (tx *Tx) AccountOf(person, api string) (Account, error) {
	a := Account{Person: person, API: api}
	var busy int64
	err := tx.tx.QueryRowContext(tx.ctx, "SELECT id, version, sealed, owner, busy FROM accounts WHERE person = $1 AND api = $2", person, api).
		Scan(&a.ID, &a.Version, &a.Sealed, &a.Owner, &busy)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	a.Busy = fromMicros(busy)
	return a, err
}

// PutAccount keeps an account in the place of the one that the person had for the API.
func (tx *Tx) PutAccount(a Account) error {
	if _, err := tx.exec("DELETE FROM accounts WHERE person = $1 AND api = $2", a.Person, a.API); err != nil {
		return err
	}
	_, err := tx.exec("INSERT INTO accounts (id, version, person, api, sealed, owner, busy) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		a.ID, a.Version, a.Person, a.API, a.Sealed, a.Owner, micros(a.Busy))
	return err
}

// SwapAccount replaces what can change of the account of that ID and Version (Sealed,
// Owner and Busy) and counts Version up; ErrConflict if it was changed or deleted
// meanwhile.
func (tx *Tx) SwapAccount(a Account) error {
	return one(tx.exec("UPDATE accounts SET version = version + 1, sealed = $3, owner = $4, busy = $5 WHERE id = $1 AND version = $2",
		a.ID, a.Version, a.Sealed, a.Owner, micros(a.Busy)))
}

// DeleteAccount deletes a person's account for an API; ErrNotFound if there is none.
func (tx *Tx) DeleteAccount(person, api string) error {
	err := one(tx.exec("DELETE FROM accounts WHERE person = $1 AND api = $2", person, api))
	if errors.Is(err, ErrConflict) {
		return ErrNotFound
	}
	return err
}
