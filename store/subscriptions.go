package store

import (
	"database/sql"
	"encoding/json"
	"errors"
	"time"
)

// Subscription is a browser that a person wants to be told in, by Web Push
// (RFC 8030).
type Subscription struct {
	ID        string
	Person    string          // "User::alice"
	Principal json.RawMessage // authz.Principal, as it was then
	Endpoint  string          // who knows it can send to the browser: a secret
	P256dh    string          // the browser's public key, in base64url (RFC 8291)
	Auth      string          // the secret that goes with it
	Created   time.Time
}

// MaxSubscriptions bounds the browsers of one person; the oldest makes room.
const MaxSubscriptions = 10

const subscriptionColumns = "id, person, principal, endpoint, p256dh, auth, created"

func scanSubscription(scan func(...any) error) (Subscription, error) {
	var s Subscription
	var principal []byte
	var created int64
	err := scan(&s.ID, &s.Person, &principal, &s.Endpoint, &s.P256dh, &s.Auth, &created)
	s.Principal, s.Created = principal, fromMicros(created)
	return s, err
}

// Subscribe keeps a subscription. It replaces one of the same endpoint, and the
// person's oldest if there are too many.
func (tx *Tx) Subscribe(s Subscription) error {
	if _, err := tx.exec("DELETE FROM subscriptions WHERE endpoint = $1", s.Endpoint); err != nil {
		return err
	}
	if _, err := tx.exec(`DELETE FROM subscriptions WHERE id IN (SELECT id FROM subscriptions WHERE person = $1
		ORDER BY created DESC, id LIMIT -1 OFFSET $2)`, s.Person, MaxSubscriptions-1); err != nil {
		return err
	}
	_, err := tx.exec("INSERT INTO subscriptions ("+subscriptionColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7)",
		s.ID, s.Person, []byte(s.Principal), s.Endpoint, s.P256dh, s.Auth, micros(s.Created))
	return err
}

// Unsubscribe forgets a person's subscription; ErrNotFound if it is not theirs
// or not there.
func (tx *Tx) Unsubscribe(person, id string) error {
	res, err := tx.exec("DELETE FROM subscriptions WHERE id = $1 AND person = $2", id, person)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(ErrNotFound, err)
	}
	return nil
}

// Subscription returns one; ErrNotFound if there is none of that ID.
func (tx *Tx) Subscription(id string) (Subscription, error) {
	s, err := scanSubscription(tx.tx.QueryRowContext(tx.ctx, "SELECT "+subscriptionColumns+" FROM subscriptions WHERE id = $1", id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return s, err
}

// Subscriptions lists a person's, oldest first; those of everybody if person is
// "".
func (tx *Tx) Subscriptions(person string) ([]Subscription, error) {
	rows, err := tx.tx.QueryContext(tx.ctx, "SELECT "+subscriptionColumns+" FROM subscriptions WHERE person = $1 OR $1 = '' ORDER BY created, id", person)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Subscription
	for rows.Next() {
		s, err := scanSubscription(rows.Scan)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

// DropSubscription forgets a subscription, whoever's it is.
func (tx *Tx) DropSubscription(id string) error {
	_, err := tx.exec("DELETE FROM subscriptions WHERE id = $1", id)
	return err
}
