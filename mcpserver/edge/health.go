package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Check is one thing that a server needs to do its work. Strangers see its name,
// so that is one word.
type Check struct {
	Name  string
	Ready func(context.Context) error
}

// Bounds of the checks, which anybody can ask for.
const (
	checksLast = time.Second     // how long an answer is good for
	checksTake = 2 * time.Second // all checks together
)

// health answers who looks after the process.
type health struct {
	checks  []Check
	trouble func(error)

	mu     sync.Mutex
	looked time.Time
	wrong  []string
}

// serve answers /healthz and /readyz, and reports whether the request was one.
func (h *health) serve(w http.ResponseWriter, r *http.Request) bool {
	status, body := http.StatusOK, map[string]any{"status": "alive"}
	switch r.URL.Path {
	default:
		return false
	case "/healthz":
	case "/readyz":
		body["status"] = "ready"
		if wrong := h.notReady(r.Context(), time.Now()); len(wrong) > 0 {
			status, body = http.StatusServiceUnavailable, map[string]any{"status": "not ready", "not_ready": wrong}
		}
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "use GET", http.StatusMethodNotAllowed)
		return true
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
	return true
}

// notReady names what is not ready. One caller looks, and the others of the same
// second get the same answer.
func (h *health) notReady(ctx context.Context, now time.Time) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Sub(h.looked) < checksLast {
		return h.wrong
	}
	// Who asks may hang up; the answer is for the others, too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checksTake)
	defer cancel()
	was := len(h.wrong) > 0
	h.wrong = nil
	for _, c := range h.checks {
		if err := c.Ready(ctx); err != nil {
			h.wrong = append(h.wrong, c.Name)
			if !was {
				h.trouble(fmt.Errorf("not ready: %s: %w", c.Name, err))
			}
		}
	}
	h.looked = time.Now()
	return h.wrong
}
