package store

import (
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// The chain. Each entry is kept as the exact bytes of its JSON form, without seq, prev
// and hash, and
//
//	hash = SHA-256("exeat-entry-2\n" || prev || body)
//
// where prev is the hash of the entry before, of 32 bytes, or 32 zeros for the first. An
// entry that is changed, moved, removed or put in between breaks the chain; only the
// loss of its end does not, which is why heads are worth remembering.
//
// An entry may say `as`: that what it shares with others (see appendShared) is as in the
// earlier entry of that number, which is whole itself. Entries of the first format are
// in a table of their own: see entries_first.go.
const chainDomain = "exeat-entry-2\n"

// genesis is the prev of the first entry.
const genesis = "0000000000000000000000000000000000000000000000000000000000000000"

func hashEntry(prev, body []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write([]byte(chainDomain))
	h.Write(prev)
	h.Write(body)
	return [sha256.Size]byte(h.Sum(nil))
}

// Head is the last entry's sequence number and hash.
type Head struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

// bytes is the hash as the next entry is hashed with it.
func (h Head) bytes() ([]byte, error) {
	b, err := hex.DecodeString(h.Hash)
	if err == nil && len(b) != sha256.Size {
		err = fmt.Errorf("entry %d has a hash of %d bytes", h.Seq, len(b))
	}
	return b, err
}

// storedHash is a hash as a column has it: bytes, or text in the first format.
type storedHash string

// Scan makes hex of what the column has.
func (h *storedHash) Scan(v any) error {
	switch v := v.(type) {
	case []byte:
		*h = storedHash(hex.EncodeToString(v))
	case string:
		*h = storedHash(v)
	default:
		return fmt.Errorf("a hash is a %T", v)
	}
	return nil
}

// edge is the first or the last entry, by the order of tables and rows that is asked for.
func (tx *Tx) edge(tables [2]string, order string) (h Head, err error) {
	for _, table := range tables {
		err = tx.tx.QueryRowContext(tx.ctx, "SELECT seq, hash FROM "+table+" ORDER BY seq "+order+" LIMIT 1").Scan(&h.Seq, (*storedHash)(&h.Hash))
		if !errors.Is(err, sql.ErrNoRows) {
			return h, err
		}
	}
	return h, err
}

func (tx *Tx) head() (Head, error) {
	if tx.end != nil {
		return *tx.end, nil
	}
	h, err := tx.edge([2]string{"entries", "entries_1"}, "DESC")
	if errors.Is(err, sql.ErrNoRows) {
		return Start(), nil
	}
	return h, err
}

// Append adds an entry to the chain in this transaction. Seq, Prev and Hash are
// set here; Time is set to now if it is zero.
func (tx *Tx) Append(e Entry) error { return tx.AppendSealed(e, nil) }

// AppendSealed is Append for an entry that gives or takes a right. The chain alone
// does not show who wrote its last entry: seal makes, from the entry's hash, what only
// who has the key can make.
func (tx *Tx) AppendSealed(e Entry, seal func(hash string) []byte) error {
	head, err := tx.tip()
	if err != nil {
		return err
	}
	_, err = tx.appendAfter(head, e, whole, seal)
	return err
}

// manner is whether an entry may leave out what it shares with an earlier one. What is
// appended beside other changes is whole: what gives a right has to be read without
// another entry.
type manner bool

const (
	whole manner = false
	short manner = true
)

// appendAfter adds an entry behind head. seal, if not nil, makes its seal from its hash.
func (tx *Tx) appendAfter(head Head, e Entry, m manner, seal func(hash string) []byte) (Head, error) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.UTC().Truncate(time.Microsecond)
	if err := e.shorten(); err != nil {
		return head, err
	}
	prev, err := head.bytes()
	if err != nil {
		return head, err
	}
	seq := head.Seq + 1
	body, err := tx.mem.encode(&e, seq, m)
	if err != nil {
		return head, err
	}
	hash := hashEntry(prev, body)
	next := Head{Seq: seq, Hash: hex.EncodeToString(hash[:])}
	var sealed []byte
	if seal != nil {
		sealed, tx.sealed = seal(next.Hash), true
	}
	tally, at, err := tx.count(&e)
	if err != nil {
		return head, err
	}
	if _, err = tx.exec("INSERT INTO entries (seq, tally, at, ref, body, hash, seal) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		seq, tally, at, refOf(e.Txn), body, hash[:], sealed); err != nil {
		return head, err
	}
	tx.mem.head, tx.end = next, &next
	return next, nil
}

// refOf is by what the entries of a call are found: eight bytes that depend on its txn.
// Others may have the same.
func refOf(txn string) sql.NullInt64 {
	if txn == "" {
		return sql.NullInt64{}
	}
	sum := sha256.Sum256([]byte(validText(txn)))
	return sql.NullInt64{Int64: int64(binary.BigEndian.Uint64(sum[:])), Valid: true}
}

// validText is a text as an entry has it: what is not UTF-8 is U+FFFD.
func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

// ChainError is a place where the audit log is not what was written.
type ChainError struct {
	Seq     int64
	Problem string
}

func (e *ChainError) Error() string { return fmt.Sprintf("entry %d: %s", e.Seq, e.Problem) }

// memory is what this process knows of the log while nobody else changes it. It belongs
// to the one transaction that writes, and is empty again after one that failed.
type memory struct {
	head    Head             // after what this process wrote last
	bases   map[string]int64 // entries that others may name, by what they share
	tallies map[tallyKey]*counted
}

// encode is the body of the entry that gets the number seq.
func (m *memory) encode(e *Entry, seq int64, how manner) ([]byte, error) {
	const most, farthest = 1024, 10_000
	shared, err := e.appendShared(make([]byte, 0, 512))
	if err != nil {
		return nil, err
	}
	base := m.bases[string(shared)]
	switch {
	case how == whole || len(shared) == 0:
		base = 0
	case base == 0 || base < seq-farthest:
		if base = 0; m.bases == nil || len(m.bases) >= most {
			m.bases = map[string]int64{}
		}
		m.bases[string(shared)] = seq
	default:
		shared = nil
	}
	body, err := e.appendOwn(make([]byte, 0, 512), base)
	return append(append(body, shared...), '}'), err
}

// tip is the head, to append behind it. What is known of the log is forgotten if others
// have written meanwhile, or have cut off what this process wrote.
func (tx *Tx) tip() (Head, error) {
	head, err := tx.head()
	m := tx.mem
	if err != nil || head == m.head {
		return head, err
	}
	for _, c := range m.tallies {
		c.n = 0
	}
	if m.head.Seq > 0 && tx.contains(m.head) != nil {
		*m = memory{}
	}
	m.head = head
	return head, nil
}
