package mcpserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"golang.org/x/sync/semaphore"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/tools"
)

// writeTime is how long a client may take for each piece of an answer.
const writeTime = 30 * time.Second

// front stands before mcp-go's HTTP server: nothing gets through that it has not
// read whole and understood.
type front struct {
	server   *Server
	endpoint http.Handler
	sessions *sessions
	running  *running // requests of the old era, by session and id
	bodies   *semaphore.Weighted
	serving  context.Context // calls that wait end with it
	bodyTime time.Duration   // for one message to arrive
	// challenge says what token a call needs; nil if no client could get one.
	challenge func(authz.Stronger) *Challenge
}

func newFront(ctx context.Context, s *Server, cfg HTTPConfig) *front {
	f := &front{server: s, serving: ctx, bodyTime: 30 * time.Second, bodies: semaphore.NewWeighted(maxBodies),
		sessions: newSessions(cfg.SessionKey), challenge: cfg.Challenge, running: newRunning()}
	f.endpoint = server.NewStreamableHTTPServer(s.mcp, server.WithEndpointPath("/mcp"), server.WithSessionIdManagerResolver(f.sessions),
		server.WithDisableLocalhostProtection(true)) // a proxy on this machine keeps the name that it was called by; edge knows which names are ours
	return f
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := &patient{ResponseWriter: w, control: http.NewResponseController(w)}
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		f.server.reportPanic(r.Method, v)
		if out.begun {
			panic(http.ErrAbortHandler) // half an answer must not look like a whole one
		}
		answer(out, http.StatusInternalServerError, nil, newRefusal(mcp.INTERNAL_ERROR, "something went wrong inside exeat"))
	}()
	for _, name := range []string{"Content-Type", "Content-Encoding", "Last-Event-Id", "Mcp-Method", "Mcp-Name", "Mcp-Protocol-Version", sessionName} {
		if len(r.Header[name]) > 1 {
			answer(out, http.StatusBadRequest, nil, newRefusal(mcp.HEADER_MISMATCH, "the header %s is given twice", name))
			return
		}
	}
	switch {
	case r.Method == http.MethodPost:
		f.post(out, r)
	case mcp.IsModernProtocol(r.Header.Get(mcp.HeaderProtocolVersion)):
		f.endpoint.ServeHTTP(out, r) // which refuses all other methods
	case r.Method == http.MethodDelete:
		if s, ok := f.inSession(out, r, nil); ok {
			f.sessions.end(s)
		}
	default:
		refuseStream(out, r)
	}
}

// post takes one message.
func (f *front) post(w *patient, r *http.Request) {
	raw, release, status, err := f.readBody(w, r)
	defer release()
	switch {
	case errors.Is(err, errBusy):
		refuseForNow(w, status, nil, err.Error())
		return
	case err != nil:
		answer(w, status, nil, newRefusal(mcp.INVALID_REQUEST, "%v", err))
		return
	}
	m, bad := parseMessage(raw)
	modern := m.modern || mcp.IsModernProtocol(r.Header.Get(mcp.HeaderProtocolVersion))
	if bad == nil && m.method != "" && len(r.Header["Mcp-Method"]) == 1 && r.Header.Get("Mcp-Method") != m.method {
		bad = newRefusal(mcp.HEADER_MISMATCH, "the header Mcp-Method does not name the method of the message")
	}
	switch {
	case m.id == nil && m.method != "" && (bad == nil || bad.code == mcp.METHOD_NOT_FOUND):
		if bad == nil && !modern {
			f.notification(r, m)
		}
		w.WriteHeader(http.StatusAccepted)
	case bad != nil:
		answer(w, statusOf(bad, modern), m.id, bad)
	case m.method == "":
		w.WriteHeader(http.StatusAccepted) // a response, and nothing was asked
	default:
		f.request(w, r, m, modern)
	}
}

// notification acts on what belongs to a session of the caller. Without one, a
// client could cancel another client's call. mcp-go does not get to see any: it
// keeps nothing of a client that a notification could change.
func (f *front) notification(r *http.Request, m message) {
	s, ok := f.sessions.open(r.Header.Get(sessionName), ownerOf(callerOf(r.Context())))
	if ok && methods[m.method].by == byTransport {
		f.running.cancel(s.id + string(m.param("requestId")))
	}
}

// request finds out who asks, and lets mcp-go answer.
func (f *front) request(w *patient, r *http.Request, m message, modern bool) {
	caller, ctx := callerOf(r.Context()), r.Context()
	agent := m.client
	var s session
	switch {
	case modern:
	case m.method == "initialize":
		s = newSession(m.negotiate(), agentName(agent))
		ctx = context.WithValue(ctx, sealedKey{}, sealedID(f.sessions.seal(s, ownerOf(caller))))
	default:
		var ok bool
		if s, ok = f.inSession(w, r, m.id); !ok {
			return
		}
		agent = s.agent
		if r.Header.Get(mcp.HeaderProtocolVersion) == "" {
			r.Header.Set(mcp.HeaderProtocolVersion, s.version)
		}
	}
	if caller.Agent.ID == "" {
		caller.Agent = authz.AgentNamed(agentName(agent))
	}
	caller.Session.ID = s.id
	if !f.server.request(caller, m) {
		refuseForNow(w, http.StatusTooManyRequests, m.id, "too many requests")
		return
	}
	f.pass(w, r.WithContext(withCaller(ctx, caller)), m, caller)
	if m.method == "initialize" {
		f.forget(r, w.Header().Get(sessionName))
	}
}

// pass lets mcp-go answer, until the client cancels the request.
func (f *front) pass(w *patient, r *http.Request, m message, caller tools.Caller) {
	ctx, cancel := context.WithCancelCause(context.WithValue(r.Context(), servingKey{}, f.serving))
	defer cancel(nil)
	if id := caller.Session.ID; id != "" {
		if done := f.running.begin(id+string(m.id), math.MaxInt, cancel); done != nil {
			defer done()
		}
	}
	if f.challenge != nil {
		ctx = context.WithValue(ctx, needsKey{}, func(needs authz.Stronger) {
			if c := f.challenge(needs); c != nil && !w.begun {
				c.Answer(w)
				w.spent = true
			}
		})
	}
	if !f.serve(ctx, w, r, m) {
		b := m.wire()
		r.Body = io.NopCloser(bytes.NewReader(b))
		r.ContentLength = int64(len(b))
		f.endpoint.ServeHTTP(w, r.WithContext(ctx))
	}
	if !w.begun && errors.Is(context.Cause(ctx), errCancelled) {
		// A cancelled request has no answer (MCP, utilities/cancellation): the
		// client gets a stream on which nothing comes.
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
	}
}

// serve answers in mcp-go's place, and reports whether it did.
func (f *front) serve(ctx context.Context, w *patient, r *http.Request, m message) bool {
	if !agrees(r.Header, &m) {
		return false
	}
	out, ok := f.server.serve(ctx, &m)
	if ok && ctx.Err() == nil {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(out.size()))
		w.WriteHeader(http.StatusOK)
		for _, part := range out {
			w.Write(part)
		}
	}
	return ok
}

// agrees reports whether the headers of a request say what its message says.
// Where they do not, or say it in another way, mcp-go finds out what is wrong.
func agrees(h http.Header, m *message) bool {
	version := h.Get(mcp.HeaderProtocolVersion)
	switch {
	case !mcp.IsValidProtocolVersion(version) || mcp.IsModernProtocol(version) != m.modern:
		return false
	case !m.modern:
		return true
	case version != m.version || h.Get(mcp.HeaderLastEventID) != "" || h.Get(mcp.HeaderMethod) != m.method:
		return false
	}
	return m.method != "tools/call" || h.Get(mcp.HeaderName) == m.tool
}

// forget makes mcp-go drop the session that it remembers after an initialize, in
// the one way that it offers. All that it would be good for is to answer every
// call as a stream once one call was.
func (f *front) forget(r *http.Request, name string) {
	end, err := http.NewRequestWithContext(context.WithoutCancel(r.Context()), http.MethodDelete, "/mcp", nil)
	if err == nil && name != "" {
		end.Header.Set(sessionName, name)
		end.Host = "localhost"
		f.endpoint.ServeHTTP(discard{}, end)
	}
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// inSession is the session of its principal that the request names; if there is
// none, the request is answered.
func (f *front) inSession(w *patient, r *http.Request, id json.RawMessage) (session, bool) {
	name := r.Header.Get(sessionName)
	if name == "" {
		answer(w, http.StatusBadRequest, id, newRefusal(mcp.INVALID_REQUEST, "the header Mcp-Session-Id is missing: send initialize first"))
		return session{}, false
	}
	s, ok := f.sessions.open(name, ownerOf(callerOf(r.Context())))
	if !ok {
		answer(w, http.StatusNotFound, id, newRefusal(mcp.INVALID_REQUEST, "there is no such session: send initialize again"))
	}
	return s, ok
}

// statusOf is the HTTP status of a JSON-RPC error. The old era answers a method
// that does not exist with 200.
func statusOf(e *rpcError, modern bool) int {
	switch {
	case e.code != mcp.METHOD_NOT_FOUND:
		return http.StatusBadRequest
	case modern:
		return http.StatusNotFound
	}
	return http.StatusOK
}

func answer(w http.ResponseWriter, status int, id json.RawMessage, e *rpcError) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(e.answer(id))
}

// refuseForNow refuses what may be tried again.
func refuseForNow(w http.ResponseWriter, status int, id json.RawMessage, reason string) {
	w.Header().Set("Retry-After", "1")
	answer(w, status, id, newRefusal(mcp.INTERNAL_ERROR, "%s; try again in a second", reason))
}

// patient gives a client a bounded time to take each piece of an answer.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
	begun   bool
	spent   bool // the answer is whole, and what comes after it goes nowhere
}

func (p *patient) Write(b []byte) (int, error) {
	if p.spent {
		return len(b), nil
	}
	p.begun = true
	_ = p.control.SetWriteDeadline(time.Now().Add(writeTime))
	return p.ResponseWriter.Write(b)
}

func (p *patient) WriteHeader(status int) {
	if p.spent {
		return
	}
	p.begun = true
	p.ResponseWriter.WriteHeader(status)
}

// Flush sends what is written; mcp-go asks for it by type.
func (p *patient) Flush() { _ = p.control.Flush() }
