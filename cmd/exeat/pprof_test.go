package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// TestProfilesAreForThisMachine: off without the flag, on loopback only, and for
// nobody whom a name of their own led here.
func TestProfilesAreForThisMachine(t *testing.T) {
	for addr, want := range map[string]string{
		"":                "",
		"0.0.0.0:6060":    "loopback only",
		"192.0.2.1:6060":  "loopback only",
		"localhost:6060":  "loopback only",
		":6060":           "loopback only",
		"127.0.0.1":       "loopback only",
		"127.0.0.1:0":     "",
		"127.0.0.1:99999": "listen on",
	} {
		err := serveProfiles(t.Context(), addr, zerolog.Nop())
		if got := errText(err); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", addr, got, want)
		}
	}
	srv := httptest.NewServer(profilesHandler())
	defer srv.Close()
	for _, c := range []struct {
		host, path string
		status     int
	}{
		{"", "/debug/pprof/heap?debug=1", 200},
		{"", "/debug/pprof/block?debug=1", 200},
		{"", "/debug/pprof/cmdline", 404}, // it could hold what somebody typed
		{"evil.example:6060", "/debug/pprof/heap", 403},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = c.host
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != c.status || len(body) == 0 {
			t.Errorf("%s of %q: %d with %d bytes, %v; want %d", c.path, c.host, res.StatusCode, len(body), err, c.status)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
