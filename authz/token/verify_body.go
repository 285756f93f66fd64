package token

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"io"
	"net/http"
	"slices"
	"strings"
)

// defaultBodyLimit is what a Verifier reads of a body unless told otherwise.
const defaultBodyLimit = 1 << 20

// incoming is the body of a request as it is read: bounded, hashed, and refused if it
// has something behind it. Its errors are refusals.
type incoming struct {
	r     *http.Request
	from  io.Reader // its body, which may have another by now
	limit int64
	read  int64
	sum   hash.Hash
	// progress, if not nil, is told how much was read so far, before each read.
	progress func(read int64)
}

// incoming opens the body of r. What could make the API read other bytes than these is
// refused: a content coding, which no claim names, and transfer codings.
func (v *Verifier) incoming(r *http.Request) (*incoming, *Refusal) {
	b := &incoming{r: r, limit: v.BodyLimit, sum: sha256.New()}
	if b.limit == 0 {
		b.limit = defaultBodyLimit
	}
	if len(r.TransferEncoding) > 0 && !slices.Equal(r.TransferEncoding, []string{"chunked"}) {
		return nil, refuse(http.StatusBadRequest, "transfer_encoding", "the request has a transfer coding other than chunked")
	}
	if coding := strings.Join(r.Header["Content-Encoding"], ", "); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, refuse(http.StatusUnsupportedMediaType, "content_encoding", "the request has the content coding %s; send the content as it is", brief(coding))
	}
	if r.ContentLength > b.limit {
		return nil, b.tooLarge()
	}
	if b.from = r.Body; r.Body == nil {
		b.from = http.NoBody
	}
	return b, nil
}

func (b *incoming) tooLarge() *Refusal {
	return refuse(http.StatusRequestEntityTooLarge, "body_too_large", "the body is larger than %d bytes", b.limit)
}

// Read returns a Refusal where the body is not as it has to be.
func (b *incoming) Read(p []byte) (int, error) {
	if b.progress != nil {
		b.progress(b.read)
	}
	if left := b.limit + 1 - b.read; int64(len(p)) > left {
		p = p[:left]
	}
	n, err := b.from.Read(p)
	b.sum.Write(p[:n])
	b.read += int64(n)
	switch {
	case b.read > b.limit:
		return 0, b.tooLarge()
	case err == io.EOF && len(b.r.Trailer) > 0: // complete only now
		return 0, refuse(http.StatusBadRequest, "trailers", "the request has trailers")
	case err != nil && err != io.EOF:
		return 0, refuse(http.StatusBadRequest, "body_unreadable", "the body cannot be read to its end").because(err)
	}
	return n, err
}

// digest is that of what was read, as contentDigest writes it.
func (b *incoming) digest() string {
	return "sha-256=:" + base64.StdEncoding.EncodeToString(b.sum.Sum(nil)) + ":"
}

// refusal is the one in an error of an incoming body.
func refusal(err error) *Refusal {
	if ref := new(Refusal); errors.As(err, &ref) {
		return ref
	}
	return refuse(http.StatusBadRequest, "body_unreadable", "the body cannot be read to its end").because(err)
}

// readBody reads the whole body into memory, so that nothing reaches the API before
// it was checked.
func (v *Verifier) readBody(r *http.Request) ([]byte, *Refusal) {
	b, ref := v.incoming(r)
	if ref != nil {
		return nil, ref
	}
	body, err := io.ReadAll(b)
	if err != nil {
		return nil, refusal(err)
	}
	return body, nil
}

// digestBody reads the whole body and keeps nothing of it.
func (v *Verifier) digestBody(r *http.Request) (string, *Refusal) {
	b, ref := v.incoming(r)
	if ref != nil {
		return "", ref
	}
	if _, err := io.Copy(io.Discard, b); err != nil {
		return "", refusal(err)
	}
	return b.digest(), nil
}

// replaceBody gives r the bytes that were checked.
func replaceBody(r *http.Request, body []byte) {
	r.Body = http.NoBody
	if len(body) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	r.ContentLength = int64(len(body))
	r.TransferEncoding = nil
}
