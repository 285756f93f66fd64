package mcpserver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/tools"
)

// Bounds of stdio.
const (
	maxLine   = 16 << 20         // bytes of one message
	maxBehind = 256              // requests being answered; more are refused
	drainEnd  = 60 * time.Second // for what is being answered when the client closes stdin
	drainStop = 10 * time.Second // and when this process is told to stop
)

// ServeStdio serves one client on in and out until in ends or ctx does. Calls
// that were read are answered before it returns, within a bound. It returns nil
// at the end of in and of ctx.
//
// The loop is exeat's own, over mcp-go's HandleMessage: mcp-go's cancels what is
// being answered when the input ends, and reads lines of any length.
func (s *Server) ServeStdio(ctx context.Context, in io.Reader, out io.Writer) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	c := &stdio{server: s, out: out, session: newStdioSession(), running: newRunning()}
	if err := s.mcp.RegisterSession(work, c.session); err != nil {
		return err
	}
	defer s.mcp.UnregisterSession(work, c.session.SessionID())
	serving, leave := context.WithCancel(ctx)
	defer leave()
	work = context.WithValue(s.mcp.WithContext(work, c.session), servingKey{}, serving)
	stopTelling := c.tell()
	defer stopTelling()

	lines, failed := c.read(work, in)
	for {
		select {
		case <-ctx.Done():
			c.drain(drainStop, cancel)
			return nil
		case line, ok := <-lines:
			if !ok {
				leave()
				c.drain(drainEnd, cancel)
				return <-failed
			}
			c.take(work, line)
		}
	}
}

// stdio is the connection of one client.
type stdio struct {
	server  *Server
	session *stdioSession
	writing sync.Mutex
	out     io.Writer
	behind  sync.WaitGroup // requests being answered
	running *running       // the same, by JSON-RPC id
	agent   string         // the name that the client gave itself in initialize
}

var errTooLong = fmt.Errorf("the message is longer than %d MiB", maxLine>>20)

// read gives the lines of in. A line that is too long is nil.
func (c *stdio) read(ctx context.Context, in io.Reader) (<-chan []byte, <-chan error) {
	lines, failed := make(chan []byte), make(chan error, 1)
	go func() {
		defer close(lines)
		r := bufio.NewReaderSize(in, 64<<10)
		for {
			line, err := readLine(r)
			if len(line) > 0 || errors.Is(err, errTooLong) {
				select {
				case lines <- line:
				case <-ctx.Done():
					err = io.EOF
				}
			}
			if err != nil && !errors.Is(err, errTooLong) {
				if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
					err = nil
				}
				failed <- err
				return
			}
		}
	}()
	return lines, failed
}

// readLine reads one line. One that is too long is read to its end and dropped.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := r.ReadSlice('\n')
		if long = long || len(line)+len(part) > maxLine; long {
			line = nil
		} else {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if long && err == nil {
			err = errTooLong
		}
		return bytes.TrimSpace(line), err
	}
}

// take handles one message.
func (c *stdio) take(ctx context.Context, line []byte) {
	if line == nil {
		c.refuse(nil, newRefusal(mcp.INVALID_REQUEST, "%v", errTooLong))
		return
	}
	m, bad := parseMessage(line)
	if m.method == "initialize" && bad == nil {
		c.agent = m.client
	}
	caller := c.caller(m)
	switch {
	case m.id == nil && m.method != "":
		if bad == nil {
			c.notification(ctx, m)
		}
	case bad != nil:
		c.refuse(m.id, bad)
	case m.method == "": // a response, and nothing was asked
	case !c.server.request(caller, m):
		c.refuse(m.id, newRefusal(mcp.INTERNAL_ERROR, "too many requests; try again in a second"))
	default:
		c.request(withCaller(ctx, caller), m)
	}
}

// caller is who sends a message: the principal is who started this process.
func (c *stdio) caller(m message) tools.Caller {
	agent := c.agent
	if m.modern {
		agent = m.client
	}
	return tools.Caller{Principal: c.server.Local, Agent: authz.AgentNamed(agentName(agent)),
		Session: authz.Session{ID: c.session.SessionID(), Transport: "stdio"}}
}

func (c *stdio) notification(ctx context.Context, m message) {
	if methods[m.method].by == byTransport {
		c.running.cancel(string(m.param("requestId")))
		return
	}
	c.server.mcp.HandleMessage(ctx, m.wire())
}

// request answers in the background: a call may wait long.
func (c *stdio) request(ctx context.Context, m message) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := c.running.begin(string(m.id), maxBehind, cancel)
	if done == nil {
		cancel(nil)
		bad := newRefusal(mcp.INTERNAL_ERROR, "too many requests are being answered; wait for some")
		if c.running.has(string(m.id)) {
			bad = newRefusal(mcp.INVALID_REQUEST, "a request with this id is being answered")
		}
		c.refuse(m.id, bad)
		return
	}
	c.behind.Go(func() {
		b := c.answer(ctx, m)
		done()
		// A cancelled request has no answer (MCP, utilities/cancellation).
		if !errors.Is(context.Cause(ctx), errCancelled) {
			c.write(b)
		}
		cancel(nil)
	})
}

func (c *stdio) answer(ctx context.Context, m message) (out reply) {
	defer func() {
		if v := recover(); v != nil {
			c.server.reportPanic(m.method, v)
			out = newReply(newRefusal(mcp.INTERNAL_ERROR, "something went wrong inside exeat").answer(m.id))
		}
	}()
	if out, ok := c.server.serve(ctx, &m); ok {
		return out
	}
	b, err := json.Marshal(c.server.mcp.HandleMessage(ctx, m.wire()))
	if err != nil {
		b = newRefusal(mcp.INTERNAL_ERROR, "the answer could not be written").answer(m.id)
	}
	return newReply(b)
}

// refuse sends an error.
func (c *stdio) refuse(id json.RawMessage, e *rpcError) { c.write(newReply(e.answer(id))) }

// write sends one message, after the notifications that were made before it.
func (c *stdio) write(out reply) {
	c.writing.Lock()
	defer c.writing.Unlock()
	for {
		select {
		case n := <-c.session.notifications:
			c.send(n)
		default:
			for _, part := range out {
				c.out.Write(part)
			}
			return
		}
	}
}

// tell sends notifications as they come, until the returned function is called.
func (c *stdio) tell() (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case n := <-c.session.notifications:
				c.writing.Lock()
				c.send(n)
				c.writing.Unlock()
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

func (c *stdio) send(n mcp.JSONRPCNotification) {
	if b, err := json.Marshal(n); err == nil {
		c.out.Write(append(b, '\n'))
	}
}

// drain waits for what is being answered, then ends it.
func (c *stdio) drain(most time.Duration, cancel context.CancelFunc) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.behind.Wait()
	}()
	select {
	case <-done:
	case <-time.After(most):
		cancel()
		<-done
	}
}

// stdioSession is the client as mcp-go knows it.
type stdioSession struct {
	notifications chan mcp.JSONRPCNotification
	ready         atomic.Bool
}

func newStdioSession() *stdioSession {
	return &stdioSession{notifications: make(chan mcp.JSONRPCNotification, 100)}
}

func (s *stdioSession) SessionID() string { return "stdio" }

func (s *stdioSession) NotificationChannel() chan<- mcp.JSONRPCNotification { return s.notifications }

func (s *stdioSession) Initialize() { s.ready.Store(true) }

func (s *stdioSession) Initialized() bool { return s.ready.Load() }
