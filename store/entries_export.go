package store

import (
	"bytes"
	"context"
	"fmt"
	"io"
)

// Export writes each entry with a sequence number above after as one line of JSON, in
// order and as the very bytes that are hashed, so that whoever has the lines can verify
// them without this program. A line is
//
//	{"seq":N,BODY,"prev":"…","hash":"…"}
//
// where {BODY} is what was hashed behind prev. What an entry has from another comes behind
// its hash. A line of the first format is its body, with its hash in the place of "".
func (s *Store) Export(ctx context.Context, after int64, w io.Writer) error {
	var stop error
	err := s.View(ctx, func(tx *Tx) error {
		rd := tx.reading()
		return tx.rows(func(r *row) error {
			line, err := rd.line(r)
			if err == nil {
				if _, stop = w.Write(line); stop != nil {
					err = stop
				}
			}
			return err
		}, "WHERE seq > $1", after)
	})
	if stop != nil {
		return stop
	}
	return err
}

// line is an entry as it is exported.
func (rd *reader) line(r *row) ([]byte, error) {
	e, base, err := rd.entry(r)
	if err != nil {
		return nil, err
	}
	if r.first != nil {
		rd.last = Head{Seq: r.seq, Hash: string(r.hash)}
		return fmt.Appendf(nil, "%s%s\"}\n", bytes.TrimSuffix(r.body, []byte(`"}`)), r.hash), nil
	}
	if err := rd.follow(r, &e); err != nil {
		return nil, err
	}
	line := fmt.Appendf(nil, `{"seq":%d,%s,"prev":"%s","hash":"%s"`, r.seq, r.body[1:len(r.body)-1], e.Prev, r.hash)
	if base != nil {
		if line, err = base.appendShared(line); err != nil {
			return nil, err
		}
	}
	return append(line, "}\n"...), nil
}
