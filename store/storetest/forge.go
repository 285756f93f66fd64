package storetest

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"slices"
	"testing"

	"github.com/exeat/exeat/store"
)

// Forge appends an entry that fits the chain, as anybody can who can write the database
// and hash: by the documentation, and not by the code of store.
func Forge(t testing.TB, db *sql.DB, e store.Entry) {
	t.Helper()
	var prev []byte
	if err := db.QueryRow("SELECT seq + 1, hash FROM entries ORDER BY seq DESC LIMIT 1").Scan(&e.Seq, &prev); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(text, []byte(`,"time":`))
	own, _, _ := bytes.Cut(rest, []byte(`,"prev":"`))
	body := slices.Concat([]byte(`{"time":`), own, []byte("}"))
	hash := sha256.Sum256(slices.Concat([]byte("exeat-entry-2\n"), prev, body))
	if _, err := db.Exec("INSERT INTO entries (seq, body, hash) VALUES ($1, $2, $3)", e.Seq, body, hash[:]); err != nil {
		t.Fatal(err)
	}
}
