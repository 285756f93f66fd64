package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/tools"
)

// No line of a log is long, whichever field a long text comes to, in either form.
func TestLogLinesAreCut(t *testing.T) {
	long := strings.Repeat("ä", 1<<20)
	for _, format := range []string{"json", "console"} {
		var out strings.Builder
		log := newLogger(format, &out)
		g := &gateway{log: log}
		whole := reflect.ValueOf(&tools.Event{}).Elem()
		texts := 0
		for i := range whole.NumField() {
			var e tools.Event
			f := reflect.ValueOf(&e).Elem().Field(i)
			switch f.Interface().(type) {
			case error, nil:
				f.Set(reflect.ValueOf(errors.New(long)))
			case []string:
				f.Set(reflect.ValueOf(append(make([]string, 10_000), long)))
			default:
				if f.Kind() != reflect.String {
					continue
				}
				f.SetString(long)
			}
			texts++
			g.observe(e)
		}
		if texts < 10 {
			t.Errorf("%d fields were tried", texts)
		}
		r := httptest.NewRequest(http.MethodGet, "/x", nil)
		r.Method, r.URL.Path = long, "/"+long
		claims := &token.Claims{Txn: long, ID: long, Subject: long}
		refused := &token.Refusal{Code: long, Detail: long, Txn: long, Cause: errors.New(long)}
		l := guardLog{log: log}
		l.decision(r, claims, nil)
		l.decision(r, nil, refused)
		l.failure(r, claims, refused)
		log.Error().Interface("panic", map[string]any{"deep": []string{long}}).Msg(long)
		for line := range strings.Lines(out.String()) {
			if len(line) > maxLogLine+1 {
				t.Errorf("%s: a line of %d bytes: %.300s", format, len(line), line)
			}
			if format == "json" && !json.Valid([]byte(line)) {
				t.Errorf("no JSON: %.300s", line)
			}
		}
		if n := strings.Count(out.String(), "bytes)"); n < texts {
			t.Errorf("%s: %d texts say that they were cut", format, n)
		}
	}
}

// Whoever has no token cannot hide in a flood of refusals that the API failed.
func TestGuardFloodHidesNoFailure(t *testing.T) {
	g := newGuarded(t, "--upstream", "http://127.0.0.1:1")
	flood := func() {
		for range refusalsLogged + 10 {
			g.raw("GET /pets HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", false)
		}
	}
	const n = refusalsLogged + 5
	flood()
	for range n {
		if got := g.raw("GET /pets HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "+g.token("GET", "/pets", "", "")+"\r\n\r\n", false); len(got) != 1 || got[0] != http.StatusBadGateway {
			t.Fatalf("a call to an API that is down: %v", got)
		}
	}
	flood()
	count := map[string]int{}
	for _, code := range g.logged() {
		count[code]++
	}
	if count["upstream_failed"] != n || count["passed"] != n || count["no_token"] != refusalsLogged {
		t.Errorf("the log has %v, want %d failures", count, n)
	}
}
