package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// encoded is an entry by hand, without what only a stored one has.
func encoded(t testing.TB, e Entry) map[string]any {
	t.Helper()
	own, err := e.appendOwn(nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if own, err = e.appendShared(own); err != nil {
		t.Fatal(err)
	}
	return object(t, append(own, '}'))
}

func object(t testing.TB, text []byte) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

func compareEncoding(t testing.TB, e Entry) {
	t.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	want := object(t, text)
	delete(want, "seq")
	delete(want, "prev")
	delete(want, "hash")
	if diff := cmp.Diff(want, encoded(t, e)); diff != "" {
		t.Error(diff)
	}
}

// An entry that is written by hand says what encoding/json says of it, for each of its
// fields alone, all together, and none: a field that is added later is met, too.
func TestEncode(t *testing.T) {
	compareEncoding(t, Entry{})
	var all Entry
	v := reflect.ValueOf(&all).Elem()
	for i := range v.NumField() {
		var one Entry
		for _, to := range []reflect.Value{v, reflect.ValueOf(&one).Elem()} {
			setField(t, to.Field(i))
		}
		compareEncoding(t, one)
	}
	compareEncoding(t, all)
	all.Credential = &Credential{Issuer: "i", Wider: "w"} // that does not end: shared
	compareEncoding(t, all)
	var filled Entry
	filled.share(&all)
	own, _ := all.appendShared(nil)
	if got, _ := filled.appendShared(nil); string(got) != string(own) {
		t.Errorf("%s is shared, and %s written", got, own)
	}
}

func setField(t testing.TB, f reflect.Value) {
	t.Helper()
	var value any
	switch f.Interface().(type) {
	case Kind:
		value = KindCall
	case string:
		value = "<\x00\"\\ü\u2028\xff>"
	case int64:
		value = int64(-7)
	case int:
		value = 404
	case bool:
		value = true
	case []string:
		value = []string{"a", `"`}
	case time.Time:
		value = time.Date(2026, 11, 28, 12, 0, 0, 1000, time.UTC)
	case json.RawMessage:
		value = json.RawMessage(`{ "a": [1] }`)
	case *Credential:
		value = &Credential{Issuer: "i", Expires: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC), Revocable: true}
	case *Login:
		value = &Login{ACR: "a", AMR: []string{"pwd"}}
	case [][2]int64:
		value = [][2]int64{{1, 200}, {3, 204}}
	default:
		t.Fatalf("%v: a field of a type that is not tried", f.Type())
	}
	f.Set(reflect.ValueOf(value))
}

func FuzzEncode(f *testing.F) {
	f.Add("User::alice", "/pets/1", "note", int64(0), 200)
	f.Add("\xff\u2028<&>", "\x00\\", "\"", int64(1<<60), -1)
	f.Fuzz(func(t *testing.T, principal, path, note string, at int64, status int) {
		at %= 1 << 50
		compareEncoding(t, Entry{Time: time.UnixMicro(max(at, -at)).UTC(), Kind: Kind(note), Principal: principal, Path: path, Note: note, Policies: []string{note}, Status: status, Took: at})
	})
}

// An entry that is as another is right only if that one comes before it and is whole.
func TestAsAnother(t *testing.T) {
	for name, tt := range map[string]struct {
		as      string // of entry 3, in place of 1
		problem string
	}{
		"as it is":           {`"as":1,`, ""},
		"itself":             {`"as":3,`, "which does not come before it"},
		"a later one":        {`"as":4,`, "which does not come before it"},
		"one that is short":  {`"as":2,`, "which is not whole itself"},
		"one that is not":    {`"as":-9,`, "that is missing"},
		"and says it itself": {`"as":1,"tool":"x",`, "says it itself, too"},
		"which entry it is":  {`"as":1,"seq":9,`, "which entry it is"},
		"what is not known":  {`"as":1,"x":9,`, "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			s, err := Open(ctx, filepath.Join(t.TempDir(), "db"))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for i := range 3 {
				if err := s.Log(Entry{Kind: KindOutcome, Tool: "t", Note: fmt.Sprint(i)})(); err != nil {
					t.Fatal(err)
				}
			}
			var body, prev []byte
			if err := s.write.QueryRow("SELECT a.body, b.hash FROM entries a JOIN entries b ON a.seq = 3 AND b.seq = 2").Scan(&body, &prev); err != nil {
				t.Fatal(err)
			}
			body = []byte(strings.Replace(string(body), `"as":1,`, tt.as, 1))
			hash := hashEntry(prev, body)
			if _, err := s.write.Exec("UPDATE entries SET body = $1, hash = $2 WHERE seq = 3", body, hash[:]); err != nil {
				t.Fatal(err)
			}
			_, err = s.Verify(ctx)
			read := s.Newest(ctx, 1, func(e Entry) error {
				if e.Tool != "t" {
					t.Errorf("it has the tool %q", e.Tool)
				}
				return nil
			})
			for _, err := range []error{err, read} {
				var bad *ChainError
				if tt.problem == "" && err != nil || tt.problem != "" && (!errors.As(err, &bad) || bad.Seq != 3 || !strings.Contains(bad.Problem, tt.problem)) {
					t.Errorf("%v, want: %s", err, tt.problem)
				}
			}
		})
	}
}
