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
	found := false
	for _, column := range []string{"fixed", "bulk"} {
		var text []byte
		if err := db.QueryRow("SELECT "+column+" FROM holds WHERE id = $1", id).Scan(&text); err != nil {
			t.Fatal(err)
		}
		found = found || bytes.Contains(text, []byte(from))
		if _, err := db.Exec("UPDATE holds SET "+column+" = $1 WHERE id = $2", bytes.ReplaceAll(text, []byte(from), []byte(to)), id); err != nil {
			t.Fatal(err)
		}
	}
	if !found {
		t.Fatalf("the stored hold has no %s", from)
	}
}
