package tools

import (
	"bytes"
	"database/sql"
	"testing"

	_ "modernc.org/sqlite"
)

// tamper changes a stored hold behind exeat's back.
func tamper(t testing.TB, path, id, from, to string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var fixed []byte
	if err := db.QueryRow("SELECT fixed FROM holds WHERE id = $1", id).Scan(&fixed); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(fixed, []byte(from)) {
		t.Fatalf("the stored hold has no %s: %s", from, fixed)
	}
	if _, err := db.Exec("UPDATE holds SET fixed = $1 WHERE id = $2", bytes.ReplaceAll(fixed, []byte(from), []byte(to)), id); err != nil {
		t.Fatal(err)
	}
}
