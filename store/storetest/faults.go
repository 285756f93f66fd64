package storetest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	_ "modernc.org/sqlite" // what is wrapped

	"github.com/exeat/exeat/store"
)

// ErrInjected is how a step fails that was made to.
var ErrInjected = errors.New("injected fault")

// Fault is a way in which one step goes wrong.
type Fault int

// The ways in which a step goes wrong. After the last two nothing works any
// more, as for a process that was killed.
const (
	Fail      Fault = iota + 1 // it is not done and reports failure
	FailAfter                  // it is done and reports failure
	Die                        // the process ends before it is done
	DieAfter                   // the process ends after it was done
)

func (f Fault) String() string {
	return [...]string{"works", "fails", "fails after it was done", "dies before", "dies after"}[f]
}

// Faults counts the steps of a piece of work, which are the statements and
// transactions of a store and whatever else calls Step, and lets one of them go
// wrong. The zero value lets all of them pass.
type Faults struct {
	mu    sync.Mutex
	steps []string
	at    int
	fault Fault
	dead  bool
	setup []string // what each connection has still to do, in order
	done  map[*faultyConn]int
}

// Pragma sets something on every connection that a transaction is begun on from
// now on.
func (f *Faults) Pragma(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.setup = append(f.setup, text)
}

// prepare sets on c what has been asked for since it was used last.
func (f *Faults) prepare(ctx context.Context, c *faultyConn) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done == nil {
		f.done = map[*faultyConn]int{}
	}
	for _, text := range f.setup[f.done[c]:] {
		if _, err := c.sqliteConn.ExecContext(ctx, text, nil); err != nil {
			return err
		}
	}
	f.done[c] = len(f.setup)
	return nil
}

// Arm begins to count anew and lets the step with the number at, from 0, go
// wrong.
func (f *Faults) Arm(at int, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steps, f.at, f.fault = nil, at, fault
}

// Steps names the steps that were begun since the last Arm.
func (f *Faults) Steps() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.steps...)
}

// Dead reports whether a step has ended the process.
func (f *Faults) Dead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// Step does one step, unless it is to go wrong.
func (f *Faults) Step(name string, do func() error) error {
	f.mu.Lock()
	var fault Fault
	if f.fault != 0 && len(f.steps) == f.at {
		fault = f.fault
	}
	f.steps = append(f.steps, name)
	f.dead = f.dead || fault == Die
	dead := f.dead
	f.mu.Unlock()
	if dead || fault == Fail {
		return ErrInjected
	}
	err := do()
	if fault == DieAfter {
		f.mu.Lock()
		f.dead = true
		f.mu.Unlock()
	}
	if fault != 0 {
		err = ErrInjected
	}
	return err
}

var drivers atomic.Int64

// OpenFaulty opens the store at path with a driver whose steps are those of f. It
// does not wait for the disk, since only the process fails here.
func OpenFaulty(t testing.TB, path string, f *Faults) *store.Store {
	t.Helper()
	real, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "none")) // opens no file
	if err != nil {
		t.Fatal(err)
	}
	defer real.Close()
	f.Pragma("PRAGMA synchronous = OFF")
	name := fmt.Sprintf("faulty-%d", drivers.Add(1))
	sql.Register(name, &faultyDriver{real.Driver(), f})
	s, err := store.OpenWith(context.Background(), name, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

type faultyDriver struct {
	driver.Driver
	f *Faults
}

func (d *faultyDriver) Open(name string) (driver.Conn, error) {
	if d.f.Dead() {
		return nil, ErrInjected
	}
	c, err := d.Driver.Open(name)
	if err != nil {
		return nil, err
	}
	return &faultyConn{c.(sqliteConn), d.f}, nil
}

// sqliteConn is what database/sql uses of the connections of SQLite's driver.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

type faultyConn struct {
	sqliteConn
	f *Faults
}

// PrepareContext compiles a statement whose runs are steps. That a transaction is
// begun or ended is one too, but not that it is rolled back.
func (c *faultyConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.sqliteConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &faultyStmt{s, s.(stmtContext), query, c}, nil
}

type stmtContext interface {
	driver.StmtExecContext
	driver.StmtQueryContext
}

type faultyStmt struct {
	driver.Stmt
	stmtContext
	query string
	c     *faultyConn
}

func (s *faultyStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (res driver.Result, err error) {
	run := func() (err error) {
		res, err = s.stmtContext.ExecContext(ctx, args)
		return err
	}
	switch first, _, _ := strings.Cut(s.query, " "); first {
	case "ROLLBACK":
		err = run()
	case "BEGIN":
		if err = s.c.f.prepare(ctx, s.c); err == nil {
			err = s.c.f.Step("begin", run)
		}
	case "COMMIT":
		err = s.c.f.Step("commit", run)
	default:
		err = s.c.step(s.query, run)
	}
	return res, err
}

func (s *faultyStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.c.rows(s.query, func() (driver.Rows, error) { return s.stmtContext.QueryContext(ctx, args) })
}

func (c *faultyConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err := c.f.prepare(ctx, c); err != nil {
		return nil, err
	}
	begun := func() {}
	var tx driver.Tx
	err := c.f.Step("begin", func() (err error) {
		if tx, err = c.sqliteConn.BeginTx(ctx, o); err == nil {
			begun = func() { tx.Rollback() }
		}
		return err
	})
	if err != nil {
		begun()
		return nil, err
	}
	return &faultyTx{tx, c.f}, nil
}

func (c *faultyConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	var res driver.Result
	err := c.step(query, func() (err error) {
		res, err = c.sqliteConn.ExecContext(ctx, query, args)
		return err
	})
	return res, err
}

func (c *faultyConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.rows(query, func() (driver.Rows, error) { return c.sqliteConn.QueryContext(ctx, query, args) })
}

// rows is the step of a query.
func (c *faultyConn) rows(query string, do func() (driver.Rows, error)) (driver.Rows, error) {
	begun := func() {}
	var rows driver.Rows
	err := c.step(query, func() (err error) {
		if rows, err = do(); err == nil {
			begun = func() { rows.Close() }
		}
		return err
	})
	if err != nil {
		begun()
		return nil, err
	}
	return rows, nil
}

// step is a step named by the beginning of its statement. Pragmas, which a
// watcher asks for at any time, are no steps.
func (c *faultyConn) step(query string, do func() error) error {
	if strings.HasPrefix(query, "PRAGMA ") && !c.f.Dead() {
		return do()
	}
	words := strings.Fields(query)
	return c.f.Step(strings.Join(words[:min(3, len(words))], " "), do)
}

type faultyTx struct {
	driver.Tx
	f *Faults
}

func (tx *faultyTx) Commit() error {
	err := tx.f.Step("commit", tx.Tx.Commit)
	if errors.Is(err, ErrInjected) {
		tx.Tx.Rollback() // as SQLite does; too late if it was done
	}
	return err
}
