package store

import (
	"bytes"
)

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
	found := head.Seq == 0
	rd := tx.reading()
	err := tx.rows(func(r *row) error {
		if !found {
			if r.seq != head.Seq || string(r.hash) != head.Hash {
				return lacks(head, r.seq == head.Seq)
			}
			found = true
			return nil
		}
		kind, err := r.glance(head)
		if err != nil {
			return err
		}
		if want(kind, bytes.Contains(r.body, []byte(`"grant":"`))) {
			e, base, err := rd.entry(r)
			if err == nil && base != nil && len(r.seal) > 0 {
				err = &ChainError{Seq: r.seq, Problem: "it gives or takes a right, and does not say so itself"}
			}
			if err != nil {
				return err
			}
			if err := fn(e, bytes.Clone(r.seal)); err != nil {
				return err
			}
		}
		head = Head{Seq: r.seq, Hash: string(r.hash)}
		return nil
	}, "WHERE seq >= $1", head.Seq)
	if err != nil || found {
		return head, err
	}
	return head, lacks(head, false)
}

// glance checks that r is the entry after head as this package writes them, and says
// of what kind it is, without reading all of it: Verify does that.
func (r *row) glance(head Head) (Kind, error) {
	if r.seq != head.Seq+1 {
		return "", &ChainError{Seq: head.Seq + 1, Problem: "it is missing"}
	}
	if err := r.linked(head); err != nil {
		return "", err
	}
	var rest []byte
	var ok bool
	if r.first != nil {
		rest, ok = firstKind(r, head)
	} else {
		rest, ok = bytes.CutPrefix(r.body, []byte(`{"time":"`))
		_, rest, _ = bytes.Cut(rest, []byte(`","kind":"`))
	}
	kind, _, named := bytes.Cut(rest, []byte(`"`))
	if !ok || !named {
		return "", &ChainError{Seq: r.seq, Problem: "it does not follow the entry before it"}
	}
	return Kind(kind), nil
}

// contains is Contains in a transaction.
func (tx *Tx) contains(h Head) error {
	if h == Start() {
		return nil // every log begins empty
	}
	at, err := tx.headAt(h.Seq)
	if err == nil && at != h {
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
