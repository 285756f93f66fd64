package token

import (
	"net/http"
	"testing"
)

// Headers beside a credential leave it its scopes, and no argument chooses what is in
// them.
func TestWithHeaders(t *testing.T) {
	asked := &noted{receipt: Receipt{Strategy: "signed"}}
	w := WithHeaders{asked, []Attacher{&Static{Placement{In: "header", Name: "X-Subscription"}, NewSecret("s3cret")}}}
	r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1/pets", nil)
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := w.Attach(t.Context(), Call{Scopes: []string{"pets:read"}}, r)
	if err != nil || r.Header.Get("X-Subscription") != "s3cret" || len(asked.scopes) != 1 || receipt.Strategy != "signed+static" || !receipt.Standing || !receipt.Renewable {
		t.Errorf("%v, %v, %+v, %v", r.Header, asked.scopes, receipt, err)
	}
	if _, err := w.Attach(t.Context(), Call{}, r); err == nil {
		t.Error("a request that has the header already is taken")
	}
}
