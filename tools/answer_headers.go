package tools

import (
	"net/http"
	"strings"
)

// headersPassed are the response headers that an agent gets: with them it finds what it
// made, asks for what has not changed, counts pages and slows down. No other one
// is passed on; a Set-Cookie is a credential.
var headersPassed = []string{"ETag", "Last-Modified", "Location", "Content-Location", "Content-Range", "X-Total-Count",
	"RateLimit", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}

// headers are those of an answer that the agent gets. Where a policy cuts fields
// from the answer there are none: what was cut may stand in one. Redirects are
// told in the note.
func (c *course) headers(resp *http.Response) map[string]string {
	if c.redacts() || resp.StatusCode >= 300 && resp.StatusCode < 400 && resp.StatusCode != http.StatusNotModified {
		return nil
	}
	var out map[string]string
	for _, name := range headersPassed {
		v := strings.ToValidUTF8(strings.Join(resp.Header.Values(name), ", "), "\uFFFD")
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
