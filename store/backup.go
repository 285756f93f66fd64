package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Backup writes a whole copy of the database, as it is at one moment, to a new
// file at path (mode 0600), while this and other processes go on using it. A copy
// of the file alone would lack what is still in its journal.
//
// The copy appears under its name once it is whole and on disk. It is an error if
// there is a file of that name.
func (s *Store) Backup(ctx context.Context, path string) error {
	if err := s.present(); err != nil {
		return err
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("back up the database: %w", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already: name a new file for the copy", path)
	}
	part, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part")
	if err != nil {
		return fmt.Errorf("back up the database: %w", err)
	}
	defer os.Remove(part.Name())
	defer part.Close()
	if err := s.vacuumInto(ctx, part.Name()); err != nil {
		return fmt.Errorf("back up the database to %s: %w", path, s.explained(err))
	}
	if err := errors.Join(part.Sync(), os.Rename(part.Name(), path), syncDir(filepath.Dir(path))); err != nil {
		return fmt.Errorf("back up the database: %w", err)
	}
	return nil
}

// vacuumInto lets SQLite write the copy into the empty file at path, in one read
// transaction: nobody waits for it.
func (s *Store) vacuumInto(ctx context.Context, path string) error {
	db, err := connect("sqlite", s.path, "deferred", 1)
	if err != nil {
		return err
	}
	defer db.Close()
	return retryBusy(ctx, func() error {
		_, err := db.ExecContext(ctx, "VACUUM INTO $1", path)
		return err
	})
}

// syncDir makes a new name in the folder outlive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
