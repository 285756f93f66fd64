package mcpserver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/server"
)

// maxLine bounds one message on stdio.
const maxLine = 16 << 20

// drain is how long calls may finish after the client has closed stdin.
const drain = 60 * time.Second

// ServeStdio serves one client on in and out until in ends or ctx does. Calls
// that were read are answered before it returns, within a bound: mcp-go alone
// would cancel them.
func (s *Server) ServeStdio(ctx context.Context, in io.Reader, out io.Writer) error {
	stdio := server.NewStdioServer(s.mcp)
	// A waiting exeat_resume occupies a worker, so there must be more of them
	// than anybody waits for.
	server.WithWorkerPoolSize(100)(stdio)
	p := &pending{ids: map[string]int{}, idle: sync.NewCond(&sync.Mutex{})}
	err := stdio.Listen(ctx, &drainingReader{ctx: ctx, in: bufio.NewReaderSize(in, 64<<10), pending: p}, &countingWriter{out: out, pending: p})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// pending counts requests that have no response yet, by JSON-RPC id.
type pending struct {
	idle *sync.Cond // its lock guards ids
	ids  map[string]int
}

func (p *pending) add(id string, n int) {
	p.idle.L.Lock()
	defer p.idle.L.Unlock()
	if p.ids[id] += n; p.ids[id] <= 0 {
		delete(p.ids, id)
	}
	if len(p.ids) == 0 {
		p.idle.Broadcast()
	}
}

// wait returns when nothing is pending or ctx ends.
func (p *pending) wait(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		p.idle.L.Lock()
		defer p.idle.L.Unlock()
		p.idle.Broadcast()
	})
	defer stop()
	p.idle.L.Lock()
	defer p.idle.L.Unlock()
	for len(p.ids) > 0 && ctx.Err() == nil {
		p.idle.Wait()
	}
}

// drainingReader hands on whole lines and keeps the end of the input back until
// what was read has been answered.
type drainingReader struct {
	ctx     context.Context
	in      *bufio.Reader
	pending *pending
	line    []byte
}

func (r *drainingReader) Read(b []byte) (int, error) {
	if len(r.line) == 0 {
		line, err := r.next()
		if id := requestID(line); id != "" {
			r.pending.add(id, 1)
		}
		if len(line) == 0 && err != nil {
			ctx, cancel := context.WithTimeout(r.ctx, drain)
			defer cancel()
			r.pending.wait(ctx)
			return 0, err
		}
		r.line = line
	}
	n := copy(b, r.line)
	r.line = r.line[n:]
	return n, nil
}

// next reads one line within maxLine; a longer one ends the input, since what
// follows cannot be told apart from it.
func (r *drainingReader) next() ([]byte, error) {
	var line []byte
	for {
		part, err := r.in.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxLine {
			return nil, errors.New("a message on stdin is longer than 16 MiB")
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			if err != nil && len(line) > 0 {
				line = append(line, '\n') // mcp-go drops a last line without an end
			}
			return line, err
		}
	}
}

// requestID returns the id of a JSON-RPC request as JSON text, or "" if the
// line is none.
func requestID(line []byte) string {
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
	}
	if json.Unmarshal(line, &m) != nil || m.Method == "" || bytes.Equal(m.ID, []byte("null")) {
		return ""
	}
	return string(m.ID)
}

// countingWriter notes the responses that go out, one Write each.
type countingWriter struct {
	out     io.Writer
	pending *pending
}

func (w *countingWriter) Write(b []byte) (int, error) {
	n, err := w.out.Write(b)
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
	}
	if json.Unmarshal(b, &m) == nil && m.Method == "" && len(m.ID) > 0 {
		w.pending.add(string(m.ID), -1)
	}
	return n, err
}
