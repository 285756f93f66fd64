package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/exeat/exeat/tools"
)

// FuzzConsole compares what is written for a terminal with what zerolog writes.
func FuzzConsole(f *testing.F) {
	f.Add("done", "get_pet", "a b\"\\é\x00", "pol,icy]", 200, true)
	f.Add("", "[x]", "=", "{", -1, false)
	f.Add("level", "time", "message", "error", 0, false)
	f.Fuzz(func(t *testing.T, a, b, c, policy string, n int, fails bool) {
		var ours, theirs, line bytes.Buffer
		log := zerolog.New(&line).With().Timestamp().Logger()
		e := log.Info().Str("status", a).Str(b, c).Strs("policies", []string{policy, a}).Int("n", n).Dur("ms", time.Duration(n)).Strs("none", nil).Strs("empty", []string{})
		if fails {
			e = e.Err(errors.New(c)).Bool("b", true)
		}
		e.Msg(a)
		if _, err := (consoleLines{&ours}).WriteLevel(zerolog.InfoLevel, line.Bytes()); err != nil {
			t.Fatal(err)
		}
		if _, err := newConsole(&theirs).Write(line.Bytes()); err != nil {
			t.Fatal(err)
		}
		if ours.String() != theirs.String() {
			t.Errorf("%s\nis written as\n%sand by zerolog as\n%s", line.String(), ours.String(), theirs.String())
		}
	})
}

// The line of a usual call is a plain one.
func TestConsolePlain(t *testing.T) {
	var line, out bytes.Buffer
	g := &gateway{log: zerolog.New(&line).With().Timestamp().Logger()}
	g.observe(tools.Event{Status: tools.Done, Tool: "get_pet", API: "petstore", Subject: "User::alice", Agent: "self:claude-code/2.1", Decision: "allow",
		Txn: "txn_ABC", Policies: []string{"reads", "all"}, HTTP: 200, Duration: 1234567})
	text, ok := appendConsole(nil, zerolog.InfoLevel, line.Bytes())
	if _, err := newConsole(&out).Write(line.Bytes()); err != nil || !ok || string(text) != out.String() {
		t.Errorf("%s is written as %q, want %q, %v", line.String(), text, out.String(), err)
	}
	if !strings.HasSuffix(string(text), "\n") {
		t.Error("the line has no end")
	}
}

func BenchmarkObserve(b *testing.B) {
	for _, format := range []string{"console", "json"} {
		b.Run(format, func(b *testing.B) {
			var out bytes.Buffer
			g := &gateway{log: newLogger(format, &out)}
			e := tools.Event{Status: tools.Done, Tool: "get_pet", API: "petstore", Subject: "User::alice", Agent: "claude", Decision: "allow", Txn: "txn_ABC", Policies: []string{"reads"}, HTTP: 200, Duration: 1234567}
			b.ReportAllocs()
			for b.Loop() {
				out.Reset()
				g.observe(e)
			}
		})
	}
}
