package store_test

import (
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

// aRead is the entry of an allowed read, as a call leaves it.
var aRead = store.Entry{Kind: store.KindCall, Txn: "txn_" + strings.Repeat("A", 26), Principal: "User::alice", Agent: "mcpload", Session: strings.Repeat("s", 36), API: "petstore", Tool: "get_pet", Effect: "read",
	Method: "GET", Path: "/pets/1", Digest: strings.Repeat("a", 64), Decision: "allow", Policies: []string{"reads"}, PolicySet: strings.Repeat("b", 64), Strategy: "signed", JTI: strings.Repeat("j", 26)}

// logOf is a log of so many reads by one principal, over a day.
func logOf(b *testing.B, n int) *store.Store {
	s := storetest.Open(b)
	var waits []func() error
	start := time.Now().Add(-24 * time.Hour)
	for i := range n {
		e := aRead
		e.Txn, e.Time = "txn_"+strconv.Itoa(i), start.Add(24*time.Hour/time.Duration(n)*time.Duration(i))
		if waits = append(waits, s.Log(e)); len(waits) == 1000 || i == n-1 {
			for _, wait := range waits {
				if err := wait(); err != nil {
					b.Fatal(err)
				}
			}
			waits = nil
		}
	}
	return s
}

func BenchmarkVerify(b *testing.B) {
	const n = 10_000
	s := logOf(b, n)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Verify(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

func BenchmarkUsage(top *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		var s *store.Store
		for name, count := range map[string]func(*store.Store, store.UsageOf) error{
			"tool": func(s *store.Store, of store.UsageOf) error { _, err := s.Usage(ctx, of); return err },
			"all":  func(s *store.Store, of store.UsageOf) error { _, err := s.UsageOfAll(ctx, of); return err },
		} {
			top.Run(strconv.Itoa(n)+"/"+name, func(b *testing.B) {
				if s == nil {
					s = logOf(top, n)
				}
				now := time.Now()
				of := store.UsageOf{Principal: "User::alice", API: "petstore", Tool: "get_pet", Agent: "mcpload", Since: since(now), Except: []string{"txn_" + strconv.Itoa(n-1)}}
				for b.Loop() {
					if err := count(s, of); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkLog(b *testing.B) {
	e := aRead
	b.Run("alone", func(b *testing.B) {
		s := storetest.Open(b)
		b.ReportAllocs()
		for b.Loop() {
			if err := s.Log(e)(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("shared", func(b *testing.B) {
		s := storetest.Open(b)
		b.ReportAllocs()
		b.SetParallelism(8)
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if err := s.Log(e)(); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

func BenchmarkSpend(b *testing.B) {
	s := storetest.Open(b)
	var n atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if ok, err := s.Spend(ctx, "iss", strconv.FormatInt(n.Add(1), 10), time.Now().Add(time.Minute)); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
}

func BenchmarkSwap(b *testing.B) {
	s := storetest.Open(b)
	h := hold("1")
	update(b, s, func(tx *store.Tx) error { return tx.Insert(h) })
	b.ReportAllocs()
	for b.Loop() {
		update(b, s, func(tx *store.Tx) error { return tx.Swap(h) })
		h.Version++
	}
}

// What a call asks before it is decided.
func BenchmarkMoment(b *testing.B) {
	s := storetest.Open(b)
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			moment(b, s)
		}
	})
	b.Run("shared", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(8)
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, err := s.Moment(); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}
