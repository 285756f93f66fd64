package token

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Placement says where a standing credential goes.
type Placement struct {
	In     string // header, query, cookie
	Name   string
	Prefix string // e.g. "Bearer "
}

// String names the place, such as header X-Api-Key.
func (p Placement) String() string { return p.In + " " + p.Name }

// Static places a standing key. The secret is read once, from the environment
// or a file, and never printed.
type Static struct {
	Placement Placement
	Secret    Secret
}

// Bearer places key as an RFC 6750 bearer token.
func Bearer(key Secret) *Static {
	return &Static{Placement{In: "header", Name: "Authorization", Prefix: "Bearer "}, key}
}

// Basic places a user and password as RFC 7617 credentials. The user must not
// hold a colon.
func Basic(user string, password Secret) *Static {
	pair := base64.StdEncoding.EncodeToString([]byte(user + ":" + password.Reveal()))
	return &Static{Placement{In: "header", Name: "Authorization", Prefix: "Basic "}, NewSecret(pair)}
}

var (
	fieldName   = regexp.MustCompile("^[-!#$%&'*+.^_`|~0-9A-Za-z]+$")                 // RFC 9110 token
	cookieValue = regexp.MustCompile(`^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+$`) // RFC 6265 cookie-octet
)

// ownHeaders are those that belong to the message itself.
var ownHeaders = []string{"Host", "Content-Type", "Content-Length", "Transfer-Encoding", "Connection", "Cookie", "If-Match", "Idempotency-Key"}

// Check reports a placement or secret that cannot work, so that a wrong
// configuration does not start.
func (s *Static) Check() error {
	p := s.Placement
	switch {
	case s.Secret.IsZero():
		return errors.New("the standing key is empty")
	case p.Name == "":
		return errors.New("the standing key has no header, query or cookie name")
	case !s.Secret.headerSafe():
		return errors.New("the standing key holds a line break or another control character")
	case !NewSecret(p.Prefix).headerSafe():
		return errors.New("the prefix of the standing key holds a line break or another control character")
	}
	switch p.In {
	case "header":
		if !fieldName.MatchString(p.Name) {
			return fmt.Errorf("a standing key cannot go into the header %q: not a header name", p.Name)
		}
		for _, own := range ownHeaders {
			if strings.EqualFold(own, p.Name) {
				return fmt.Errorf("a standing key cannot go into the header %s, which has a meaning of its own", own)
			}
		}
	case "query":
	case "cookie":
		if !fieldName.MatchString(p.Name) {
			return fmt.Errorf("a standing key cannot go into the cookie %q: not a cookie name", p.Name)
		}
		if !cookieValue.MatchString(p.Prefix + s.Secret.Reveal()) {
			return errors.New("the standing key holds a character that a cookie cannot carry")
		}
	default:
		return fmt.Errorf("a standing key goes into a header, query or cookie, not %q", p.In)
	}
	return nil
}

// Attach places the key on r. A request that already has something in that
// place is refused, and must not be sent: the agent must not choose the
// credential.
func (s *Static) Attach(_ context.Context, _ Call, r *http.Request) (Receipt, error) {
	if err := s.Check(); err != nil {
		return Receipt{}, err
	}
	if s.remove(r) {
		return Receipt{}, fmt.Errorf("the request already has the %s %q, where the standing key goes", s.Placement.In, s.Placement.Name)
	}
	s.place(r)
	return Receipt{Strategy: "static", Standing: true}, nil
}

// place puts the key on r; the caller has used Check.
func (s *Static) place(r *http.Request) {
	p, value := s.Placement, s.Placement.Prefix+s.Secret.Reveal()
	switch p.In {
	case "header":
		r.Header.Set(p.Name, value)
	case "query":
		pair := url.QueryEscape(p.Name) + "=" + url.QueryEscape(value)
		if r.URL.RawQuery != "" {
			pair = r.URL.RawQuery + "&" + pair
		}
		r.URL.RawQuery = pair
	case "cookie":
		pair := p.Name + "=" + value
		if old := r.Header["Cookie"]; len(old) > 0 {
			pair = strings.Join(old, "; ") + "; " + pair
		}
		r.Header.Set("Cookie", pair)
	}
}

// remove takes away whatever r has where the key goes, and tells whether there
// was something.
func (s *Static) remove(r *http.Request) (found bool) {
	switch s.Placement.In {
	case "header":
		return RemoveField(r.Header, s.Placement.Name)
	case "query":
		r.URL.RawQuery, found = withoutQuery(r.URL.RawQuery, s.Placement.Name)
	case "cookie":
		var rest string
		rest, found = withoutCookie(r.Header["Cookie"], s.Placement.Name)
		if found {
			r.Header.Del("Cookie")
		}
		if found && rest != "" {
			r.Header.Set("Cookie", rest)
		}
	}
	return found
}

// sameField compares header names as the servers behind a gateway interface do,
// for which X_Api_Key and X-Api-Key are one.
func sameField(a, b string) bool {
	return strings.EqualFold(strings.ReplaceAll(a, "_", "-"), strings.ReplaceAll(b, "_", "-"))
}

// RemoveField takes a field out of h, however its name is written, and reports whether
// it was there. A request that already has something where a credential goes must not
// be sent: the agent must not choose the credential.
func RemoveField(h http.Header, field string) (found bool) {
	for name := range h {
		if sameField(name, field) {
			delete(h, name)
			found = true
		}
	}
	return found
}

// FreeAuthorization refuses a request that already has an Authorization header, where
// a token is to go, and takes it off.
func FreeAuthorization(r *http.Request) error {
	if RemoveField(r.Header, "Authorization") {
		return errors.New("the request already has an Authorization header, where the token goes")
	}
	return nil
}

// withoutQuery cuts the pairs called name, in any case and however encoded, out
// of a raw query and leaves the other bytes alone. Some servers also separate
// pairs by semicolons, so it does too.
func withoutQuery(raw, name string) (rest string, found bool) {
	var kept strings.Builder
	first := true
	for sep := ""; ; {
		pair, tail, more := raw, "", false
		if end := strings.IndexAny(raw, "&;"); end >= 0 {
			pair, tail, more = raw[:end], raw[end:], true
		}
		key, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(key); err == nil {
			key = plain
		}
		if strings.EqualFold(key, name) {
			found = true
		} else {
			if !first {
				kept.WriteString(sep)
			}
			kept.WriteString(pair)
			first = false
		}
		if !more {
			return kept.String(), found
		}
		sep, raw = tail[:1], tail[1:]
	}
}

// withoutCookie joins the cookies of lines, except those called name.
func withoutCookie(lines []string, name string) (rest string, found bool) {
	var kept []string
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.TrimSpace(pair)
			key, _, _ := strings.Cut(pair, "=")
			switch {
			case strings.EqualFold(strings.TrimSpace(key), name):
				found = true
			case pair != "":
				kept = append(kept, pair)
			}
		}
	}
	return strings.Join(kept, "; "), found
}
