package mcpserver

import (
	"crypto/rand"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/server"
)

// Bounds on the sessions of the 2025-11-25 era.
const (
	sessionIdle = time.Hour      // quiet for longer, a session ends
	sessionLife = 24 * time.Hour // and after this in any case
	sessionMost = 100            // of one principal; a new one ends the one that was quiet longest
)

// sessions are the sessions that were begun over HTTP. A session belongs to the
// principal that began it: for anybody else there is none of that name. It
// authenticates nobody.
type sessions struct {
	now func() time.Time
	end func(id string) // makes mcp-go forget a session

	mu   sync.Mutex
	byID map[string]*httpSession
}

type httpSession struct {
	subject     string
	begun, used time.Time
}

// begin returns the id of a new session.
func (s *sessions) begin(subject string) string {
	now := s.now()
	s.mu.Lock()
	var gone []string
	oldest, own := "", 0
	for id, v := range s.byID {
		switch {
		case over(v, now):
			gone = append(gone, id)
		case v.subject == subject:
			if own++; oldest == "" || v.used.Before(s.byID[oldest].used) {
				oldest = id
			}
		}
	}
	if own >= sessionMost {
		gone = append(gone, oldest)
	}
	for _, id := range gone {
		delete(s.byID, id)
	}
	id := "mcp_" + rand.Text()
	s.byID[id] = &httpSession{subject: subject, begun: now, used: now}
	s.mu.Unlock()
	for _, id := range gone {
		s.end(id)
	}
	return id
}

// use reports whether the principal has this session, and marks it as used.
func (s *sessions) use(id, subject string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	v := s.byID[id]
	if v == nil || v.subject != subject || over(v, now) {
		return false
	}
	v.used = now
	return true
}

func over(s *httpSession, now time.Time) bool {
	return now.Sub(s.used) > sessionIdle || now.Sub(s.begun) > sessionLife
}

// ResolveSessionIdManager gives mcp-go the sessions of the request's principal.
func (s *sessions) ResolveSessionIdManager(r *http.Request) server.SessionIdManager {
	if r == nil {
		return principalSessions{s, ""} // mcp-go's sweeper, which only ends sessions
	}
	return principalSessions{s, subjectOf(r.Context())}
}

// principalSessions are those of one principal, in mcp-go's interface.
type principalSessions struct {
	all     *sessions
	subject string
}

func (p principalSessions) Generate() string { return p.all.begin(p.subject) }

func (p principalSessions) Validate(id string) (terminated bool, err error) {
	if !p.all.use(id, p.subject) {
		return false, errors.New("no such session")
	}
	return false, nil
}

// Terminate forgets a session. Over HTTP, only its principal gets so far.
func (p principalSessions) Terminate(id string) (notAllowed bool, err error) {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	delete(p.all.byID, id)
	return false, nil
}
