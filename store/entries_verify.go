package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
)

// Verify walks the whole chain and returns its head. A *ChainError names the
// first entry that does not fit and says in which way.
func (s *Store) Verify(ctx context.Context) (head Head, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		head, err = tx.verify()
		return err
	})
	return head, err
}

func (tx *Tx) verify() (Head, error) {
	head := Start()
	rd := tx.reading()
	var sums tallySum
	check := func(r *row) (err error) {
		head, err = r.follows(rd, head, &sums)
		return err
	}
	// A copy may be of before the second format.
	var since int
	if err := tx.tx.QueryRowContext(tx.ctx, "SELECT count(*) FROM sqlite_schema WHERE name = 'entries_1'").Scan(&since); err != nil {
		return head, err
	}
	// Every row, whatever its number: none may hide below the first.
	if since == 0 {
		err := tx.firstRows("entries", check, "")
		return head, err
	}
	err := sums.begin(tx)
	if err == nil {
		err = tx.rows(check, "")
	}
	if err == nil {
		err = sums.compare(tx, head)
	}
	return head, err
}

// linked checks that the hash of r is that of its content behind head.
func (r *row) linked(head Head) error {
	if r.first != nil {
		if hashFirst(r.body) != string(r.hash) {
			return &ChainError{Seq: r.seq, Problem: "its content was changed after it was written"}
		}
		return nil
	}
	prev, err := head.bytes()
	if err != nil {
		return err
	}
	if hash := hashEntry(prev, r.body); hex.EncodeToString(hash[:]) != string(r.hash) {
		return &ChainError{Seq: r.seq, Problem: "its content was changed after it was written, or it does not follow the entry before it"}
	}
	return nil
}

// follows checks that r is the entry after head and returns the new head.
func (r *row) follows(rd *reader, head Head, sums *tallySum) (Head, error) {
	bad := func(format string, args ...any) (Head, error) {
		return head, &ChainError{Seq: r.seq, Problem: fmt.Sprintf(format, args...)}
	}
	if r.seq != head.Seq+1 {
		if r.seq > head.Seq+1 {
			return bad("%d entries before it are missing", r.seq-head.Seq-1)
		}
		return bad("its number is out of order")
	}
	if err := r.linked(head); err != nil {
		return head, err
	}
	e, _, err := rd.entry(r)
	switch {
	case err != nil:
		return head, err
	case e.Seq != r.seq:
		return bad("its content belongs to entry %d", e.Seq)
	case r.first != nil && e.Prev != head.Hash:
		return bad("it does not follow the entry before it")
	case r.first != nil && !r.first.agree(&e), r.first == nil && r.ref != refOf(e.Txn), !sums.add(r, &e):
		return bad("its index columns were changed")
	}
	for _, end := range e.Ended {
		if call, err := rd.call(end[0]); err != nil || call.Kind != KindCall && call.Kind != KindRetry || end[0] >= r.seq {
			return bad("it tells of the end of entry %d, which is no call before it", end[0])
		}
	}
	return Head{Seq: r.seq, Hash: string(r.hash)}, nil
}

// Ends are the first and the last entry. Both are zero if there is none.
func (s *Store) Ends(ctx context.Context) (first, last Head, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		if first, err = tx.edge([2]string{"entries_1", "entries"}, "ASC"); err == nil {
			last, err = tx.edge([2]string{"entries", "entries_1"}, "DESC")
		}
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
		return err
	})
	return first, last, err
}

// Contains reports, as an error if not, that the chain still holds a head that
// was remembered: the one way to notice that its end was cut off.
func (s *Store) Contains(ctx context.Context, h Head) error {
	return s.View(ctx, func(tx *Tx) error { return tx.contains(h) })
}
