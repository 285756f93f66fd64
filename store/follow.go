package store

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
)

// AppendSealed is Append for an entry that gives or takes a right. The chain alone
// does not show who wrote its last entry: seal makes, from the entry's hash, what only
// who has the key can make.
func (tx *Tx) AppendSealed(e Entry, seal func(hash string) []byte) error {
	head, err := tx.head()
	if err != nil {
		return err
	}
	_, err = tx.appendAfter(head, e, seal)
	return err
}

// Sealed reports whether an entry was appended with a seal in this transaction.
func (tx *Tx) Sealed() bool { return tx.sealed }

// Wrote reports whether this transaction has changed anything, so that what it reads
// may never come to be.
func (tx *Tx) Wrote() bool { return tx.wrote }

// Start is the head of a log without entries.
func Start() Head { return Head{Hash: genesis} }

// Follow checks each entry after head against the one before, and returns the new
// head. It calls fn, in order, for those that want asks for by their kind and by
// whether they name a rule, with their seals; the others are not read any further. A
// *ChainError says that the log has no such head any more, or what is wrong with an
// entry after it. An error of fn ends it.
func (tx *Tx) Follow(head Head, want func(kind Kind, named bool) bool, fn func(e Entry, seal []byte) error) (Head, error) {
	rows, err := tx.tx.QueryContext(tx.ctx, "SELECT seq, body, hash, seal FROM entries WHERE seq >= $1 ORDER BY seq", head.Seq)
	if err != nil {
		return head, err
	}
	defer rows.Close()
	found := head.Seq == 0
	for rows.Next() {
		var r row
		var seal sql.RawBytes
		if err := rows.Scan(&r.seq, (*sql.RawBytes)(&r.body), &r.hash, &seal); err != nil {
			return head, &ChainError{Seq: head.Seq + 1, Problem: fmt.Sprintf("what stands in its place is no entry: %v", err)}
		}
		if !found {
			if r.seq != head.Seq || r.hash != head.Hash {
				return head, lacks(head, r.seq == head.Seq)
			}
			found = true
			continue
		}
		kind, err := r.glance(head)
		if err != nil {
			return head, err
		}
		if want(kind, bytes.Contains(r.body, []byte(`"grant":"`))) {
			e, err := r.entry()
			if err != nil {
				return head, &ChainError{Seq: r.seq, Problem: err.Error()}
			}
			if err := fn(e, bytes.Clone(seal)); err != nil {
				return head, err
			}
		}
		head = Head{Seq: r.seq, Hash: r.hash}
	}
	if err := rows.Err(); err != nil || found {
		return head, err
	}
	return head, lacks(head, false)
}

// glance checks that r is the entry after head as this package writes them, and says
// of what kind it is, without reading all of it: Verify does that.
func (r row) glance(head Head) (Kind, error) {
	if r.seq != head.Seq+1 {
		return "", &ChainError{Seq: head.Seq + 1, Problem: "it is missing"}
	}
	if hashEntry(r.body) != r.hash {
		return "", &ChainError{Seq: r.seq, Problem: "its content was changed after it was written"}
	}
	rest, ok := bytes.CutPrefix(r.body, fmt.Appendf(nil, `{"seq":%d,"time":"`, r.seq))
	_, rest, timed := bytes.Cut(rest, []byte(`","kind":"`))
	kind, _, named := bytes.Cut(rest, []byte(`"`))
	if !ok || !timed || !named || !bytes.HasSuffix(r.body, []byte(`,"prev":"`+head.Hash+`","hash":""}`)) {
		return "", &ChainError{Seq: r.seq, Problem: "it does not follow the entry before it"}
	}
	return Kind(kind), nil
}

// contains is Contains in a transaction.
func (tx *Tx) contains(h Head) error {
	if h == Start() {
		return nil // every log begins empty
	}
	var hash string
	err := tx.tx.QueryRowContext(tx.ctx, "SELECT hash FROM entries WHERE seq = $1", h.Seq).Scan(&hash)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return lacks(h, false)
	case err == nil && hash != h.Hash:
		return lacks(h, true)
	}
	return err
}

// lacks is what is wrong with a log that does not hold a head: another entry stands
// there, or none.
func lacks(h Head, another bool) error {
	if another {
		return &ChainError{Seq: h.Seq, Problem: "it is not the entry that is remembered"}
	}
	return &ChainError{Seq: h.Seq, Problem: "it is remembered, but the log ends before it"}
}
