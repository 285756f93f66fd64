package mcpserver

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/mark3labs/mcp-go/server"

	"github.com/exeat/exeat/tools"
)

const (
	sessionName = "Mcp-Session-Id"
	endedMost   = 1000 // ends of sessions that are remembered
)

// session is what initialize negotiated with a client of the 2025-11-25 era.
// It authenticates nobody: every request says by itself who makes it.
type session struct {
	id      string // short, for entries and policies
	version string // of the protocol
	agent   string // the name that the client gave itself
}

// sessions seals sessions into ids and opens them again. Nothing is kept here but
// what clients ended, so an id outlives a restart and any time of quiet: many
// clients never send initialize again. An id is only good for the owner that it was
// made for.
type sessions struct {
	key []byte

	mu    sync.Mutex
	ended map[string]bool // by their short ids
	queue []string        // the same, in order
}

func newSessions(key []byte) *sessions {
	if len(key) == 0 {
		key = make([]byte, sha256.Size)
		rand.Read(key)
	}
	return &sessions{key: key, ended: map[string]bool{}}
}

// newSession begins a session.
func newSession(version, agent string) session {
	return session{id: "mcp_" + rand.Text(), version: version, agent: agent}
}

// ownerOf is whom a session of a caller is for: the principal, and the agent where a
// credential says which it is.
func ownerOf(c tools.Caller) string {
	if c.Agent.ID == "" {
		return c.Subject()
	}
	return fmt.Sprintf("%q %q", c.Subject(), c.Agent.ID) // like no principal's name: each begins with its type
}

// seal is the id under which the owner's client names the session.
func (s *sessions) seal(v session, owner string) string {
	told := base64.RawURLEncoding.EncodeToString([]byte(v.version + " " + v.agent))
	return v.id + "." + told + "." + base64.RawURLEncoding.EncodeToString(s.mac(v.id, told, owner))
}

func (s *sessions) mac(id, told, owner string) []byte {
	// Each part with its length, so that no two triples are the same text.
	b := append(make([]byte, 0, 256), "exeat session 1\n"...)
	for _, part := range []string{id, told, owner} {
		b = append(append(strconv.AppendInt(b, int64(len(part)), 10), ':'), part...)
	}
	h := hmac.New(sha256.New, s.key)
	h.Write(b)
	return h.Sum(b[:0])
}

// open is the session that the owner's client names, unless it was not made
// here, for this owner, or has ended.
func (s *sessions) open(name, owner string) (session, bool) {
	id, rest, _ := strings.Cut(name, ".")
	told, seal, _ := strings.Cut(rest, ".")
	// What follows the id is as it was sealed, or the session is none.
	mac := base64.RawURLEncoding.AppendEncode(make([]byte, 0, 64), s.mac(id, told, owner))
	text, err := base64.RawURLEncoding.DecodeString(told)
	if err != nil || !hmac.Equal([]byte(seal), mac) {
		return session{}, false
	}
	version, agent, _ := strings.Cut(string(text), " ")
	v := session{id: id, version: version, agent: agent}
	s.mu.Lock()
	defer s.mu.Unlock()
	return v, !s.ended[id]
}

// end makes a session unknown from now on, as long as this process lives.
func (s *sessions) end(v session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended[v.id] {
		return
	}
	if len(s.queue) == endedMost {
		delete(s.ended, s.queue[0])
		s.queue = s.queue[1:]
	}
	s.ended[v.id] = true
	s.queue = append(s.queue, v.id)
}

// ResolveSessionIdManager gives mcp-go the id that the front has sealed for an
// initialize.
func (s *sessions) ResolveSessionIdManager(r *http.Request) server.SessionIdManager {
	if r == nil {
		return sealedID("")
	}
	id, _ := r.Context().Value(sealedKey{}).(sealedID)
	return id
}

type sealedKey struct{}

// sealedID is a session's id in mcp-go's interface. What reaches mcp-go, the front
// has checked.
type sealedID string

func (id sealedID) Generate() string { return string(id) }

func (sealedID) Validate(string) (terminated bool, err error) { return false, nil }

func (sealedID) Terminate(string) (notAllowed bool, err error) { return false, nil }
