package tools

import (
	"net/http"
	"slices"
	"strings"
)

// headersPassed are the response headers that an agent gets: with them it finds what it
// made, asks for what has not changed, counts pages and slows down. No other one
// is passed on; a Set-Cookie is a credential. Their names are as net/http writes them.
var headersPassed = []string{"Etag", "Last-Modified", "Location", "Content-Location", "Content-Range", "X-Total-Count",
	"Ratelimit", "Ratelimit-Limit", "Ratelimit-Remaining", "Ratelimit-Reset", "X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"}

// headers are those of an answer that the agent gets. Where a policy cuts fields
// from the answer there are none: what was cut may stand in one. Redirects are
// told in the note.
func (c *course) headers(resp *http.Response) map[string]string {
	if c.redacts() || resp.StatusCode >= 300 && resp.StatusCode < 400 && resp.StatusCode != http.StatusNotModified {
		return nil
	}
	var out map[string]string
	for name, values := range resp.Header {
		if !slices.Contains(headersPassed, name) {
			continue
		}
		v := strings.ToValidUTF8(strings.Join(values, ", "), "\uFFFD")
		if v == "" || len(v) > maxNote {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[strings.ToLower(name)] = v
	}
	return out
}
