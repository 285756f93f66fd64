package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Entries of the first format are in the table entries_1, which was the only one when
// they were written, and stay as they are. Their JSON form holds seq and prev, and
//
//	hash = SHA-256("exeat-entry-1\n" || body)
//
// in hex. The first entry of today's format follows the last of them.
const firstDomain = "exeat-entry-1\n"

// firstColumns are what an entry of the first format has beside its body.
type firstColumns struct {
	at                                             int64
	kind, principal, api, tool, txn, effect, agent string
}

func hashFirst(body []byte) string {
	h := sha256.New()
	h.Write([]byte(firstDomain))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// agree reports whether the columns are of e.
func (c *firstColumns) agree(e *Entry) bool {
	return *c == firstColumns{micros(e.Time), string(e.Kind), e.Principal, e.API, e.Tool, e.Txn, e.Effect, e.Agent}
}

// firstKind is what Follow reads of an entry of the first format behind head, or false
// if it is not what this package wrote.
func firstKind(r *row, head Head) ([]byte, bool) {
	rest, ok := bytes.CutPrefix(r.body, fmt.Appendf(nil, `{"seq":%d,"time":"`, r.seq))
	_, rest, timed := bytes.Cut(rest, []byte(`","kind":"`))
	return rest, ok && timed && bytes.HasSuffix(r.body, []byte(`,"prev":"`+head.Hash+`","hash":""}`))
}
