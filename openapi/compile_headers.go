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

// fixedHeaders checks the headers of Options, which go with every request, and returns
// those that are no secrets.
func (c *compiler) fixedHeaders() (http.Header, error) {
	out, names := http.Header{}, map[string]bool{}
	for _, name := range append(slices.Sorted(maps.Keys(c.opts.Headers)), c.opts.SecretHeaders...) {
		value, shown := c.opts.Headers[name]
		key, plain := http.CanonicalHeaderKey(name), plainHeader(name)
		if err := c.checkFixed(name, shown); err != nil {
			return nil, err
		}
		if names[plain] {
			return nil, fmt.Errorf("headers: %s is given twice", key)
		}
		names[plain] = true
		if !shown {
			continue
		}
		if value == "" || len(value) > maxHeader || !visibleASCII(value) || strings.TrimSpace(value) != value {
			return nil, fmt.Errorf("headers: the value of %s has to be of visible ASCII characters, and 1 to %d of them", key, maxHeader)
		}
		out.Set(key, value)
	}
	return out, nil
}

// plainHeader is a name as servers compare it that hand headers on as CGI variables,
// which do not tell - from _.
func plainHeader(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "-") }

// checkFixed refuses names of headers that cannot be fixed ones. What is shown must
// not be a credential.
func (c *compiler) checkFixed(name string, shown bool) error {
	key, plain := http.CanonicalHeaderKey(name), plainHeader(name)
	scheme := false
	for _, s := range c.api.Security {
		scheme = scheme || s.Type == "apiKey" && s.In == "header" && plainHeader(s.Name) == plain
	}
	switch {
	case !isToken(name):
		return fmt.Errorf("headers: %q is not the name of a header", name)
	case scheme && !shown:
		return fmt.Errorf("headers: %s is where a security scheme of the document puts a key, so give it in credentials", key)
	case scheme || shown && slices.Contains(keyHeaders, plain):
		return fmt.Errorf("headers: %s holds a credential: headers are shown and kept, so give it in credentials, or as {env: NAME}", key)
	case ownHeader(name) && (plain != "accept" || !shown):
		return fmt.Errorf("headers: exeat, a credential or HTTP itself sets %s", key)
	case slices.Contains(unfixed, plain):
		return fmt.Errorf("headers: %s cannot be the same for all calls", key)
	}
	return nil
}

// isFixed reports whether the configuration sets a header.
func (c *compiler) isFixed(name string) bool {
	same := func(fixed string) bool { return plainHeader(fixed) == plainHeader(name) }
	return slices.ContainsFunc(slices.Collect(maps.Keys(c.api.headers)), same) || slices.ContainsFunc(c.opts.SecretHeaders, same)
}
