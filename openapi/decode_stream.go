package openapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Bounds of a stream: a model reads no more, and a stream need not end.
const (
	maxItems      = 1000
	maxStreamTime = 20 * time.Second
)

// streamOf is how the items of a media type follow each other: "lines", "seq"
// (RFC 7464), "events" (server-sent events, HTML §9.2), or "" if it is no stream.
func streamOf(media string) string {
	switch {
	case media == "text/event-stream":
		return "events"
	case media == "application/json-seq", strings.HasSuffix(media, "+json-seq"):
		return "seq"
	}
	switch media {
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/jsonlines", "application/json-lines", "application/stream+json", "application/x-json-stream":
		return "lines"
	}
	return ""
}

// stream reads the items of an answer as they come, as one JSON array. It ends
// with the answer, at a bound, or before the time of the call is over; an item
// that is not whole is left out. The error is non-nil only if the connection
// broke.
func (op *Operation) stream(resp *http.Response, kind string, r *Response, limit int64) error {
	wait := maxStreamTime
	if resp.Request != nil {
		if end, ok := resp.Request.Context().Deadline(); ok {
			wait = min(wait, time.Until(end)*9/10)
		}
	}
	var late atomic.Bool
	timer := time.AfterFunc(wait, func() { late.Store(true); resp.Body.Close() })
	defer timer.Stop()
	s := streamer{in: bufio.NewReaderSize(resp.Body, 64<<10), limit: int(limit)}
	err := s.read(kind)
	switch {
	case late.Load():
		s.note = fmt.Sprintf("the stream was closed after %s", wait.Round(time.Second))
	case errors.Is(err, errEnough):
	case err != nil && !errors.Is(err, io.EOF):
		return fmt.Errorf("read the stream: %w", err)
	}
	r.JSON = append(append([]byte{'['}, bytes.Join(s.items, []byte{','})...), ']')
	if s.note != "" {
		r.Note = fmt.Sprintf("%s, with %d whole items; there may be more%s", s.note, len(s.items), op.narrowing())
	}
	if s.odd > 0 {
		r.Note = both(r.Note, fmt.Sprintf("%d items are no JSON and are given as text", s.odd))
	}
	return nil
}

// errEnough ends a stream at a bound.
var errEnough = errors.New("the stream has given enough")

// streamer gathers items.
type streamer struct {
	in    *bufio.Reader
	limit int // bytes of all items
	size  int
	items [][]byte
	odd   int
	note  string
}

func (s *streamer) read(kind string) error {
	switch kind {
	case "events":
		return s.events()
	case "seq":
		return s.records(0x1e)
	}
	return s.records('\n')
}

// piece reads up to and including a delimiter. whole is false at the end of the
// stream.
func (s *streamer) piece(delim byte) (data []byte, whole bool, err error) {
	for {
		part, err := s.in.ReadSlice(delim)
		if len(data)+len(part) > s.limit-s.size+1 {
			s.note = fmt.Sprintf("the stream was closed after %d bytes", s.size)
			return nil, false, errEnough
		}
		data = append(data, part...)
		if err == nil {
			return data, true, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return data, false, err
		}
	}
}

// records reads JSON texts that end with a line feed, or begin with RS.
func (s *streamer) records(delim byte) error {
	for {
		data, whole, err := s.piece(delim)
		text := bytes.TrimSpace(bytes.TrimSuffix(data, []byte{delim}))
		// The last record needs no delimiter behind it, but has to be whole.
		if len(text) > 0 && (whole || errors.Is(err, io.EOF) && (delim == '\n' || bytes.HasSuffix(data, []byte{'\n'})) && json.Valid(text)) {
			if err := s.add(s.value(text)); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// value is a text as JSON: itself if it is, else a string.
func (s *streamer) value(text []byte) []byte {
	if json.Valid(text) && !deep(text) {
		if clean := bytes.ToValidUTF8(text, []byte("\uFFFD")); json.Valid(clean) {
			return clean
		}
	}
	s.odd++
	return jsonText(string(text))
}

func jsonText(text string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		return []byte(`""`) // a string can always be encoded
	}
	return bytes.TrimSpace(b.Bytes())
}

func (s *streamer) add(item []byte) error {
	if s.size += len(item) + 1; s.size > s.limit {
		s.note = fmt.Sprintf("the stream was closed after %d bytes", s.limit)
		return errEnough
	}
	s.items = append(s.items, item)
	if len(s.items) == maxItems {
		s.note = "the stream was closed"
		return errEnough
	}
	return nil
}

// events reads server-sent events. An event that no empty line ended is
// dropped. Streams of models end with the data [DONE].
func (s *streamer) events() error {
	var name, id string
	var data []string
	first := true
	for {
		line, whole, err := s.piece('\n')
		if !whole {
			return err
		}
		text := strings.ToValidUTF8(strings.TrimRight(string(line), "\r\n"), "\uFFFD")
		if first {
			text, first = strings.TrimPrefix(text, "\uFEFF"), false
		}
		if text == "" {
			done, err := s.event(name, id, data)
			if err != nil || done {
				return err
			}
			name, data = "", nil
			continue
		}
		field, value, _ := strings.Cut(text, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			name = value
		case "id":
			id = value
		case "data":
			data = append(data, value)
		}
	}
}

// event takes in one event, and reports whether it was the last.
func (s *streamer) event(name, id string, data []string) (last bool, err error) {
	if data == nil {
		return false, nil
	}
	text := strings.Join(data, "\n")
	if text == "[DONE]" {
		return true, nil
	}
	item := []byte(text)
	if !json.Valid(item) || deep(item) {
		item = jsonText(text) // events may hold anything
	}
	if name == "message" {
		name = "" // as an event without a name is
	}
	if name != "" || id != "" {
		var b bytes.Buffer
		b.WriteByte('{')
		if name != "" {
			b.WriteString(`"event":`)
			b.Write(jsonText(name))
			b.WriteByte(',')
		}
		if id != "" {
			b.WriteString(`"id":`)
			b.Write(jsonText(id))
			b.WriteByte(',')
		}
		b.WriteString(`"data":`)
		b.Write(item)
		b.WriteByte('}')
		item = b.Bytes()
	}
	return false, s.add(item)
}
