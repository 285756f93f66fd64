package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// The chain. Each entry is kept as the exact bytes of its JSON form, which
// holds seq and prev but not hash, and
//
//	hash = SHA-256("exeat-entry-1\n" || body)
//
// in hex. prev is the hash of the entry before, or 64 zeros for the first. An
// entry that is changed, moved, removed or put in between breaks the chain;
// only the loss of its end does not, which is why heads are worth remembering.
const chainDomain = "exeat-entry-1\n"

// genesis is the prev of the first entry.
const genesis = "0000000000000000000000000000000000000000000000000000000000000000"

func hashEntry(body []byte) string {
	h := sha256.New()
	h.Write([]byte(chainDomain))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// Head is the last entry's sequence number and hash.
type Head struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

func (tx *Tx) head() (Head, error) {
	if tx.end != nil {
		return *tx.end, nil
	}
	h := Head{Hash: genesis}
	err := tx.tx.QueryRowContext(tx.ctx, "SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").Scan(&h.Seq, &h.Hash)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return h, err
}

// Append adds an entry to the chain in this transaction. Seq, Prev and Hash are
// set here; Time is set to now if it is zero.
func (tx *Tx) Append(e Entry) error {
	head, err := tx.head()
	if err != nil {
		return err
	}
	_, err = tx.appendAfter(head, e, nil)
	return err
}

// appendAfter adds an entry behind head. seal, if not nil, makes its seal from its hash.
func (tx *Tx) appendAfter(head Head, e Entry, seal func(hash string) []byte) (Head, error) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.UTC().Truncate(time.Microsecond)
	if err := e.shorten(); err != nil {
		return head, err
	}
	e.Seq, e.Prev, e.Hash = head.Seq+1, head.Hash, ""
	body, err := json.Marshal(e)
	if err != nil {
		return head, err
	}
	hash, sealed := hashEntry(body), []byte{}
	if seal != nil {
		sealed, tx.sealed = seal(hash), true
	}
	for _, column := range []*string{(*string)(&e.Kind), &e.Principal, &e.API, &e.Tool, &e.Effect, &e.Agent, &e.Txn} {
		*column = string([]rune(*column)) // what is not UTF-8 becomes U+FFFD, as in the body
	}
	_, err = tx.exec("INSERT INTO entries (seq, at, kind, principal, api, tool, effect, agent, txn, body, hash, seal) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
		e.Seq, micros(e.Time), e.Kind, e.Principal, e.API, e.Tool, e.Effect, e.Agent, e.Txn, body, hash, sealed)
	if err != nil {
		return head, err
	}
	tx.end = &Head{Seq: e.Seq, Hash: hash}
	return *tx.end, nil
}

// Entries calls fn for each entry with a sequence number above after, in
// order, until fn returns an error.
func (s *Store) Entries(ctx context.Context, after int64, fn func(Entry) error) error {
	return s.entries(ctx, fn, "WHERE seq > $1", after)
}

func (s *Store) entries(ctx context.Context, fn func(Entry) error, where string, args ...any) error {
	return s.rows(ctx, func(r row) error {
		e, err := r.entry()
		if err != nil {
			return err
		}
		return fn(e)
	}, where, args...)
}

// row is an entry as stored.
type row struct {
	seq             int64
	at              int64
	kind, principal string
	api, tool, txn  string
	effect, agent   string
	body            []byte
	hash            string
}

func (r row) entry() (Entry, error) {
	var e Entry
	dec := json.NewDecoder(bytes.NewReader(r.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		return e, fmt.Errorf("entry %d is damaged: %v", r.seq, err)
	}
	e.Hash = r.hash
	return e, nil
}

// rows reads in one snapshot, so that a chain that grows meanwhile stays whole.
// An error of fn is kept from View, which could take it for a reason to begin
// again.
func (s *Store) rows(ctx context.Context, fn func(row) error, where string, args ...any) error {
	var stop error
	err := s.View(ctx, func(tx *Tx) error {
		rows, err := tx.tx.QueryContext(ctx, "SELECT seq, at, kind, principal, api, tool, effect, agent, txn, body, hash FROM entries "+where+" ORDER BY seq", args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		var last int64
		for rows.Next() {
			var r row
			if err := rows.Scan(&r.seq, &r.at, &r.kind, &r.principal, &r.api, &r.tool, &r.effect, &r.agent, &r.txn, &r.body, &r.hash); err != nil {
				return &ChainError{Seq: last + 1, Problem: fmt.Sprintf("what stands in its place is no entry: %v", err)}
			}
			last = r.seq
			if stop = fn(r); stop != nil {
				return nil
			}
		}
		return rows.Err()
	})
	if stop != nil {
		return stop
	}
	return err
}

// ChainError is a place where the audit log is not what was written.
type ChainError struct {
	Seq     int64
	Problem string
}

func (e *ChainError) Error() string { return fmt.Sprintf("entry %d: %s", e.Seq, e.Problem) }

// Verify walks the whole chain and returns its head. A *ChainError names the
// first entry that does not fit and says in which way.
func (s *Store) Verify(ctx context.Context) (Head, error) {
	head := Head{Hash: genesis}
	// Every row, whatever its number: none may hide below the first.
	err := s.rows(ctx, func(r row) error {
		var err error
		head, err = r.follows(head)
		return err
	}, "")
	return head, err
}

// follows checks that r is the entry after head and returns the new head.
func (r row) follows(head Head) (Head, error) {
	bad := func(format string, args ...any) (Head, error) {
		return head, &ChainError{Seq: r.seq, Problem: fmt.Sprintf(format, args...)}
	}
	if r.seq != head.Seq+1 {
		if r.seq > head.Seq+1 {
			return bad("%d entries before it are missing", r.seq-head.Seq-1)
		}
		return bad("its number is out of order")
	}
	if got := hashEntry(r.body); got != r.hash {
		return bad("its content was changed after it was written")
	}
	e, err := r.entry()
	switch {
	case err != nil:
		return bad("its content cannot be read: %v", err)
	case e.Seq != r.seq:
		return bad("its content belongs to entry %d", e.Seq)
	case e.Prev != head.Hash:
		return bad("it does not follow the entry before it")
	case micros(e.Time) != r.at || string(e.Kind) != r.kind || e.Principal != r.principal || e.API != r.api || e.Tool != r.tool || e.Effect != r.effect || e.Agent != r.agent || e.Txn != r.txn:
		return bad("its index columns were changed")
	}
	return Head{Seq: r.seq, Hash: r.hash}, nil
}

// Ends are the first and the last entry. Both are zero if there is none.
func (s *Store) Ends(ctx context.Context) (first, last Head, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		for order, h := range map[string]*Head{"ASC": &first, "DESC": &last} {
			err := tx.tx.QueryRowContext(ctx, "SELECT seq, hash FROM entries ORDER BY seq "+order+" LIMIT 1").Scan(&h.Seq, &h.Hash)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		return nil
	})
	return first, last, err
}

// Contains reports, as an error if not, that the chain still holds a head that
// was remembered: the one way to notice that its end was cut off.
func (s *Store) Contains(ctx context.Context, h Head) error {
	return s.View(ctx, func(tx *Tx) error { return tx.contains(h) })
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// Newest calls fn for the newest entries, at most so many, the oldest of them
// first, until fn returns an error.
func (s *Store) Newest(ctx context.Context, most int, fn func(Entry) error) error {
	return s.entries(ctx, fn, "WHERE seq > (SELECT coalesce(max(seq), 0) - $1 FROM entries)", most)
}

// Chain calls fn for the entries of one call, in order, until fn returns an
// error.
func (s *Store) Chain(ctx context.Context, txn string, fn func(Entry) error) error {
	return s.entries(ctx, fn, "WHERE txn = $1", txn)
}
