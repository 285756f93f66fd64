package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/exeat/exeat/store"
)

// count is a number from the environment.
func count(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// The program is killed at random moments under load, again and again:
// EXEAT_KILLS says how often (200 before a release), EXEAT_SEED repeats a run.
// Nothing is made twice, no hold is lost, and nobody was told what is not so.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	kills, seed := count(t, "EXEAT_KILLS", 8), uint64(count(t, "EXEAT_SEED", int(rand.Uint32())))
	t.Logf("%d kills; EXEAT_SEED=%d repeats the moments", kills, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := newStage(t)
	ctx, cancel := context.WithCancel(t.Context())
	var person sync.WaitGroup
	person.Go(func() { s.person(ctx) })
	defer func() { cancel(); person.Wait() }()
	for i := range kills {
		cmd, agents := s.http(4)
		life, end := context.WithCancel(ctx)
		var all sync.WaitGroup
		for j, c := range agents {
			all.Go(func() { s.agent(life, c, fmt.Sprint("pet-", i, "-", j)) })
		}
		select {
		case <-s.first:
		case <-time.After(time.Minute):
			t.Fatal("no agent gets an answer")
		}
		// The moment is what is tried here.
		<-time.After(time.Duration(random.IntN(250)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		cmd.Wait()
		end()
		all.Wait()
		select {
		case <-s.first: // of the process that is gone
		default:
		}
		s.check()
		if t.Failed() {
			t.Fatalf("after kill %d", i+1)
		}
	}
	// A last process sends what is approved; what was being sent is unknown
	// once time is over.
	cmd, _ := s.http(0)
	s.settle()
	cmd.Process.Kill()
	cmd.Wait()
	cancel()
	person.Wait()
	s.ahead.Store(int64(2 * time.Hour))
	for range 1 + len(s.answers)/100 {
		if err := s.here.holds.Sweep(t.Context()); err != nil {
			t.Error(err)
		}
	}
	done, unknown := s.check()
	t.Logf("%d holds known to agents, %d done, %d with an unknown outcome, %d pets made", len(s.answers), done, unknown, len(s.made))
	if done == 0 {
		t.Error("nothing was done at all")
	}
	if left, err := s.open(); err != nil || left > 0 {
		t.Errorf("%d holds are still open: %v", left, err)
	}
}

// settle waits until nothing is left to be decided or sent.
func (s *stage) settle() {
	s.t.Helper()
	changed, stop := s.here.store.Watch()
	defer stop()
	late := time.After(time.Minute)
	for {
		n := 0
		if err := s.here.store.View(s.t.Context(), func(tx *store.Tx) (err error) {
			n, err = tx.Count(store.HoldFilter{States: []store.State{store.Pending, store.Approved}})
			return err
		}); err != nil {
			s.t.Fatal(err)
		}
		if n == 0 {
			return
		}
		select {
		case <-changed:
		case <-late:
			s.t.Fatalf("%d calls were not sent", n)
		}
	}
}

// open counts the holds that can still be decided or sent, of all agents.
func (s *stage) open() (n int, err error) {
	err = s.here.store.View(context.Background(), func(tx *store.Tx) error {
		n, err = tx.Count(store.HoldFilter{Subject: "User::alice", States: []store.State{store.Pending, store.Approved, store.Sending}})
		return err
	})
	return n, err
}
