package token

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCodesAreDocumented finds every code in the source, and wants it in the
// comment of Refusal.
func TestCodesAreDocumented(t *testing.T) {
	source, err := os.ReadFile("guard_problem.go")
	if err != nil {
		t.Fatal(err)
	}
	comment, _, found := strings.Cut(string(source), "type Refusal struct")
	if !found {
		t.Fatal("guard_problem.go does not hold Refusal")
	}
	documented := map[string]bool{}
	for _, word := range regexp.MustCompile(`[a-z_]+`).FindAllString(comment, -1) {
		documented[word] = true
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile(`(?:refuse\(http\.\w+, |unauthorized\()"([a-z_]+)"|\{"(wrong_[a-z_]+)"`)
	count := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			for _, m := range code.FindAllStringSubmatch(line, -1) {
				count++
				if !documented[m[1]+m[2]] {
					t.Errorf("%s: the code %s is not in the comment of Refusal", name, m[1]+m[2])
				}
			}
		}
	}
	if count < 40 {
		t.Errorf("found %d codes only", count)
	}
}
