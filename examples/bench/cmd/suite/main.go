// Command suite runs many targets, interleaved and in a new random order each
// round, and prints the medians and each target's ratio to the baselines of
// the same round. Targets come from a JSON file; see targets.json.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/exeat/exeat/examples/bench/internal/load"
	"github.com/exeat/exeat/examples/bench/internal/proc"
)

// target is one line of the table. Tool is "mcpload" or "direct", Flags are
// its flags, Command the server that mcpload starts; Behind, when set, is a
// server that must be up beside it. "{bin}" becomes the tools' directory.
type target struct {
	Name    string   `json:"name"`
	Tool    string   `json:"tool"`
	Flags   []string `json:"flags"`
	Command []string `json:"command"`
	Behind  []string `json:"behind"`
}

// run is what mcpload prints; direct prints its load alone.
type run struct {
	Target  string `json:"target"`
	Round   int    `json:"round"`
	Startup struct {
		MS    float64 `json:"spawn_to_tools_list_ms"`
		RSSKB int64   `json:"rss_kb"`
	} `json:"startup"`
	List struct {
		Tools int     `json:"tools"`
		Bytes int     `json:"bytes"`
		MS    float64 `json:"median_ms"`
	} `json:"tools_list"`
	Load  load.Result `json:"load"`
	CPU   float64     `json:"server_cpu_us_per_call"`
	Hits  int64       `json:"upstream_hits"`
	Peak  int64       `json:"peak_rss_kb"`
	Error string      `json:"error,omitempty"`
}

func main() {
	file := flag.String("targets", "targets.json", "targets")
	rounds := flag.Int("rounds", 5, "rounds")
	workers := flag.String("c", "1,16", "worker counts")
	d := flag.Duration("d", 3*time.Second, "time of one measurement")
	warm := flag.Duration("warmup", time.Second, "warm-up of one measurement")
	base := flag.String("base", "direct,mcp-go http", "baselines of the ratios")
	out := flag.String("out", "results.jsonl", "raw results (appended)")
	only := flag.String("only", "", "run only targets whose name holds this")
	flag.Parse()

	self, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	bin := filepath.Dir(self)
	b, err := os.ReadFile(*file)
	if err != nil {
		log.Fatal(err)
	}
	var targets []target
	if err := json.Unmarshal(bytes.ReplaceAll(b, []byte("{bin}"), []byte(bin)), &targets); err != nil {
		log.Fatal(err)
	}
	targets = slices.DeleteFunc(targets, func(t target) bool { return !strings.Contains(t.Name, *only) })
	raw, err := os.OpenFile(*out, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	defer raw.Close()

	for c := range strings.SplitSeq(*workers, ",") {
		n, err := strconv.Atoi(c)
		if err != nil {
			log.Fatal(err)
		}
		runs := map[string][]run{}
		for round := range *rounds {
			for _, i := range rand.Perm(len(targets)) {
				t := targets[i]
				r := measure(bin, t, n, *d, *warm)
				r.Round = round
				runs[t.Name] = append(runs[t.Name], r)
				_ = json.NewEncoder(raw).Encode(r)
				fmt.Fprintf(os.Stderr, "round %d c=%d %-40s %8.0f/s p50 %.0f us, errors %d %s\n",
					round+1, n, t.Name, r.Load.PerSec, r.Load.P50, r.Load.Errors, r.Error)
			}
		}
		table(targets, runs, n, strings.Split(*base, ","))
	}
}

func measure(bin string, t target, c int, d, warm time.Duration) (r run) {
	r.Target = t.Name
	if len(t.Behind) > 0 {
		cmd := exec.Command(t.Behind[0], t.Behind[1:]...)
		if err := cmd.Start(); err != nil {
			r.Error = err.Error()
			return r
		}
		defer proc.Stop(cmd)
		time.Sleep(200 * time.Millisecond)
	}
	args := append([]string{"-c", strconv.Itoa(c), "-d", d.String(), "-warmup", warm.String()}, t.Flags...)
	if len(t.Command) > 0 {
		args = append(append(args, "--"), t.Command...)
	}
	cmd := exec.Command(filepath.Join(bin, t.Tool), args...)
	cmd.Stderr = os.Stderr
	b, err := cmd.Output()
	into := any(&r)
	if t.Tool == "direct" {
		into = &r.Load
	}
	if e := json.Unmarshal(b, into); e != nil {
		r.Error = fmt.Sprintf("%v: %v", err, e)
	}
	r.Target = t.Name
	return r
}

// table prints medians over the rounds; ratios are taken round by round.
func table(targets []target, runs map[string][]run, c int, bases []string) {
	fmt.Printf("\nC=%d\n\n| target | calls/s | p50 us | p99 us | CPU us/call | MiB peak | errors |", c)
	for _, b := range bases {
		fmt.Printf(" x %s |", b)
	}
	fmt.Printf("\n|---|---|---|---|---|---|---|%s\n", strings.Repeat("---|", len(bases)))
	for _, t := range targets {
		rs := runs[t.Name]
		var errs int64
		for _, r := range rs {
			errs += r.Load.Errors
		}
		fmt.Printf("| %s | %.0f | %.0f | %.0f | %.0f | %.0f | %d |", t.Name,
			median(rs, func(r run) float64 { return r.Load.PerSec }), median(rs, func(r run) float64 { return r.Load.P50 }),
			median(rs, func(r run) float64 { return r.Load.P99 }), median(rs, func(r run) float64 { return r.CPU }),
			median(rs, func(r run) float64 { return float64(r.Peak) / 1024 }), errs)
		for _, b := range bases {
			ratio := 0.0
			if base := runs[b]; len(base) == len(rs) {
				ratio = median(rs, func(r run) float64 { return r.Load.PerSec / max(1, base[r.Round].Load.PerSec) })
			}
			fmt.Printf(" %.2f |", ratio)
		}
		fmt.Println()
	}
}

func median(rs []run, f func(run) float64) float64 {
	var v []float64
	for _, r := range rs {
		v = append(v, f(r))
	}
	slices.Sort(v)
	if len(v) == 0 {
		return 0
	}
	return v[len(v)/2]
}
