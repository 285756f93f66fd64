package inbox

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Bounds of live pages.
const (
	maxLive       = 64               // streams at once
	maxLivePerson = 4                // browsers have six connections to one host, which pages need too
	liveBeat      = 15 * time.Second // a stream that says nothing is looked at so often
	liveRest      = time.Second      // between two looks
	liveWrite     = 10 * time.Second // for one message
)

// streams counts the live pages of each person.
type streams struct {
	mu   sync.Mutex
	of   map[string]int // guarded by mu
	all  int            // guarded by mu
	rest time.Duration  // between two looks; 0 means liveRest
}

// add takes the place of one stream, if there is one.
func (l *streams) add(person string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= maxLive || l.of[person] >= maxLivePerson {
		return false
	}
	if l.of == nil {
		l.of = map[string]int{}
	}
	l.all++
	l.of[person]++
	return true
}

func (l *streams) remove(person string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.of[person]--; l.of[person] == 0 {
		delete(l.of, person)
	}
}

// liveNow is what a live page is told: whether it still shows how things stand,
// and nothing that the page itself does not show.
type liveNow struct {
	Calls int    `json:"calls"`           // that wait
	Key   string `json:"key,omitempty"`   // of the list; equal lists have equal ones
	State string `json:"state,omitempty"` // of the hold
}

// live tells a page of changes as server-sent events (HTML Living Standard §9.2),
// until the login ends. It does not keep the login alive.
func (in *Inbox) live(w http.ResponseWriter, r *http.Request, done <-chan struct{}) {
	s, secret, ok := in.who(r)
	if !ok {
		http.Error(w, errLogin.Error(), http.StatusUnauthorized)
		return
	}
	person, hold := s.who.Name(), r.URL.Query().Get("hold")
	last, err := in.liveState(r, s, hold)
	if err != nil {
		status, _, text := in.failure(err)
		http.Error(w, text.String(), status)
		return
	}
	if !in.streams.add(person) {
		http.Error(w, "too many pages are open", http.StatusTooManyRequests)
		return
	}
	defer in.streams.remove(person)
	changed, stop := in.c.Store.Watch()
	defer stop()
	send := streamTo(w)
	if send(liveEvent(last)) != nil {
		return
	}
	beat := time.NewTicker(liveBeat)
	defer beat.Stop()
	ended := func(wake <-chan time.Time, changed <-chan struct{}) bool {
		select {
		case <-wake:
		case <-changed:
		case <-r.Context().Done():
			return true
		case <-done:
			return true
		}
		return false
	}
	for !ended(beat.C, changed) {
		s, ok := in.logins.find(secret, in.now(), false)
		if !ok {
			return
		}
		now, err := in.liveState(r, s, hold)
		if err != nil {
			return
		}
		text := ": \n\n"
		if now != last {
			last, text = now, liveEvent(now)
		}
		// A burst of changes is one.
		if send(text) != nil || ended(time.After(cmp.Or(in.streams.rest, liveRest)), nil) {
			return
		}
	}
}

// streamTo begins a stream of events. What comes back sends one.
func streamTo(w http.ResponseWriter) func(text string) error {
	w.Header().Set("Content-Type", "text/event-stream")
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{}) // a stream is no slow request
	return func(text string) error {
		if err := rc.SetWriteDeadline(time.Now().Add(liveWrite)); err != nil {
			return err
		}
		if _, err := fmt.Fprint(w, text); err != nil {
			return err
		}
		return rc.Flush()
	}
}

func liveEvent(v liveNow) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ": \n\n"
	}
	return "data: " + string(b) + "\n\n"
}

// liveState is how the list stands, or one hold, for a person.
func (in *Inbox) liveState(r *http.Request, s session, hold string) (liveNow, error) {
	if hold == "" {
		views, _, err := in.waiting(r, s, false)
		return liveNow{Calls: len(views), Key: listKey(views)}, err
	}
	state, err := in.holds.State(r.Context(), s.who, hold)
	return liveNow{State: state}, err
}

// listKey is equal for lists of the same calls.
func listKey(views []HoldView) string {
	sum := sha256.New()
	for _, v := range views {
		fmt.Fprintln(sum, v.ID, v.Stand(), v.MayDecide)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// allowLive lets a page run our own script, which listens to live.
func allowLive(w http.ResponseWriter) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
}
