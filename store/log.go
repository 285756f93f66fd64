package store

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"
)

// errClosed is what an entry gets that comes too late.
var errClosed = errors.New("the store is closed")

// batchMost bounds the entries of one group commit, queueMost those that wait.
const (
	batchMost = 256
	queueMost = 4096
)

// job is one change that waits for the next group commit.
type job struct {
	entry *Entry // or
	spend *spend
	seq   int64 // of the entry, once it is written
	done  chan error
}

type spend struct {
	iss, jti   string
	now, until int64
	fresh      bool
}

// committer commits what many callers want on disk in one transaction, so that
// they share its flush.
type committer struct {
	store *Store
	queue chan *job
	mu    sync.RWMutex // held for reading while a job is queued
	over  bool
	ended chan struct{}
	ends  ends
}

func newCommitter(s *Store) *committer {
	c := &committer{store: s, queue: make(chan *job, queueMost), ended: make(chan struct{})}
	go c.run()
	return c
}

func (c *committer) add(ctx context.Context, j *job) {
	j.done = make(chan error, 1)
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.over {
		j.done <- errClosed
		return
	}
	select {
	case c.queue <- j:
	case <-ctx.Done():
		j.done <- ctx.Err()
	}
}

func (c *committer) run() {
	defer close(c.ended)
	for j := range c.queue {
		batch := []*job{j}
		runtime.Gosched() // who is about to log something shares this commit
	more:
		for len(batch) < batchMost {
			select {
			case j, ok := <-c.queue:
				if !ok {
					break more
				}
				batch = append(batch, j)
			default:
				break more
			}
		}
		err := c.commit(batch)
		for _, j := range batch {
			j.done <- err
		}
	}
}

func (c *committer) commit(batch []*job) error {
	ended := c.ends.take()
	told := false
	// Locks are waited for as long as busyTimeout and busyTries say.
	err := c.store.update(context.Background(), func(tx *Tx) (err error) {
		told, err = tx.commitAll(batch, ended)
		return err
	})
	if err == nil && told {
		c.ends.told(len(ended))
	}
	if err == nil && slices.ContainsFunc(batch, wakes) {
		c.store.watch.changed()
	}
	return err
}

// wakes reports whether somebody waits for what a job stores. Calls that go at once are
// many, and nobody does: who shows them finds them with the next poll.
func wakes(j *job) bool {
	return j.entry != nil && !slices.Contains([]Kind{KindCall, KindOutcome, KindEnded}, j.entry.Kind)
}

// commitAll does all jobs of a batch. The first entry tells of the reads that ended; told
// says whether there was one.
func (tx *Tx) commitAll(batch []*job, ended [][2]int64) (told bool, err error) {
	head, err := tx.tip()
	if err != nil {
		return false, err
	}
	if tx.store.lost.Load() != nil {
		ended = nil // the entries that they are of may be gone, or be others
	}
	for _, j := range batch {
		if j.entry == nil {
			if err := tx.spend(j.spend); err != nil {
				return false, err
			}
			continue
		}
		e := *j.entry
		if !told {
			e.Ended, told = ended, true
		}
		if e.Kind == KindEnded && len(e.Ended) == 0 {
			continue
		}
		if head, err = tx.appendAfter(head, e, short, nil); err != nil {
			return false, err
		}
		j.seq = head.Seq
	}
	return told, nil
}

func (c *committer) close() {
	c.mu.Lock()
	if !c.over {
		c.over = true
		if c.ends.flush() {
			c.queue <- endedJob()
		}
		close(c.queue)
	}
	c.mu.Unlock()
	<-c.ended
}

// Log queues an entry for the next group commit. The returned function waits
// until it is on disk and reports the error if it could not be put there; it
// may be called more than once.
func (s *Store) Log(e Entry) (wait func() error) {
	wait, _ = s.queue(e)
	return wait
}

func (s *Store) queue(e Entry) (wait func() error, j *job) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	j = &job{entry: &e}
	s.log.add(context.Background(), j)
	return sync.OnceValue(func() error { return <-j.done }), j
}

// Spend remembers (iss, jti) until a day and an hour after exp, whatever the
// clock does meanwhile, and reports false if it was there.
func (s *Store) Spend(ctx context.Context, iss, jti string, exp time.Time) (bool, error) {
	j := &job{spend: &spend{iss: iss, jti: jti, now: micros(time.Now()), until: micros(exp)}}
	s.log.add(ctx, j)
	select {
	case err := <-j.done:
		return err == nil && j.spend.fresh, err
	case <-ctx.Done():
		// It may still be spent; the token is lost either way.
		return false, ctx.Err()
	}
}

// IsSpent reports whether (iss, jti) is remembered.
func (s *Store) IsSpent(ctx context.Context, iss, jti string) (known bool, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		return tx.tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM spent WHERE iss = $1 AND jti = $2)", iss, jti).Scan(&known)
	})
	return known, err
}

// spentFor is how long a token id is kept after its token has ended. A clock
// that steps back, or forward and back, makes tokens valid again that had ended.
const spentFor = 25 * time.Hour

// spend records one token id and forgets a few that ended long ago.
func (tx *Tx) spend(s *spend) error {
	if _, err := tx.exec("DELETE FROM spent WHERE (iss, jti) IN (SELECT iss, jti FROM spent WHERE until < $1 ORDER BY until LIMIT 16)", s.now-spentFor.Microseconds()); err != nil {
		return err
	}
	res, err := tx.exec("INSERT INTO spent (iss, jti, until) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", s.iss, s.jti, s.until)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	s.fresh = n == 1
	return err
}
