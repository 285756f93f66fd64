package token

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// noted is a credential that notes what it is asked for.
type noted struct {
	receipt Receipt
	scopes  []string
}

func (m *noted) Attach(_ context.Context, c Call, r *http.Request) (Receipt, error) {
	m.scopes = c.Scopes
	r.Header.Set("Authorization", "Bearer x")
	return m.receipt, nil
}

func TestTogether(t *testing.T) {
	soon := time.Now().Add(time.Minute)
	token := &noted{receipt: Receipt{Strategy: "client_credentials", Expires: soon}}
	key := &Static{Placement{In: "query", Name: "key"}, NewSecret("k1")}
	app := &Static{Placement{In: "query", Name: "app"}, NewSecret("k2")}
	sid := &Static{Placement{In: "cookie", Name: "sid"}, NewSecret("k3")}
	c := Call{Scopes: []string{"other"}}
	tests := []struct {
		name  string
		parts Together
		want  Receipt
		sent  string // query, Authorization, Cookie
	}{
		{"none", nil, Receipt{Strategy: "none"}, "a=1||"},
		{"two of a kind", Together{{Attacher: key}, {Attacher: app}}, Receipt{Strategy: "static", Standing: true}, "a=1&key=k1&app=k2||"},
		{"three kinds of places", Together{{Attacher: token, Scopes: []string{"read"}}, {Attacher: key}, {Attacher: sid}},
			Receipt{Strategy: "client_credentials+static", Expires: soon, Standing: true, Renewable: true}, "a=1&key=k1|Bearer x|sid=k3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequest("GET", "http://127.0.0.1/?a=1", nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tt.parts.Attach(t.Context(), c, r)
			if d := cmp.Diff(tt.want, got); d != "" || err != nil {
				t.Error(d, err)
			}
			if sent := r.URL.RawQuery + "|" + r.Header.Get("Authorization") + "|" + r.Header.Get("Cookie"); sent != tt.sent {
				t.Errorf("sent %s, want %s", sent, tt.sent)
			}
		})
	}
	if d := cmp.Diff([]string{"read"}, token.scopes); d != "" {
		t.Error(d)
	}
	r, _ := http.NewRequest("GET", "http://127.0.0.1/", nil)
	if _, err := (Together{{Attacher: token}, {Attacher: Bearer(NewSecret("x"))}}).Attach(t.Context(), c, r); err == nil {
		t.Error("two credentials in one place")
	}
	if _, err := (Together{{Attacher: key}, {Attacher: Missing{"there is none"}}}).Attach(t.Context(), c, r); err == nil || err.Error() != "there is none" {
		t.Error(err)
	}
}

func TestByOperation(t *testing.T) {
	by := ByOperation{"known": Together{}, "short": Missing{"no key"}}
	r, _ := http.NewRequest("GET", "http://127.0.0.1/", nil)
	for op, want := range map[string]string{"known": "", "short": "no key", "unknown": `nothing is known of the credential of the operation "unknown"`} {
		_, err := by.Attach(t.Context(), Call{Details: Details{Identifier: op}}, r)
		if (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%s: %v", op, err)
		}
	}
}
