package openapi

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// unfixed are headers that cannot be the same for all calls: conditions, and what
// makes one call of several.
var unfixed = []string{"if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range", "idempotency-key", "x-idempotency-key"}

// keyHeaders are credentials by their common names.
var keyHeaders = []string{"x-api-key", "api-key", "apikey", "x-auth-token", "x-access-token"}

// maxHeader bounds the value of a fixed header, in bytes.
const maxHeader = 1000

// fixedHeaders checks the headers of Options, which go with every request.
func (c *compiler) fixedHeaders() (http.Header, error) {
	out := http.Header{}
	for _, name := range slices.Sorted(maps.Keys(c.opts.Headers)) {
		value, plain := c.opts.Headers[name], strings.ReplaceAll(strings.ToLower(name), "_", "-")
		credential := slices.Contains(keyHeaders, plain)
		for _, s := range c.api.Security {
			credential = credential || s.Type == "apiKey" && s.In == "header" && strings.ReplaceAll(strings.ToLower(s.Name), "_", "-") == plain
		}
		key := http.CanonicalHeaderKey(name)
		switch {
		case !isToken(name):
			return nil, fmt.Errorf("headers: %q is not the name of a header", name)
		case credential:
			return nil, fmt.Errorf("headers: %s holds a credential: headers are shown and kept, so give it in credentials", key)
		case ownHeader(name) && plain != "accept":
			return nil, fmt.Errorf("headers: exeat, a credential or HTTP itself sets %s", key)
		case slices.Contains(unfixed, plain):
			return nil, fmt.Errorf("headers: %s cannot be the same for all calls", key)
		case value == "" || len(value) > maxHeader || !visibleASCII(value) || strings.TrimSpace(value) != value:
			return nil, fmt.Errorf("headers: the value of %s has to be of visible ASCII characters, and 1 to %d of them", key, maxHeader)
		}
		for other := range out {
			if strings.EqualFold(strings.ReplaceAll(other, "_", "-"), plain) {
				return nil, fmt.Errorf("headers: %s is given twice", key)
			}
		}
		out.Set(key, value)
	}
	return out, nil
}

// isFixed reports whether the configuration sets a header. Servers that hand
// headers on as CGI variables do not tell - from _.
func (c *compiler) isFixed(name string) bool {
	for fixed := range c.api.headers {
		if strings.EqualFold(strings.ReplaceAll(fixed, "_", "-"), strings.ReplaceAll(name, "_", "-")) {
			return true
		}
	}
	return false
}
