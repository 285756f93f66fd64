package mcpserver

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"
)

// Bounds of what is read over HTTP.
const (
	maxBody   = 16 << 20    // bytes of one message
	maxBodies = 8 * maxBody // bytes of all messages being read and answered
)

var errBusy = errors.New("the server is busy")

// charged is a reader whose bytes count against those of all messages, as they
// arrive: what a client says of their number, or does not, costs nothing.
type charged struct {
	from io.Reader
	all  *semaphore.Weighted
	held int64
}

func (c *charged) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	if !c.all.TryAcquire(int64(n)) {
		return 0, errBusy
	}
	c.held += int64(n)
	return n, err
}

// release gives back what was charged.
func (c *charged) release() { c.all.Release(c.held) }

// isJSON reports a media type that is JSON's, whatever its parameters are.
func isJSON(contentType string) bool {
	if contentType == "application/json" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == "application/json"
}

// readBody reads the message within its bounds of size and time. The returned
// function, which is never nil, is called when the message has been answered.
func (f *front) readBody(w *patient, r *http.Request) (raw []byte, release func(), status int, err error) {
	c := &charged{from: http.MaxBytesReader(w, r.Body, maxBody), all: f.bodies}
	if !isJSON(r.Header.Get("Content-Type")) {
		return nil, c.release, http.StatusUnsupportedMediaType, errors.New("the Content-Type must be application/json")
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, c.release, http.StatusUnsupportedMediaType, errors.New("the message must not be compressed")
	}
	// A writer that has no deadlines is a test's.
	_ = w.control.SetReadDeadline(time.Now().Add(f.bodyTime))
	defer w.control.SetReadDeadline(time.Time{})
	raw, err = io.ReadAll(c)
	tooLarge := (*http.MaxBytesError)(nil)
	switch {
	case err == nil:
		return raw, c.release, 0, nil
	case errors.Is(err, errBusy):
		return nil, c.release, http.StatusServiceUnavailable, err
	case errors.As(err, &tooLarge):
		return nil, c.release, http.StatusRequestEntityTooLarge, fmt.Errorf("the message is larger than %d MiB", maxBody>>20)
	}
	return nil, c.release, http.StatusBadRequest, fmt.Errorf("the message did not arrive whole within %s", f.bodyTime)
}
