package store_test

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

// Who looks after each wake-up sees every change, whoever made it: if one
// wake-up were lost, the last change would never be seen.
func TestWatchLosesNothing(t *testing.T) {
	tests := []struct {
		name string
		poll time.Duration
		same bool
	}{
		{"the same process, without a poll", time.Hour, true},
		{"another process", time.Millisecond, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store.PollEvery(t, tt.poll)
			path := filepath.Join(t.TempDir(), "db")
			s := storetest.OpenAt(t, path)
			writer := s
			if !tt.same {
				writer = storetest.OpenAt(t, path)
			}
			changed, stop := s.Watch()
			defer stop()
			for want := 0; want < 50; want++ {
				late := time.After(30 * time.Second)
				for len(notes(t, s)) < want {
					select {
					case <-changed:
					case <-late:
						t.Fatalf("nobody was woken for change %d", want)
					}
				}
				writer.Log(store.Entry{Kind: store.KindDenied})
			}
		})
	}
}

func TestWatchWakesEverybody(t *testing.T) {
	s := storetest.Open(t)
	for range 20 { // more than there are connections
		changed, stop := s.Watch()
		defer stop()
		defer func() { <-changed }() // hangs if there is none
		<-changed
	}
	if err := s.Log(store.Entry{Kind: store.KindCall})(); err != nil {
		t.Fatal(err)
	}
}

func TestWatchStops(t *testing.T) {
	store.PollEvery(t, time.Hour)
	s := storetest.Open(t)
	changed, stop := s.Watch()
	stop()
	stop()
	for len(changed) > 0 {
		<-changed
	}
	update(t, s, func(tx *store.Tx) error { return tx.Append(store.Entry{Kind: store.KindCall}) })
	if len(changed) > 0 {
		t.Error("woken after stop")
	}
	changed, stop = s.Watch()
	defer stop()
	if <-changed; s.Log(store.Entry{Kind: store.KindCall})() != nil {
		t.Error("cannot log")
	}
	<-changed
}

func TestCloseWhileWatched(t *testing.T) {
	s := storetest.Open(t)
	_, stop := s.Watch()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	stop()
	_, stop = s.Watch()
	stop()
	if err := s.Close(); err != nil {
		t.Error("closed twice:", err)
	}
}

// Readers that keep every connection do not keep a watcher from waking.
func TestWatchWhileReadersAreBusy(t *testing.T) {
	store.PollEvery(t, time.Millisecond)
	path := filepath.Join(t.TempDir(), "db")
	s, other := storetest.OpenAt(t, path), storetest.OpenAt(t, path)
	release := make(chan struct{})
	var begun, ended sync.WaitGroup
	for range store.Readers {
		begun.Add(1)
		ended.Go(func() {
			if err := s.View(ctx, func(*store.Tx) error { begun.Done(); <-release; return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	begun.Wait()
	changed, stop := s.Watch()
	defer stop()
	<-changed // the first wake-up is for what came before
	if err := other.Log(store.Entry{Kind: store.KindCall})(); err != nil {
		t.Error(err)
	}
	select {
	case <-changed:
	case <-time.After(10 * time.Second):
		t.Error("nobody was woken")
	}
	close(release)
	ended.Wait()
}
