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
