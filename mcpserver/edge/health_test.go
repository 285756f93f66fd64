package edge

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestHealth asks as strangers do: by any name, from anywhere, without a token.
func TestHealth(t *testing.T) {
	var broken atomic.Bool
	var asked atomic.Int32
	var told []string
	_, addr := reach(t, Config{PublicURL: "https://exeat.example.com/agents", Prefix: true, Trouble: func(err error) { told = append(told, err.Error()) }},
		Check{"database", func(context.Context) error {
			asked.Add(1)
			if broken.Load() {
				return errors.New("the file /secret/exeat.db is gone")
			}
			return nil
		}}, Check{"keys", func(context.Context) error { return nil }})
	for _, path := range []string{"/healthz", "/readyz", "/agents/healthz", "/agents/readyz"} {
		for range 3 {
			status, body, h := send(t, http.DefaultClient, "GET", "http://"+addr+path, "Host: 10.0.0.7:1", "Origin: https://evil.example")
			if status != 200 || h.Get("Cache-Control") != "no-store" || !strings.HasPrefix(body, `{"status":"`) || h.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: %d %s", path, status, body)
			}
		}
	}
	if n := asked.Load(); n > 2 { // a second can end in between
		t.Errorf("the database was asked %d times", n)
	}
	if status, _, _ := send(t, http.DefaultClient, "HEAD", "http://"+addr+"/readyz"); status != 200 {
		t.Error(status)
	}
	if status, _, _ := send(t, http.DefaultClient, "POST", "http://"+addr+"/readyz"); status != 405 {
		t.Error(status)
	}
	broken.Store(true)
	// What was found is good for a second, and no longer.
	h := &health{checks: []Check{{"database", func(context.Context) error { return errors.New("gone") }}, {"keys", func(context.Context) error { return nil }}}, trouble: func(err error) { told = append(told, err.Error()) }}
	now := time.Now()
	for i := range 3 {
		h.looked = now.Add(-time.Hour)
		if wrong := h.notReady(t.Context(), now); len(wrong) != 1 || wrong[0] != "database" {
			t.Errorf("%d: %v", i, wrong)
		}
	}
	if len(told) != 1 || told[0] != "not ready: database: gone" {
		t.Errorf("the operator was told %q", told)
	}
}

// TestNotReady is a 503 that says no more than a word.
func TestNotReady(t *testing.T) {
	_, addr := reach(t, Config{}, Check{"database", func(context.Context) error { return errors.New("the file /secret/exeat.db is gone") }})
	status, body, _ := send(t, http.DefaultClient, "GET", "http://"+addr+"/readyz")
	if status != 503 || body != `{"not_ready":["database"],"status":"not ready"}`+"\n" {
		t.Errorf("%d %s", status, body)
	}
	if status, _, _ := send(t, http.DefaultClient, "GET", "http://"+addr+"/healthz"); status != 200 {
		t.Error(status)
	}
}

// TestHealthOfAnother has an API behind that may have these paths itself.
func TestHealthOfAnother(t *testing.T) {
	_, addr := reach(t, Config{Foreign: true, OwnNames: true})
	if status, body, _ := send(t, http.DefaultClient, "GET", "http://"+addr+"/healthz"); status != 200 || !strings.Contains(body, "alive") {
		t.Errorf("%d %s", status, body)
	}
	if _, body, _ := send(t, http.DefaultClient, "GET", "http://"+addr+"/healthz", "Authorization: Bearer x", "X-Forwarded-For: 1.2.3.4"); !strings.Contains(body, "path=/healthz X-Forwarded-For!") || !strings.Contains(body, "client=127.0.0.1 ") {
		t.Error(body)
	}
}
