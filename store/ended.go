package store

import (
	"context"
	"sync"
	"time"
)

// A read that the API answered well has no entry of its own for that: the next entry that
// is written tells of it, and if none comes within endedWithin, one of its own. After a
// crash there is none, and nobody knows how the read ended.
const endedWithin = time.Second

// CallEntry is the entry of a call whose answer is still to come.
type CallEntry struct {
	log  *committer
	job  *job
	wait func() error
}

// LogCall is Log for the entry of a call that may turn out to have gone well.
func (s *Store) LogCall(e Entry) *CallEntry {
	wait, j := s.queue(e)
	return &CallEntry{s.log, j, wait}
}

// Wait waits until the entry is on disk, and reports the error if it could not be put
// there. It may be called more than once.
func (o *CallEntry) Wait() error { return o.wait() }

// End says, after Wait, that the call was answered whole and with that HTTP status, and
// that there is nothing else to say of it.
func (o *CallEntry) End(status int) { o.log.ends.add(o.log, [2]int64{o.job.seq, int64(status)}) }

// ends are reads that ended and of which no entry tells yet.
type ends struct {
	mu    sync.Mutex
	list  [][2]int64
	timed bool // flush comes
}

func (x *ends) add(c *committer, end [2]int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.list = append(x.list, end)
	if !x.timed {
		x.timed = true
		time.AfterFunc(endedWithin, func() {
			if x.flush() {
				c.add(context.Background(), endedJob())
			}
		})
	}
}

// flush reports whether an entry has to tell of what is left.
func (x *ends) flush() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.timed = false
	return len(x.list) > 0
}

// take is what the next entry tells of. It is left if that is not written.
func (x *ends) take() [][2]int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.list[:len(x.list):len(x.list)]
}

// told takes out what an entry tells of.
func (x *ends) told(n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.list = append([][2]int64(nil), x.list[n:]...)
}

// endedJob is an entry that tells only of ends, and is not written if there are none.
func endedJob() *job { return &job{entry: &Entry{Kind: KindEnded}, done: make(chan error, 1)} }
