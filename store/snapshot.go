package store

import (
	"encoding/json"
	"time"
)

// Snapshot is how what a call changes stood at a time, as far as it could be read.
// It is for the person who decides; the agent never gets it.
type Snapshot struct {
	At   time.Time `json:"at"`             // to the microsecond
	Tool string    `json:"tool,omitempty"` // the operation that read it
	Txn  string    `json:"txn,omitempty"`  // of that call
	// Status is the API's answer; Digest names all of it, 64 hex digits: two that
	// are equal are the same state. Without one there is nothing to compare with,
	// and Why says why.
	Status int    `json:"http_status,omitempty"`
	Digest string `json:"digest,omitempty"`
	Why    string `json:"why,omitempty"`
	// ETag is a strong one of the very resource that the request is for.
	ETag string `json:"etag,omitempty"`
	// Value is the answer, without what the policies hide: JSON, or a text as a JSON
	// string. Hidden are the JSON Pointers of that. Size is in bytes.
	Value  json.RawMessage `json:"value,omitempty"`
	Hidden []string        `json:"hidden,omitempty"`
	Size   int             `json:"size,omitempty"`
	// Fixed are JSON Pointers of members that the document gives the request no way to
	// set: it calls them read-only, or does not name them.
	Fixed []string `json:"fixed,omitempty"`
	// Checked is true if the call must not be sent once this is another state.
	Checked bool `json:"checked,omitempty"`
}
