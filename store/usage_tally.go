package store

import (
	"database/sql"
	"errors"
	"hash/maphash"
)

// Calls are counted as they are written. A tally is one kind of call that budgets tell
// apart; tally_counts has, for each time at which there was one, how many there were of it
// up to then.

// tallyKey is what a tally counts.
type tallyKey struct{ principal, api, tool, effect, agent string }

// tallyOf is the tally of an entry, or false if it counts for no budget.
func tallyOf(e *Entry) (k tallyKey, ok bool) {
	if e.Kind != KindCall && e.Kind != KindSend {
		return k, false
	}
	return tallyKey{validText(e.Principal), validText(e.API), validText(e.Tool), validText(e.Effect), validText(e.Agent)}, true
}

// counted is what is known of a tally: its newest time, and how many calls there were up
// to then. n is 0 if that is not known.
type counted struct{ id, at, n int64 }

// farBack bounds how many later calls of a tally may be moved for one that comes late.
const farBack = 1000

// count counts an entry, and gives the tally and the time at which it is counted: its own,
// or that of the newest call if the clock was set back so far that many came later. Then it
// counts for longer, never for less.
func (tx *Tx) count(e *Entry) (id, time sql.NullInt64, err error) {
	key, ok := tallyOf(e)
	if !ok {
		return id, time, nil
	}
	c, err := tx.tally(key)
	if err != nil {
		return id, time, err
	}
	at := micros(e.Time)
	if at > c.at {
		_, err = tx.exec("INSERT INTO tally_counts (tally, at, n) VALUES ($1, $2, $3)", c.id, at, c.n+1)
		c.at = at
	} else {
		at, err = tx.countLate(c, at)
	}
	c.n++
	return sql.NullInt64{Int64: c.id, Valid: true}, sql.NullInt64{Int64: at, Valid: true}, err
}

func (tx *Tx) countLate(c *counted, at int64) (int64, error) {
	var later int
	if err := tx.tx.QueryRowContext(tx.ctx, "SELECT count(*) FROM (SELECT 1 FROM tally_counts WHERE tally = $1 AND at > $2 LIMIT $3)", c.id, at, farBack+1).Scan(&later); err != nil {
		return at, err
	}
	if later > farBack {
		at = c.at
	}
	if _, err := tx.exec("UPDATE tally_counts SET n = n + 1 WHERE tally = $1 AND at > $2", c.id, at); err != nil {
		return at, err
	}
	_, err := tx.exec(`INSERT INTO tally_counts (tally, at, n)
		VALUES ($1, $2, 1 + coalesce((SELECT n FROM tally_counts WHERE tally = $1 AND at <= $2 ORDER BY at DESC LIMIT 1), 0))
		ON CONFLICT (tally, at) DO UPDATE SET n = excluded.n`, c.id, at)
	return at, err
}

// tally is what is known of one, which is made if it is not there.
func (tx *Tx) tally(key tallyKey) (*counted, error) {
	const most = 10_000
	m := tx.mem
	c := m.tallies[key]
	if c == nil {
		c = &counted{}
		find := func() error {
			return tx.tx.QueryRowContext(tx.ctx, "SELECT id FROM tallies WHERE principal = $1 AND api = $2 AND tool = $3 AND effect = $4 AND agent = $5",
				key.principal, key.api, key.tool, key.effect, key.agent).Scan(&c.id)
		}
		err := find()
		if errors.Is(err, sql.ErrNoRows) {
			if _, err := tx.exec("INSERT INTO tallies (principal, api, tool, effect, agent) VALUES ($1, $2, $3, $4, $5)",
				key.principal, key.api, key.tool, key.effect, key.agent); err != nil {
				return nil, err
			}
			err = find()
		}
		if err != nil {
			return nil, err
		}
		if m.tallies == nil || len(m.tallies) >= most {
			m.tallies = map[tallyKey]*counted{}
		}
		m.tallies[key] = c
	}
	if c.n == 0 {
		err := tx.tx.QueryRowContext(tx.ctx, "SELECT at, n FROM tally_counts WHERE tally = $1 ORDER BY at DESC LIMIT 1", c.id).Scan(&c.at, &c.n)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
	}
	return c, nil
}

// tallySum compares the entries that Verify reads with what was counted of them: each adds
// to a sum what only it adds, and what was counted takes that away again.
type tallySum struct {
	seed maphash.Seed
	keys map[int64]tallyKey
	ids  map[tallyKey]int64
	sum  uint64
}

func (s *tallySum) begin(tx *Tx) error {
	s.seed, s.keys, s.ids = maphash.MakeSeed(), map[int64]tallyKey{}, map[tallyKey]int64{}
	rows, err := tx.tx.QueryContext(tx.ctx, "SELECT id, principal, api, tool, effect, agent FROM tallies")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var k tallyKey
		if err := rows.Scan(&id, &k.principal, &k.api, &k.tool, &k.effect, &k.agent); err != nil {
			return err
		}
		s.keys[id], s.ids[k] = k, id
	}
	return rows.Err()
}

func (s *tallySum) part(tally, at int64) uint64 {
	return maphash.Comparable(s.seed, [2]int64{tally, at})
}

// add takes an entry in, and reports whether its row says of it what it is counted as.
func (s *tallySum) add(r *row, e *Entry) bool {
	key, counts := tallyOf(e)
	switch {
	case s.keys == nil: // a copy of before there were tallies
		return true
	case r.first != nil:
		id, ok := s.ids[key]
		if counts {
			s.sum += s.part(id, r.first.at)
		}
		return ok || !counts
	case !counts:
		return !r.tally.Valid && !r.at.Valid
	}
	s.sum += s.part(r.tally.Int64, r.at.Int64)
	return s.keys[r.tally.Int64] == key && r.at.Int64 >= micros(e.Time)
}

func (s *tallySum) compare(tx *Tx, head Head) error {
	rows, err := tx.tx.QueryContext(tx.ctx, "SELECT tally, at, n FROM tally_counts ORDER BY tally, at")
	if err != nil {
		return err
	}
	defer rows.Close()
	var last counted
	for rows.Next() {
		var c counted
		if err := rows.Scan(&c.id, &c.at, &c.n); err != nil {
			return &ChainError{Seq: head.Seq, Problem: "what was counted of the calls up to here is no number"}
		}
		if c.id != last.id {
			last.n = 0
		}
		s.sum -= uint64(c.n-last.n) * s.part(c.id, c.at)
		last = c
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if s.sum != 0 {
		return &ChainError{Seq: head.Seq, Problem: "the calls up to here were not counted as the entries tell: budgets would not hold"}
	}
	return nil
}
