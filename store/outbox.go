package store

import (
	"database/sql"
	"errors"
	"time"
)

// Notice is a message about a hold that a channel is still to get. Times are
// kept to the microsecond. It has no text: that is made from the hold when it is
// sent.
type Notice struct {
	ID      string // of the message: the same however often it is tried
	Channel string
	Hold    string
	Failed  bool // it was tried too often, and is not tried any more
	Created time.Time
	Due     time.Time // not to be tried before
	Tries   int       // begun so far
	Owner   string    // process that claimed it
	Lease   time.Time // until when the claim holds
}

// MaxNotices bounds what waits for one channel. The oldest makes room.
const MaxNotices = 1000

// The states of a notice in the database.
const (
	queued = "queued"
	failed = "failed"
)

// Enqueue keeps a new notice. If MaxNotices wait for its channel, the oldest is
// dropped, and counted in the channel's health.
func (tx *Tx) Enqueue(n Notice) error {
	res, err := tx.exec("DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE channel = $1 ORDER BY created DESC, id DESC LIMIT -1 OFFSET $2)",
		n.Channel, MaxNotices-1)
	if err != nil {
		return err
	}
	if dropped, err := res.RowsAffected(); err == nil && dropped > 0 {
		if _, err := tx.exec("INSERT INTO channels VALUES ($1, 0, 0, 0, $2, '') ON CONFLICT (name) DO UPDATE SET dropped = dropped + $2", n.Channel, dropped); err != nil {
			return err
		}
	}
	_, err = tx.exec("INSERT INTO outbox (id, channel, hold, state, created, due, tries, owner, lease) VALUES ($1, $2, $3, $4, $5, $6, 0, '', 0)",
		n.ID, n.Channel, n.Hold, queued, micros(n.Created), micros(n.Due))
	return err
}

// Claim takes what is due for a channel, oldest first and at most limit: nobody
// else gets it until lease, or until Retry or Sent. What is about holds that do
// not wait any more is dropped first, for every channel.
func (tx *Tx) Claim(channel, owner string, now, lease time.Time, limit int) ([]Notice, error) {
	if _, err := tx.exec("DELETE FROM outbox WHERE hold NOT IN (SELECT id FROM holds WHERE state = 'pending' AND expires > $1)", micros(now)); err != nil {
		return nil, err
	}
	if _, err := tx.exec(`UPDATE outbox SET owner = $1, lease = $2, tries = tries + 1 WHERE id IN
		(SELECT id FROM outbox WHERE state = $3 AND channel = $4 AND due <= $5 AND lease <= $5 ORDER BY created, id LIMIT $6)`,
		owner, micros(lease), queued, channel, micros(now), limit); err != nil {
		return nil, err
	}
	return tx.notices("channel = $1 AND owner = $2 AND lease = $3 AND state = $4", channel, owner, micros(lease), queued)
}

func (tx *Tx) notices(where string, args ...any) ([]Notice, error) {
	rows, err := tx.tx.QueryContext(tx.ctx, "SELECT id, channel, hold, state, created, due, tries, owner, lease FROM outbox WHERE "+where+" ORDER BY created, id", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Notice
	for rows.Next() {
		var n Notice
		var state string
		var created, due, lease int64
		if err := rows.Scan(&n.ID, &n.Channel, &n.Hold, &state, &created, &due, &n.Tries, &n.Owner, &lease); err != nil {
			return nil, err
		}
		n.Failed, n.Created, n.Due, n.Lease = state == failed, fromMicros(created), fromMicros(due), fromMicros(lease)
		list = append(list, n)
	}
	return list, rows.Err()
}

// claimed are the conditions under which a claimed notice is still its owner's:
// nobody has claimed it since, and nobody has dropped it.
const claimed = "id = $1 AND owner = $2 AND tries = $3 AND state = 'queued'"

// Sent forgets a claimed notice that was sent; nothing happens if somebody else
// has claimed it since.
func (tx *Tx) Sent(n Notice) error {
	_, err := tx.exec("DELETE FROM outbox WHERE "+claimed, n.ID, n.Owner, n.Tries)
	return err
}

// Retry gives back a claimed notice, to be tried again from due on, or never if
// n.Failed; nothing happens if somebody else has claimed it since.
func (tx *Tx) Retry(n Notice, due time.Time) error {
	state := queued
	if n.Failed {
		state = failed
	}
	_, err := tx.exec("UPDATE outbox SET state = $4, due = $5, lease = 0, owner = '' WHERE "+claimed, n.ID, n.Owner, n.Tries, state, micros(due))
	return err
}

// Postpone lets what waits for a channel wait at least until due.
func (tx *Tx) Postpone(channel string, due time.Time) error {
	_, err := tx.exec("UPDATE outbox SET due = $2 WHERE channel = $1 AND state = 'queued' AND due < $2", channel, micros(due))
	return err
}

// DropNotices forgets all that waits for a channel, and its health.
func (tx *Tx) DropNotices(channel string) error {
	_, err := tx.exec("DELETE FROM outbox WHERE channel = $1", channel)
	if err == nil {
		_, err = tx.exec("DELETE FROM channels WHERE name = $1", channel)
	}
	return err
}

// NoticesDue tells from when on something is to be tried, for each channel for
// which something waits.
func (tx *Tx) NoticesDue() (map[string]time.Time, error) {
	rows, err := tx.tx.QueryContext(tx.ctx, "SELECT channel, min(max(due, lease)) FROM outbox WHERE state = 'queued' GROUP BY channel")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	due := map[string]time.Time{}
	for rows.Next() {
		var channel string
		var at int64
		if err := rows.Scan(&channel, &at); err != nil {
			return nil, err
		}
		due[channel] = fromMicros(at)
	}
	return due, rows.Err()
}

// ChannelHealth is how a channel does.
type ChannelHealth struct {
	Name     string
	Sent     time.Time // the last message; zero if none was
	Tried    time.Time // the last try
	Failures int       // tries since then that failed
	Problem  string    // of the last try, in words of exeat; "" if it went well
	Dropped  int       // notices that made room
	Waiting  int       // notices that are to be sent
	Failed   int       // notices that were tried too often
}

// Tried records a try to send over a channel. problem is "" if it went well,
// else what to show of it, and must not hold a secret.
func (tx *Tx) Tried(channel string, now time.Time, problem string) error {
	sent, failures := micros(now), 0
	if problem != "" {
		sent, failures = 0, 1
	}
	_, err := tx.exec(`INSERT INTO channels VALUES ($1, $2, $3, $4, 0, $5) ON CONFLICT (name) DO UPDATE
		SET sent = max(sent, $2), tried = $3, failures = CASE $4 WHEN 0 THEN 0 ELSE failures + 1 END, problem = $5`,
		channel, sent, micros(now), failures, problem)
	return err
}

// Health returns how one channel does; one that was never used has only a name.
func (tx *Tx) Health(channel string) (ChannelHealth, error) {
	h := ChannelHealth{Name: channel}
	var sent, tried int64
	err := tx.tx.QueryRowContext(tx.ctx, "SELECT sent, tried, failures, dropped, problem FROM channels WHERE name = $1", channel).
		Scan(&sent, &tried, &h.Failures, &h.Dropped, &h.Problem)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return h, err
	}
	h.Sent, h.Tried = fromMicros(sent), fromMicros(tried)
	err = tx.tx.QueryRowContext(tx.ctx, "SELECT count(*) FILTER (WHERE state = 'queued'), count(*) FILTER (WHERE state = 'failed') FROM outbox WHERE channel = $1", channel).
		Scan(&h.Waiting, &h.Failed)
	return h, err
}
