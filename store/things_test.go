package store_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

// TestOpenNear: what is on the same thing, within it or above it, however it is spelt,
// and nothing else; nothing that has ended, and what was stored before is looked at.
func TestOpenNear(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := storetest.OpenAt(t, path)
	paths := []string{"/pets/1", "/pets/1/", "/pets/%31", "/pets/1/photos/2", "/pets", "/pets/10", "/pets/1%2Fphotos", "/", "/owners/1", "/pets/1.json"}
	update(t, s, func(tx *store.Tx) error {
		for i, p := range paths {
			h := hold(fmt.Sprintf("%02d", i))
			h.Request.Path, h.Dedupe = p, p
			if err := tx.Insert(h); err != nil {
				return err
			}
		}
		ended := in("99", store.Done, hold("").Created)
		ended.Request.Path = "/pets/1"
		return tx.Insert(ended)
	})
	near := func(api, path string) (got []string) {
		t.Helper()
		if err := s.View(ctx, func(tx *store.Tx) error {
			ids, err := tx.OpenNear(api, path)
			for _, id := range ids {
				h, err := tx.Hold(id)
				if err != nil {
					return err
				}
				got = append(got, h.Request.Path)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		return got
	}
	api := hold("").API
	for path, want := range map[string][]string{
		"/pets/1":          {"/", "/pets", "/pets/%31", "/pets/1", "/pets/1/", "/pets/1/photos/2"},
		"/pets/1/photos/2": {"/", "/pets", "/pets/%31", "/pets/1", "/pets/1/", "/pets/1/photos/2"},
		"/pets/1/photos":   {"/", "/pets", "/pets/%31", "/pets/1", "/pets/1/", "/pets/1/photos/2"},
		"/pets/1%2fphotos": {"/", "/pets", "/pets/1%2Fphotos"},
		"/owners":          {"/", "/owners/1"},
		"/else":            {"/"},
	} {
		if diff := cmp.Diff(want, near(api, path)); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	if got := near("another", "/pets/1"); got != nil {
		t.Errorf("another API: %v", got)
	}
	raw(t, path, "UPDATE holds SET thing = ''")
	if got := near(api, "/else"); len(got) != len(paths) {
		t.Errorf("what an older exeat stored: %v", got)
	}
}

// BenchmarkOpenNear finds the calls on the same thing among 1,000 that wait.
func BenchmarkOpenNear(b *testing.B) {
	s := storetest.Open(b)
	update(b, s, func(tx *store.Tx) error {
		for i := range 1000 {
			h := hold(fmt.Sprint(i))
			h.Request.Path, h.Dedupe = fmt.Sprintf("/pets/%d", i), fmt.Sprint(i)
			if err := tx.Insert(h); err != nil {
				return err
			}
		}
		return nil
	})
	b.ReportAllocs()
	for b.Loop() {
		if err := s.View(ctx, func(tx *store.Tx) error { _, err := tx.OpenNear(hold("").API, "/pets/7"); return err }); err != nil {
			b.Fatal(err)
		}
	}
}
