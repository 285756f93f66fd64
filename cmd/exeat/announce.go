package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/exeat/exeat/openapi"
)

// announce tells the terminal what is served and how the person logs in.
func (g *gateway) announce(w io.Writer) {
	for i, d := range g.docs {
		var read, left int
		for _, op := range d.Operations {
			if op.Effect == openapi.Read {
				read++
			}
		}
		for _, f := range d.Findings {
			if f.LeftOut {
				left++
			}
		}
		fmt.Fprintf(w, "exeat: %s: %d tools (%d read, %d write) to %s", d.Name, len(d.Operations), read, len(d.Operations)-read, d.BaseURL)
		if left > 0 {
			fmt.Fprintf(w, "; %d operations left out (exeat tools --lint says why)", left)
		}
		fmt.Fprintln(w)
		if hint := hintUnknownTokens(g.cfg.APIs[i], d); hint != "" {
			fmt.Fprintln(w, "exeat: warning:", hint)
		}
		for _, op := range d.Operations {
			if op.Effect == openapi.Read && !slices.Contains([]string{"GET", "HEAD", "OPTIONS", "QUERY"}, op.Method) {
				fmt.Fprintf(w, "exeat: note: %s counts as a read although it is a %s: the document or the configuration says so\n", op.Name, op.Method)
			}
		}
	}
	if len(g.cfg.Policy) == 0 {
		fmt.Fprintln(w, "exeat: policy: the built-in default: reads are allowed, everything else waits for a person (--policy changes it)")
	} else {
		fmt.Fprintf(w, "exeat: policy: %s (%.12s)\n", strings.Join(g.cfg.Policy, ", "), g.engine.Digest())
	}
	for _, gap := range g.gaps {
		fmt.Fprintln(w, "exeat: warning:", gap)
	}
	for _, warning := range g.engine.Warnings() {
		fmt.Fprintln(w, "exeat: warning:", warning)
	}
	if g.inboxL != nil {
		fmt.Fprintf(w, "exeat: people decide at %s\n", g.inbox.URL())
		fmt.Fprintf(w, "exeat: %s\n", g.wayIn())
	}
}
