package store

import (
	"context"
	"database/sql"
	"errors"
)

// Pins are the keys of an issuer that were enrolled, as [Store.SwapPins] left
// them; nothing if none were.
func (s *Store) Pins(ctx context.Context, issuer string) (keys []byte, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		err := tx.tx.QueryRowContext(tx.ctx, "SELECT keys FROM pins WHERE issuer = $1", issuer).Scan(&keys)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return keys, err
}

// SwapPins keeps the keys of an issuer if those that were kept are still last,
// and tells whether it did. last is empty where there are none yet.
func (s *Store) SwapPins(ctx context.Context, issuer string, last, next []byte) (done bool, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		var err error
		if len(last) == 0 {
			err = one(tx.exec("INSERT INTO pins (issuer, keys) VALUES ($1, $2) ON CONFLICT (issuer) DO UPDATE SET keys = $2 WHERE length(pins.keys) = 0", issuer, next))
		} else {
			err = one(tx.exec("UPDATE pins SET keys = $3 WHERE issuer = $1 AND keys = $2", issuer, last, next))
		}
		return err
	})
	if errors.Is(err, ErrConflict) {
		return false, nil
	}
	return err == nil, err
}
