package store

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	sqlite3 "modernc.org/sqlite/lib"
)

// fixed is the part of a hold that never changes after Insert.
type fixed struct {
	Tool, Effect, Summary          string
	Principal, Agent, Session      json.RawMessage `json:",omitempty"`
	Args                           json.RawMessage `json:",omitempty"`
	Request                        Request
	Details                        json.RawMessage `json:",omitempty"`
	Digest, Reason, PolicySet, Txn string
	Policies                       []string
	Choices                        json.RawMessage `json:",omitempty"`
	Seal                           []byte          `json:",omitempty"`
}

// changing is the part of a hold that Swap replaces.
type changing struct {
	Approval         *Approval `json:",omitempty"`
	Denial, DeniedBy string
	Owner            string
	Result           []byte
	Mark             []byte `json:",omitempty"`
}

func split(h Hold) (f, c []byte, err error) {
	f, err = exactJSON(fixed{Tool: h.Tool, Effect: h.Effect, Summary: h.Summary, Principal: h.Principal, Agent: h.Agent,
		Session: h.Session, Args: h.Args, Request: h.Request, Details: h.Details, Digest: h.Digest, Reason: h.Reason,
		PolicySet: h.PolicySet, Txn: h.Txn, Policies: h.Policies, Choices: h.Choices, Seal: h.Seal})
	if err != nil {
		return nil, nil, err
	}
	c, err = exactJSON(changing{Approval: h.Approval, Denial: h.Denial, DeniedBy: h.DeniedBy, Owner: h.Owner, Result: h.Result, Mark: h.Mark})
	return f, c, err
}

// exactJSON encodes v without rewriting the JSON that v holds already, as
// json.Marshal does for the sake of HTML.
func exactJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

const holdColumns = "id, version, state, subject, api, dedupe, created, expires, lease, changed, fixed, changing"

func scanHold(row interface{ Scan(...any) error }) (Hold, error) {
	var h Hold
	var created, expires, lease, changed int64
	var fb, cb []byte
	err := row.Scan(&h.ID, &h.Version, &h.State, &h.Subject, &h.API, &h.Dedupe, &created, &expires, &lease, &changed, &fb, &cb)
	if errors.Is(err, sql.ErrNoRows) {
		return h, ErrNotFound
	}
	if err != nil {
		return h, err
	}
	var f fixed
	var c changing
	if err := errors.Join(json.Unmarshal(fb, &f), json.Unmarshal(cb, &c)); err != nil {
		return h, fmt.Errorf("hold %s is damaged in the database: %v", h.ID, err)
	}
	h.Created, h.Expires, h.Lease, h.Changed = fromMicros(created), fromMicros(expires), fromMicros(lease), fromMicros(changed)
	h.Tool, h.Effect, h.Summary, h.Principal, h.Agent, h.Session = f.Tool, f.Effect, f.Summary, f.Principal, f.Agent, f.Session
	h.Args, h.Request, h.Details, h.Digest, h.Reason = f.Args, f.Request, f.Details, f.Digest, f.Reason
	h.PolicySet, h.Txn, h.Policies, h.Choices, h.Seal = f.PolicySet, f.Txn, f.Policies, f.Choices, f.Seal
	h.Approval, h.Denial, h.DeniedBy, h.Owner, h.Result, h.Mark = c.Approval, c.Denial, c.DeniedBy, c.Owner, c.Result, c.Mark
	return h, nil
}

// Hold returns the hold with the id, or ErrNotFound.
func (tx *Tx) Hold(id string) (Hold, error) {
	return scanHold(tx.tx.QueryRowContext(tx.ctx, "SELECT "+holdColumns+" FROM holds WHERE id = $1", id))
}

// OpenHold returns the open hold (pending, approved or sending) with the
// dedupe key, or ErrNotFound.
func (tx *Tx) OpenHold(dedupe string) (Hold, error) {
	return scanHold(tx.tx.QueryRowContext(tx.ctx,
		"SELECT "+holdColumns+" FROM holds WHERE dedupe = $1 AND state IN ('pending', 'approved', 'sending')", dedupe))
}

// HoldFilter selects holds; zero fields do not filter.
type HoldFilter struct {
	Subject string
	APIs    []string
	States  []State
	Limit   int // 0 means 1,000
}

func (f HoldFilter) where() (string, []any) {
	var conds []string
	var args []any
	arg := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	if f.Subject != "" {
		conds = append(conds, "subject = "+arg(f.Subject))
	}
	if len(f.APIs) > 0 {
		var in []string
		for _, a := range f.APIs {
			in = append(in, arg(a))
		}
		conds = append(conds, "api IN ("+strings.Join(in, ", ")+")")
	}
	if len(f.States) > 0 {
		var in []string
		for _, s := range f.States {
			in = append(in, arg(string(s)))
		}
		conds = append(conds, "state IN ("+strings.Join(in, ", ")+")")
	}
	if len(conds) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(conds, " AND "), args
}

// Holds lists holds, oldest first.
func (tx *Tx) Holds(f HoldFilter) ([]Hold, error) {
	where, args := f.where()
	limit := f.Limit
	if limit == 0 {
		limit = 1000
	}
	rows, err := tx.tx.QueryContext(tx.ctx, fmt.Sprintf("SELECT %s FROM holds%s ORDER BY created, id LIMIT %d", holdColumns, where, limit), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var holds []Hold
	for rows.Next() {
		h, err := scanHold(rows)
		if err != nil {
			return nil, err
		}
		holds = append(holds, h)
	}
	return holds, rows.Err()
}

// Count counts holds.
func (tx *Tx) Count(f HoldFilter) (int, error) {
	where, args := f.where()
	var n int
	err := tx.tx.QueryRowContext(tx.ctx, "SELECT count(*) FROM holds"+where, args...).Scan(&n)
	return n, err
}

// exact reports whether JSON keeps the request as it is: it replaces what is
// not UTF-8, and what was seen must be what is sent.
func (r Request) exact() bool {
	for name, values := range r.Header {
		if !utf8.ValidString(name) || slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }) {
			return false
		}
	}
	return utf8.ValidString(r.Method + "\n" + r.Origin + "\n" + r.Target + "\n" + r.Path + "\n" + r.ContentType)
}

// Insert adds a new hold. A second open hold with the same dedupe key is
// ErrConflict.
func (tx *Tx) Insert(h Hold) error {
	if !h.Request.exact() {
		return fmt.Errorf("the request of hold %s is not valid UTF-8 outside its body: it cannot be kept as it is", h.ID)
	}
	f, c, err := split(h)
	if err != nil {
		return err
	}
	_, err = tx.tx.ExecContext(tx.ctx, "INSERT INTO holds ("+holdColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
		h.ID, h.Version, string(h.State), h.Subject, h.API, h.Dedupe, micros(h.Created), micros(h.Expires), micros(h.Lease), micros(h.Changed), f, c)
	if sqliteCode(err) == sqlite3.SQLITE_CONSTRAINT {
		return ErrConflict
	}
	return err
}

// Swap replaces a hold if its stored version is still h.Version, and sets the
// version to h.Version+1; otherwise ErrConflict. Only the state, approval,
// denial, owner, lease, result, mark and time of change can change.
func (tx *Tx) Swap(h Hold) error {
	_, c, err := split(h)
	if err != nil {
		return err
	}
	res, err := tx.tx.ExecContext(tx.ctx,
		"UPDATE holds SET version = version + 1, state = $1, lease = $2, changed = $3, changing = $4 WHERE id = $5 AND version = $6",
		string(h.State), micros(h.Lease), micros(h.Changed), c, h.ID, h.Version)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(ErrConflict, err)
	}
	return nil
}
