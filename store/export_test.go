package store

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// BatchMost bounds a group commit.
const BatchMost = batchMost

// Readers bounds the views that run at once.
const Readers = readers

// The queries that run all the time.
const (
	DueQuery    = dueQuery
	ForgetQuery = forgetQuery
)

// PollEvery sets how often watchers look for other processes' changes, for the
// stores that t opens afterwards.
func PollEvery(t testing.TB, d time.Duration) {
	old := pollEvery
	pollEvery = d
	t.Cleanup(func() { pollEvery = old })
}

// BusyTimeout sets how long the stores that t opens afterwards wait for a lock.
func BusyTimeout(t testing.TB, d time.Duration) {
	old := busyTimeout
	busyTimeout = d
	t.Cleanup(func() { busyTimeout = old })
}

// LimitPages is a disk that has room for n more pages of the database.
func LimitPages(t testing.TB, s *Store, n int) {
	t.Helper()
	var have int
	if err := s.write.QueryRow("PRAGMA page_count").Scan(&have); err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", have+n)); err != nil {
		t.Fatal(err)
	}
}

// Lock keeps the write lock of the database, as another process may, until the
// returned function is called.
func Lock(t testing.TB, s *Store) (unlock func()) {
	t.Helper()
	tx, err := s.write.BeginTx(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return func() { tx.Rollback() }
}
