package token

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
)

// defaultBodyLimit is what a Verifier reads of a body unless told otherwise.
const defaultBodyLimit = 1 << 20

// readBody reads the whole body, so that nothing reaches the API before it was
// checked. What could make the API read other bytes than these is refused: a
// content coding, which no claim names, trailers, and transfer codings.
func (v *Verifier) readBody(r *http.Request) ([]byte, *Refusal) {
	limit := v.BodyLimit
	if limit == 0 {
		limit = defaultBodyLimit
	}
	if len(r.TransferEncoding) > 0 && !slices.Equal(r.TransferEncoding, []string{"chunked"}) {
		return nil, refuse(http.StatusBadRequest, "transfer_encoding", "the request has a transfer coding other than chunked")
	}
	if coding := strings.Join(r.Header["Content-Encoding"], ", "); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, refuse(http.StatusUnsupportedMediaType, "content_encoding", "the request has the content coding %s; send the content as it is", brief(coding))
	}
	if r.ContentLength > limit {
		return nil, refuse(http.StatusRequestEntityTooLarge, "body_too_large", "the body is larger than %d bytes", limit)
	}
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(io.LimitReader(r.Body, limit+1))
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "body_unreadable", "the body cannot be read to its end")
		}
	}
	if int64(len(body)) > limit {
		return nil, refuse(http.StatusRequestEntityTooLarge, "body_too_large", "the body is larger than %d bytes", limit)
	}
	if len(r.Trailer) > 0 { // complete only now
		return nil, refuse(http.StatusBadRequest, "trailers", "the request has trailers")
	}
	return body, nil
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
