package store

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
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

// Tally is one kind of call that a principal made, and how often.
type Tally struct {
	Effect    string // "" of calls from before effects were noted
	SameAPI   bool
	SameTool  bool
	SameAgent bool
	Calls     [3]int64 // since each of the times that were asked for
}

// Usage counts, for each time, what a principal did with a tool since then:
// calls that were decided at once and held calls that were sent.
func (s *Store) Usage(ctx context.Context, of UsageOf) (out [3]int64, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		out = [3]int64{}
		return tx.tallied(of, "principal = $5 AND api = $6 AND tool = $7", func(_ tallyKey, calls [3]int64) {
			for i, n := range calls {
				out[i] += n
			}
		}, PersonInEntry(of.Principal), of.API, of.Tool)
	})
	return out, err
}

// UsageOfAll counts what a principal did since the given times, in groups that
// budgets tell apart.
func (s *Store) UsageOfAll(ctx context.Context, of UsageOf) (out []Tally, err error) {
	agent := NameInEntry(of.Agent)
	groups := map[Tally]*[3]int64{}
	err = s.View(ctx, func(tx *Tx) error {
		clear(groups)
		return tx.tallied(of, "principal = $5", func(k tallyKey, calls [3]int64) {
			group := Tally{Effect: k.effect, SameAPI: k.api == of.API, SameTool: k.api == of.API && k.tool == of.Tool, SameAgent: k.agent == agent}
			if groups[group] == nil {
				groups[group] = &[3]int64{}
			}
			for i, n := range calls {
				groups[group][i] += n
			}
		}, PersonInEntry(of.Principal))
	})
	for group, calls := range groups {
		group.Calls = *calls
		out = append(out, group)
	}
	slices.SortFunc(out, func(a, b Tally) int {
		return cmp.Or(cmp.Compare(a.Effect, b.Effect), compareBools(a.SameAPI, b.SameAPI), compareBools(a.SameTool, b.SameTool), compareBools(a.SameAgent, b.SameAgent))
	})
	return out, err
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// tallied calls fn for each tally that where chooses and that had calls since the
// earliest time, with how many.
func (tx *Tx) tallied(of UsageOf, where string, fn func(k tallyKey, calls [3]int64), args ...any) error {
	except, err := tx.except(of)
	if err != nil {
		return err
	}
	// The newest row of a tally has how many calls there were, and the one before a time
	// how many of them before it: it is two steps in the index, however long the log is.
	rows, err := tx.tx.QueryContext(tx.ctx, `SELECT id, principal, api, tool, effect, agent, n,
			coalesce((SELECT n FROM tally_counts WHERE tally = id AND at < $1 ORDER BY at DESC LIMIT 1), 0),
			coalesce((SELECT n FROM tally_counts WHERE tally = id AND at < $2 ORDER BY at DESC LIMIT 1), 0),
			coalesce((SELECT n FROM tally_counts WHERE tally = id AND at < $3 ORDER BY at DESC LIMIT 1), 0)
		FROM tallies JOIN tally_counts ON tally = id AND at = (SELECT max(at) FROM tally_counts WHERE tally = id)
		WHERE at >= $4 AND `+where,
		append([]any{micros(of.Since[0]), micros(of.Since[1]), micros(of.Since[2]), micros(of.Since[2])}, args...)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, all int64
		var k tallyKey
		var calls [3]int64
		if err := rows.Scan(&id, &k.principal, &k.api, &k.tool, &k.effect, &k.agent, &all, &calls[0], &calls[1], &calls[2]); err != nil {
			return err
		}
		for i := range calls {
			calls[i] = all - calls[i] - except[id][i]
		}
		if calls[2] > 0 {
			fn(k, calls)
		}
	}
	return rows.Err()
}

// except are the calls that are not counted, and are in the log already, by tally.
func (tx *Tx) except(of UsageOf) (map[int64][3]int64, error) {
	if len(of.Except) == 0 {
		return nil, nil
	}
	refs := make([]int64, len(of.Except))
	for i, txn := range of.Except {
		refs[i] = refOf(txn).Int64
	}
	list, err := json.Marshal(refs)
	if err != nil {
		return nil, err
	}
	rows, err := tx.tx.QueryContext(tx.ctx, "SELECT tally, at FROM entries WHERE ref IN (SELECT value FROM json_each($1)) AND tally IS NOT NULL", string(list))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[int64][3]int64{}
	for rows.Next() {
		var id, at int64
		if err := rows.Scan(&id, &at); err != nil {
			return nil, err
		}
		n := out[id]
		for i, since := range of.Since {
			if at >= micros(since) {
				n[i]++
			}
		}
		out[id] = n
	}
	return out, rows.Err()
}
