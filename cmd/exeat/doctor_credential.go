package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/exeat/exeat/store"
)

// Bounds of what doctor reads of the log for the credentials of calls.
const (
	looseWithin  = 7 * 24 * time.Hour
	looseEntries = 5000
)

// looseCall is what calls have in common whose credential was good for more.
type looseCall struct{ api, strategy, why string }

// narrower says what would narrow the credential of such calls.
func (l looseCall) narrower() string {
	if l.why == "a standing key" {
		return "exeat guard keeps it away from here, and other strategies make a credential for each call (docs/credentials.md)"
	}
	return "what narrows it is in docs/credentials.md, under " + l.strategy
}

// looseCalls says which calls of the last days left with a credential that is good for
// more than the call, and what would narrow it.
func (d *doctor) looseCalls(ctx context.Context, s *store.Store) error {
	since := now().Add(-looseWithin)
	loose, all := map[looseCall]int{}, map[string]int{}
	err := s.Newest(ctx, looseEntries, func(e store.Entry) error {
		if e.Time.Before(since) || e.Strategy == "" || e.Kind == store.KindSpent {
			return nil
		}
		all[e.API]++
		if why := e.Loose(); why != "" {
			loose[looseCall{e.API, e.Strategy, why}]++
		}
		return nil
	})
	keys := slices.SortedFunc(maps.Keys(loose), func(a, b looseCall) int {
		return cmp.Or(cmp.Compare(a.api, b.api), cmp.Compare(loose[b], loose[a]), cmp.Compare(a.why, b.why))
	})
	for _, l := range keys[:min(len(keys), 20)] {
		d.note("credentials", fmt.Sprintf("%s: %d of %d requests of the last 7 days left with a credential that is good for more than the call: %s. To narrow it: %s",
			printableLine(l.api), loose[l], all[l.api], printableLine(l.why), l.narrower()))
	}
	return err
}
