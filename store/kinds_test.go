package store_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/exeat/exeat/store"
)

var write = flag.Bool("update", false, "write the table of kinds into docs/design.md")

// Every kind of entry is in the table, is written somewhere, and is named by its
// constant wherever an entry is made.
func TestKinds(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "kinds.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
			if l, ok := v.Values[0].(*ast.BasicLit); ok {
				constants[v.Names[0].Name] = true
				if !tabled(strings.Trim(l.Value, `"`)) {
					t.Errorf("%s is not in Kinds", v.Names[0].Name)
				}
			}
		}
		return true
	})
	if len(constants) != len(store.Kinds) {
		t.Errorf("there are %d constants and %d lines in Kinds", len(constants), len(store.Kinds))
	}
	source := sources(t)
	for name := range constants {
		if !regexp.MustCompile(`\b` + name + `\b`).MatchString(source) {
			t.Errorf("nothing writes or reads %s", name)
		}
	}
	if bad := regexp.MustCompile(`(Entry\{Kind: |\.entry\(|entryOf\([^,()]+, |\be\.Kind [!=]= |\{entry: )"[^"]*"`).FindString(source); bad != "" {
		t.Errorf("%s: use the constant of store", bad)
	}
}

func tabled(kind string) bool {
	for _, k := range store.Kinds {
		if string(k.Kind) == kind {
			return true
		}
	}
	return false
}

// sources is the program's text, without tests and the list of kinds.
func sources(t *testing.T) string {
	var all strings.Builder
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || path == "../store/kinds.go" {
			return err
		}
		b, err := os.ReadFile(path)
		all.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// The design's table of kinds is the one that the code has.
func TestKindsInDocs(t *testing.T) {
	const begin, end = "<!-- begin kinds -->\n", "<!-- end kinds -->"
	const path = "../docs/design.md"
	var table strings.Builder
	table.WriteString("| entry | tells |\n|---|---|\n")
	for _, k := range store.Kinds {
		fmt.Fprintf(&table, "| `%s` | %s |\n", k.Kind, k.Meaning)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), begin)
	have, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the kinds", path)
	}
	if *write {
		if err := os.WriteFile(path, []byte(before+begin+table.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if have != table.String() {
		t.Errorf("%s is not of today: go test ./store -run KindsInDocs -update", path)
	}
}
