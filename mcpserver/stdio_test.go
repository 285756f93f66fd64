package mcpserver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/exeat/exeat/tools"
)

// line is what exeat says on stdout.
type line struct {
	ID     any
	Method string
	Result struct {
		StructuredContent tools.Envelope
		Tools             []struct{ Name string }
	}
	Error *struct {
		Code    int
		Message string
	}
}

// conversation is a client that is still there.
type conversation struct {
	t     testing.TB
	in    *io.PipeWriter
	out   *bufio.Reader
	ended chan error
}

func converse(t testing.TB, ctx context.Context, s *Server) *conversation {
	t.Helper()
	stdin, in := io.Pipe()
	out, stdout := io.Pipe()
	c := &conversation{t: t, in: in, out: bufio.NewReader(out), ended: make(chan error, 1)}
	go func() {
		err := s.ServeStdio(ctx, stdin, stdout)
		stdout.Close()
		c.ended <- err
	}()
	t.Cleanup(func() { in.Close(); io.Copy(io.Discard, c.out) })
	return c
}

func (c *conversation) say(lines ...string) {
	c.t.Helper()
	for _, l := range lines {
		if _, err := io.WriteString(c.in, l+"\n"); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *conversation) hear() line {
	c.t.Helper()
	b, err := c.out.ReadBytes('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	var l line
	if err := json.Unmarshal(b, &l); err != nil {
		c.t.Fatalf("%s: %v", b, err)
	}
	return l
}

// waiting begins a call that waits for a person, by the id 7.
func (c *conversation) waiting() (handle string) {
	c.t.Helper()
	c.say(calls(1, "delete_pet", `{"petId":1}`))
	handle = c.hear().Result.StructuredContent.Handle
	c.say(calls(7, "exeat_resume", `{"handle":"`+handle+`","wait_seconds":50}`))
	return handle
}

func TestStdioRefuses(t *testing.T) {
	c := converse(t, t.Context(), newServer(t, ""))
	for _, tt := range []struct {
		name, in string
		code     int
	}{
		{"not JSON", `hello`, -32700},
		{"a batch", `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, -32600},
		{"a key twice", `{"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"}`, -32600},
		{"too long", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"` + strings.Repeat("a", maxLine) + `"}}`, -32600},
		{"unknown", `{"jsonrpc":"2.0","id":1,"method":"tasks/list"}`, -32601},
	} {
		c.say(tt.in)
		if l := c.hear(); l.Error == nil || l.Error.Code != tt.code {
			t.Errorf("%s: %+v", tt.name, l)
		}
	}
	// What needs no answer gets none, and the connection goes on.
	c.say(``, `   `, `{"jsonrpc":"2.0","method":"notifications/nonsense"}`, `{"jsonrpc":"2.0","id":9,"result":{"action":"accept"}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"none"}}`,
		calls(2, "get_pet", `{"petId":1}`))
	if l := c.hear(); fmt.Sprint(l.ID) != "2" || l.Result.StructuredContent.Status != tools.Done {
		t.Errorf("%+v", l)
	}
}

func TestStdioCancel(t *testing.T) {
	c := converse(t, t.Context(), newServer(t, ""))
	handle := c.waiting()
	c.say(calls(7, "get_pet", `{"petId":1}`))
	if l := c.hear(); l.Error == nil || !strings.Contains(l.Error.Message, "is being answered") {
		t.Errorf("%+v", l)
	}
	c.say(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`)
	c.say(calls(8, "exeat_resume", `{"handle":"`+handle+`"}`))
	if l := c.hear(); fmt.Sprint(l.ID) != "8" || l.Result.StructuredContent.Status != tools.Pending {
		t.Errorf("a cancelled request was answered, or its hold is gone: %+v", l)
	}
	c.in.Close()
	if rest, err := io.ReadAll(c.out); err != nil || len(rest) > 0 {
		t.Errorf("%s %v", rest, err)
	}
}

// What is being answered when the client closes stdin, or the process is told to
// stop, is answered still; nobody waits for a person then.
func TestStdioDrains(t *testing.T) {
	for _, how := range []string{"stdin ends", "told to stop"} {
		t.Run(how, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			s := newServer(t, "")
			c := converse(t, ctx, s)
			c.waiting()
			until(t, s.aliceIsServed)
			if how == "stdin ends" {
				c.in.Close()
			} else {
				stop()
			}
			if l := c.hear(); fmt.Sprint(l.ID) != "7" || l.Result.StructuredContent.Status != tools.Pending {
				t.Errorf("%+v", l)
			}
			if err := <-c.ended; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStdioReadError(t *testing.T) {
	broken := errors.New("broken")
	in, w := io.Pipe()
	w.CloseWithError(broken)
	if err := newServer(t, "").ServeStdio(t.Context(), in, io.Discard); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// No more is answered at a time than is bounded, and what is too much is told so.
func TestStdioBehind(t *testing.T) {
	s := newServer(t, "")
	s.limits = newLimiter(Limits{Concurrent: 2 * maxBehind, PerSecond: 2 * maxBehind})
	c := converse(t, t.Context(), s)
	c.say(calls(-1, "delete_pet", `{"petId":1}`))
	handle := c.hear().Result.StructuredContent.Handle
	for i := range maxBehind {
		c.say(calls(i, "exeat_resume", `{"handle":"`+handle+`","wait_seconds":50}`))
	}
	c.say(calls(9999, "get_pet", `{"petId":1}`))
	if l := c.hear(); fmt.Sprint(l.ID) != "9999" || l.Error == nil || !strings.Contains(l.Error.Message, "too many") {
		t.Errorf("%+v", l)
	}
	c.in.Close()
	for range maxBehind {
		if l := c.hear(); l.Result.StructuredContent.Status != tools.Pending {
			t.Fatalf("%+v", l)
		}
	}
}
