package store

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
)

// What the promises of durability and safety rest on, on every connection.
func TestPragmas(t *testing.T) {
	s, err := Open(context.Background(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want := map[string]string{"journal_mode": "wal", "synchronous": "2", "trusted_schema": "0", "foreign_keys": "1", "secure_delete": "1"}
	for pool, db := range map[string]*sql.DB{"write": s.write, "read": s.read, "poll": s.poll} {
		for name, value := range want {
			var got string
			if err := db.QueryRow("PRAGMA " + name).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if got != value {
				t.Errorf("%s: %s = %s, want %s", pool, name, got, value)
			}
		}
	}
}
