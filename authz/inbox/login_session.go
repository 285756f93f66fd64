package inbox

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/words"
)

// How long logins last, and how many there may be at once.
const (
	codeLife    = 10 * time.Minute
	idleEnd     = 30 * time.Minute
	absoluteEnd = 8 * time.Hour
	maxCodes    = 32
	maxSessions = 1024
	maxOfPerson = 32
)

// session is one login.
type session struct {
	id    string // names it on pages; it is no secret
	who   approval.Identity
	since time.Time // they were recognised
	how   string    // they logged in
	agent string    // what their browser says it is
	csrf  string
	used  time.Time
	lang  words.Language // of this request
	signs bool           // the person has a passkey, with which they approve
}

func (s session) over(now time.Time) bool {
	return now.Sub(s.used) >= idleEnd || now.Sub(s.since) >= absoluteEnd
}

// sum is what is kept of a secret.
type sum [sha256.Size]byte

func sumOf(secret string) sum { return sha256.Sum256([]byte(secret)) }

// newToken is 130 random bits in lower-case base32, of 26 characters.
func newToken() string { return strings.ToLower(rand.Text()) }

// code is a one-time login that has not been used.
type code struct {
	sum sum
	who authz.Principal
	end time.Time
}

// logins keeps one-time codes and sessions. They live in memory: a restart ends
// them.
type logins struct {
	mu       sync.Mutex
	codes    []code // oldest first
	sessions map[sum]session
}

// newCode makes a code of 128 bits that logs a person in; the oldest makes room.
func (l *logins) newCode(who authz.Principal, now time.Time) string {
	text := newToken()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.codes) >= maxCodes {
		l.codes = l.codes[1:]
	}
	l.codes = append(l.codes, code{sumOf(text), who, now.Add(codeLife)})
	return text
}

// spend is whom text logs in, if it is a live code, and ends it.
func (l *logins) spend(text string, now time.Time) (who authz.Principal, ok bool) {
	s := sumOf(text)
	l.mu.Lock()
	defer l.mu.Unlock()
	live := l.codes[:0]
	for _, c := range l.codes {
		switch {
		case !now.Before(c.end):
		case subtle.ConstantTimeCompare(c.sum[:], s[:]) == 1:
			who, ok = c.who, true
		default:
			live = append(live, c)
		}
	}
	l.codes = live
	return who, ok
}

// begin starts a session of s.who, and
// returns the secret of its cookie, of 256 bits. The session that was not used
// for longest makes room: one of the same person, if that person has many.
func (l *logins) begin(s session, now time.Time) (secret string, _ session) {
	secret, s.id, s.csrf, s.used = newToken()+newToken(), "login_"+newToken(), newToken(), now
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sessions == nil {
		l.sessions = map[sum]session{}
	}
	name := s.who.Name()
	l.makeRoom(maxOfPerson, func(s session) bool { return s.who.Name() == name })
	l.makeRoom(maxSessions, func(session) bool { return true })
	l.sessions[sumOf(secret)] = s
	return secret, s
}

// makeRoom ends the least used of the sessions that which names until there are
// fewer than most.
func (l *logins) makeRoom(most int, which func(session) bool) {
	var keys []sum
	for k, s := range l.sessions {
		if which(s) {
			keys = append(keys, k)
		}
	}
	if len(keys) < most {
		return
	}
	slices.SortFunc(keys, func(a, b sum) int { return l.sessions[a].used.Compare(l.sessions[b].used) })
	for _, k := range keys[:len(keys)-most+1] {
		delete(l.sessions, k)
	}
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

// of lists the live sessions of a person, the last one used first.
func (l *logins) of(name string, now time.Time) []session {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []session
	for k, s := range l.sessions {
		switch {
		case s.over(now):
			delete(l.sessions, k)
		case s.who.Name() == name:
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b session) int {
		return cmp.Or(b.used.Compare(a.used), b.since.Compare(a.since), strings.Compare(a.id, b.id))
	})
	return list
}

// revoke ends those sessions of a person that which names, and returns how many.
func (l *logins) revoke(name string, which func(session) bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for k, s := range l.sessions {
		if s.who.Name() == name && which(s) {
			delete(l.sessions, k)
			n++
		}
	}
	return n
}

// end ends a session.
func (l *logins) end(secret string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sessions, sumOf(secret))
}

// cookieName is the name of the session's cookie.
func (in *Inbox) cookieName() string { return in.cookieFor("exeat_inbox") }

// cookieFor carries the prefix by which browsers keep other hosts from setting
// a cookie, where they can.
func (in *Inbox) cookieFor(name string) string {
	if in.secure() {
		return "__Host-" + name
	}
	// Cookies know no ports: two inboxes on one machine must not share one.
	if _, port, ok := strings.Cut(strings.TrimPrefix(in.c.URL, "http://"), ":"); ok {
		return name + "_" + port[strings.LastIndex(port, ":")+1:]
	}
	return name
}

func (in *Inbox) setCookie(w http.ResponseWriter, secret string, maxAge int) {
	in.setNamed(w, in.cookieName(), secret, maxAge)
}

func (in *Inbox) setNamed(w http.ResponseWriter, name, secret string, maxAge int) {
	http.SetCookie(w, &http.Cookie{Name: name, Value: secret, Path: "/", MaxAge: maxAge,
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
		if err := in.holds.Check(r.Context(), s.who); err != nil {
			if errors.Is(err, approval.ErrStranger) || errors.Is(err, approval.ErrUserStopped) {
				in.logins.end(secret) // it was ended elsewhere
			}
			return session{}, "", false
		}
		has, err := in.holds.HasPasskey(r.Context(), s.who.Name())
		s.signs = err == nil && has // Decide looks again
		s.lang = in.language(r)
	}
	return s, secret, ok
}
