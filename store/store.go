package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrNotFound is a record that is not there.
var ErrNotFound = errors.New("not found")

// ErrConflict is a compare-and-swap that lost: the record has changed since it
// was read, or an equal one is there already.
var ErrConflict = errors.New("changed by somebody else")

//go:embed migrations/*.sql
var migrations embed.FS

// Store is an open database. It is safe for concurrent use, and several
// processes may have the same file open.
type Store struct {
	write *sql.DB // one connection: SQLite has one writer
	read  *sql.DB
	poll  *sql.DB // one connection: what is asked all the time never waits for readers
	log   *committer
	watch *watcher
	path  string
	file  os.FileInfo // of path, as it was opened

	moments moments
	others  atomic.Int64 // how often writing has seen that somebody else had committed, or gave or took a right
	reached atomic.Int64 // the last entry that this process has written, or is about to commit
	ahead   atomic.Pointer[ahead]
	lost    atomic.Pointer[ChainError] // what the log lacks of what this process wrote
}

// Open opens the SQLite file at path, creating it (mode 0600) if it does not
// exist. Its directory must exist.
func Open(ctx context.Context, path string) (*Store, error) {
	return OpenWith(ctx, "sqlite", path)
}

// OpenWith is Open with the database/sql driver of the name: for tests, which
// wrap the driver of SQLite in one that fails.
func OpenWith(ctx context.Context, driver, path string) (*Store, error) {
	// An absolute path means the same to SQLite, which knows names such as
	// ":memory:", and after a change of the working directory.
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	created, err := prepareFile(path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path}
	s.write, err = connect(driver, path, "immediate", 1)
	if err == nil {
		s.read, err = connect(driver, path, "deferred", readers, "query_only(1)")
	}
	if err == nil {
		s.poll, err = connect(driver, path, "deferred", 1, "query_only(1)")
	}
	if err == nil {
		err = s.migrate(ctx)
	}
	if err == nil {
		s.file, err = os.Stat(path)
	}
	if err != nil {
		s.abandon(path, created)
		return nil, fmt.Errorf("open the database %s: %w", path, explain(err))
	}
	s.log = newCommitter(s)
	s.watch = newWatcher(s)
	return s, nil
}

// abandon undoes an Open that failed. The file goes if this Open has made it
// and nobody else has put something into it meanwhile.
func (s *Store) abandon(path string, created bool) {
	tables := -1
	if s.write != nil {
		if created && s.write.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&tables) != nil {
			tables = -1
		}
		s.write.Close()
	}
	for _, db := range []*sql.DB{s.read, s.poll} {
		if db != nil {
			db.Close()
		}
	}
	if tables == 0 {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			os.Remove(path + suffix)
		}
	}
}

// prepareFile makes an empty file that only its owner can read, since SQLite
// gives its journal files the mode of the database.
func prepareFile(path string) (created bool, err error) {
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return false, fmt.Errorf("the folder %s of the database does not exist: make it first (mkdir -p %s)", dir, dir)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if errors.Is(err, os.ErrExist) {
			break // another process was faster
		}
		if err != nil {
			return false, fmt.Errorf("make the database %s: %v", path, errors.Unwrap(err))
		}
		return true, f.Close()
	case err != nil:
		return false, fmt.Errorf("open the database: %w", err)
	case info.IsDir():
		return false, fmt.Errorf("the database path %s is a folder: name a file in it", path)
	case !info.Mode().IsRegular():
		return false, fmt.Errorf("the database path %s is a device or a pipe: name a file", path)
	case info.Mode().Perm()&0o077 != 0:
		return false, fmt.Errorf("the database %s can be read or written by others: run chmod 600 %s", path, path)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false, fmt.Errorf("the database %s cannot be written: %v", path, errors.Unwrap(err))
	}
	return false, f.Close()
}

// readers bounds the views that run at once.
const readers = 8

// connect opens a pool. Every write is flushed before its commit returns. What is
// deleted is overwritten: it may be an account that somebody disconnected. A
// file that has gone is an error (mode=rw), not a new and empty database.
func connect(driver, path, txlock string, conns int, pragmas ...string) (*sql.DB, error) {
	q := url.Values{"mode": {"rw"}, "_txlock": {txlock}, "_pragma": append([]string{
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "trusted_schema(0)", "cell_size_check(1)", "secure_delete(1)"}, pragmas...)}
	name := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
	db, err := sql.Open(driver, name)
	if err != nil {
		return nil, err
	}
	db.Close() // it was to find the driver
	db = sql.OpenDB(connector{db.Driver(), name})
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// migrate brings the schema to the last migration that this program knows.
func (s *Store) migrate(ctx context.Context) error {
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		return err
	}
	return retryBusy(ctx, func() error {
		tx, err := s.write.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		var have int
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
			return err
		}
		var tables, ours int
		if err := tx.QueryRowContext(ctx, "SELECT count(*), count(*) FILTER (WHERE name = 'entries') FROM sqlite_schema").Scan(&tables, &ours); err != nil {
			return err
		}
		if (have == 0) != (tables == 0) || (have > 0) != (ours > 0) {
			return errors.New("it is the database of another program: choose another path")
		}
		if have > len(files) {
			return fmt.Errorf("it was written by a newer exeat (schema %d, this one knows %d): use that version", have, len(files))
		}
		for i, f := range files[have:] {
			text, err := migrations.ReadFile("migrations/" + f.Name())
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, string(text)); err != nil {
				return fmt.Errorf("migration %s: %w", f.Name(), err)
			}
			if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", have+i+1)); err != nil {
				return err
			}
		}
		return tx.Commit()
	})
}

// Close waits for queued entries and closes the database.
func (s *Store) Close() error {
	s.log.close()
	s.watch.close()
	return errors.Join(s.poll.Close(), s.read.Close(), s.write.Close())
}

// Update runs fn in one write transaction. fn may run more than once and must
// not touch anything but tx. Whatever fn returns as an error rolls back.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	err := s.update(ctx, fn)
	if err == nil {
		s.watch.changed()
	}
	return err
}

// update is Update that wakes nobody: who watches finds it with the next poll.
func (s *Store) update(ctx context.Context, fn func(*Tx) error) error {
	if err := s.present(); err != nil {
		return err
	}
	return s.explained(retryBusy(ctx, func() error {
		return lend(ctx, s.write, func(c *conn) error { return s.writeWith(ctx, c, fn) })
	}))
}

// View runs fn in a read transaction, in which nothing can be written. Like
// Update it may run fn more than once.
func (s *Store) View(ctx context.Context, fn func(*Tx) error) error {
	if err := s.present(); err != nil {
		return err
	}
	return s.explained(retryBusy(ctx, func() error {
		return lend(ctx, s.read, func(c *conn) error {
			return c.transact(s.newTx(ctx, c), "BEGIN", fn)
		})
	}))
}

// present misses a database that was taken away. Open connections would go on
// with the removed file, and all that they write would be gone with them.
func (s *Store) present() error {
	info, err := os.Stat(s.path)
	if err == nil && os.SameFile(info, s.file) {
		return nil
	}
	return fmt.Errorf("the database %s was removed, moved or replaced while it was in use: stop every exeat that uses it, put it back, and start again", s.path)
}

// explained says which database an error of SQLite is about, and what to do.
func (s *Store) explained(err error) error {
	if sqliteCode(err) == 0 {
		return err
	}
	return fmt.Errorf("the database %s: %w", s.path, explain(err))
}

// busyTries bounds how often a transaction is begun again; each try waits for
// busyTimeout.
const busyTries = 5

var busyTimeout = 5 * time.Second

// retryBusy repeats f while another process holds the lock.
func retryBusy(ctx context.Context, f func() error) error {
	var err error
	for range busyTries {
		if err = f(); !isBusy(err) || ctx.Err() != nil {
			break
		}
	}
	return err
}

func isBusy(err error) bool {
	code := sqliteCode(err)
	return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
}

// sqliteCode is the primary result code of a SQLite error, or 0.
func sqliteCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// explain adds what to do to the errors that people meet.
func explain(err error) error {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("it is no SQLite database: choose another path (%w)", err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return fmt.Errorf("it or its folder cannot be written: check the permissions (%w)", err)
	case sqlite3.SQLITE_BUSY:
		return fmt.Errorf("another program keeps it locked: let that program finish, or stop it (%w)", err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("the disk is full: make room on it (%w)", err)
	case sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("it is damaged: stop every exeat that uses it and put a copy of it back, or move it away to begin with a new one (%w)", err)
	case sqlite3.SQLITE_IOERR:
		return fmt.Errorf("the disk does not read or write it: check the disk (%w)", err)
	}
	return err
}

// Tx is a transaction.
type Tx struct {
	tx    *conn
	store *Store
	ctx   context.Context
	over  error  // that SQLite may have ended it with
	end   *Head  // of the log, if it is known
	ahead *ahead // or nil, as it was when the transaction was begun
	mem   *memory

	wrote, sealed bool
}

// newTx is a transaction that is about to be begun: it sees at least what this process
// has written so far.
func (s *Store) newTx(ctx context.Context, c *conn) *Tx {
	return &Tx{tx: c, store: s, ctx: ctx, ahead: s.ahead.Load(), mem: &c.mem}
}

// exec changes something. A full or failing disk makes SQLite roll back by
// itself, and what came after that would stand alone: so nothing may.
func (tx *Tx) exec(query string, args ...any) (sql.Result, error) {
	if tx.over != nil {
		return nil, tx.over
	}
	tx.wrote = true
	res, err := tx.tx.ExecContext(tx.ctx, query, args...)
	if err != nil && sqliteCode(err) != sqlite3.SQLITE_CONSTRAINT {
		tx.over = err
	}
	return res, err
}

// micros is how times are stored; the zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
