package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
)

// row is an entry as stored.
type row struct {
	seq            int64
	body           []byte // good until the next row
	hash           storedHash
	seal           sql.RawBytes
	tally, at, ref sql.NullInt64
	first          *firstColumns // of an entry of the first format, and then not the three before
}

// rows calls fn for entries in order, those of the first format before the others.
func (tx *Tx) rows(fn func(*row) error, where string, args ...any) error {
	if err := tx.firstRows("entries_1", fn, where, args...); err != nil {
		return err
	}
	return tx.secondRows(fn, where, args...)
}

func (tx *Tx) firstRows(table string, fn func(*row) error, where string, args ...any) error {
	var r row
	var c firstColumns
	r.first = &c
	return tx.each(&r, fn, "SELECT seq, at, kind, principal, api, tool, txn, effect, agent, body, hash, seal FROM "+table+" "+where+" ORDER BY seq", args,
		&r.seq, &c.at, &c.kind, &c.principal, &c.api, &c.tool, &c.txn, &c.effect, &c.agent, (*sql.RawBytes)(&r.body), &r.hash, &r.seal)
}

func (tx *Tx) secondRows(fn func(*row) error, where string, args ...any) error {
	var r row
	return tx.each(&r, fn, "SELECT seq, tally, at, ref, body, hash, seal FROM entries "+where+" ORDER BY seq", args,
		&r.seq, &r.tally, &r.at, &r.ref, (*sql.RawBytes)(&r.body), &r.hash, &r.seal)
}

func (tx *Tx) each(r *row, fn func(*row) error, query string, args []any, columns ...any) error {
	rows, err := tx.tx.QueryContext(tx.ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var last int64
	for rows.Next() {
		if err := rows.Scan(columns...); err != nil {
			return &ChainError{Seq: last + 1, Problem: fmt.Sprintf("what stands in its place is no entry: %v", err)}
		}
		last = r.seq
		if err := fn(r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// reader makes whole entries of rows, in one transaction.
type reader struct {
	tx   *Tx
	last Head // the row before
	// known are entries that others may name: some, to ask SQLite less often.
	known map[int64]known
}

type known struct {
	Entry
	short bool // it names another
}

func (tx *Tx) reading() *reader { return &reader{tx: tx, last: Start(), known: map[int64]known{}} }

// stored is a body of the second format.
type stored struct {
	Entry
	As int64 `json:"as"`
}

// entry is the entry of a row, without Prev. base is where it has from what it does not
// say itself, or nil.
func (rd *reader) entry(r *row) (e Entry, base *Entry, err error) {
	damaged := func(err error) (Entry, *Entry, error) {
		return e, nil, &ChainError{Seq: r.seq, Problem: fmt.Sprintf("its content cannot be read: %v", err)}
	}
	var s stored
	if err := decodeBody(r, &s); err != nil {
		return damaged(err)
	}
	e, e.Hash = s.Entry, string(r.hash)
	if r.first != nil {
		return e, nil, nil
	}
	e.Seq = r.seq
	if s.As != 0 {
		if base, err = rd.base(r.seq, s.As); err != nil {
			return damaged(err)
		}
		if own, err := e.appendShared(nil); err != nil || len(own) > 0 {
			return damaged(errors.New("it says as which entry it is, and says it itself, too"))
		}
		e.share(base)
	}
	if s.As == 0 || e.Kind == KindCall || e.Kind == KindRetry {
		rd.keep(known{e, s.As != 0})
	}
	return e, base, nil
}

// decodeBody reads the body of a row.
func decodeBody(r *row, s *stored) error {
	dec := json.NewDecoder(bytes.NewReader(r.body))
	dec.DisallowUnknownFields()
	if r.first != nil {
		return dec.Decode(&s.Entry)
	}
	if err := dec.Decode(s); err != nil {
		return err
	}
	// Its bytes are a part of an exported line, and there is one for each entry.
	if dec.InputOffset() != int64(len(r.body)) || bytes.IndexByte(r.body, '\n') >= 0 {
		return errors.New("it is more than one JSON object in one line")
	}
	if s.Seq != 0 || s.Prev != "" || s.Hash != "" {
		return errors.New("it says of itself which entry it is")
	}
	return nil
}

// keep remembers an entry that others may name.
func (rd *reader) keep(k known) {
	const most = 4096
	if len(rd.known) >= most {
		clear(rd.known)
	}
	rd.known[k.Seq] = k
}

// base is the whole entry that the entry seq names.
func (rd *reader) base(seq, as int64) (*Entry, error) {
	if as >= seq {
		return nil, fmt.Errorf("it is as entry %d, which does not come before it", as)
	}
	k, ok := rd.known[as]
	if !ok {
		if err := rd.tx.row(as, func(r *row) error {
			var s stored
			err := decodeBody(r, &s)
			k.Entry, k.short = s.Entry, s.As != 0
			return err
		}); err != nil {
			return nil, fmt.Errorf("it is as entry %d: %w", as, err)
		}
		k.Seq = as
		rd.keep(k)
	}
	if k.short {
		return nil, fmt.Errorf("it is as entry %d, which is not whole itself", as)
	}
	return &k.Entry, nil
}

// call is the entry of a read of whose end another entry tells.
func (rd *reader) call(seq int64) (Entry, error) {
	if k, ok := rd.known[seq]; ok {
		return k.Entry, nil
	}
	var e Entry
	err := rd.tx.row(seq, func(r *row) (err error) {
		e, _, err = rd.entry(r)
		return err
	})
	return e, err
}

// row calls fn with one entry of the second format.
func (tx *Tx) row(seq int64, fn func(*row) error) error {
	found := false
	err := tx.secondRows(func(r *row) error {
		found = true
		return fn(r)
	}, "WHERE seq = $1", seq)
	if err == nil && !found {
		err = errors.New("that is missing")
	}
	return err
}

// follow gives an entry that was read its Prev.
func (rd *reader) follow(r *row, e *Entry) (err error) {
	if r.first == nil {
		if rd.last.Seq != r.seq-1 {
			if rd.last, err = rd.tx.headAt(r.seq - 1); err != nil {
				return err
			}
		}
		e.Prev = rd.last.Hash
	}
	rd.last = Head{Seq: r.seq, Hash: string(r.hash)}
	return nil
}

// headAt is the entry of a number, as a head.
func (tx *Tx) headAt(seq int64) (Head, error) {
	if seq == 0 {
		return Start(), nil
	}
	h := Head{Seq: seq}
	err := tx.tx.QueryRowContext(tx.ctx, "SELECT hash FROM entries WHERE seq = $1 UNION ALL SELECT hash FROM entries_1 WHERE seq = $1", seq).Scan((*storedHash)(&h.Hash))
	if errors.Is(err, sql.ErrNoRows) {
		err = lacks(h, false)
	}
	return h, err
}

// Entries calls fn for each entry with a sequence number above after, in
// order, until fn returns an error.
//
// A read that went well has no entry of its own for its outcome: one that tells of
// several has its status (Ended). fn gets an outcome for each of them before that entry,
// made of what the read's own entry says, with its Seq and no Hash. Of an entry that
// tells of nothing else (KindEnded), that is all that it gets.
func (s *Store) Entries(ctx context.Context, after int64, fn func(Entry) error) error {
	return s.snapshot(ctx, fn, func(tx *Tx, give func(Entry) error) error {
		return tx.entries(give, "WHERE seq > $1", after)
	})
}

// Newest calls fn for the newest entries, at most so many, the oldest of them
// first, as Entries does, until fn returns an error.
func (s *Store) Newest(ctx context.Context, most int, fn func(Entry) error) error {
	return s.snapshot(ctx, fn, func(tx *Tx, give func(Entry) error) error {
		head, err := tx.head()
		if err != nil {
			return err
		}
		return tx.entries(give, "WHERE seq > $1", head.Seq-int64(most))
	})
}

// farEnd bounds how far behind the entry of a read its end is looked for.
const farEnd = 100_000

// Chain calls fn for the entries of one call, in order, as Entries does, until fn returns
// an error.
func (s *Store) Chain(ctx context.Context, txn string, fn func(Entry) error) error {
	return s.snapshot(ctx, fn, func(tx *Tx, give func(Entry) error) error {
		list, err := tx.chain(txn)
		if err != nil {
			return err
		}
		for _, e := range list {
			if err := give(e); err != nil {
				return err
			}
		}
		return nil
	})
}

func (tx *Tx) chain(txn string) (list []Entry, err error) {
	rd := tx.reading()
	open := -1 // of list: the newest request of the call, if it has no outcome
	add := func(r *row) error {
		e, _, err := rd.entry(r)
		if err != nil || e.Txn != txn {
			return err
		}
		if err := rd.follow(r, &e); err != nil {
			return err
		}
		switch e.Kind {
		case KindCall, KindRetry:
			open = len(list)
		case KindOutcome:
			open = -1
		}
		e.Ended = nil // of others
		list = append(list, e)
		return nil
	}
	if err = tx.firstRows("entries_1", add, "WHERE txn = $1", txn); err == nil {
		err = tx.secondRows(add, "WHERE ref = $1", refOf(txn))
	}
	if err != nil || open < 0 {
		return list, err
	}
	end, err := rd.end(list[open])
	if err == nil && end != nil {
		list = append(list, *end)
	}
	return list, err
}

// end is the outcome of a read as a later entry tells of it, or nil.
func (rd *reader) end(call Entry) (out *Entry, err error) {
	enough := errors.New("found")
	err = rd.tx.secondRows(func(r *row) error {
		if !bytes.Contains(r.body, []byte(`"ended":[`)) {
			return nil
		}
		by, _, err := rd.entry(r)
		for _, end := range by.Ended {
			if end[0] == call.Seq {
				e := call.outcome(&by, int(end[1]))
				out = &e
				return enough
			}
		}
		return err
	}, "WHERE seq > $1 AND seq <= $2", call.Seq, call.Seq+farEnd)
	if err == enough {
		err = nil
	}
	return out, err
}

// snapshot is a View of which an error of fn is kept, since View could take it for a
// reason to begin again.
func (s *Store) snapshot(ctx context.Context, give func(Entry) error, fn func(tx *Tx, give func(Entry) error) error) error {
	var stop error
	err := s.View(ctx, func(tx *Tx) error {
		err := fn(tx, func(e Entry) error {
			stop = give(e)
			return stop
		})
		if stop != nil {
			return nil
		}
		return err
	})
	if stop != nil {
		return stop
	}
	return err
}

func (tx *Tx) entries(fn func(Entry) error, where string, args ...any) error {
	rd := tx.reading()
	return tx.rows(func(r *row) error {
		e, _, err := rd.entry(r)
		if err == nil {
			err = rd.follow(r, &e)
		}
		if err != nil {
			return err
		}
		return rd.give(e, fn)
	}, where, args...)
}

// give calls fn with an entry, and before that with the outcomes that it tells of.
func (rd *reader) give(e Entry, fn func(Entry) error) error {
	for _, end := range e.Ended {
		call, err := rd.call(end[0])
		if err != nil {
			return fmt.Errorf("entry %d tells of the end of entry %d: %w", e.Seq, end[0], err)
		}
		if err := fn(call.outcome(&e, int(end[1]))); err != nil {
			return err
		}
	}
	if e.Kind == KindEnded {
		return nil
	}
	return fn(e)
}

// outcome is how the read of an entry came out, as another entry tells.
func (e Entry) outcome(by *Entry, status int) Entry {
	e.Seq, e.Time, e.Kind, e.Status = by.Seq, by.Time, KindOutcome, status
	e.Strategy, e.JTI, e.Standing, e.Credential, e.Note, e.Ended, e.Prev, e.Hash = "", "", false, nil, "", nil, "", ""
	return e
}
