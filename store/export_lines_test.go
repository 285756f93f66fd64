package store_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/store"
)

// exported is a log of both formats, with entries that are as others, and what it
// exports.
func exported(t *testing.T) (*store.Store, []byte) {
	t.Helper()
	s := withFirst(t, filepath.Join(t.TempDir(), "db"))
	read := store.Entry{Kind: store.KindCall, Txn: "txn_2", Principal: "User::<alice>", Agent: "ä", API: "petstore", Tool: "get_pet", Effect: "read", Policies: []string{"p"}, Path: `/,"prev":"`}
	for range 3 {
		c := s.LogCall(read)
		if err := c.Wait(); err != nil {
			t.Fatal(err)
		}
		c.End(204)
	}
	if err := s.Log(store.Entry{Kind: store.KindLogin})(); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := s.Export(ctx, 0, &b); err != nil {
		t.Fatal(err)
	}
	return s, b.Bytes()
}

var exportedLine = regexp.MustCompile(`^(\{"seq":\d+,)(.*),"prev":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"`)

// Whoever has the lines can verify them by what is documented, and they are the entries.
func TestExport(t *testing.T) {
	s, text := exported(t)
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	prev := strings.Repeat("0", 64)
	for i, line := range lines {
		m := exportedLine.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("%s is no line", line)
		}
		old := sha256.Sum256([]byte("exeat-entry-1\n" + strings.Replace(line, m[4], "", 1)))
		p, err := hex.DecodeString(prev)
		if err != nil {
			t.Fatal(err)
		}
		want := hex.EncodeToString(documentedHash(p, []byte("{"+m[2]+"}")))
		if i < 3 {
			want = hex.EncodeToString(old[:])
		}
		if m[3] != prev || m[4] != want {
			t.Errorf("line %d follows %s, want %s, with the hash %s, want %s", i+1, m[3], prev, m[4], want)
		}
		prev = m[4]
	}
	i := 0
	if err := s.Entries(ctx, 0, func(e store.Entry) error {
		if e.Hash == "" {
			return nil // the end of a read
		}
		var got struct {
			store.Entry
			As int64 `json:"as"`
		}
		err := json.Unmarshal([]byte(lines[i]), &got)
		if diff := cmp.Diff(e, got.Entry); diff != "" {
			t.Errorf("line %d: %s", i+1, diff)
		}
		if i++; (got.As != 0) != (e.Seq == 5 || e.Seq == 6) {
			t.Errorf("entry %d is as %d", e.Seq, got.As)
		}
		return err
	}); err != nil || i != len(lines) || i != 7 {
		t.Errorf("%d entries, %d lines: %v", i, len(lines), err)
	}
}

// The program in the documentation verifies an export, and finds what was changed.
func TestDocumentedVerifier(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip(err)
	}
	doc, err := os.ReadFile("../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(doc), "```python\n")
	program, _, ok := strings.Cut(program, "```")
	if !ok {
		t.Fatal("docs/audit.md has no program")
	}
	_, text := exported(t)
	for _, tt := range []struct {
		text string
		good bool
	}{
		{string(text), true},
		{strings.Replace(string(text), "get_pet", "got_pet", 1), false},
		{strings.Replace(string(text), `"txn":"txn_2"`, `"txn":"txn_3"`, 1), false},
		{strings.Replace(string(text), `"ended":[[`, `"ended":[[9`, 1), false},
		{string(text[:bytes.IndexByte(text, '\n')+1]) + string(text[bytes.LastIndexByte(text[:len(text)-1], '\n')+1:]), false},
	} {
		cmd := exec.Command(python, "-c", program)
		cmd.Stdin = strings.NewReader(tt.text)
		if out, err := cmd.CombinedOutput(); (err == nil) != tt.good {
			t.Errorf("it says %s (%v) of %s", out, err, tt.text)
		}
	}
}
