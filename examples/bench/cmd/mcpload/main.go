// Command mcpload measures an MCP server: start-up, tools/list, memory, CPU,
// and one tool's throughput and latency. It prints one JSON object.
//
//	mcpload [flags] -url http://127.0.0.1:9201/mcp [-- server command...]
//	mcpload [flags] -stdio -- server command...
//
// With a command it starts the server, and stops it at the end.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"sort"
	"strings"
	"time"

	"github.com/exeat/exeat/examples/bench/internal/load"
	"github.com/exeat/exeat/examples/bench/internal/mcpc"
	"github.com/exeat/exeat/examples/bench/internal/proc"
)

type report struct {
	Proto   string `json:"proto"`
	Startup struct {
		SpawnToListMS float64 `json:"spawn_to_tools_list_ms"` // 0 when not spawned here
		RSSKB         int64   `json:"rss_kb"`
		CPUMS         float64 `json:"cpu_ms"`
	} `json:"startup"`
	List struct {
		Tools int     `json:"tools"`
		Bytes int     `json:"bytes"`
		Pages int     `json:"pages"`
		MS    float64 `json:"median_ms"`
	} `json:"tools_list"`
	Load         *load.Result `json:"load,omitempty"`
	ServerCPU    float64      `json:"server_cpu_us_per_call,omitempty"`
	UpstreamHits int64        `json:"upstream_hits"`
	PeakRSSKB    int64        `json:"peak_rss_kb"`
	Error        string       `json:"error,omitempty"`
}

type headers http.Header

func (h headers) String() string { return "" }
func (h headers) Set(s string) error {
	k, v, ok := strings.Cut(s, ":")
	if !ok {
		return fmt.Errorf("want Name: value")
	}
	http.Header(h).Add(strings.TrimSpace(k), strings.TrimSpace(v))
	return nil
}

var (
	target = flag.String("url", "", "MCP endpoint (streamable HTTP)")
	stdio  = flag.Bool("stdio", false, "speak over the command's stdin and stdout")
	proto  = flag.String("proto", "2025-11-25", "protocol version; 2026-07-28 is stateless")
	tool   = flag.String("tool", "", "tool to call; empty: start-up and tools/list only")
	args   = flag.String("args", `{"petId":{n}}`, "its arguments; {n} becomes 1..1000")
	expect = flag.String("expect", "pet-", "text that every answer must hold")
	c      = flag.Int("c", 1, "workers (stdio: calls in flight)")
	n      = flag.Int64("n", 1_000_000, "calls at most")
	d      = flag.Duration("d", 3*time.Second, "time at most")
	warm   = flag.Duration("warmup", time.Second, "warm-up time")
	boot   = flag.Duration("boot", time.Minute, "how long the server may take to start")
	stats  = flag.String("stats", "", "upstream's /__stats URL, to count the calls that got there")
	logTo  = flag.String("log", "", "file for the server's stderr (and stdout, unless -stdio)")
)

func main() {
	extra := headers{}
	flag.Var(extra, "H", "header to send, \"Name: value\" (repeatable)")
	flag.Parse()
	var r report
	r.Proto = *proto
	err := run(&r, http.Header(extra), flag.Args())
	if err != nil {
		r.Error = err.Error()
	}
	_ = json.NewEncoder(os.Stdout).Encode(r)
	if err != nil || (r.Load != nil && r.Load.Errors > 0) {
		os.Exit(1)
	}
}

func run(r *report, extra http.Header, command []string) error {
	if *target != "" {
		if err := loopback(*target); err != nil {
			return err
		}
	}
	log := io.Discard
	if *logTo != "" {
		f, err := os.Create(*logTo)
		if err != nil {
			return err
		}
		defer f.Close()
		log = f
	}
	ctx, cancel := context.WithTimeout(context.Background(), *boot+*warm+*d+2*time.Minute)
	defer cancel()

	server := 0
	spawned := time.Now()
	var pipe *mcpc.Stdio
	if len(command) > 0 {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Stderr = log
		if *stdio {
			in, err := cmd.StdinPipe()
			if err != nil {
				return err
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				return err
			}
			pipe = mcpc.NewStdio(in, out, *proto)
		} else {
			cmd.Stdout = log
		}
		spawned = time.Now()
		if err := cmd.Start(); err != nil {
			return err
		}
		server = cmd.Process.Pid
		defer proc.Stop(cmd)
	}

	// One client per worker over HTTP, one pipelined client over stdio.
	clients := make([]mcpc.Client, *c)
	transport := mcpc.NewTransport(*c)
	for i := range clients {
		if pipe != nil {
			clients[i] = pipe
		} else {
			clients[i] = mcpc.NewHTTP(*target, *proto, extra, transport)
		}
	}
	defer clients[0].Close()

	list, err := first(ctx, clients[0], spawned.Add(*boot))
	if err != nil {
		return fmt.Errorf("start-up: %w", err)
	}
	if len(command) > 0 {
		r.Startup.SpawnToListMS = ms(time.Since(spawned))
	}
	r.Proto = clients[0].Proto()
	r.Startup.RSSKB, r.Startup.CPUMS = proc.RSS(server), ms(proc.CPU(server))
	r.List.Tools, r.List.Bytes, r.List.Pages = len(list.Names), list.Bytes, list.Pages
	var took []time.Duration
	for end := time.Now().Add(5 * time.Second); len(took) < 5 && time.Now().Before(end); {
		l, err := mcpc.ListTools(ctx, clients[0])
		if err != nil {
			return err
		}
		took = append(took, l.Took)
	}
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	r.List.MS = ms(took[len(took)/2])

	if *tool != "" {
		for _, cl := range clients[1:] {
			h, ok := cl.(*mcpc.HTTP)
			if ok {
				if err := h.Start(ctx); err != nil {
					return err
				}
			}
		}
		req, err := mcpc.NewCall(*proto, *tool, *args, *expect)
		if err != nil {
			return err
		}
		call := func(ctx context.Context, worker int, seq int64) (int, error) {
			msg, err := clients[worker].Do(ctx, req, seq%1000+1)
			return len(msg), err
		}
		var cpu time.Duration
		var hits int64
		res := load.Run(ctx, load.Options{Workers: *c, Calls: *n, Max: *d, Warmup: *warm}, call, func() {
			cpu, hits = proc.CPU(server), upstreamHits()
		})
		r.Load = &res
		r.UpstreamHits = upstreamHits() - hits
		if res.Calls > 0 {
			r.ServerCPU = float64((proc.CPU(server) - cpu).Microseconds()) / float64(res.Calls)
		}
	}
	r.PeakRSSKB = proc.PeakRSS(server)
	return nil
}

// first retries the handshake and tools/list until they work.
func first(ctx context.Context, cl mcpc.Client, until time.Time) (mcpc.List, error) {
	for {
		ctx, cancel := context.WithDeadline(ctx, until)
		err := cl.Start(ctx)
		var l mcpc.List
		if err == nil {
			l, err = mcpc.ListTools(ctx, cl)
		}
		cancel()
		if err == nil || *stdio || time.Now().After(until) {
			return l, err
		}
		time.Sleep(3 * time.Millisecond)
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// loopback refuses any target that is not on this machine.
func loopback(s string) error {
	u, err := url.Parse(s)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s is not on loopback", s)
	}
	return nil
}

func upstreamHits() int64 {
	if *stats == "" {
		return 0
	}
	res, err := http.Get(*stats)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	var v struct{ Requests int64 }
	_ = json.NewDecoder(res.Body).Decode(&v)
	return v.Requests
}
