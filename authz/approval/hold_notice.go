package approval

import (
	"time"

	"github.com/exeat/exeat/store"
)

// enqueue writes a notice of a new hold for every channel.
func (s *Service) enqueue(tx *store.Tx, h store.Hold, now time.Time) error {
	channels := s.c.Notify
	if s.c.Push {
		subs, err := tx.Subscriptions("")
		if err != nil {
			return err
		}
		for _, sub := range subs {
			channels = append(channels[:len(channels):len(channels)], PushChannel(sub.ID))
		}
	}
	for _, c := range channels {
		if err := tx.Enqueue(store.Notice{ID: newID("msg"), Channel: c, Hold: h.ID, Created: now, Due: now}); err != nil {
			return err
		}
	}
	return nil
}

// pushPrefix begins the names of channels that are browsers.
const PushPrefix = "push:"

// PushChannel is the name of the channel that is the browser of a subscription.
func PushChannel(id string) string { return PushPrefix + id }
