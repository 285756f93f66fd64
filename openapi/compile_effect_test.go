package openapi

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const effects = v30 + `paths:
  /get: {get: {operationId: get, x-exeat-effect: delete}}
  /search: {post: {operationId: search, x-exeat-effect: read}}
  /put: {put: {operationId: put, x-exeat-effect: read}}
  /patch: {patch: {operationId: patch, x-exeat-effect: read}}
  /delete: {delete: {operationId: delete, x-exeat-effect: write}}
  /post: {post: {operationId: post, x-exeat-effect: delete}}
`

const harmless = `overlay: 1.0.0
info: {title: Ours, version: "1"}
actions:
  - target: $.paths['/put'].put
    update: {x-exeat-effect: read}
  - target: $.paths['/delete'].delete
    update: {x-exeat-effect: read}
`

// A document can make an effect stricter; that something is harmless is for the
// operator to say.
func TestDocumentsEffects(t *testing.T) {
	outside := outsideClient(t, map[string]string{"/d.yaml": effects})
	file, overlay := written(t, "d.yaml", effects), written(t, "o.yaml", harmless)
	for _, tt := range []struct {
		name, location string
		opts           Options
		want           map[string]Effect
		findings       int
	}{
		{"file", file, Options{}, map[string]Effect{"get": Delete, "search": Read, "put": Write, "patch": Write, "delete": Delete, "post": Delete}, 4},
		{"fetched", "https://api.example.com/d.yaml", Options{Client: outside},
			map[string]Effect{"get": Delete, "search": Write, "put": Write, "patch": Write, "delete": Delete, "post": Delete}, 4},
		// What the overlay repeats is still the document's word only.
		{"overlay", file, Options{Overlays: []string{overlay}}, map[string]Effect{"get": Delete, "search": Read, "put": Write, "patch": Write, "delete": Read, "post": Delete}, 3},
		{"configuration", "https://api.example.com/d.yaml", Options{Client: outside, Effects: map[string]Effect{"put": Read}},
			map[string]Effect{"get": Delete, "search": Write, "put": Read, "patch": Write, "delete": Delete, "post": Delete}, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			api, err := Load(t.Context(), tt.location, tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]Effect{}
			for _, op := range api.Operations {
				got[op.ID] = op.Effect
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			n := 0
			for _, f := range api.Findings {
				if strings.HasSuffix(f.Pointer, "/x-exeat-effect") && !f.LeftOut {
					n++
				}
			}
			if n != tt.findings {
				t.Errorf("%d findings about effects, want %d: %v", n, tt.findings, api.Findings)
			}
		})
	}
}

// outsideClient reaches a server on loopback that is api.example.com over TLS,
// whatever name is asked for.
func outsideClient(t *testing.T, files map[string]string) *http.Client {
	t.Helper()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, text)
	}))
	t.Cleanup(srv.Close)
	client := srv.Client()
	client.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", srv.Listener.Addr().String())
	}
	return client
}
