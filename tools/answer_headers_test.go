package tools

import (
	"net/http"
	"strings"
	"testing"

	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/tools/scrub"
	"github.com/google/go-cmp/cmp"
)

// Of the response's headers an agent gets those that help it, and no other.
func TestResponseHeaders(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		header http.Header
		redact []string
		want   map[string]string
	}{
		"what was made":    {201, http.Header{"Location": {"/pets/7"}, "Etag": {`"a"`}}, nil, map[string]string{"location": "/pets/7", "etag": `"a"`}},
		"rates":            {200, http.Header{"X-Ratelimit-Remaining": {"3"}, "Ratelimit": {`"a";r=1`, `"b";r=2`}}, nil, map[string]string{"x-ratelimit-remaining": "3", "ratelimit": `"a";r=1, "b";r=2`}},
		"cookies":          {200, http.Header{"Set-Cookie": {"sid=1"}, "Authorization": {"x"}, "X-Api-Key": {"y"}}, nil, nil},
		"the credential":   {200, http.Header{"Location": {"/x?key=secret-of-the-api"}}, nil, map[string]string{"location": "/x?key=" + removed}},
		"no text":          {200, http.Header{"Etag": {"\"\xff\""}}, nil, map[string]string{"etag": "\"\uFFFD\""}},
		"too long":         {200, http.Header{"Etag": {strings.Repeat("x", maxNote+1)}}, nil, nil},
		"fields are cut":   {200, http.Header{"Location": {"/people/123-45-6789"}}, []string{"/ssn"}, nil},
		"a redirect":       {302, http.Header{"Location": {"/elsewhere"}}, nil, nil},
		"nothing is newer": {304, http.Header{"Etag": {`"a"`}}, nil, map[string]string{"etag": `"a"`}},
		"none":             {200, nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := &course{}
			c.decision.Obligations.Redact = tt.redact
			c.scrubber = scrub.New(removed, "secret-of-the-api")
			resp := &http.Response{StatusCode: tt.status, Header: tt.header}
			c.scrubSource(resp, &openapi.Response{})
			got := c.headers(resp)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
