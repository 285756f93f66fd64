package store_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/store/storetest"
)

func TestVerifyFindsTampering(t *testing.T) {
	tests := []struct {
		name, query string
		seq         int64
		problem     string
	}{
		{"changed", `UPDATE entries SET body = CAST(replace(CAST(body AS TEXT), 'note 3', 'note x') AS BLOB) WHERE seq = 3`, 3, "its content was changed"},
		{"changed with its hash", `UPDATE entries SET body = CAST(replace(CAST(body AS TEXT), 'note 3', 'note x') AS BLOB), hash = x'00' WHERE seq = 3`, 3, "its content was changed"},
		{"removed", `DELETE FROM entries WHERE seq = 3`, 4, "1 entries before it are missing"},
		{"the first removed", `DELETE FROM entries WHERE seq = 1`, 2, "1 entries before it are missing"},
		{"removed and renumbered", `DELETE FROM entries WHERE seq = 3; UPDATE entries SET seq = seq - 1 WHERE seq > 3`, 3, "does not follow"},
		{"swapped", `UPDATE entries SET seq = 99 WHERE seq = 2; UPDATE entries SET seq = 2 WHERE seq = 3; UPDATE entries SET seq = 3 WHERE seq = 99`, 2, "does not follow"},
		{"put in", `INSERT INTO entries SELECT 6, tally, at, ref, body, hash, seal FROM entries WHERE seq = 5`, 6, "does not follow"},
		{"put far behind the end", `INSERT INTO entries SELECT 9, tally, at, ref, body, hash, seal FROM entries WHERE seq = 5`, 9, "3 entries before it are missing"},
		{"hidden before the first", `INSERT INTO entries SELECT -9223372036854775808, tally, at, ref, body, hash, seal FROM entries WHERE seq = 5`, -1 << 63, "out of order"},
		{"hidden in the old table", `INSERT INTO entries_1 (seq, at, kind, principal, api, tool, body, hash) VALUES (9, 0, '', '', '', '', x'00', '')`, 9, "are missing"},
		{"hidden in the old table without a number", `INSERT INTO entries_1 (seq, at, kind, principal, api, tool, body, hash) VALUES (NULL, 0, '', '', '', '', x'00', '')`, 1, "is no entry"},
		{"txn", `UPDATE entries SET ref = 7 WHERE seq = 5`, 5, "its index columns"},
		{"txn taken away", `UPDATE entries SET ref = NULL WHERE seq = 5`, 5, "its index columns"},
		{"not counted", `UPDATE entries SET tally = NULL, at = NULL WHERE seq = 5`, 5, "its index columns"},
		{"counted as another", `UPDATE entries SET tally = 2 WHERE seq = 5`, 5, "its index columns"},
		{"counted earlier", `UPDATE entries SET at = at - 1 WHERE seq = 5`, 5, "its index columns"},
		{"counted later", `UPDATE entries SET at = at + 1 WHERE seq = 5`, 5, "not counted"},
		{"counts are gone", `DELETE FROM tally_counts`, 5, "not counted"},
		{"one count is gone", `DELETE FROM tally_counts WHERE n = 3`, 5, "not counted"},
		{"fewer counts", `UPDATE tally_counts SET n = n - 1 WHERE n = 5`, 5, "not counted"},
		{"other counts", `UPDATE tally_counts SET n = 'x'`, 5, "no number"},
		{"counts of nobody", `UPDATE tallies SET principal = 'User::bob'`, 1, "its index columns"},
		{"body emptied", `UPDATE entries SET body = x'' WHERE seq = 2`, 2, "its content was changed"},
		{"another hash", `UPDATE entries SET hash = x'00' WHERE seq = 5`, 5, "its content was changed"},
		{"a hash of text", `UPDATE entries SET hash = lower(hex(hash)) || 'x' WHERE seq = 5`, 5, "its content was changed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			s := storetest.OpenAt(t, path)
			for i := range 5 {
				if err := s.Log(store.Entry{Kind: store.KindCall, Txn: "txn", Principal: "User::alice", Note: fmt.Sprint("note ", i+1)})(); err != nil {
					t.Fatal(err)
				}
			}
			raw(t, path, tt.query)
			_, err := s.Verify(ctx)
			var bad *store.ChainError
			if !errors.As(err, &bad) || bad.Seq != tt.seq || !strings.Contains(bad.Problem, tt.problem) {
				t.Errorf("got %v, want entry %d: %s", err, tt.seq, tt.problem)
			}
		})
	}
}

// What a chain without a key cannot show by itself, a remembered head does.
func TestContains(t *testing.T) {
	log := func(t *testing.T, s *store.Store, n int, note string) {
		for range n {
			if err := s.Log(store.Entry{Kind: store.KindLogin, Note: note})(); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name   string
		before int // entries when the head is remembered
		then   func(t *testing.T, s *store.Store, path string)
		want   string // in the error
	}{
		{"unchanged", 3, nil, ""},
		{"empty", 0, nil, ""},
		{"begun since", 0, func(t *testing.T, s *store.Store, _ string) { log(t, s, 1, "") }, ""},
		{"grown", 3, func(t *testing.T, s *store.Store, _ string) { log(t, s, 5, "") }, ""},
		{"cut", 3, func(t *testing.T, _ *store.Store, path string) { raw(t, path, "DELETE FROM entries WHERE seq = 3") }, "the log ends before it"},
		{"emptied", 3, func(t *testing.T, _ *store.Store, path string) { raw(t, path, "DELETE FROM entries") }, "the log ends before it"},
		{"cut and grown again", 3, func(t *testing.T, s *store.Store, path string) {
			raw(t, path, "DELETE FROM entries WHERE seq = 3")
			log(t, s, 2, "other")
		}, "not the entry that is remembered"},
		{"written anew", 3, func(t *testing.T, s *store.Store, path string) {
			raw(t, path, "DELETE FROM entries")
			log(t, s, 9, "other")
		}, "not the entry that is remembered"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			s := storetest.OpenAt(t, path)
			log(t, s, tt.before, "")
			head, err := s.Verify(ctx)
			if err != nil || head.Seq != int64(tt.before) {
				t.Fatal(head, err)
			}
			if tt.then != nil {
				tt.then(t, s, path)
			}
			if _, err := s.Verify(ctx); err != nil {
				t.Errorf("the chain alone cannot show this: %v", err)
			}
			err = s.Contains(ctx, head)
			var bad *store.ChainError
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (!errors.As(err, &bad) || bad.Seq != head.Seq || !strings.Contains(bad.Problem, tt.want)):
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// Entries come back as they were given, and whatever an agent may have put into
// them, the chain holds.
func TestEntriesRoundtrip(t *testing.T) {
	s := storetest.Open(t)
	at := time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.FixedZone("", 3600))
	full := store.Entry{Time: at, Kind: "call", Txn: "t", Principal: "User::alice", Agent: "a", Session: "s", API: "p", Tool: "t", Method: "GET", Path: "/<&>\u2028",
		Digest: "d", Decision: "allow", Policies: []string{"p"}, PolicySet: "ps", Hold: "h", By: "b", Code: "c", Status: 200, Strategy: "signed", JTI: "j", Standing: true, Note: "n"}
	in := []store.Entry{full, {Time: at, Kind: "call"}, {Time: at, Kind: "a\x00", Principal: "\x00'\"", API: "\u2028", Tool: "<b>"},
		{Time: at, Kind: "\xff", Principal: "x\xff\xfe", API: "\xed\xa0\x80", Tool: "\xc3"}}
	var want []store.Entry
	for i, e := range in {
		if err := s.Log(e)(); err != nil {
			t.Fatal(err)
		}
		e.Seq, e.Time = int64(i+1), at.UTC().Truncate(time.Microsecond)
		want = append(want, e)
	}
	last := &want[3] // an entry is JSON, which is UTF-8
	last.Kind, last.Principal, last.API, last.Tool = "\ufffd", "x\ufffd\ufffd", "\ufffd\ufffd\ufffd", "\ufffd"
	var got []store.Entry
	prev := strings.Repeat("0", 64)
	if err := s.Entries(ctx, 0, func(e store.Entry) error {
		if e.Prev != prev || len(e.Hash) != 64 {
			t.Errorf("entry %d: prev %s, want %s; hash %s", e.Seq, e.Prev, prev, e.Hash)
		}
		prev, e.Prev, e.Hash = e.Hash, "", ""
		got = append(got, e)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if head, err := s.Verify(ctx); err != nil || head != (store.Head{Seq: 4, Hash: prev}) {
		t.Error(head, err)
	}
}

// Each entry is given once, until fn has had enough, even if its error looks
// like one that the store would try again after.
func TestEntriesStops(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s, other := storetest.OpenAt(t, path), storetest.OpenAt(t, path)
	for range 5 {
		if err := s.Log(store.Entry{Kind: store.KindCall})(); err != nil {
			t.Fatal(err)
		}
	}
	defer store.Lock(t, other)()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, busy := db.Exec("DELETE FROM spent")
	if busy == nil {
		t.Fatal("wrote in spite of the lock")
	}
	for _, stop := range []error{busy, errors.New("enough")} {
		var seqs []int64
		err := s.Entries(ctx, 2, func(e store.Entry) error {
			if seqs = append(seqs, e.Seq); e.Seq == 4 {
				return stop
			}
			return nil
		})
		if !errors.Is(err, stop) {
			t.Errorf("%v, want %v", err, stop)
		}
		if diff := cmp.Diff([]int64{3, 4}, seqs); diff != "" {
			t.Error(diff)
		}
	}
}

func TestUsage(t *testing.T) {
	s := storetest.Open(t)
	now := time.Now()
	for i, e := range []store.Entry{
		{Kind: "call", Time: now.Add(-30 * time.Second)}, {Kind: "send", Time: now.Add(-30 * time.Minute)}, {Kind: "call", Time: now.Add(-2 * time.Hour)},
		{Kind: "outcome", Time: now}, {Kind: "call", Time: now, Tool: "other"},
	} {
		e.Principal, e.API, e.Txn = "User::alice", "petstore", fmt.Sprintf("txn_%d", i)
		if e.Tool == "" {
			e.Tool = "get_pet"
		}
		if err := s.Log(e)(); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		except []string
		want   [3]int64
	}{
		{nil, [3]int64{1, 2, 3}},
		{[]string{"txn_0", "txn_4", "not written yet"}, [3]int64{0, 1, 2}}, // txn_4 is of another tool
		{[]string{"txn_2"}, [3]int64{1, 2, 2}},
	} {
		got, err := s.Usage(ctx, store.UsageOf{Principal: "User::alice", API: "petstore", Tool: "get_pet", Except: tt.except, Since: since(now)})
		if err != nil || !cmp.Equal(got, tt.want) {
			t.Errorf("except %v: %v, %v, want %v", tt.except, got, err, tt.want)
		}
	}
}

func since(now time.Time) [3]time.Time {
	return [3]time.Time{now.Add(-time.Minute), now.Add(-time.Hour), now.Add(-24 * time.Hour)}
}

// Calls of several tools are counted in the groups that budgets tell apart.
func TestUsageOfAll(t *testing.T) {
	s := storetest.Open(t)
	now := time.Now()
	for i, e := range []store.Entry{
		{Kind: "call", API: "petstore", Tool: "put_pet", Effect: "write", Agent: "a", Time: now},
		{Kind: "send", API: "petstore", Tool: "put_pet", Effect: "write", Agent: "b", Time: now.Add(-30 * time.Minute)},
		{Kind: "call", API: "petstore", Tool: "get_pet", Effect: "read", Agent: "a", Time: now.Add(-2 * time.Hour)},
		{Kind: "call", API: "shop", Tool: "put_pet", Effect: "write", Agent: "a", Time: now},
		{Kind: "call", API: "shop", Tool: "buy", Agent: "a", Time: now},
		{Kind: "call", API: "shop", Tool: "buy", Effect: "write", Agent: "a", Time: now.Add(-25 * time.Hour)},
		{Kind: "outcome", API: "shop", Tool: "buy", Effect: "write", Agent: "a", Time: now},
		{Kind: "call", API: "shop", Tool: "buy", Effect: "write", Agent: "a", Time: now, Principal: "User::bob"},
	} {
		e.Txn = fmt.Sprintf("txn_%d", i)
		if e.Principal == "" {
			e.Principal = "User::alice"
		}
		if err := s.Log(e)(); err != nil {
			t.Fatal(err)
		}
	}
	of := store.UsageOf{Principal: "User::alice", API: "petstore", Tool: "put_pet", Agent: "a", Since: since(now)}
	for _, tt := range []struct {
		except []string
		want   []store.Tally
	}{
		{nil, []store.Tally{
			{Effect: "", SameAgent: true, Calls: [3]int64{1, 1, 1}},
			{Effect: "read", SameAPI: true, SameAgent: true, Calls: [3]int64{0, 0, 1}},
			{Effect: "write", SameAgent: true, Calls: [3]int64{1, 1, 1}},
			{Effect: "write", SameAPI: true, SameTool: true, Calls: [3]int64{0, 1, 1}},
			{Effect: "write", SameAPI: true, SameTool: true, SameAgent: true, Calls: [3]int64{1, 1, 1}},
		}},
		{[]string{"txn_0", "txn_3", "txn_4"}, []store.Tally{
			{Effect: "read", SameAPI: true, SameAgent: true, Calls: [3]int64{0, 0, 1}},
			{Effect: "write", SameAPI: true, SameTool: true, Calls: [3]int64{0, 1, 1}},
		}},
	} {
		of.Except = tt.except
		got, err := s.UsageOfAll(ctx, of)
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("except %v: %v\n%s", tt.except, err, diff)
		}
	}
	if head, err := s.Verify(ctx); err != nil || head.Seq != 8 {
		t.Error(head, err)
	}
}

// FuzzVerify: no other bytes pass for an entry.
func FuzzVerify(f *testing.F) {
	f.Add([]byte(`{"seq":1}`), []byte("00"))
	f.Add([]byte(nil), []byte(nil))
	path := filepath.Join(f.TempDir(), "db")
	s := storetest.OpenAt(f, path)
	if err := s.Log(store.Entry{Kind: store.KindCall, Principal: "User::alice"})(); err != nil {
		f.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		f.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("PRAGMA synchronous = OFF"); err != nil {
		f.Fatal(err)
	}
	var body, hash []byte
	if err := db.QueryRow("SELECT body, hash FROM entries").Scan(&body, &hash); err != nil {
		f.Fatal(err)
	}
	f.Add(body, hash)
	f.Add(append([]byte(" "), body...), hash)
	f.Add(append(body[:len(body):len(body)], "{}"...), hash)
	f.Add(body, hash[1:])
	f.Fuzz(func(t *testing.T, b, h []byte) {
		if _, err := db.Exec("UPDATE entries SET body = $1, hash = $2", append([]byte{}, b...), append([]byte{}, h...)); err != nil {
			t.Skip(err)
		}
		_, err := s.Verify(ctx)
		var bad *store.ChainError
		if err != nil && !errors.As(err, &bad) {
			t.Errorf("%q with the hash %q: %v is no *ChainError", b, h, err)
		}
		if err == nil && (!bytes.Equal(b, body) || !bytes.Equal(h, hash)) {
			t.Errorf("%q with the hash %q passes", b, h)
		}
	})
}

// Texts that somebody else chose do not fill the disk, whichever field they come to.
func TestLongTextsAreCut(t *testing.T) {
	s := storetest.Open(t)
	long := strings.Repeat("ä", 1<<20)
	var e store.Entry
	fill(reflect.ValueOf(&e).Elem(), long)
	e.Path, e.Signed = "/"+long, json.RawMessage(`"`+strings.Repeat("s", 100<<10)+`"`)
	if err := s.Log(e)(); err != nil {
		t.Fatal(err)
	}
	if len(e.Policies[0]) != len(long) || e.Login.ACR != long {
		t.Error("the entry that was given was changed")
	}
	if err := s.Entries(ctx, 0, func(e store.Entry) error {
		e.Signed = nil // it is whole
		b, err := json.Marshal(e)
		if len(b) > 64<<10 || !strings.HasPrefix(e.Path, "/ä") || !strings.HasSuffix(e.Path, "… (2097153 bytes)") || !utf8.Valid(b) {
			t.Errorf("%d bytes: %.300s", len(b), b)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(ctx); err != nil {
		t.Error(err)
	}
	e.Signed = json.RawMessage(`"` + strings.Repeat("s", 1<<20) + `"`)
	if err := s.Log(e)(); err == nil {
		t.Error("a proof of 1 MB is written")
	}
}

// fill sets every text of a value, so that a field that is added later is met, too.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), text)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), text)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.String {
			v.Set(reflect.MakeSlice(v.Type(), 10_000, 10_000))
			for i := range v.Len() {
				v.Index(i).SetString("p")
			}
			v.Index(0).SetString(text)
		}
	}
}

// Usage of who has a long name is found under it.
func TestUsageOfLongNames(t *testing.T) {
	s := storetest.Open(t)
	long := strings.Repeat("ä", 1<<10)
	now := time.Now()
	if err := s.Log(store.Entry{Kind: store.KindCall, Time: now, Principal: long, Agent: long, API: "a", Tool: "t", Txn: "1"})(); err != nil {
		t.Fatal(err)
	}
	of := store.UsageOf{Principal: long, Agent: long, API: "a", Tool: "t", Since: since(now)}
	if got, err := s.Usage(ctx, of); err != nil || got[0] != 1 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := s.UsageOfAll(ctx, of); err != nil || len(got) != 1 || !got[0].SameAgent {
		t.Errorf("%+v, %v", got, err)
	}
}
