package store_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

// documentedHash is the hash of an entry as the documentation defines it, computed here
// by other code than the store's.
func documentedHash(prev, body []byte) []byte {
	sum := sha256.Sum256(slices.Concat([]byte("exeat-entry-2\n"), prev, body))
	return sum[:]
}

// The link between entries is what shows an entry that was changed by somebody
// who can compute hashes: it fits itself, and what comes after does not fit it.
func TestVerifyFindsARehashedEntry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := storetest.OpenAt(t, path)
	for i := range 5 {
		if err := s.Log(store.Entry{Kind: store.KindCall, Note: fmt.Sprint("note ", i+1)})(); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var prev, body, hash []byte
	if err := db.QueryRow("SELECT a.hash, b.body, b.hash FROM entries a JOIN entries b ON b.seq = 3 AND a.seq = 2").Scan(&prev, &body, &hash); err != nil {
		t.Fatal(err)
	}
	if want := documentedHash(prev, body); !bytes.Equal(hash, want) {
		t.Fatalf("entry 3 has the hash %x, documented is %x", hash, want)
	}
	forged := []byte(strings.Replace(string(body), "note 3", "note x", 1))
	if _, err := db.Exec("UPDATE entries SET body = $1, hash = $2 WHERE seq = 3", forged, documentedHash(prev, forged)); err != nil {
		t.Fatal(err)
	}
	_, err = s.Verify(ctx)
	var bad *store.ChainError
	if !errors.As(err, &bad) || bad.Seq != 4 || !strings.Contains(bad.Problem, "does not follow the entry before it") {
		t.Errorf("got %v, want entry 4: it does not follow the entry before it", err)
	}
}

// An entry that somebody else puts at the end can have the right hash. What nobody could
// read, or what would be two lines when it is exported, is found all the same.
func TestVerifyFindsAForgedEnd(t *testing.T) {
	const begin = `{"time":"2026-01-01T00:00:00Z","kind":"ended"`
	for name, tt := range map[string]struct{ body, problem string }{
		"a good one":            {begin + `,"ended":[[2,200]]}`, ""},
		"the end of a later":    {begin + `,"ended":[[4,200]]}`, "which is no call before it"},
		"the end of itself":     {begin + `,"ended":[[3,200]]}`, "which is no call before it"},
		"the end of nothing":    {begin + `,"ended":[[0,200]]}`, "which is no call before it"},
		"the end of a negative": {begin + `,"ended":[[-1,200]]}`, "which is no call before it"},
		"the end of no call":    {begin + `,"ended":[[1,200]]}`, "which is no call before it"},
		"as a later":            {begin + `,"as":4}`, "does not come before it"},
		"as itself":             {begin + `,"as":3}`, "does not come before it"},
		"as a negative":         {begin + `,"as":-1}`, "that is missing"},
		"two objects":           {begin + `}{"seq":9}`, "more than one JSON object"},
		"an object and space":   {begin + `} `, "more than one JSON object"},
		"two lines":             {begin + ",\n\"note\":\"x\"}", "in one line"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			s := storetest.OpenAt(t, path)
			for _, kind := range []store.Kind{store.KindHold, store.KindCall} {
				if err := s.Log(store.Entry{Kind: kind})(); err != nil {
					t.Fatal(err)
				}
			}
			db, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			var prev []byte
			if err := db.QueryRow("SELECT hash FROM entries WHERE seq = 2").Scan(&prev); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec("DROP TRIGGER said_entries_insert; INSERT INTO entries (seq, body, hash) VALUES (3, $1, $2)", []byte(tt.body), documentedHash(prev, []byte(tt.body))); err != nil {
				t.Fatal(err)
			}
			_, err = s.Verify(ctx)
			if tt.problem == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var bad *store.ChainError
			if !errors.As(err, &bad) || bad.Seq != 3 || !strings.Contains(bad.Problem, tt.problem) {
				t.Errorf("%v, want entry 3: %s", err, tt.problem)
			}
		})
	}
}
