package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Backup writes a whole copy of the database at from, as it is at one moment, to
// a new file at to (mode 0600), while processes go on using it, and gives the head
// of the copy's log, which it verifies. A copy of the file alone would lack what is
// still in its journal. The schema stays as it is, so that a copy can be made
// before a newer exeat changes it.
//
// The copy appears under its name once it is whole and on disk. It is an error if
// there is a file of that name. A [ChainError] says that the copy is there and its
// log is broken, as that of the database is.
func Backup(ctx context.Context, from, to string) (head Head, err error) {
	from, err = filepath.Abs(from)
	if err != nil {
		return head, fmt.Errorf("back up the database: %w", err)
	}
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return head, fmt.Errorf("%s is there already: name a new file for the copy", to)
	}
	part, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".*.part")
	if err != nil {
		return head, fmt.Errorf("back up the database: %w", err)
	}
	defer os.Remove(part.Name())
	defer part.Close()
	if err := vacuumInto(ctx, from, part.Name()); err != nil {
		return head, fmt.Errorf("back up the database %s to %s: %w", from, to, explain(err))
	}
	head, broken := verifyAt(ctx, part.Name())
	if chain := (*ChainError)(nil); broken != nil && !errors.As(broken, &chain) {
		return head, fmt.Errorf("back up the database %s to %s: %w", from, to, broken)
	}
	if err := errors.Join(part.Sync(), os.Rename(part.Name(), to), syncDir(filepath.Dir(to))); err != nil {
		return head, fmt.Errorf("back up the database: %w", err)
	}
	return head, broken
}

// vacuumInto lets SQLite write the copy into the empty file at path, in one read
// transaction: nobody waits for it.
func vacuumInto(ctx context.Context, from, path string) error {
	db, err := connect("sqlite", from, "deferred", 1)
	if err != nil {
		return err
	}
	defer db.Close()
	return retryBusy(ctx, func() error {
		var ours int
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE name = 'entries'").Scan(&ours); err != nil {
			return err
		}
		if ours == 0 {
			return errors.New("it is not a database of exeat")
		}
		_, err := db.ExecContext(ctx, "VACUUM INTO $1", path)
		return err
	})
}

// verifyAt checks the log of the database at path, which nobody else has open.
func verifyAt(ctx context.Context, path string) (Head, error) {
	db, err := connect("sqlite", path, "deferred", 1, "query_only(1)")
	if err != nil {
		return Head{}, err
	}
	defer db.Close()
	info, err := os.Stat(path)
	if err != nil {
		return Head{}, err
	}
	return (&Store{read: db, path: path, file: info}).Verify(ctx)
}

// syncDir makes a new name in the folder outlive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
