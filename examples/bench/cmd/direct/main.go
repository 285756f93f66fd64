// Command direct puts mcpload's load straight on the REST API: the physical
// limit of anything in between, through net/http with keep-alive.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/exeat/exeat/examples/bench/internal/load"
	"github.com/exeat/exeat/examples/bench/internal/mcpc"
)

func main() {
	url := flag.String("url", "http://127.0.0.1:9100/pets/{n}", "URL to GET; {n} becomes 1..1000")
	expect := flag.String("expect", `"name":"pet-`, "text that every answer must hold")
	c := flag.Int("c", 1, "workers")
	n := flag.Int64("n", 1_000_000, "calls at most")
	d := flag.Duration("d", 3*time.Second, "time at most")
	warm := flag.Duration("warmup", time.Second, "warm-up time")
	flag.Parse()

	client := &http.Client{Transport: mcpc.NewTransport(*c), Timeout: time.Minute}
	bufs := make([]bytes.Buffer, *c)
	call := func(ctx context.Context, worker int, seq int64) (int, error) {
		u := strings.Replace(*url, "{n}", strconv.FormatInt(seq%1000+1, 10), 1)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
		if err != nil {
			return 0, err
		}
		res, err := client.Do(req)
		if err != nil {
			return 0, err
		}
		defer res.Body.Close()
		buf := &bufs[worker]
		buf.Reset()
		if _, err := buf.ReadFrom(res.Body); err != nil {
			return 0, err
		}
		if res.StatusCode != http.StatusOK || !bytes.Contains(buf.Bytes(), []byte(*expect)) {
			return 0, fmt.Errorf("HTTP %d: %.200s", res.StatusCode, buf.Bytes())
		}
		return buf.Len(), nil
	}
	r := load.Run(context.Background(), load.Options{Workers: *c, Calls: *n, Max: *d, Warmup: *warm}, call, nil)
	_ = json.NewEncoder(os.Stdout).Encode(r)
	if r.Errors > 0 {
		os.Exit(1)
	}
}
