package store

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

// keptMost bounds the statements that a connection keeps compiled.
const keptMost = 128

// connector opens connections that keep what they have compiled.
type connector struct {
	driver driver.Driver
	name   string
}

func (c connector) Driver() driver.Driver { return c.driver }

func (c connector) Connect(context.Context) (driver.Conn, error) {
	raw, err := c.driver.Open(c.name)
	if err != nil {
		return nil, err
	}
	full, ok := raw.(driverConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the driver %T lacks what the store needs", c.driver), raw.Close())
	}
	return &pooled{full, &conn{raw: full, kept: map[string]*stmt{}}}, nil
}

// pooled is a connection as database/sql has it.
type pooled struct {
	driverConn
	conn *conn
}

func (p *pooled) Close() error {
	p.conn.forgetAll()
	return p.driverConn.Close()
}

// driverConn is what the store and database/sql use of a connection.
type driverConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// conn is one connection, which one goroutine uses at a time. Most of what a short
// statement costs is to compile it, so each is compiled once; and database/sql, whose
// transactions and rows start goroutines that wait for the end of a context, only
// lends it out.
type conn struct {
	raw  driverConn
	kept map[string]*stmt

	// Of the connection that writes: SQLite's data_version as it was last, which its own
	// commits do not change, and where the log ends if nobody else has committed since.
	version int64
	end     *Head
	mem     memory
}

// lend gives fn a connection of a pool.
func lend(ctx context.Context, pool *sql.DB, fn func(*conn) error) error {
	lent, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer lent.Close()
	return lent.Raw(func(raw any) error { return fn(raw.(*pooled).conn) })
}

// transact runs fn in the transaction that begin begins.
func (c *conn) transact(t *Tx, begin string, fn func(*Tx) error) (err error) {
	over := false
	defer func() {
		if !over {
			c.run(context.Background(), "ROLLBACK") // it fails if SQLite has done so itself
		}
	}()
	// Only here a lock is waited for.
	if _, err := c.run(t.ctx, begin); err != nil {
		return err
	}
	if err = fn(t); err == nil {
		err = cmp.Or(t.over, t.ctx.Err())
	}
	if err == nil {
		_, err = c.run(context.Background(), "COMMIT")
		over = err == nil
	}
	return err
}

// writeWith is an Update on the one connection that writes. SQLite tells it for nothing
// whether anybody else has committed since it did so last; if not, the log ends where
// its own last entry is.
func (s *Store) writeWith(ctx context.Context, c *conn, fn func(*Tx) error) error {
	t := s.newTx(ctx, c)
	err := c.transact(t, "BEGIN IMMEDIATE", func(t *Tx) error {
		var version int64
		if err := c.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version); err != nil {
			return err
		}
		if version != c.version {
			s.others.Add(1)
			if err := s.noteLost(t); err != nil {
				return err
			}
			c.version, c.end = version, nil
		}
		t.end = c.end
		if err := fn(t); err != nil {
			return err
		}
		if t.end != nil {
			s.reached.Store(t.end.Seq)
		}
		return nil
	})
	if err != nil {
		s.reached.Store(0)
		c.end, c.mem = nil, memory{} // whatever became of it
		return err
	}
	if t.sealed {
		s.others.Add(1) // whatever becomes of the count
	}
	if c.end = t.end; c.end != nil {
		s.ahead.Store(&ahead{s.others.Load(), *c.end})
	}
	return nil
}

func (c *conn) forgetAll() {
	for _, s := range c.kept {
		s.Close()
	}
	clear(c.kept)
}

// stmt is a compiled statement.
type stmt struct {
	driver.Stmt
	exec  driver.StmtExecContext
	query driver.StmtQueryContext
	busy  bool // it has rows that are being read
	kept  bool
}

// compile gives the statement of a text, which is busy until it is released.
func (c *conn) compile(query string) (*stmt, error) {
	if s := c.kept[query]; s != nil && !s.busy {
		s.busy = true
		return s, nil
	}
	raw, err := c.raw.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	s := &stmt{Stmt: raw, busy: true}
	s.exec, _ = raw.(driver.StmtExecContext)
	s.query, _ = raw.(driver.StmtQueryContext)
	if s.exec == nil || s.query == nil {
		return nil, errors.Join(fmt.Errorf("the driver's %T lacks what the store needs", raw), raw.Close())
	}
	if c.kept[query] == nil {
		c.forgetSome()
		c.kept[query], s.kept = s, true
	}
	return s, nil
}

// forgetSome makes room for one more statement.
func (c *conn) forgetSome() {
	for text, s := range c.kept {
		if len(c.kept) < keptMost {
			return
		}
		if !s.busy {
			delete(c.kept, text)
			s.Close()
		}
	}
}

func (s *stmt) release() {
	if s.busy = false; !s.kept {
		s.Close()
	}
}

// ExecContext changes something. A statement is short: it is not interrupted when
// ctx ends, but waits for a lock no longer than that.
func (c *conn) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return c.run(context.Background(), query, args...)
}

func (c *conn) run(ctx context.Context, query string, args ...any) (sql.Result, error) {
	values, err := valuesOf(args)
	if err != nil {
		return nil, err
	}
	s, err := c.compile(query)
	if err != nil {
		return nil, err
	}
	defer s.release()
	return s.exec.ExecContext(ctx, values)
}

// QueryContext reads rows, which end with ctx.
func (c *conn) QueryContext(ctx context.Context, query string, args ...any) (*rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	values, err := valuesOf(args)
	if err != nil {
		return nil, err
	}
	s, err := c.compile(query)
	if err != nil {
		return nil, err
	}
	raw, err := s.query.QueryContext(context.Background(), values)
	if err != nil {
		s.release()
		return nil, err
	}
	return &rows{ctx: ctx, stmt: s, raw: raw, row: make([]driver.Value, len(raw.Columns()))}, nil
}

// QueryRowContext reads one row; what went wrong is the error of its Scan.
func (c *conn) QueryRowContext(ctx context.Context, query string, args ...any) oneRow {
	rows, err := c.QueryContext(ctx, query, args...)
	return oneRow{rows, err}
}

type oneRow struct {
	rows *rows
	err  error
}

// Scan is that of [sql.Row].
func (r oneRow) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		return cmp.Or(r.rows.Err(), sql.ErrNoRows)
	}
	return cmp.Or(r.rows.Scan(dest...), r.rows.Close())
}

// rows is what a query found. As those of [sql.Rows], they are to be closed.
type rows struct {
	ctx  context.Context
	stmt *stmt
	raw  driver.Rows
	row  []driver.Value
	read int
	err  error
	over bool
}

func (r *rows) Next() bool {
	if r.err != nil || r.over {
		return false
	}
	if r.read++; r.read%64 == 0 {
		if r.err = r.ctx.Err(); r.err != nil {
			return false
		}
	}
	r.err = r.raw.Next(r.row)
	if errors.Is(r.err, io.EOF) {
		r.err = r.Close()
		return false
	}
	return r.err == nil
}

func (r *rows) Err() error { return r.err }

func (r *rows) Close() error {
	if r.over {
		return nil
	}
	r.over = true
	err := r.raw.Close()
	r.stmt.release()
	return err
}
