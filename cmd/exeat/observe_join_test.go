package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// writes notes what is written, each by itself.
type writes struct {
	mu  sync.Mutex
	all []string
	new chan struct{}
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, string(p))
	select {
	case w.new <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (w *writes) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.all, "")
}

// No line is lost, broken or out of order, however many come at a time; a warning and
// the last ones do not wait.
func TestJoinLines(t *testing.T) {
	w := &writes{new: make(chan struct{}, 1)}
	lines := &joinLines{next: w}
	log := newLogger("json", lines)
	log.Info().Msg("alone")
	if !strings.Contains(w.text(), "alone") {
		t.Error("a line that comes alone waits")
	}
	lines.last = time.Now().Add(time.Hour) // as if one was written just now
	log.Info().Msg("waits")
	if strings.Contains(w.text(), "waits") {
		t.Error("a line in quick succession is written by itself")
	}
	log.Warn().Msg("warned")
	if got := w.text(); !strings.Contains(got, "waits") || strings.Index(got, "warned") < strings.Index(got, "waits") {
		t.Errorf("after a warning there is: %s", got)
	}
	lines.last = time.Now().Add(time.Hour)
	<-w.new
	log.Info().Msg("late")
	<-w.new // the timer writes it
	if !strings.Contains(w.text(), "late") {
		t.Error("a line that waits is not written")
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 500 {
				log.Info().Str("line", fmt.Sprintf("<%d.%d>", i, n)).Send()
			}
		})
	}
	all.Wait()
	lines.close()
	got := w.text()
	for i := range 8 {
		at := 0
		for n := range 500 {
			next := strings.Index(got[at:], fmt.Sprintf("<%d.%d>", i, n))
			if next < 0 {
				t.Fatalf("line %d.%d is not there, or not behind the one before", i, n)
			}
			at += next
		}
	}
	lines.last = time.Now().Add(time.Hour)
	log.Info().Msg("after the end")
	if !strings.Contains(w.text(), "after the end") {
		t.Error("a line after the end waits")
	}
}
