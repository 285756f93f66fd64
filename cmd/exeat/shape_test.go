package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// How large a thing may be before a reader would find two things in it.
const (
	mostLines    = 400 // of a file, tests aside
	medianLines  = 150 // over all such files
	mostFunction = 60  // lines of a function
	mostUnmapped = 15  // files of a package without families in their names and a map in doc.go
)

// TestShape fails on a file or a function that is too long, and on a large
// package whose doc.go does not say of each of its files what it answers.
func TestShape(t *testing.T) {
	var lengths []int
	byPackage := map[string][]string{}
	for _, f := range ourFiles(t) {
		if f.test {
			continue
		}
		text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(f.name)))
		if err != nil {
			t.Fatal(err)
		}
		n := bytes.Count(text, []byte("\n"))
		lengths = append(lengths, n)
		if n > mostLines {
			t.Errorf("%s has %d lines; would a reader find two things in it?", f.name, n)
		}
		byPackage[f.pkg] = append(byPackage[f.pkg], filepath.Base(f.name))
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, f.name, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := set.Position(fn.End()).Line - set.Position(fn.Pos()).Line + 1; n > mostFunction {
				t.Errorf("%s: %s has %d lines", set.Position(fn.Pos()), fn.Name.Name, n)
			}
		}
	}
	slices.Sort(lengths)
	if m := lengths[len(lengths)/2]; m > medianLines {
		t.Errorf("half of the files have more than %d lines; the most we want is %d", m, medianLines)
	}
	for pkg, files := range byPackage {
		if len(files) > mostUnmapped {
			mapped(t, pkg, files)
		}
	}
}

// mapped fails unless the package's doc.go names each of its files.
func mapped(t *testing.T, pkg string, files []string) {
	doc, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(pkg), "doc.go"))
	if err != nil {
		t.Errorf("%s has %d files and no map of them: %v", pkg, len(files), err)
		return
	}
	names := strings.FieldsFunc(string(doc), func(r rune) bool { return strings.ContainsRune(" \t\n,;:", r) })
	for _, f := range files {
		if f != "doc.go" && !slices.Contains(names, f) {
			t.Errorf("%s/doc.go does not say what %s answers", pkg, f)
		}
	}
}
