//go:build unix

package openapi

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"
)

// TestEvidence prints, with -v, what becomes of each real document. See
// docs/evidence.md.
func TestEvidence(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	dir := filepath.Join("..", "..", "shared", "specs")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Skip("the real documents are not here")
	}
	if !testing.Verbose() || raceEnabled {
		t.Skip("it prints a table, with -v and without the race detector")
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DOCUMENT\tOPERATIONS\tLEFT OUT\tLIST BYTES\tLARGEST\tCUT\tLOAD MS\tCPU MS\tKEPT KB\tARGUMENTS\tREFUSED\tENCODED")
	var reasons []string
	for _, e := range entries {
		if e.Name() == "README.md" {
			continue
		}
		before := heap()
		start, spent := time.Now(), processorTime()
		api, err := Load(context.Background(), filepath.Join(dir, e.Name()), Options{BaseURL: "https://api.example.com"})
		if err != nil {
			t.Errorf("%s: %v", e.Name(), err)
			continue
		}
		took := time.Since(start)
		spent = processorTime() - spent
		kept := heap() - before
		left := 0
		for _, f := range api.Findings {
			if f.LeftOut {
				left++
				reasons = append(reasons, fmt.Sprintf("%s: %s: %s", e.Name(), f.Operation, f.Message))
			}
		}
		bytes, largest, cuts, tried, refused, encoded := 0, 0, 0, 0, 0, 0
		step := 1 + len(api.Operations)/300
		for i, op := range api.Operations {
			offered, cut := op.Offer("", 0)
			bytes, largest = bytes+len(offered), max(largest, len(offered))
			if cut {
				cuts++
			}
			if i%step != 0 {
				continue
			}
			for seed := range 3 {
				g := generator{rand: rand.New(rand.NewPCG(uint64(seed), uint64(i)))}
				raw, err := g.arguments(op)
				if err != nil {
					t.Fatal(err)
				}
				tried++
				args, err := op.Parse(raw)
				if err != nil {
					refused++ // the generator knows less than the schema
					continue
				}
				_, err = op.Encode(args)
				if err == nil {
					encoded++
				} else if !strings.Contains(err.Error(), "which stands between items") {
					t.Errorf("%s: %s: %v", e.Name(), op.Name, err)
				}
			}
		}
		if refused*10 > tried*2 {
			t.Errorf("%s: %d of %d argument sets are refused", e.Name(), refused, tried)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", e.Name(), len(api.Operations), left, bytes, largest, cuts, took.Milliseconds(), spent.Milliseconds(), kept/1024, tried, refused, encoded)
		runtime.KeepAlive(api)
	}
	w.Flush()
	t.Logf("\n%s\nleft out:\n%s", b.String(), strings.Join(reasons, "\n"))
}

// processorTime is what this process has had of the processors, which what else runs
// on the machine changes less than the time on the wall.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// heap is what is live, in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
