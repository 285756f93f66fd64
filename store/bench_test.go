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

func BenchmarkLog(b *testing.B) {
	e := store.Entry{Kind: store.KindCall, Principal: "User::alice", API: "petstore", Tool: "get_pet", Method: "GET", Path: "/pets/1", Digest: strings.Repeat("a", 64)}
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
