package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	commandRow  = regexp.MustCompile("(?m)^\\| `exeat ([^`]+)`")
	commandWord = regexp.MustCompile(`^[a-z]+(\\\|[a-z]+)*$`)
)

// The command table of docs/configuration.md and the program have the same
// commands.
func TestCommandTable(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var told, have []string
	for _, row := range commandRow.FindAllStringSubmatch(string(text), -1) {
		names := []string{"exeat"}
		for _, word := range strings.Fields(row[1]) {
			if !commandWord.MatchString(word) {
				break // an argument
			}
			var longer []string
			for _, name := range names {
				for _, w := range strings.Split(word, `\|`) {
					longer = append(longer, name+" "+w)
				}
			}
			names = longer
		}
		told = append(told, names...)
	}
	for _, c := range commands(newRoot()) {
		if c.Runnable() && c.HasParent() {
			have = append(have, c.CommandPath())
		}
	}
	slices.Sort(told)
	slices.Sort(have)
	if diff := cmp.Diff(have, told); diff != "" {
		t.Errorf("docs/configuration.md has another command table than the program has commands (-program +table):\n%s", diff)
	}
}

// Each command has a page that any roff reads, with its name, its flags and its
// own words.
func TestManPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	var out, errOut bytes.Buffer
	if code := execute(t.Context(), []string{"man", dir}, nil, &out, &errOut); code != 0 {
		t.Fatalf("%d: %s", code, &errOut)
	}
	macro := regexp.MustCompile(`^\.(TH|SH|PP|B|BR|nf|fi)( |$)`)
	for _, c := range commands(newRoot()) {
		page, err := os.ReadFile(filepath.Join(dir, manName(c)+".1"))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(page), "\n") {
			if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !macro.MatchString(line) || strings.ContainsFunc(line, func(r rune) bool { return r > 0x7e || r < ' ' }) {
				t.Errorf("%s: %q", c.CommandPath(), line)
			}
		}
		for _, want := range []string{roff(c.Short), ".SH SYNOPSIS\n.B exeat", roff("--help"), roff(c.Example)} {
			if !strings.Contains(string(page), want) {
				t.Errorf("%s: its page does not say %q", c.CommandPath(), want)
			}
		}
	}
}

func TestRoff(t *testing.T) {
	for text, want := range map[string]string{
		"a-b\\c":         `a\-b\ec`,
		".x\n'y\n a.b'c": "\\&.x\n\\&'y\n a.b'c",
		"1 €, …":         `1 \[u20AC], \[u2026]`,
	} {
		if got := roff(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
