package openapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func streamed(t testing.TB, media, body string, limit int64) *Response {
	t.Helper()
	resp := &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {media}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}
	r, err := (&Operation{}).Decode(resp, limit)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestStreams(t *testing.T) {
	for name, tt := range map[string]struct{ media, body, want, note string }{
		"lines":               {"application/x-ndjson", "{\"a\":1}\n{\"a\":2}\n", `[{"a":1},{"a":2}]`, ""},
		"no last line feed":   {"application/jsonl; charset=utf-8", "1\r\n\r\n2.50", `[1,2.50]`, ""},
		"a last item cut":     {"application/x-ndjson", "1\n{\"a\":", `[1]`, ""},
		"not all JSON":        {"application/x-ndjson", "1\nwhat?\n3\n", `[1,"what?",3]`, "1 items are no JSON"},
		"nothing":             {"application/x-ndjson", "", `[]`, ""},
		"sequence":            {"application/json-seq", "\x1e{\"a\":1}\n\x1e[2]\n", `[{"a":1},[2]]`, ""},
		"a sequence cut":      {"application/geo+json-seq", "\x1e1\n\x1e23", `[1]`, ""},
		"events":              {"text/event-stream", "data: {\"a\":1}\n\ndata: b\ndata: c\n\n", `[{"a":1},"b\nc"]`, ""},
		"names and ids":       {"text/event-stream", "\uFEFFevent: tick\nid: 7\ndata: 1\n\nevent: message\ndata: 2\n\n", `[{"event":"tick","id":"7","data":1},{"id":"7","data":2}]`, ""},
		"comments and retry":  {"text/event-stream", ": hello\nretry: 10\n\ndata:x\r\n\r\n", `["x"]`, ""},
		"done":                {"text/event-stream", "data: 1\n\ndata: [DONE]\n\ndata: 2\n\n", `[1]`, ""},
		"an event cut":        {"text/event-stream", "data: 1\n\ndata: {\"a\":", `[1]`, ""},
		"events without data": {"text/event-stream", "event: x\n\n", `[]`, ""},
	} {
		r := streamed(t, tt.media, tt.body, 1<<20)
		if string(r.JSON) != tt.want || !strings.Contains(r.Note, tt.note) || (tt.note == "") != (r.Note == "") {
			t.Errorf("%s: %s, %q", name, r.JSON, r.Note)
		}
	}
}

func TestStreamsAreBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		body  string
		limit int64
		items int
	}{
		"many items":  {strings.Repeat("1\n", 5000), 1 << 20, maxItems},
		"many bytes":  {strings.Repeat(`"`+strings.Repeat("x", 98)+"\"\n", 100), 1000, 9},
		"a long item": {"1\n" + strings.Repeat("9", 100_000), 1000, 1},
	} {
		r := streamed(t, "application/x-ndjson", tt.body, tt.limit)
		var items []any
		if err := json.Unmarshal(r.JSON, &items); err != nil || len(items) != tt.items || !strings.Contains(r.Note, "the stream was closed") {
			t.Errorf("%s: %d items, %q, %v", name, len(items), r.Note, err)
		}
	}
}

// A stream that does not end is closed before the time of the call is over.
func TestStreamWithoutEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	gone := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
		}
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(gone)
	}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	r, err := (&Operation{}).Decode(resp, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if string(r.JSON) != "[0,1,2]" || !strings.Contains(r.Note, "with 3 whole items; there may be more") {
		t.Errorf("%s, %q", r.JSON, r.Note)
	}
	<-gone
}

func FuzzStream(f *testing.F) {
	media := []string{"application/x-ndjson", "application/json-seq", "text/event-stream"}
	for i := range media {
		f.Add(uint8(i), "data: 1\n\n\x1e{}\n[1]\n")
	}
	f.Fuzz(func(t *testing.T, kind uint8, body string) {
		r := streamed(t, media[int(kind)%len(media)], body, 300)
		if !json.Valid(r.JSON) || r.JSON[0] != '[' || len(r.JSON) > 400 {
			t.Errorf("%q: %s", body, r.JSON)
		}
	})
}
