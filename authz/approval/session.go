package approval

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"sync"
	"time"
)

// How long logins last, and how many there may be at once.
const (
	codeLife    = 10 * time.Minute
	idleEnd     = 30 * time.Minute
	absoluteEnd = 8 * time.Hour
	maxCodes    = 32
	maxSessions = 64
)

// session is one login.
type session struct {
	person Person
	csrf   string
	used   time.Time
	signs  bool // the person has a passkey, with which they approve
}

func (s session) over(now time.Time) bool {
	return now.Sub(s.used) >= idleEnd || now.Sub(s.person.Since) >= absoluteEnd
}

// sum is what is kept of a secret.
type sum [sha256.Size]byte

func sumOf(secret string) sum { return sha256.Sum256([]byte(secret)) }

// code is a one-time login that has not been used.
type code struct {
	sum sum
	end time.Time
}

// logins keeps one-time codes and sessions. They live in memory: a restart ends
// them.
type logins struct {
	mu       sync.Mutex
	codes    []code // oldest first
	sessions map[sum]session
}

// newCode makes a code of 128 bits; the oldest makes room.
func (l *logins) newCode(now time.Time) string {
	text := randomText(16)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.codes) >= maxCodes {
		l.codes = l.codes[1:]
	}
	l.codes = append(l.codes, code{sumOf(text), now.Add(codeLife)})
	return text
}

// spend reports whether text is a live code, and ends it.
func (l *logins) spend(text string, now time.Time) bool {
	s := sumOf(text)
	l.mu.Lock()
	defer l.mu.Unlock()
	live, found := l.codes[:0], 0
	for _, c := range l.codes {
		switch {
		case !now.Before(c.end):
		case subtle.ConstantTimeCompare(c.sum[:], s[:]) == 1:
			found = 1
		default:
			live = append(live, c)
		}
	}
	l.codes = live
	return found == 1
}

// begin starts a session and returns the secret of its cookie, of 256 bits. The
// session that was not used for longest makes room.
func (l *logins) begin(p Person, now time.Time) (secret string, s session) {
	p.Since = now
	p.Principal.AuthTime = now
	secret, s = randomText(32), session{person: p, csrf: randomText(16), used: now}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sessions == nil {
		l.sessions = map[sum]session{}
	}
	for len(l.sessions) >= maxSessions {
		var oldest sum
		first := true
		for k, v := range l.sessions {
			if first || v.used.Before(l.sessions[oldest].used) {
				oldest, first = k, false
			}
		}
		delete(l.sessions, oldest)
	}
	l.sessions[sumOf(secret)] = s
	return secret, s
}

// find returns the live session with this cookie. touch says whether somebody
// used it; a page that reloads by itself does not keep a session alive.
func (l *logins) find(secret string, now time.Time, touch bool) (session, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := sumOf(secret)
	s, ok := l.sessions[k]
	if !ok {
		return session{}, false
	}
	if s.over(now) {
		delete(l.sessions, k)
		return session{}, false
	}
	if touch {
		s.used = now
		l.sessions[k] = s
	}
	return s, true
}

// end ends a session.
func (l *logins) end(secret string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sessions, sumOf(secret))
}

// cookieName carries the prefix by which browsers keep other hosts from setting
// it, where they can.
func (in *Inbox) cookieName() string {
	if in.secure() {
		return "__Host-exeat_inbox"
	}
	// Cookies know no ports: two inboxes on one machine must not share one.
	if _, port, ok := strings.Cut(strings.TrimPrefix(in.URL, "http://"), ":"); ok {
		return "exeat_inbox_" + port[strings.LastIndex(port, ":")+1:]
	}
	return "exeat_inbox"
}

func (in *Inbox) setCookie(w http.ResponseWriter, secret string, maxAge int) {
	http.SetCookie(w, &http.Cookie{Name: in.cookieName(), Value: secret, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: in.secure(), SameSite: http.SameSiteLaxMode})
}

// who is the session of a request, by its cookie and nothing else: an agent's
// bearer token logs nobody in.
func (in *Inbox) who(r *http.Request) (s session, secret string, ok bool) {
	cookies := r.CookiesNamed(in.cookieName())
	if len(cookies) != 1 {
		return session{}, "", false
	}
	secret = cookies[0].Value
	s, ok = in.logins.find(secret, in.now(), r.URL.Query().Get("auto") == "")
	if ok {
		h, err := in.Service.holder(r.Context(), s.person.name())
		s.signs = err == nil && len(h.keys) > 0 // Decide looks again
	}
	return s, secret, ok
}
