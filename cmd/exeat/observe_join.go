package main

import (
	"io"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Lines that come in quick succession are written together: within this time, and as
// long as they are no more bytes than that. A write for each call would take more time
// than its decision.
const (
	joinWithin = 2 * time.Millisecond
	maxJoined  = 32 << 10
)

// joinLines hands lines of the log on. One that comes alone, and all that are not mere
// information, are written at once; whatever waits is written before them.
type joinLines struct {
	next io.Writer

	mu      sync.Mutex
	last    time.Time // when something was written
	waiting []byte
	timer   *time.Timer
	closed  bool // nothing waits any more
}

// Write takes one line.
func (j *joinLines) Write(line []byte) (int, error) { return j.WriteLevel(zerolog.NoLevel, line) }

// WriteLevel implements zerolog.LevelWriter.
func (j *joinLines) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	first := len(j.waiting) == 0
	j.waiting = append(j.waiting, line...)
	if level != zerolog.InfoLevel || j.closed || len(j.waiting) >= maxJoined || time.Since(j.last) > joinWithin {
		return len(line), j.flush()
	}
	switch {
	case j.timer == nil:
		j.timer = time.AfterFunc(joinWithin, j.late)
	case first:
		j.timer.Reset(joinWithin)
	}
	return len(line), nil
}

// flush writes what waits. The caller holds mu.
func (j *joinLines) flush() error {
	if len(j.waiting) == 0 {
		return nil
	}
	_, err := j.next.Write(j.waiting)
	j.waiting, j.last = j.waiting[:0], time.Now()
	return err
}

// late writes what has waited long enough; there is nobody to tell if that fails.
func (j *joinLines) late() {
	j.mu.Lock()
	defer j.mu.Unlock()
	_ = j.flush()
}

// close writes what waits, and what comes from now on at once.
func (j *joinLines) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	_ = j.flush()
}
