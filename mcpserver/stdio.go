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
	"time"

	"github.com/mark3labs/mcp-go/mcp"
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
	c := &stdio{server: s, out: out, session: newStdioSession(), calls: map[string]context.CancelCauseFunc{}}
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

	mu    sync.Mutex
	calls map[string]context.CancelCauseFunc // the same, by JSON-RPC id
}

var (
	errTooLong   = fmt.Errorf("the message is longer than %d MiB", maxLine>>20)
	errCancelled = errors.New("cancelled by the client")
)

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
		c.write(refusal(mcp.INVALID_REQUEST, "%v", errTooLong).answer(nil))
		return
	}
	m, bad := parse(line)
	switch {
	case m.id == nil && m.method != "":
		if bad == nil {
			c.notification(ctx, m)
		}
	case bad != nil:
		c.write(bad.answer(m.id))
	case m.method == "": // a response, and nothing was asked
	case !c.server.request(c.server.localSubject(), m):
		c.write(refusal(mcp.INTERNAL_ERROR, "too many requests; try again in a second").answer(m.id))
	default:
		c.request(ctx, m)
	}
}

func (c *stdio) notification(ctx context.Context, m message) {
	if m.method != "notifications/cancelled" {
		c.server.mcp.HandleMessage(ctx, m.wire())
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if cancel := c.calls[string(m.params["requestId"])]; cancel != nil {
		cancel(errCancelled)
	}
}

// request answers in the background: a call may wait long.
func (c *stdio) request(ctx context.Context, m message) {
	ctx, cancel := context.WithCancelCause(ctx)
	id := string(m.id)
	c.mu.Lock()
	var bad *rpcError
	switch {
	case c.calls[id] != nil:
		bad = refusal(mcp.INVALID_REQUEST, "a request with this id is being answered")
	case len(c.calls) >= maxBehind:
		bad = refusal(mcp.INTERNAL_ERROR, "too many requests are being answered; wait for some")
	default:
		c.calls[id] = cancel
	}
	c.mu.Unlock()
	if bad != nil {
		cancel(nil)
		c.write(bad.answer(m.id))
		return
	}
	c.behind.Go(func() {
		b := c.answer(ctx, m)
		c.mu.Lock()
		delete(c.calls, id)
		c.mu.Unlock()
		// A cancelled request has no answer (MCP, utilities/cancellation).
		if !errors.Is(context.Cause(ctx), errCancelled) {
			c.write(b)
		}
		cancel(nil)
	})
}

func (c *stdio) answer(ctx context.Context, m message) (b []byte) {
	defer func() {
		if v := recover(); v != nil {
			c.server.panicked(m.method, v)
			b = refusal(mcp.INTERNAL_ERROR, "something went wrong inside exeat").answer(m.id)
		}
	}()
	b, err := json.Marshal(c.server.mcp.HandleMessage(ctx, m.wire()))
	if err != nil {
		return refusal(mcp.INTERNAL_ERROR, "the answer could not be written").answer(m.id)
	}
	return b
}

// write sends one message, after the notifications that were made before it.
func (c *stdio) write(b []byte) {
	c.writing.Lock()
	defer c.writing.Unlock()
	for {
		select {
		case n := <-c.session.notifications:
			c.send(n)
		default:
			c.out.Write(append(b, '\n'))
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
	mu            sync.Mutex
	ready         bool
	info          mcp.Implementation
}

func newStdioSession() *stdioSession {
	return &stdioSession{notifications: make(chan mcp.JSONRPCNotification, 100)}
}

func (s *stdioSession) SessionID() string { return "stdio" }

func (s *stdioSession) NotificationChannel() chan<- mcp.JSONRPCNotification { return s.notifications }

func (s *stdioSession) Initialize() { s.set(func() { s.ready = true }) }

func (s *stdioSession) Initialized() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready
}

func (s *stdioSession) GetClientInfo() mcp.Implementation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.info
}

func (s *stdioSession) SetClientInfo(i mcp.Implementation) { s.set(func() { s.info = i }) }

func (s *stdioSession) GetClientCapabilities() (none mcp.ClientCapabilities) { return none }

func (s *stdioSession) SetClientCapabilities(mcp.ClientCapabilities) {}

func (s *stdioSession) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}
