package store

import (
	"database/sql"
	"errors"
	"time"
)

// Rule is what a person said of calls to come. Times are kept to the
// microsecond.
type Rule struct {
	ID      string
	Version int64  // counts changes; what compare-and-swap compares
	Kind    string // grant, denial or stop
	Subject string // "User::alice": whose agents
	Agent   string // the agent's id
	Created time.Time
	Ends    time.Time // zero: not by itself
	Revoked time.Time // zero while it is in force
	Fixed   []byte    // JSON: what it covers and who gave it; never changes
	State   []byte    // JSON: what changes, such as the count of uses
	// Mark is a MAC over all of the above, made with a key that is not in the
	// database.
	Mark []byte
}

const ruleColumns = "id, version, kind, subject, agent, created, ends, revoked, fixed, state, mark"

func scanRule(scan func(...any) error) (Rule, error) {
	var r Rule
	var created, ends, revoked int64
	err := scan(&r.ID, &r.Version, &r.Kind, &r.Subject, &r.Agent, &created, &ends, &revoked, &r.Fixed, &r.State, &r.Mark)
	r.Created, r.Ends, r.Revoked = fromMicros(created), fromMicros(ends), fromMicros(revoked)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return r, err
}

// InsertRule keeps a new rule; ErrConflict if there is one of that ID.
func (tx *Tx) InsertRule(r Rule) error {
	return one(tx.exec("INSERT INTO rules ("+ruleColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
		r.ID, r.Version, r.Kind, r.Subject, r.Agent, micros(r.Created), micros(r.Ends), micros(r.Revoked), r.Fixed, r.State, r.Mark))
}

// SwapRule replaces what can change of the rule of that ID and Version (State,
// Revoked and Mark) and counts Version up; ErrConflict if it was changed
// meanwhile.
func (tx *Tx) SwapRule(r Rule) error {
	return one(tx.exec("UPDATE rules SET version = version + 1, revoked = $3, state = $4, mark = $5 WHERE id = $1 AND version = $2",
		r.ID, r.Version, micros(r.Revoked), r.State, r.Mark))
}

// Rule returns one rule; ErrNotFound if there is none of that ID.
func (tx *Tx) Rule(id string) (Rule, error) {
	return scanRule(tx.tx.QueryRowContext(tx.ctx, "SELECT "+ruleColumns+" FROM rules WHERE id = $1", id).Scan)
}

// LiveRules returns at most limit rules for an agent of a principal that were
// not revoked and that end after now, the newest first; for all of its agents if
// agent is "", and of all principals if subject is "".
func (tx *Tx) LiveRules(subject, agent string, now time.Time, limit int) ([]Rule, error) {
	rows, err := tx.tx.QueryContext(tx.ctx, "SELECT "+ruleColumns+` FROM rules
		WHERE (subject = $1 OR $1 = '') AND (agent = $2 OR $2 = '') AND revoked = 0 AND (ends = 0 OR ends > $3)
		ORDER BY created DESC, id LIMIT $4`, subject, agent, micros(now), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Rule
	for rows.Next() {
		r, err := scanRule(rows.Scan)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// ForgetRules deletes at most limit rules that ended or were revoked before a
// time, and returns how many. Their entries stay.
func (tx *Tx) ForgetRules(before time.Time, limit int) (int64, error) {
	res, err := tx.exec(`DELETE FROM rules WHERE id IN (SELECT id FROM rules
		WHERE (ends > 0 AND ends < $1) OR (revoked > 0 AND revoked < $1) LIMIT $2)`, micros(before), limit)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Latest is now, or the latest time that Advance was told if that is later: a
// clock that steps back gives nothing more time.
func (tx *Tx) Latest(now time.Time) (time.Time, error) {
	var at int64
	err := tx.tx.QueryRowContext(tx.ctx, "SELECT at FROM clock WHERE id = 1").Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	if at > micros(now) {
		now = fromMicros(at)
	}
	return now, err
}

// Advance is Latest, and remembers the time.
func (tx *Tx) Advance(now time.Time) (time.Time, error) {
	_, err := tx.exec("INSERT INTO clock (id, at) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET at = max(at, excluded.at)", micros(now))
	if err != nil {
		return now, err
	}
	return tx.Latest(now)
}

// Recent returns the newest holds of a principal for one API, at most limit,
// newest first.
func (tx *Tx) Recent(subject, api string, limit int) ([]Hold, error) {
	rows, err := tx.tx.QueryContext(tx.ctx, "SELECT "+holdColumns+" FROM holds WHERE subject = $1 AND api = $2 ORDER BY created DESC LIMIT $3", subject, api, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Hold
	for rows.Next() {
		h, err := scanHold(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, h)
	}
	return list, rows.Err()
}
