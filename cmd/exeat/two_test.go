package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"

	"github.com/exeat/exeat/store"
)

// Two exeat processes, one on stdio and one on HTTP, and a person in a third, all
// on one database and under load for EXEAT_LOAD seconds: each approved call is
// sent once, each waiting agent gets its answer soon, and nobody hears of the
// database.
func TestTwoProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	load := time.Duration(count(t, "EXEAT_LOAD", 3)) * time.Second
	s := newStage(t)
	httpCmd, agents := s.http(4)
	stdioCmd, agent := s.stdio()
	agents = append(agents, agent)
	stop := func(cmds ...*exec.Cmd) {
		for _, cmd := range cmds {
			cmd.Process.Kill()
			cmd.Wait()
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var person, all sync.WaitGroup
	person.Go(func() { s.person(ctx) })
	over := make(chan struct{})
	time.AfterFunc(load, func() { close(over) })
	for i, c := range agents {
		all.Go(func() { s.makePets(ctx, c, fmt.Sprint("pet-", i), over) })
	}
	all.Wait()
	cancel()
	person.Wait()
	stop(httpCmd, stdioCmd)
	done, unknown := s.check()
	t.Logf("%d done, %d pets, %d answers; the longest wait was %v", done, len(s.made), len(s.raw), s.longest)
	if done == 0 || unknown != 0 {
		t.Errorf("%d done, %d unknown", done, unknown)
	}
	if left, err := s.open(); err != nil || left > 0 {
		t.Errorf("%d holds are still open: %v", left, err)
	}
	owners := map[string]int{}
	if err := s.here.store.View(t.Context(), func(tx *store.Tx) error {
		holds, err := tx.Outlines(store.HoldFilter{States: []store.State{store.Done}, Limit: 1 << 20})
		for _, h := range holds {
			owners[h.Owner]++
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	// Either may send: whichever looks first after a decision, and that may be the
	// same one each time.
	t.Logf("sent by %v", owners)
}

// makePets makes pets until over, and sees each call through.
func (s *stage) makePets(ctx context.Context, c *client.Client, who string, over chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-over:
			return
		default:
		}
		began := time.Now()
		one, cancel := context.WithTimeout(ctx, time.Minute)
		e, ok := s.call(one, c, "create_pet", map[string]any{"body": map[string]any{"name": fmt.Sprint(who, "-", i), "species": "cat"}})
		if ok && e.Handle != "" {
			e, ok = s.call(one, c, "exeat_resume", map[string]any{"handle": e.Handle, "wait_seconds": 50})
		}
		cancel()
		if !ok || e.Status == "approval_pending" || e.Status == "failed" {
			s.t.Errorf("%s-%d: after %v %t %+v", who, i, time.Since(began), ok, e)
			return
		}
		s.mu.Lock()
		s.longest = max(s.longest, time.Since(began))
		s.mu.Unlock()
	}
}

// What a person says in one process counts for the next call of another, which has not
// asked the database for its rules since.
func TestStopReachesTheOtherProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	s := newStage(t)
	cmd, agents := s.http(2)
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	call := func(want string) {
		t.Helper()
		for _, c := range agents {
			if e, ok := s.call(t.Context(), c, "list_pets", map[string]any{}); !ok || string(e.Status) != want {
				t.Fatalf("%s, want %s: %s", e.Status, want, e.Reason)
			}
		}
	}
	say := func(what string) {
		t.Helper()
		other := s.exeat("users", os.Stderr)
		other.Args = []string{"exeat", "users", what, "alice", "--db", filepath.Join(filepath.Dir(s.config), "exeat.db"), "--keys", filepath.Join(filepath.Dir(s.config), "keys")}
		if err := other.Run(); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		for range 20 {
			call("done")
		}
		say("stop")
		call("denied")
		say("start")
	}
}
