package token

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// Bodies is what a Guard does with a body of more than a megabyte, up to the
// Verifier's BodyLimit. A smaller one is always checked before the token is spent and
// anything is sent. For a large one the token is spent first, since it may take longer
// to come than tokens live.
type Bodies string

const (
	// BodiesInMemory keeps all of a body in memory, however large, as a small one.
	BodiesInMemory Bodies = ""
	// BodiesInFiles keeps a large one in a file without a name, until it is checked.
	BodiesInFiles Bodies = "file"
	// BodiesStreamed sends it on as it comes, all but the end, which the API gets if
	// the digest is the one of the token. If it is not, the request breaks off: the API
	// has then seen its method, target, headers and credential, and the body without
	// its last part, and never that it is complete.
	BodiesStreamed Bodies = "stream"
)

// How large bodies are read.
const (
	bodyInMemory = 1 << 20 // of each
	bodyBlock    = 32 << 10
	bodyPatience = time.Minute // until a body has to come at bodyPace
	bodyPace     = 16 << 10    // bytes a second, on the whole
)

// intake is the body of one request on its way through the guard.
type intake struct {
	*proxy
	w     http.ResponseWriter
	r     *http.Request
	large *withheld // nil for a body that is checked
}

// digest reads the body, if it is not large, and leaves in r what is sent on. A large
// one has the digest of the token until it is read.
func (in *intake) digest(c *Claims) (string, *Refusal) {
	b, ref := in.Verifier.incoming(in.r)
	if ref != nil {
		return "", ref
	}
	first := b.limit
	if in.Bodies != BodiesInMemory {
		first = min(first, bodyInMemory)
		in.watch(b)
	}
	var head bytes.Buffer
	_, err := io.CopyN(&head, b, first+1)
	switch {
	case err == io.EOF:
		replaceBody(in.r, head.Bytes())
		return b.digest(), nil
	case err != nil:
		return "", refusal(err)
	}
	// Else an answer would wait until the client has sent all of what nobody wants.
	http.NewResponseController(in.w).EnableFullDuplex()
	in.large = &withheld{from: io.MultiReader(&head, b), body: b, want: c.Details.Request.ContentDigest}
	in.r.Body = in.large
	return in.large.want, nil
}

// watch lets a large body take its time, as long as it comes.
func (in *intake) watch(b *incoming) {
	begun, conn := time.Now(), http.NewResponseController(in.w)
	b.progress = func(read int64) {
		conn.SetReadDeadline(begun.Add(bodyPatience + time.Duration(read/bodyPace)*time.Second))
	}
}

// keep reads a large body into a file, if it is not sent on as it comes.
func (in *intake) keep() *Refusal {
	if in.large == nil || in.Bodies == BodiesStreamed {
		return nil
	}
	f, err := os.CreateTemp("", "exeat-guard-") // mode 0600
	if err != nil {
		return noSpool(err)
	}
	from := in.large
	in.r.Body, in.large = &spool{f}, nil
	os.Remove(f.Name()) // Windows removes it when it is closed
	for block := make([]byte, bodyBlock); ; {
		n, err := from.Read(block)
		if _, err := f.Write(block[:n]); err != nil {
			return noSpool(err)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return refusal(err)
		}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return noSpool(err)
	}
	in.r.ContentLength, in.r.TransferEncoding = from.body.read, nil
	return nil
}

func noSpool(err error) *Refusal {
	return refuse(http.StatusServiceUnavailable, "spool_unavailable", "the body cannot be kept until it is checked").because(err)
}

// spool is a body in a file that goes away with it.
type spool struct{ *os.File }

func (s *spool) Close() error {
	err := s.File.Close()
	if gone := os.Remove(s.Name()); gone != nil && !errors.Is(gone, os.ErrNotExist) {
		return errors.Join(err, gone)
	}
	return err
}

// withheld is a body whose last block does not come before the digest of all is known
// to be the one that is wanted.
type withheld struct {
	from  io.Reader
	body  *incoming
	want  string
	ready []byte // to be read
	held  []byte // to be read if more comes, or if the digest is right
	ended bool
	// checked is set when the digest was right, before the end is read, and failed when
	// it was not, or the body broke off.
	checked atomic.Bool
	failed  atomic.Pointer[Refusal]
}

// Read returns a Refusal instead of the end.
func (b *withheld) Read(p []byte) (int, error) {
	for len(b.ready) == 0 {
		if ref := b.failed.Load(); ref != nil {
			return 0, ref
		}
		if b.ended {
			return 0, io.EOF
		}
		if ref := b.next(); ref != nil {
			b.failed.Store(ref)
		}
	}
	n := copy(p, b.ready)
	b.ready = b.ready[n:]
	return n, nil
}

// next reads one block, and makes the one before ready.
func (b *withheld) next() *Refusal {
	block := make([]byte, bodyBlock)
	n, err := io.ReadFull(b.from, block)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return refusal(err)
	}
	if n > 0 {
		b.ready, b.held = b.held, block[:n]
	}
	if err == nil {
		return nil
	}
	if got := b.body.digest(); got != b.want {
		b.ready = nil
		return refuse(http.StatusForbidden, "wrong_digest", "the token is for the content digest %s, the request has %s", brief(b.want), brief(got))
	}
	b.ready = append(b.ready, b.held...)
	b.held, b.ended = nil, true
	b.checked.Store(true)
	return nil
}

// Close does nothing: the connection that the body comes by is the server's.
func (b *withheld) Close() error { return nil }

// early refuses an answer that came before the body was checked, unless it says that
// the API did nothing: whatever it did was on another request than the token's.
func (b *withheld) early(res *http.Response) error {
	if b == nil || b.checked.Load() || res.StatusCode >= http.StatusBadRequest {
		return nil
	}
	return refuse(http.StatusBadGateway, "upstream_early", "the API answered before it had the whole body; what it did is not known")
}

// failed is why there is no answer of the API: the body turned out to be another, the
// answer is not passed on, or there is none.
func (in *intake) failed(err error) *Refusal {
	if in.large != nil {
		if ref := in.large.failed.Load(); ref != nil {
			return ref
		}
	}
	if ref := new(Refusal); errors.As(err, &ref) {
		return ref
	}
	return upstreamFailed(err)
}
