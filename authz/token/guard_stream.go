package token

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// Streams are connections that go on after the one request that a token names. The
// request is bound to its token as ever; what is said later is not.
type Streams struct {
	Events    bool          // passes on answers of the type text/event-stream
	WebSocket bool          // passes on upgrades to WebSocket by HTTP/1.1 (RFC 6455)
	Life      time.Duration // after which each is ended; 0 means 15 minutes
}

// streamLife is how long a stream lives, unless the configuration says otherwise.
const streamLife = 15 * time.Minute

// handshake are what else of the headers the opening of a WebSocket needs. They say
// how is talked and not about what; Sec-WebSocket-Protocol is for the token to bind.
var handshake = []string{"Connection", "Upgrade", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions"}

// opensWebSocket tells whether r asks for one, as the RFC has it.
func opensWebSocket(r *http.Request) bool {
	upgrade, version := r.Header["Upgrade"], r.Header["Sec-Websocket-Version"]
	return r.ProtoMajor == 1 && r.Method == http.MethodGet && r.ContentLength == 0 && len(r.TransferEncoding) == 0 &&
		len(upgrade) == 1 && strings.EqualFold(upgrade[0], "websocket") &&
		len(version) == 1 && version[0] == "13" && len(r.Header["Sec-Websocket-Key"]) == 1
}

// bounded gives r a context that limit ends after a stream's life.
func (s Streams) bounded(r *http.Request) (limited *http.Request, limit func(), done func()) {
	ctx, cancel := context.WithCancel(r.Context())
	life := s.Life
	if life == 0 {
		life = streamLife
	}
	return r.WithContext(ctx), func() { time.AfterFunc(life, cancel) }, cancel
}

// refuse is why the answer is not passed on, if it is a stream that the guard was not
// told to pass.
func (s Streams) refuse(res *http.Response) *Refusal {
	if isEvents(res) && !s.Events {
		return refuse(http.StatusBadGateway, "event_stream", "the API answers with a stream of events, which this guard does not pass on; it may have done what was asked")
	}
	return nil
}

func isEvents(res *http.Response) bool {
	for _, value := range res.Header["Content-Type"] {
		media, _, _ := strings.Cut(value, ";")
		if strings.EqualFold(strings.TrimSpace(media), "text/event-stream") {
			return true
		}
	}
	return false
}

// isStream tells whether an answer goes on by itself.
func isStream(res *http.Response) bool {
	return res.StatusCode == http.StatusSwitchingProtocols || isEvents(res)
}
