package store

import (
	"context"
	"encoding/json"
	"time"
)

// UsageOf says of which call the usage is wanted.
type UsageOf struct {
	Principal, API, Tool, Agent string
	// Except are the txns of calls that are not counted.
	Except []string
	// Since are the times since when calls are counted, the earliest last.
	Since [3]time.Time
}

// Usage counts, for each time, what a principal did with a tool since then:
// calls that were decided at once and held calls that were sent.
func (s *Store) Usage(ctx context.Context, of UsageOf) (out [3]int64, err error) {
	left, err := of.except()
	if err != nil {
		return out, err
	}
	err = s.View(ctx, func(tx *Tx) error {
		for i, t := range of.Since {
			// Two counts: the first one needs only its index, however long the log is.
			err := tx.tx.QueryRowContext(ctx,
				`SELECT (SELECT count(*) FROM entries WHERE principal = $1 AND api = $2 AND tool = $3 AND kind IN ('call', 'send') AND at >= $4)
				- (SELECT count(*) FROM entries WHERE txn IN (SELECT value FROM json_each($5))
					AND principal = $1 AND api = $2 AND tool = $3 AND kind IN ('call', 'send') AND at >= $4)`,
				PersonInEntry(of.Principal), of.API, of.Tool, micros(t), left).Scan(&out[i])
			if err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// Tally is one kind of call that a principal made, and how often.
type Tally struct {
	Effect    string // "" of calls from before effects were noted
	SameAPI   bool
	SameTool  bool
	SameAgent bool
	Calls     [3]int64 // since each of the times that were asked for
}

// UsageOfAll counts what a principal did since the given times, in groups that
// budgets tell apart.
func (s *Store) UsageOfAll(ctx context.Context, of UsageOf) ([]Tally, error) {
	left, err := of.except()
	if err != nil {
		return nil, err
	}
	var out []Tally
	err = s.View(ctx, func(tx *Tx) error {
		rows, err := tx.tx.QueryContext(ctx,
			`SELECT effect, api = $2, api = $2 AND tool = $3,
				agent = $4, sum(at >= $6), sum(at >= $7), count(*)
			FROM entries WHERE principal = $1 AND kind IN ('call', 'send') AND at >= $8 AND txn NOT IN (SELECT value FROM json_each($5))
			GROUP BY 1, 2, 3, 4`,
			PersonInEntry(of.Principal), of.API, of.Tool, NameInEntry(of.Agent), left, micros(of.Since[0]), micros(of.Since[1]), micros(of.Since[2]))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var t Tally
			if err := rows.Scan(&t.Effect, &t.SameAPI, &t.SameTool, &t.SameAgent, &t.Calls[0], &t.Calls[1], &t.Calls[2]); err != nil {
				return err
			}
			out = append(out, t)
		}
		return rows.Err()
	})
	return out, err
}

// except is the list of txns as the queries take it.
func (of UsageOf) except() (string, error) {
	list := of.Except
	if list == nil {
		list = []string{}
	}
	b, err := json.Marshal(list)
	return string(b), err
}
