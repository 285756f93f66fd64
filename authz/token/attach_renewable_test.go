package token

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A standing key is read anew when it was refused, and not more often than every ten
// seconds.
func TestRenewable(t *testing.T) {
	reads, now := 0, time.Unix(1e9, 0)
	var failing error
	k := NewRenewable(Bearer(NewSecret("first")), func(context.Context) (*Static, error) {
		reads++
		return Bearer(NewSecret(strings.Repeat("x", reads))), failing
	})
	k.now = func() time.Time { return now }
	attach := func(fresh bool, want string) {
		t.Helper()
		r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1/pets", nil)
		if err != nil {
			t.Fatal(err)
		}
		receipt, err := k.Attach(t.Context(), Call{Fresh: fresh}, r)
		if got := r.Header.Get("Authorization"); got != want || (err == nil) != (want != "") {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
		if err == nil && (!receipt.Standing || !receipt.Renewable || receipt.Strategy != "static") {
			t.Errorf("%+v", receipt)
		}
	}
	attach(false, "Bearer first")
	attach(true, "Bearer x")
	attach(true, "Bearer x")
	now = now.Add(renewEvery)
	attach(false, "Bearer x")
	attach(true, "Bearer xx")
	now, failing = now.Add(renewEvery), errors.New("locked")
	attach(true, "")
	attach(false, "Bearer xx")
	if reads != 3 {
		t.Errorf("%d reads", reads)
	}
}

// Of several credentials, one that can be another is enough.
func TestTogetherRenewable(t *testing.T) {
	app := &Static{Placement{In: "query", Name: "app"}, NewSecret("k2")}
	renewable := NewRenewable(Bearer(NewSecret("k")), nil)
	for name, c := range map[string]struct {
		parts Together
		want  bool
	}{
		"nothing":       {nil, false},
		"a key":         {Together{{Attacher: app}}, false},
		"none":          {Together{{Attacher: &Together{}}}, false},
		"one renewable": {Together{{Attacher: app}, {Attacher: renewable}}, true},
	} {
		r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1/pets", nil)
		if err != nil {
			t.Fatal(err)
		}
		if receipt, err := c.parts.Attach(t.Context(), Call{}, r); err != nil || receipt.Renewable != c.want {
			t.Errorf("%s: %+v, %v", name, receipt, err)
		}
	}
}
