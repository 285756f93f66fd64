package main

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// papers are what people read, by path from the top.
func papers(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/decisions/*.md"} {
		files, err := filepath.Glob(filepath.Join("..", "..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			rel, err := filepath.Rel(filepath.Join("..", ".."), file)
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.ToSlash(rel)] = string(text)
		}
	}
	if len(all) < 20 {
		t.Fatalf("only %d pages were found", len(all))
	}
	return all
}

// present leaves the pages that say how things are now, and not how they were.
func present(t *testing.T) map[string]string {
	all := papers(t)
	maps.DeleteFunc(all, func(name, _ string) bool {
		return strings.HasPrefix(name, "docs/decisions/") || name == "CHANGELOG.md"
	})
	return all
}

var fence = regexp.MustCompile("(?ms)^ *```.*?^ *```[^\n]*$")

// TestPagesAreWrapped keeps prose in one width. Tables, code and pictures have
// their own.
func TestPagesAreWrapped(t *testing.T) {
	for name, text := range papers(t) {
		text = fence.ReplaceAllStringFunc(text, func(s string) string { return strings.Repeat("\n", strings.Count(s, "\n")) })
		for i, line := range strings.Split(text, "\n") {
			if len([]rune(line)) > 120 && !strings.HasPrefix(line, "|") && !strings.HasPrefix(strings.TrimSpace(line), "<") && strings.Contains(strings.TrimLeft(line, " -*"), " ") {
				t.Errorf("%s:%d is longer than 120 characters", name, i+1)
			}
		}
	}
}

// TestPagesSayForWhom looks for the lines at the top of each page: for whom it is,
// and what they will be able to do.
func TestPagesSayForWhom(t *testing.T) {
	top := regexp.MustCompile(`^# [^\n]+\n\n(For [^\n]+(?:\n[^\n]+){0,3})\n\n`)
	for name, text := range papers(t) {
		if !strings.HasPrefix(name, "docs/") || strings.HasPrefix(name, "docs/decisions/") {
			continue
		}
		m := top.FindStringSubmatch(text)
		if m == nil || !strings.Contains(strings.ReplaceAll(m[1], "\n", " "), "You will ") {
			t.Errorf("%s does not say at its top for whom it is (For …) and what they get (You will …)", name)
		}
	}
}

// TestLinksLeadSomewhere follows links and pictures within the repository.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"`)
	shown := map[string]bool{}
	for name, text := range papers(t) {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			to, anchor, _ := strings.Cut(m[1]+m[2], "#")
			if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
				continue
			}
			file := name
			if to != "" {
				file = filepath.ToSlash(filepath.Join(filepath.Dir(name), to))
			}
			shown[file] = true
			target, err := os.ReadFile(filepath.Join("..", "..", file))
			if info, statErr := os.Stat(filepath.Join("..", "..", file)); statErr != nil || err != nil && !info.IsDir() {
				t.Errorf("%s leads to %s, which is not there", name, file)
			}
			if anchor != "" && !slices.Contains(anchors(string(target)), anchor) {
				t.Errorf("%s leads to #%s, which %s does not have", name, anchor, file)
			}
		}
	}
	pictures, err := filepath.Glob(filepath.Join("..", "..", "docs", "screenshots", "*.png"))
	if err != nil {
		t.Fatal(err)
	}
	if len(pictures) != 6 {
		t.Errorf("docs/screenshots has %d pictures, not six", len(pictures))
	}
	for _, p := range pictures {
		if !shown["docs/screenshots/"+filepath.Base(p)] {
			t.Errorf("no page shows docs/screenshots/%s", filepath.Base(p))
		}
	}
}

// anchors are the names of a page's headings, as GitHub makes them.
func anchors(text string) (all []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^\pL\d _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(name, " ", "-"))
	}
	return all
}

// ourFlags are the flags of all commands.
func ourFlags() map[string]bool {
	all := map[string]bool{"help": true, "version": true}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, m := range regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z0-9-]+)`).FindAllStringSubmatch(c.Flags().FlagUsages(), -1) {
			all[m[1]] = true
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot())
	return all
}

// TestFlagsInPages fails for a flag that only the pages have, and for one that
// they do not have.
func TestFlagsInPages(t *testing.T) {
	foreign := []string{"header", "transport", "strict", "suite", "test", "tags", "no-install-recommends", // of other programs
		"callback-port", "client-id", "features", "fields", "format", "import-realm", "no-save", "noquotes", "password", "realm", "server", "spi-ssf-transmitter--default--allow-insecure-push-targets", "spi-ssf-transmitter--default--outbox-drainer-interval", "truststore-paths"}
	ours, named := ourFlags(), map[string]bool{}
	for name, text := range present(t) {
		for _, m := range regexp.MustCompile("(?:^|[\\s`(\\[])--([a-z][a-z0-9-]+)").FindAllStringSubmatch(text, -1) {
			named[m[1]] = true
			if !ours[m[1]] && !slices.Contains(foreign, m[1]) {
				t.Errorf("%s speaks of --%s, which no command has", name, m[1])
			}
		}
	}
	for flag := range ours {
		if !named[flag] && flag != "help" && flag != "version" {
			t.Errorf("no page speaks of --%s", flag)
		}
	}
}

// configKeys are the keys of a configuration's type, with the path to each.
func configKeys(t reflect.Type, path string, keys map[string]bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct {
			path += "[]"
		}
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || !strings.HasSuffix(t.PkgPath(), "cmd/exeat") && t.PkgPath() != "main" {
		keys[path] = true
		return
	}
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("yaml"); key != "" {
			configKeys(t.Field(i).Type, strings.TrimPrefix(path+"."+key, "."), keys)
		}
	}
}

// TestConfigurationKeysInPages fails for a key that docs/configuration.md does not
// have. Credentials have a chapter of their own.
func TestConfigurationKeysInPages(t *testing.T) {
	keys := map[string]bool{}
	configKeys(reflect.TypeFor[config](), "", keys)
	page := papers(t)["docs/configuration.md"]
	table, _, _ := strings.Cut(page[strings.Index(page, "\n## Keys"):], "\n#"+"## ")
	rows := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| ([^|]*`[^|]*) \\|").FindAllStringSubmatch(table, -1) {
		prefix := ""
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(m[1], -1) {
			key := name[1]
			if strings.Contains(key, ".") {
				prefix = key[:strings.LastIndex(key, ".")+1]
			} else if prefix != "" {
				key = prefix + key // `a.b`, `c` is a.b and a.c
			}
			rows[key] = true
		}
	}
	for key := range keys {
		parent := key[:max(0, strings.LastIndex(key, "."))]
		if !rows[key] && !rows[parent] && !strings.HasPrefix(key, "apis[].credential") && !strings.HasPrefix(key, "apis[].txn_token.service.") {
			t.Errorf("docs/configuration.md has no row for %s", key)
		}
	}
	for row := range rows {
		if !keys[row] && !slices.ContainsFunc(slices.Collect(maps.Keys(keys)), func(k string) bool { return strings.HasPrefix(k, row+".") }) {
			t.Errorf("docs/configuration.md has the key %s, which there is not", row)
		}
	}
}

// quoted finds words in Go files by a pattern whose one group is the word.
func quoted(t *testing.T, pattern string, files ...string) []string {
	t.Helper()
	found := map[string]bool{}
	for _, glob := range files {
		names, err := filepath.Glob(filepath.Join("..", "..", glob))
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v, %d files", glob, err, len(names))
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
				found[m[1]] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// TestListsInDesign compares the lists of docs/design.md with the code.
func TestListsInDesign(t *testing.T) {
	page := papers(t)["docs/design.md"]
	chapter := func(from, to string) []string {
		_, rest, ok := strings.Cut(page, from)
		list, _, end := strings.Cut(rest, to)
		if !ok || !end {
			t.Fatalf("docs/design.md has no list from %q to %q", from, to)
		}
		var words []string
		for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(list, -1) {
			words = append(words, m[1])
		}
		slices.Sort(words)
		return slices.Compact(words)
	}
	if diff := cmp.Diff(quoted(t, `\bCode += "(\w+)"`, "tools/answer.go"), chapter("The codes are a closed set:", "What the agent reads")); diff != "" {
		t.Errorf("codes: %s", diff)
	}
	own := quoted(t, `(?:newOwnTool|describeTool|newSearchTool)\((?:s, )?"(\w+)"`, "mcpserver/*.go")
	if diff := cmp.Diff(own, chapter("exeat's own tools are", "\n\n")); diff != "" {
		t.Errorf("own tools: %s", diff)
	}
}

// TestSupersededDecisions: what says that it is superseded says by what.
func TestSupersededDecisions(t *testing.T) {
	for name, text := range papers(t) {
		if m := regexp.MustCompile(`(?m)^\*Superseded[^\n]*`).FindString(text); m != "" && !regexp.MustCompile(`\[00\d\d\]\(00\d\d-[\w-]+\.md\)`).MatchString(m) {
			t.Errorf("%s is superseded and does not say by what: %s", name, m)
		}
	}
}
