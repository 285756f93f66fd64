package inbox

import (
	"sync"
	"time"
)

// flow is a login, or the connection of an account, that was begun and has not come
// back.
type flow struct {
	browser         sum // of a secret of the browser that it was begun in
	nonce, verifier string
	back            string // the page to come back to
	again           bool   // somebody who is logged in is to be recognised anew
	begun           time.Time
	connect         *connecting // nil for a login
}

// Bounds of flows.
const (
	flowLife = 10 * time.Minute
	maxFlows = 1024
)

// flows are kept by their state.
type flows struct {
	mu  sync.Mutex
	all map[sum]flow
}

// begin keeps a flow and returns its state; the oldest makes room.
func (f *flows) begin(x flow) (state string) {
	state = newToken() + newToken()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[sum]flow{}
	}
	for len(f.all) >= maxFlows {
		var oldest sum
		first := true
		for k, x := range f.all {
			if first || x.begun.Before(f.all[oldest].begun) {
				oldest, first = k, false
			}
		}
		delete(f.all, oldest)
	}
	f.all[sumOf(state)] = x
	return state
}

// take ends the flow with this state, if it was begun in this browser and is
// not too old.
func (f *flows) take(state, browser string, now time.Time) (flow, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x, ok := f.all[sumOf(state)]
	if !ok || x.browser != sumOf(browser) {
		return flow{}, false
	}
	delete(f.all, sumOf(state))
	return x, now.Before(x.begun.Add(flowLife))
}
