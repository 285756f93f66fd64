package mcpserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"golang.org/x/sync/semaphore"
)

// Bounds of the HTTP endpoint.
const (
	maxBody     = 16 << 20         // bytes of one message
	maxBodies   = 8 * maxBody      // bytes of all messages being read and answered
	writeTime   = 30 * time.Second // for a client to take what is written
	maxStreams  = 16               // GET streams of one principal
	sessionName = "Mcp-Session-Id"
)

// front stands before mcp-go's HTTP server: nothing gets through that it has not
// read whole and understood.
type front struct {
	server   *Server
	endpoint http.Handler
	sessions *sessions
	bodies   *semaphore.Weighted
	serving  context.Context // streams end with it
	bodyTime time.Duration   // for one message to arrive

	mu      sync.Mutex
	streams map[string]int // open GET streams by principal
}

func newFront(ctx context.Context, s *Server) *front {
	f := &front{server: s, serving: ctx, bodyTime: 30 * time.Second, bodies: semaphore.NewWeighted(maxBodies), streams: map[string]int{}}
	f.sessions = &sessions{now: time.Now, end: f.endSession, byID: map[string]*httpSession{}}
	f.endpoint = server.NewStreamableHTTPServer(s.mcp,
		server.WithEndpointPath("/mcp"),
		server.WithSessionIdManagerResolver(f.sessions),
		server.WithSessionIdleTTL(sessionIdle),
	)
	return f
}

// endSession makes mcp-go forget a session, in the one way that it offers.
func (f *front) endSession(id string) {
	r, err := http.NewRequest(http.MethodDelete, "/mcp", nil)
	if err == nil {
		r.Header.Set(sessionName, id)
		r.Host = "localhost"
		f.endpoint.ServeHTTP(discard{}, r)
	}
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := &patient{ResponseWriter: w, control: http.NewResponseController(w)}
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		f.server.panicked(r.Method, v)
		if out.begun {
			panic(http.ErrAbortHandler) // half an answer must not look like a whole one
		}
		answer(out, http.StatusInternalServerError, nil, refusal(mcp.INTERNAL_ERROR, "something went wrong inside exeat"))
	}()
	for _, name := range []string{"Content-Type", "Content-Encoding", "Last-Event-Id", "Mcp-Method", "Mcp-Name", "Mcp-Protocol-Version", sessionName} {
		if len(r.Header[name]) > 1 {
			answer(out, http.StatusBadRequest, nil, refusal(mcp.HEADER_MISMATCH, "the header %s is given twice", name))
			return
		}
	}
	switch r.Method {
	case http.MethodPost:
		f.post(out, r)
	case http.MethodGet, http.MethodDelete:
		f.bySession(out, r)
	default:
		out.Header().Set("Allow", "POST, GET, DELETE")
		http.Error(out, "use POST", http.StatusMethodNotAllowed)
	}
}

// post takes one message.
func (f *front) post(w *patient, r *http.Request) {
	weight := r.ContentLength
	if weight < 0 || weight > maxBody {
		weight = maxBody
	}
	if !f.bodies.TryAcquire(weight) {
		later(w, http.StatusServiceUnavailable, nil, "the server is busy")
		return
	}
	defer f.bodies.Release(weight)
	raw, status, err := f.body(w, r)
	if err != nil {
		answer(w, status, nil, refusal(mcp.INVALID_REQUEST, "%v", err))
		return
	}
	m, bad := parse(raw)
	modern := m.modern || mcp.IsModernProtocol(r.Header.Get(mcp.HeaderProtocolVersion))
	if bad == nil && m.method != "" && len(r.Header["Mcp-Method"]) == 1 && r.Header.Get("Mcp-Method") != m.method {
		bad = refusal(mcp.HEADER_MISMATCH, "the header Mcp-Method does not name the method of the message")
	}
	switch {
	case m.id == nil && m.method != "" && (bad == nil || bad.code == mcp.METHOD_NOT_FOUND):
		f.notification(w, r, m, modern)
	case bad != nil:
		answer(w, statusOf(bad, modern), m.id, bad)
	case m.method == "":
		w.WriteHeader(http.StatusAccepted) // a response, and nothing was asked
	case !f.server.request(subjectOf(r.Context()), m):
		later(w, http.StatusTooManyRequests, m.id, "too many requests")
	case modern || m.method == "initialize" || f.inSession(w, r, m.id):
		f.pass(w, r, m)
	}
}

// body reads the message within its bounds of size and time.
func (f *front) body(w *patient, r *http.Request) (raw []byte, status int, err error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, http.StatusUnsupportedMediaType, errors.New("the Content-Type must be application/json")
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, http.StatusUnsupportedMediaType, errors.New("the message must not be compressed")
	}
	// A writer that has no deadlines is a test's.
	_ = w.control.SetReadDeadline(time.Now().Add(f.bodyTime))
	defer w.control.SetReadDeadline(time.Time{})
	raw, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("the message is larger than %d MiB", maxBody>>20)
	}
	if err != nil {
		return nil, http.StatusBadRequest, fmt.Errorf("the message did not arrive whole within %s", f.bodyTime)
	}
	return raw, 0, nil
}

// notification passes on what belongs to a session of the caller. Without one,
// mcp-go would let it cancel another client's call.
func (f *front) notification(w *patient, r *http.Request, m message, modern bool) {
	if _, known := served[m.method]; known && !modern && f.sessions.use(r.Header.Get(sessionName), subjectOf(r.Context())) {
		f.pass(w, r, m)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// inSession reports whether the request names a session of its principal, and
// answers it if not.
func (f *front) inSession(w *patient, r *http.Request, id []byte) bool {
	name := r.Header.Get(sessionName)
	switch {
	case name == "":
		answer(w, http.StatusBadRequest, id, refusal(mcp.INVALID_REQUEST, "the header Mcp-Session-Id is missing: send initialize first"))
	case !f.sessions.use(name, subjectOf(r.Context())):
		answer(w, http.StatusNotFound, id, refusal(mcp.INVALID_REQUEST, "there is no such session: send initialize again"))
	default:
		return true
	}
	return false
}

// bySession takes the requests that are about a session itself: GET, a stream
// of what the server has to say, and DELETE.
func (f *front) bySession(w *patient, r *http.Request) {
	if mcp.IsModernProtocol(r.Header.Get(mcp.HeaderProtocolVersion)) {
		f.endpoint.ServeHTTP(w, r) // which refuses it
		return
	}
	if !f.inSession(w, r, nil) {
		return
	}
	_ = w.control.SetReadDeadline(time.Time{})
	if r.Method == http.MethodGet {
		done := f.stream(subjectOf(r.Context()))
		if done == nil {
			later(w, http.StatusTooManyRequests, nil, "too many streams are open")
			return
		}
		defer done()
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(f.serving, cancel)()
		r = r.WithContext(ctx)
	}
	f.endpoint.ServeHTTP(w, r)
}

// stream counts an open stream until the returned function is called; that is
// nil if there are too many.
func (f *front) stream(subject string) (done func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.streams[subject] >= maxStreams {
		return nil
	}
	f.streams[subject]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.streams[subject]--; f.streams[subject] == 0 {
			delete(f.streams, subject)
		}
	}
}

func (f *front) pass(w *patient, r *http.Request, m message) {
	b := m.wire()
	r.Body = io.NopCloser(bytes.NewReader(b))
	r.ContentLength = int64(len(b))
	f.endpoint.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), servingKey{}, f.serving)))
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

func answer(w http.ResponseWriter, status int, id []byte, e *rpcError) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(e.answer(id))
}

// later refuses what may be tried again.
func later(w http.ResponseWriter, status int, id []byte, reason string) {
	w.Header().Set("Retry-After", "1")
	answer(w, status, id, refusal(mcp.INTERNAL_ERROR, "%s; try again in a second", reason))
}

// patient gives a client a bounded time to take each piece of an answer.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

func (p *patient) Write(b []byte) (int, error) {
	p.begun = true
	_ = p.control.SetWriteDeadline(time.Now().Add(writeTime))
	return p.ResponseWriter.Write(b)
}

func (p *patient) WriteHeader(status int) {
	p.begun = true
	p.ResponseWriter.WriteHeader(status)
}

// Flush sends what is written; mcp-go asks for it by type.
func (p *patient) Flush() { _ = p.control.Flush() }
