package notify

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/tally"
	"github.com/exeat/exeat/store"
)

// Config is what a [Notifier] is made of.
type Config struct {
	Holds    *approval.Service
	Store    *store.Store
	Channels []*Channel
	Push     *Push  // nil if browsers are not told
	URL      string // of the inbox
	// Digest is how many calls may wait before a channel for people gets one
	// message about all of them, at most one each 5 min; 0 means 5.
	Digest int
	Quiet  Quiet
	// Details says that messages hold what the call is about: values of its arguments,
	// and of what it changes. Never what is hidden.
	Details bool
	// Describe says what an operation does, in the words of its document: its
	// method, path template and summary. It may be nil.
	Describe func(api, tool string) (method, path, summary string)
	// Trouble, if not nil, is told when a channel begins to fail.
	Trouble func(error)
}

// Notifier tells channels of held calls. A hold that opens writes a notice for
// each channel in its own transaction; Run sends them. Any number of processes
// may run one on the same database.
type Notifier struct {
	c     Config
	owner string
	mu    sync.Mutex
	busy  map[string]bool // channels with a try under way
	done  chan struct{}   // one of them has ended
	told  tally.Counter   // messages to people, by channel
	tries sync.WaitGroup
}

// New is a Notifier, which sends once it runs.
func New(c Config) (*Notifier, error) {
	if c.Holds == nil || c.Store == nil || c.URL == "" {
		return nil, errors.New("notify: there are no holds, no store or no inbox to tell of")
	}
	c.Digest = cmp.Or(c.Digest, 5)
	return &Notifier{c: c, owner: "n_" + rand.Text(), busy: map[string]bool{}, done: make(chan struct{}, 1)}, nil
}

// Bounds of sending.
const (
	sendTime    = 20 * time.Second // one try
	sendLease   = 2 * time.Minute  // of a claim: longer than a try
	maxTries    = 8                // then it has failed
	firstRetry  = 10 * time.Second
	lastRetry   = 10 * time.Minute
	claimMost   = 100             // notices for people, who get few messages about them
	claimEach   = 5               // for machines, which get one about each
	digestEvery = 5 * time.Minute // between two messages about many calls
	maxAnHour   = 20              // messages to people over a channel, before it is told as if many waited
	pollAtLeast = time.Minute
)

// Run sends until ctx ends. A channel that hangs holds up neither the others nor
// the end.
func (n *Notifier) Run(ctx context.Context) error {
	changed, stop := n.c.Store.Watch()
	defer stop()
	for ctx.Err() == nil {
		next, err := n.round(ctx)
		if err != nil && ctx.Err() == nil {
			n.trouble(fmt.Errorf("notify: %w", err))
		}
		wait := time.NewTimer(min(max(next.Sub(n.c.Holds.Now()), 10*time.Millisecond), pollAtLeast))
		select {
		case <-changed:
		case <-n.done:
		case <-wait.C:
		case <-ctx.Done():
		}
		wait.Stop()
		if err != nil { // not as fast as it can
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
	}
	return nil
}

func (n *Notifier) trouble(err error) {
	if n.c.Trouble != nil {
		n.c.Trouble(err)
	}
}

// channel is the one of that name, or nil if this process does not have it.
func (n *Notifier) channel(name string) *Channel {
	for _, c := range n.c.Channels {
		if c.Name == name {
			return c
		}
	}
	if id, ok := strings.CutPrefix(name, approval.PushPrefix); ok && n.c.Push != nil {
		return n.c.Push.channel(n, id)
	}
	return nil
}

// round starts a try for every channel for which something is due, and returns
// when to look again.
func (n *Notifier) round(ctx context.Context) (next time.Time, err error) {
	now := n.c.Holds.Now()
	next = now.Add(pollAtLeast)
	var due map[string]time.Time
	if err := n.c.Store.View(ctx, func(tx *store.Tx) (err error) {
		due, err = tx.NoticesDue()
		return err
	}); err != nil {
		return next, err
	}
	for name, at := range due {
		c := n.channel(name)
		if c == nil || !n.take(name) {
			continue
		}
		if c.People {
			if end := n.c.Quiet.until(now); end.After(at) {
				at = end
			}
		}
		if at.After(now) {
			n.free(name)
			if at.Before(next) {
				next = at
			}
			continue
		}
		n.tries.Go(func() {
			defer n.free(name)
			if err := n.try(ctx, c); err != nil && ctx.Err() == nil {
				n.trouble(fmt.Errorf("notify %s: %w", name, err))
			}
		})
	}
	return next, nil
}

// take reports whether no try is under way over a channel, and begins one.
func (n *Notifier) take(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.busy[name] {
		return false
	}
	n.busy[name] = true
	return true
}

func (n *Notifier) free(name string) {
	n.mu.Lock()
	delete(n.busy, name)
	n.mu.Unlock()
	select {
	case n.done <- struct{}{}:
	default:
	}
}

// try claims what is due for a channel, sends it and stores what came of it. If
// this process dies in between, the claim ends with its lease, and what was
// claimed is sent again with the same ids.
func (n *Notifier) try(ctx context.Context, c *Channel) error {
	now, most := n.c.Holds.Now(), claimEach
	if c.People {
		most = claimMost
	}
	var notices []store.Notice
	var holds []store.Hold
	err := n.c.Store.Update(ctx, func(tx *store.Tx) (err error) {
		notices, holds = nil, nil
		if c.People {
			if later, err := n.spare(tx, c, now); err != nil || later {
				return err
			}
		}
		if notices, err = tx.Claim(c.Name, n.owner, now, now.Add(sendLease), most); err != nil {
			return err
		}
		notices, holds, err = n.current(ctx, tx, c, notices)
		return err
	})
	if err != nil {
		return err
	}
	for _, m := range n.messages(c, notices, holds, now) {
		if err := n.deliver(ctx, c, m); err != nil {
			return err
		}
	}
	return nil
}

// often reports whether a channel for people has had as many messages as it gets
// in an hour. Calls that are withdrawn as soon as they are made do not wait, and
// could fill a phone all the same.
func (n *Notifier) often(c *Channel, now time.Time) bool {
	return n.told.Count(c.Name, now) >= maxAnHour
}

// spare puts a channel off that was told a short while ago, if so many calls
// wait, or did, that one message about all of them will do.
func (n *Notifier) spare(tx *store.Tx, c *Channel, now time.Time) (later bool, err error) {
	health, err := tx.Health(c.Name)
	if err != nil || health.Sent.IsZero() || !now.Before(health.Sent.Add(digestEvery)) {
		return false, err
	}
	waiting, err := tx.Count(store.HoldFilter{States: []store.State{store.Pending}})
	if err != nil || waiting <= n.c.Digest && !n.often(c, now) {
		return false, err
	}
	return true, tx.Postpone(c.Name, health.Sent.Add(digestEvery))
}

// current reads the holds that notices are about, and drops what nobody is to
// be told: what was changed in the database, what the channel may not see, and a
// second notice of one hold.
func (n *Notifier) current(ctx context.Context, tx *store.Tx, c *Channel, notices []store.Notice) (kept []store.Notice, holds []store.Hold, err error) {
	for _, m := range notices {
		h, tell, err := n.c.Holds.Told(ctx, tx, m.Hold, c.to)
		if err != nil {
			return nil, nil, err
		}
		if !tell || slices.ContainsFunc(holds, func(other store.Hold) bool { return other.ID == h.ID }) {
			if err := tx.Sent(m); err != nil {
				return nil, nil, err
			}
			continue
		}
		kept, holds = append(kept, m), append(holds, h)
	}
	return kept, holds, nil
}

// deliver sends one message and stores what came of it.
func (n *Notifier) deliver(ctx context.Context, c *Channel, m Message) error {
	sendErr := c.Send(ctx, m)
	if ctx.Err() != nil {
		return ctx.Err() // nobody knows; the lease ends
	}
	now := n.c.Holds.Now()
	if c.People {
		n.told.Add(c.Name, now, time.Hour)
	}
	began := false // to fail
	err := n.c.Store.Update(ctx, func(tx *store.Tx) error {
		if errors.Is(sendErr, errGone) {
			return n.c.Push.forget(tx, c.Name)
		}
		health, err := tx.Health(c.Name)
		if err != nil {
			return err
		}
		problem := ""
		if sendErr != nil {
			problem, began = sendErr.Error(), health.Failures == 0
		}
		if err := tx.Tried(c.Name, now, problem); err != nil {
			return err
		}
		for _, notice := range m.notices {
			if sendErr == nil {
				err = tx.Sent(notice)
			} else {
				notice.Failed = notice.Tries >= maxTries
				err = tx.Retry(notice, now.Add(backoff(notice.Tries)))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if began && err == nil {
		n.trouble(fmt.Errorf("the channel %s %w; it is tried again", c.Name, sendErr))
	}
	return err
}

// backoff is how long to wait after so many tries: three times as long each
// time, a fifth more or less.
func backoff(tries int) time.Duration {
	d := firstRetry
	for i := 1; i < tries && d < lastRetry; i++ {
		d *= 3
	}
	d = min(d, lastRetry)
	return d*4/5 + mathrand.N(d*2/5)
}

// Health tells how every channel does, browsers aside.
func (n *Notifier) Health(ctx context.Context) ([]store.ChannelHealth, error) {
	return Health(ctx, n.c.Store, n.c.Channels)
}

// Health tells how channels do, as whoever used them last has found.
func Health(ctx context.Context, db *store.Store, channels []*Channel) ([]store.ChannelHealth, error) {
	var list []store.ChannelHealth
	err := db.View(ctx, func(tx *store.Tx) error {
		list = nil
		for _, c := range channels {
			h, err := tx.Health(c.Name)
			if err != nil {
				return err
			}
			list = append(list, h)
		}
		return nil
	})
	return list, err
}

// Test sends one message to a channel now and stores how it went. The message is
// about no call, and leads to the inbox at a URL.
func Test(ctx context.Context, db *store.Store, url string, c *Channel) error {
	now := time.Now().UTC()
	err := c.Send(ctx, Message{ID: "msg_" + strings.ToLower(rand.Text()), Title: "exeat: a test", Link: url + "/", at: now,
		Text: "This is a test of the channel " + c.Name + ". No call waits because of it."})
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	return errors.Join(err, db.Update(ctx, func(tx *store.Tx) error { return tx.Tried(c.Name, now, problem) }))
}
