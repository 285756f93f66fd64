package openapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// errNoServer is an API that can be listed but not called.
var errNoServer = errors.New("the document names no absolute server: pass --base-url https://…")

// Encode writes checked arguments into the request they stand for. It is
// strict: a path argument cannot add, remove or dot a segment, and no value can
// break out of its header, cookie or query parameter. The error is an
// *ArgumentError, or plain if the operation has no absolute server.
func (op *Operation) Encode(args *Args) (*Request, error) {
	base := op.baseURL
	if base == "" {
		base = op.API.BaseURL
	}
	if base == "" {
		return nil, errNoServer
	}
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("the server %q: %v", base, err)
	}
	r := &Request{Method: op.Method, Origin: u.Scheme + "://" + u.Host, Header: http.Header{"Accept": {"application/json, */*;q=0.5"}}}
	path, query, _ := strings.Cut(op.Path, "?") // some documents put a query there
	var cookies []string
	for _, p := range op.params {
		v, ok := args.value[p.Property]
		if !ok || v == nil && p.In != "path" {
			continue // null is no value a parameter can have
		}
		at := "/" + escape(p.Property)
		var bad *ArgumentError
		switch p.In {
		case "path":
			var s string
			if s, bad = p.pathValue(v, at); bad == nil {
				path = strings.ReplaceAll(path, "{"+p.Name+"}", s)
			}
		case "query":
			var pairs string
			if pairs, bad = p.queryPairs(v, at); pairs != "" {
				query = joinQuery(query, pairs)
			}
		case "header":
			var s string
			if s, bad = p.headerValue(v, at); bad == nil {
				r.Header.Set(p.Name, s)
			}
		case "cookie":
			var s string
			if s, bad = p.cookiePairs(v, at); bad == nil && s != "" {
				cookies = append(cookies, s)
			}
		}
		if bad != nil {
			return nil, bad
		}
	}
	if len(cookies) > 0 {
		r.Header.Set("Cookie", strings.Join(cookies, "; "))
	}
	r.Path = encodeTemplate(path)
	r.Target = u.EscapedPath() + r.Path
	if query != "" {
		r.Target += "?" + query
	}
	if op.body != nil {
		if v, ok := args.value["body"]; ok {
			if bad := op.body.encode(r, v); bad != nil {
				return nil, bad
			}
		}
	}
	return r, nil
}

func joinQuery(a, b string) string {
	if a == "" {
		return b
	}
	return a + "&" + b
}

// encodeTemplate escapes what a path template itself may hold outside ASCII;
// argument values are escaped already.
func encodeTemplate(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// escapeValue percent-encodes everything but unreserved characters (RFC 3986
// §2.3), or also leaves the reserved ones that keep below allows.
func escapeValue(s, keep string) string {
	plain := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			c == '-' || c == '.' || c == '_' || c == '~' || strings.IndexByte(keep, c) >= 0
	}
	n := 0
	for i := 0; i < len(s); i++ {
		if !plain(s[i]) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	b := make([]byte, 0, len(s)+2*n)
	for i := 0; i < len(s); i++ {
		if c := s[i]; plain(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
		}
	}
	return string(b)
}

// reservedInQuery are the reserved characters that allowReserved leaves alone.
// Those that would end the value or the query stay encoded: & = + #.
const reservedInQuery = ":/?[]@!$'()*,;"

// pathValue writes a path argument so that it stays within its segment.
func (p param) pathValue(v any, at string) (string, *ArgumentError) {
	parts, bad := p.parts(v, at)
	if bad != nil {
		return "", bad
	}
	for _, x := range parts.all() {
		if bad := safeSegment(x, at); bad != nil {
			return "", bad
		}
	}
	s := parts.write(p, func(s string) string { return escapeValue(s, "") })
	// Styles put their own dots and commas around values: look at the whole.
	if bad := safeSegment(s, at); bad != nil {
		return "", bad
	}
	return s, nil
}

// safeSegment refuses values that some reader between here and the API could
// take for another path: empty ones, dots, and slashes, however often encoded.
func safeSegment(s, at string) *ArgumentError {
	for range 10 {
		switch {
		case s == "":
			return refuse(at, "must not be empty in a path")
		case strings.Trim(s, ".") == "" && len(s) <= 2:
			return refuse(at, "must not be a dot segment")
		case strings.ContainsAny(s, "/\\"):
			return refuse(at, "must not hold a slash or backslash, encoded or not")
		case !utf8.ValidString(s):
			return refuse(at, "must be UTF-8, encoded or not")
		case hasControl(s):
			return refuse(at, "must not hold control characters, encoded or not")
		}
		// ";x" after dots is a dot segment to some servers.
		if head, _, ok := strings.Cut(s, ";"); ok && strings.Trim(head, ".") == "" && len(head) <= 2 && head != "" {
			return refuse(at, "must not be a dot segment")
		}
		next, err := url.PathUnescape(s)
		if err != nil || next == s {
			return nil
		}
		s = next
	}
	return refuse(at, "is percent-encoded too many times")
}

func hasControl(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 }) >= 0
}

// headerValue writes a header argument: visible ASCII and spaces within.
func (p param) headerValue(v any, at string) (string, *ArgumentError) {
	parts, bad := p.parts(v, at)
	if bad != nil {
		return "", bad
	}
	s := parts.write(p, func(s string) string { return s })
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] >= 0x7f {
			return "", refuse(at, "must be visible ASCII characters in a header")
		}
	}
	if strings.TrimSpace(s) != s {
		return "", refuse(at, "must not begin or end with a space in a header")
	}
	return s, nil
}
