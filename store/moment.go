package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
)

// Moment is a state of what people have said: as long as it is the same, their rules
// and the entries that give or take rights are too, whoever writes to the database.
type Moment struct {
	// Sure says that it can be told whether it is the same. It cannot if somebody
	// has changed what counts.
	Sure    bool
	version int64 // what the triggers count
	others  int64 // how often it was seen that somebody else had committed, or this process said something
	foreign int64 // the log's last entry, if this process has not written it; or 0
	end     Head  // a part of the log, up to here, that this process wrote since then
}

// Same reports whether nothing was said between two moments.
func (m Moment) Same(o Moment) bool {
	return m.Sure && o.Sure && m.version == o.version && m.others == o.others && m.foreign == o.foreign
}

// After is the last entry of the log that can be relied on without reading, by who has
// read it up to head at a moment that is the same: what came after that, this process
// wrote itself, nobody else has committed anything meanwhile, and none of it gives or
// takes a right.
func (m Moment) After(head Head) Head {
	if m.end.Seq > head.Seq {
		return m.end
	}
	return head
}

// ahead is how far a log's end is known to this process.
type ahead struct {
	others int64
	end    Head
}

// noteLost notes if the log does not have the last entry any more that this process
// wrote, after somebody else has committed.
func (s *Store) noteLost(t *Tx) error {
	err := t.hasOwn()
	if chain := (*ChainError)(nil); errors.As(err, &chain) {
		s.lost.CompareAndSwap(nil, chain)
		return nil
	}
	return err
}

// Whole is a *ChainError if the log lacks what this process wrote to it.
func (tx *Tx) Whole() error {
	if lost := tx.store.lost.Load(); lost != nil {
		return lost
	}
	if tx.end != nil {
		return nil // then nobody else has committed
	}
	return tx.hasOwn()
}

func (tx *Tx) hasOwn() error {
	if tx.ahead == nil {
		return nil
	}
	return tx.contains(tx.ahead.end)
}

// moments reads moments. Who asks while one is read shares the next reading, which
// begins later than they asked.
type moments struct {
	mu      sync.Mutex
	next    *reading
	turn    sync.Mutex
	checked int64 // what others was when the triggers were checked, and one more
	sure    bool
}

type reading struct {
	done chan struct{}
	m    Moment
	err  error
}

// Moment is that of now: what was committed before it is asked counts, by whomever.
func (s *Store) Moment() (Moment, error) {
	o := &s.moments
	o.mu.Lock()
	r := o.next
	if r != nil {
		o.mu.Unlock()
		<-r.done
		return r.m, r.err
	}
	r = &reading{done: make(chan struct{}), err: errors.New("it could not be read what people have said")}
	o.next = r
	o.mu.Unlock()

	o.turn.Lock()
	defer o.turn.Unlock()
	defer close(r.done)
	runtime.Gosched() // who is about to ask shares this one
	o.mu.Lock()
	o.next = nil
	o.mu.Unlock()
	r.m, r.err = s.readMoment()
	return r.m, r.err
}

func (s *Store) readMoment() (Moment, error) {
	if err := s.present(); err != nil {
		return Moment{}, err
	}
	// All from before: nothing that comes meanwhile is taken for seen. What was reached
	// comes first: who reached it has seen before that what others had written.
	reached := s.reached.Load()
	m := Moment{others: s.others.Load()}
	if a := s.ahead.Load(); a != nil && a.others == m.others {
		m.end = a.end
	}
	ctx := context.Background()
	err := retryBusy(ctx, func() error {
		return lend(ctx, s.poll, func(c *conn) error {
			o := &s.moments
			if o.checked != m.others+1 {
				sure, err := c.counts(ctx)
				if err != nil {
					return err
				}
				o.checked, o.sure = m.others+1, sure
			}
			m.Sure = o.sure
			// Whoever says something adds to the log: that shows although somebody has put
			// the count back, or has taken the triggers away.
			var last int64
			err := c.QueryRowContext(ctx, "SELECT version, coalesce((SELECT max(seq) FROM entries), 0) FROM said WHERE id = 1").Scan(&m.version, &last)
			if errors.Is(err, sql.ErrNoRows) {
				m.Sure, err = false, nil
			}
			if m.foreign = 0; last > reached {
				m.foreign = last
			}
			return err
		})
	})
	return m, s.explained(err)
}

// counts reports whether the triggers of the schema are those of the migrations and no
// others: an added one could count backwards.
func (c *conn) counts(ctx context.Context) (bool, error) {
	rows, err := c.QueryContext(ctx, "SELECT sql FROM sqlite_schema WHERE type = 'trigger'")
	if err != nil {
		return false, err
	}
	defer rows.Close()
	want, sure := triggers(), true
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return false, err
		}
		sure = sure && want[text]
		delete(want, text)
	}
	return sure && len(want) == 0, rows.Err()
}

// triggers are those that the migrations make, by their texts: each is one line.
func triggers() map[string]bool {
	out := map[string]bool{}
	files, _ := migrations.ReadDir("migrations")
	for _, f := range files {
		text, _ := migrations.ReadFile("migrations/" + f.Name())
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSuffix(strings.TrimSpace(line), ";")
			if name, ok := strings.CutPrefix(line, "DROP TRIGGER "); ok {
				for text := range out {
					if strings.HasPrefix(text, fmt.Sprintf("CREATE TRIGGER %s ", name)) {
						delete(out, text)
					}
				}
			}
			if strings.HasPrefix(line, "CREATE TRIGGER ") {
				out[line] = true
			}
		}
	}
	return out
}
