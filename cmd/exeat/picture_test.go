package main

import (
	"flag"
	"fmt"
	"html"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "make docs/architecture.svg anew")

// TestPackagePicture fails if docs/architecture.svg is not what the imports are.
// With -update it is made.
func TestPackagePicture(t *testing.T) {
	list := exec.Command("go", "list", "-f", "{{.ImportPath}}\t{{.Doc}}\t{{join .Imports \" \"}}", "./...")
	list.Dir = filepath.Join("..", "..")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	got := drawPackages(parsePackages(string(out)))
	file := filepath.Join("..", "..", "docs", "architecture.svg")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	was, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(was) != got {
		t.Error("docs/architecture.svg is not what the imports are: run  go test ./cmd/exeat -run TestPackagePicture -update")
	}
}

// pictured is a package as the picture shows it.
type pictured struct {
	says    string   // what it does, from its documentation
	imports []string // of ours
	row     int      // from the top
	x, y    int
}

// parsePackages reads what go list says of the packages that are the product:
// those that the command consists of, without the examples.
func parsePackages(list string) map[string]*pictured {
	all := map[string]*pictured{}
	for line := range strings.Lines(list) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		name := strings.TrimPrefix(f[0], ourModule+"/")
		if strings.HasPrefix(name, "examples") || strings.HasSuffix(name, "test") {
			continue
		}
		p := &pictured{says: purpose(f[1])}
		for dep := range strings.FieldsSeq(f[2]) {
			if ours, ok := strings.CutPrefix(dep, ourModule+"/"); ok && !strings.HasPrefix(ours, "examples") {
				p.imports = append(p.imports, ours)
			}
		}
		all[name] = p
	}
	return all
}

// purpose is the beginning of a package's documentation, without its name.
func purpose(doc string) string {
	words := strings.Fields(doc)
	text := strings.TrimPrefix(strings.Join(words[min(2, len(words)):], " "), "is ")
	if verb, rest, ok := strings.Cut(text, ": "); ok && !strings.Contains(verb, " ") {
		text = strings.TrimPrefix(rest, "it ") // "decides: it holds calls until …"
	}
	if end := strings.IndexAny(text, ".:,("); end > 0 {
		text = text[:end]
	}
	return text
}

const boxWide, boxHigh, gapWide, gapHigh = 200, 94, 26, 52

// drawPackages puts every package below all that import it, and leaves out an
// arrow where others lead to the same place.
func drawPackages(all map[string]*pictured) string {
	for range all { // long enough for the longest chain
		for _, p := range all {
			for _, dep := range p.imports {
				all[dep].row = max(all[dep].row, p.row+1)
			}
		}
	}
	rows := map[int][]string{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		rows[all[name].row] = append(rows[all[name].row], name)
	}
	widest := 0
	for _, names := range rows {
		widest = max(widest, len(names)*(boxWide+gapWide)+gapWide)
	}
	for row, names := range rows {
		left := (widest - len(names)*(boxWide+gapWide) + gapWide) / 2
		for i, name := range names {
			all[name].x, all[name].y = left+i*(boxWide+gapWide), gapWide+row*(boxHigh+gapHigh)
		}
	}
	var b strings.Builder
	high := 2*gapWide + len(rows)*(boxHigh+gapHigh) - gapHigh
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="The packages of exeat and their imports, which all lead down">
<style>
text{font:13px system-ui,sans-serif;fill:#1c1f23}.name{font:600 15px ui-monospace,monospace}
rect{fill:#f6f4ee;stroke:#8a8f98}path{fill:none;stroke:#5b6470;stroke-width:1.4;marker-end:url(#a)}#a path{fill:#5b6470;stroke:none;marker-end:none}
@media (prefers-color-scheme:dark){text{fill:#e8e6e1}rect{fill:#23272d;stroke:#7d858f}path{stroke:#9aa4b0}#a path{fill:#9aa4b0}}
</style>
<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>
`, widest, high)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		drawArrows(&b, all, all[name])
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		all[name].draw(&b, name)
	}
	return b.String() + "</svg>\n"
}

func (p *pictured) draw(b *strings.Builder, name string) {
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" rx="8"/><text class="name" x="%d" y="%d">%s</text>`, p.x, p.y, boxWide, boxHigh, p.x+12, p.y+24, html.EscapeString(name))
	line, y := "", p.y+44
	for word := range strings.FieldsSeq(p.says + " \n") {
		if len(line)+len(word) > 25 {
			fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`, p.x+12, y, html.EscapeString(line))
			line, y = "", y+17
		}
		line = strings.TrimSpace(line + " " + word)
	}
	fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`+"\n", p.x+12, y, html.EscapeString(line))
}

// drawArrows draws the imports of a package that no other import of it has.
func drawArrows(b *strings.Builder, all map[string]*pictured, from *pictured) {
	for _, dep := range from.imports {
		if slices.ContainsFunc(from.imports, func(other string) bool { return other != dep && leads(all, other, dep) }) {
			continue
		}
		to := all[dep]
		x1, y1, x2, y2 := from.x+boxWide/2, from.y+boxHigh, to.x+boxWide/2, to.y-2
		fmt.Fprintf(b, `<path d="M%d %dC%d %d %d %d %d %d"/>`+"\n", x1, y1, x1, y1+gapHigh, x2, y2-gapHigh, x2, y2)
	}
}

// leads reports whether imports lead from one package to another.
func leads(all map[string]*pictured, from, to string) bool {
	return from == to || slices.ContainsFunc(all[from].imports, func(next string) bool { return leads(all, next, to) })
}
