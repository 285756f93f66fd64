package store

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	sqlite3 "modernc.org/sqlite/lib"
)

// fixed is the part of a hold that never changes after Insert.
type fixed struct {
	Tool, Effect, Summary          string
	Principal, Agent, Session      json.RawMessage `json:",omitempty"`
	Details                        json.RawMessage `json:",omitempty"`
	Digest, Reason, PolicySet, Txn string
	Policies                       []string
	Seal                           []byte          `json:",omitempty"`
	Path                           string          `json:",omitempty"`
	Phrase                         json.RawMessage `json:",omitempty"`
	Marks                          []string        `json:",omitempty"`
}

// bulk never changes either. It can be large, so it stands in a column of its
// own, which lists do not read. Holds of the second schema have it in fixed.
type bulk struct {
	Args    json.RawMessage `json:",omitempty"`
	Request Request
	Choices json.RawMessage `json:",omitempty"`
	Before  *Snapshot       `json:",omitempty"`
	Says    string          `json:",omitempty"`
	Masked  []string        `json:",omitempty"`
	Waived  []string        `json:",omitempty"`
}

// changing is the part of a hold that Swap replaces.
type changing struct {
	Approval         *Approval  `json:",omitempty"`
	Earlier          []Approval `json:",omitempty"`
	Denial, DeniedBy string
	Owner            string
	Result           []byte
	After            *Snapshot `json:",omitempty"`
	Mark             []byte    `json:",omitempty"`
}

func (h Hold) fixed() ([]byte, error) {
	return exactJSON(fixed{Tool: h.Tool, Effect: h.Effect, Summary: h.Summary, Principal: h.Principal, Agent: h.Agent,
		Session: h.Session, Details: h.Details, Digest: h.Digest, Reason: h.Reason,
		PolicySet: h.PolicySet, Txn: h.Txn, Policies: h.Policies, Seal: h.Seal, Path: h.Path, Phrase: h.Phrase, Marks: h.Marks})
}

func (h Hold) bulk() ([]byte, error) {
	return exactJSON(bulk{Args: h.Args, Request: h.Request, Choices: h.Choices, Before: h.Before, Says: h.Says, Masked: h.Masked, Waived: h.Waived})
}

func (h Hold) changing() ([]byte, error) {
	return exactJSON(changing{Approval: h.Approval, Earlier: h.Earlier, Denial: h.Denial, DeniedBy: h.DeniedBy, Owner: h.Owner, Result: h.Result, After: h.After, Mark: h.Mark})
}

// approvedUntil is when the approval ends, in microseconds. It only helps Due to
// find the hold: 0, if there is no approval, is always over.
func (h Hold) approvedUntil() int64 {
	if h.Approval == nil {
		return 0
	}
	return micros(h.Approval.Expires)
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

// outlineColumns are all but the bulk.
const (
	outlineColumns = "id, version, state, subject, api, dedupe, created, expires, lease, changed, fixed, changing"
	holdColumns    = outlineColumns + ", bulk"
)

type scanner interface{ Scan(...any) error }

func scanHold(row scanner) (Hold, error) {
	var b []byte
	h, f, err := scanOutline(row, &b)
	if err != nil {
		return h, err
	}
	if len(b) == 0 {
		b = f
	}
	var all bulk
	if err := json.Unmarshal(b, &all); err != nil {
		return h, newDamage(h, err)
	}
	h.Args, h.Request, h.Choices, h.Before, h.Says, h.Masked, h.Waived = all.Args, all.Request, all.Choices, all.Before, all.Says, all.Masked, all.Waived
	return h, nil
}

// scanOutline reads the outline columns and then those of more.
func scanOutline(row scanner, more ...any) (h Hold, fb []byte, err error) {
	var created, expires, lease, changed int64
	var cb []byte
	err = row.Scan(append([]any{&h.ID, &h.Version, &h.State, &h.Subject, &h.API, &h.Dedupe, &created, &expires, &lease, &changed, &fb, &cb}, more...)...)
	if errors.Is(err, sql.ErrNoRows) {
		return h, nil, ErrNotFound
	}
	if err != nil {
		return h, nil, err
	}
	var f fixed
	var c changing
	if err := errors.Join(json.Unmarshal(fb, &f), json.Unmarshal(cb, &c)); err != nil {
		return h, nil, newDamage(h, err)
	}
	h.Created, h.Expires, h.Lease, h.Changed = fromMicros(created), fromMicros(expires), fromMicros(lease), fromMicros(changed)
	h.Tool, h.Effect, h.Summary, h.Principal, h.Agent, h.Session = f.Tool, f.Effect, f.Summary, f.Principal, f.Agent, f.Session
	h.Details, h.Digest, h.Reason, h.PolicySet, h.Txn, h.Policies, h.Seal, h.Path = f.Details, f.Digest, f.Reason, f.PolicySet, f.Txn, f.Policies, f.Seal, f.Path
	h.Phrase, h.Marks = f.Phrase, f.Marks
	h.Approval, h.Earlier, h.Denial, h.DeniedBy, h.Owner, h.Result, h.After, h.Mark = c.Approval, c.Earlier, c.Denial, c.DeniedBy, c.Owner, c.Result, c.After, c.Mark
	return h, fb, nil
}

func newDamage(h Hold, err error) error {
	return fmt.Errorf("hold %s is damaged in the database: %v", h.ID, err)
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
	After   *Hold // those that were made after it
	Limit   int   // 0 means 1,000
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
	if f.After != nil {
		made := arg(micros(f.After.Created))
		conds = append(conds, "(created, id) > ("+made+", "+arg(f.After.ID)+")")
	}
	if len(conds) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(conds, " AND "), args
}

// Holds lists holds, oldest first.
func (tx *Tx) Holds(f HoldFilter) ([]Hold, error) {
	return tx.list(holdColumns, f, scanHold)
}

// Outlines is Holds without what can be large: arguments, request and choices.
func (tx *Tx) Outlines(f HoldFilter) ([]Hold, error) {
	return tx.list(outlineColumns, f, func(row scanner) (Hold, error) {
		h, _, err := scanOutline(row)
		return h, err
	})
}

func (tx *Tx) list(columns string, f HoldFilter, scan func(scanner) (Hold, error)) ([]Hold, error) {
	where, args := f.where()
	limit := f.Limit
	if limit == 0 {
		limit = 1000
	}
	rows, err := tx.tx.QueryContext(tx.ctx, fmt.Sprintf("SELECT %s FROM holds%s ORDER BY created, id LIMIT %d", columns, where, limit), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var holds []Hold
	for rows.Next() {
		h, err := scan(rows)
		if err != nil {
			return nil, err
		}
		holds = append(holds, h)
	}
	return holds, rows.Err()
}

const dueQuery = `SELECT id, expires AS ended FROM holds WHERE state = 'pending' AND expires <= $1
	UNION ALL SELECT id, approved_until FROM holds WHERE state = 'approved' AND approved_until <= $1
	UNION ALL SELECT id, lease FROM holds WHERE state = 'sending' AND lease <= $1
	ORDER BY ended LIMIT $2`

// Due lists the ids of at most limit open holds that time alone has ended by
// now, though that may not be stored yet: the time of a pending or approved one
// is over, or the lease of one that is being sent. The longest over come first.
func (tx *Tx) Due(now time.Time, limit int) ([]string, error) {
	return tx.ids(dueQuery, micros(now), limit)
}

// ids are what a query finds: ids, each with the time that they are ordered by.
func (tx *Tx) ids(query string, args ...any) ([]string, error) {
	rows, err := tx.tx.QueryContext(tx.ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		var at int64
		if err := rows.Scan(&id, &at); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// forgettable are the holds that ended before $1.
const (
	forgettable = "changed < $1 AND state IN ('done', 'refused', 'unknown', 'denied', 'expired', 'cancelled')"
	forgetQuery = "DELETE FROM holds WHERE id IN (SELECT id FROM holds WHERE " + forgettable + " ORDER BY changed LIMIT $2)"
)

// Forgettable reports whether there are holds that ended before a time.
func (tx *Tx) Forgettable(before time.Time) (some bool, err error) {
	err = tx.tx.QueryRowContext(tx.ctx, "SELECT EXISTS (SELECT 1 FROM holds WHERE "+forgettable+")", micros(before)).Scan(&some)
	return some, err
}

// Forget deletes at most limit holds that ended before a time, and returns how
// many. Their entries stay.
func (tx *Tx) Forget(before time.Time, limit int) (int64, error) {
	res, err := tx.exec(forgetQuery, micros(before), limit)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// ForgetWithdrawn deletes the oldest withdrawn and expired holds of a principal
// beyond the newest that take at most so many bytes, at most limit, and returns how
// many. Their entries stay.
func (tx *Tx) ForgetWithdrawn(subject string, most int64, limit int) (int64, error) {
	res, err := tx.exec(`DELETE FROM holds WHERE id IN (SELECT id FROM (
		SELECT id, changed, sum(length(fixed) + length(changing) + length(bulk)) OVER (ORDER BY changed DESC, id) AS total
		FROM holds WHERE subject = $1 AND state IN ('cancelled', 'expired')
	) AS ended WHERE total > $2 ORDER BY changed LIMIT $3)`, subject, most, limit)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
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
	f, ferr := h.fixed()
	b, berr := h.bulk()
	c, cerr := h.changing()
	if err := errors.Join(ferr, berr, cerr); err != nil {
		return err
	}
	_, err := tx.exec("INSERT INTO holds ("+holdColumns+", approved_until, thing) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
		h.ID, h.Version, string(h.State), h.Subject, h.API, h.Dedupe, micros(h.Created), micros(h.Expires), micros(h.Lease), micros(h.Changed), f, c, b, h.approvedUntil(), ThingOf(h.Request.Path))
	if sqliteCode(err) == sqlite3.SQLITE_CONSTRAINT {
		return ErrConflict
	}
	return err
}

// Swap replaces a hold if its stored version is still h.Version, and sets the
// version to h.Version+1; otherwise ErrConflict. Only the state, approvals,
// denial, owner, lease, result, after, mark and time of change can change.
func (tx *Tx) Swap(h Hold) error {
	c, err := h.changing()
	if err != nil {
		return err
	}
	res, err := tx.exec("UPDATE holds SET version = version + 1, state = $1, lease = $2, changed = $3, changing = $4, approved_until = $5 WHERE id = $6 AND version = $7",
		string(h.State), micros(h.Lease), micros(h.Changed), c, h.approvedUntil(), h.ID, h.Version)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(ErrConflict, err)
	}
	return nil
}
