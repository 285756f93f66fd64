package approval

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// Parties are for whom and by whom a held call is made.
type Parties struct {
	Principal authz.Principal
	Agent     authz.Agent
	Session   authz.Session
	Asked     time.Time // when the call was made
}

// PartiesOf reads who a hold is of. One who cannot be read is nobody, and an
// error: whatever decides or sends must not go on, what only shows may.
func PartiesOf(h store.Hold) (p Parties, err error) {
	p.Asked = h.Created
	read := func(what string, raw json.RawMessage, into any) error {
		if err := json.Unmarshal(raw, into); err != nil {
			return fmt.Errorf("the hold does not say who its %s is: %v", what, err)
		}
		return nil
	}
	return p, errors.Join(read("principal", h.Principal, &p.Principal), read("agent", h.Agent, &p.Agent), read("session", h.Session, &p.Session))
}
