package tools

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/exeat/exeat/authz/token"
)

// Challenge is what an API says that it wants where it refuses a credential (RFC 9110
// §11.6.1). Its values are the API's own words, as far as they look like what they
// should be; free text is left out.
type Challenge struct {
	Scheme string `json:"scheme"`
	Error  string `json:"error,omitempty"`      // RFC 6750 §3.1
	Scope  string `json:"scope,omitempty"`      // RFC 6750 §3
	ACR    string `json:"acr_values,omitempty"` // RFC 9470
	MaxAge string `json:"max_age,omitempty"`    // RFC 9470, in seconds
	Claims string `json:"claims,omitempty"`     // a claims challenge, in base64
}

// What the parts of a challenge look like; anything else may hold anything.
var (
	challengeScheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,31}$`)
	challengeError  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)
	challengeScopes = regexp.MustCompile(`^[!#-\[\]-~]+( [!#-\[\]-~]+)*$`)
	challengeAge    = regexp.MustCompile(`^[0-9]+$`)
	challengeClaims = regexp.MustCompile(`^[A-Za-z0-9+/_-]+={0,2}$`)
)

// maxChallenge bounds what is read of one header, in bytes.
const maxChallenge = 8 << 10

// challengeOf is the challenge of a refusal: the first that names an error, or else the
// first. It is nil where there is none.
func challengeOf(resp *http.Response) *Challenge {
	if resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden {
		return nil
	}
	var first *Challenge
	for _, text := range resp.Header.Values("WWW-Authenticate") {
		for _, c := range parseChallenges(text[:min(len(text), maxChallenge)]) {
			if c.Error != "" {
				return &c
			}
			if first == nil {
				first = &c
			}
		}
	}
	return first
}

// parseChallenges reads the header WWW-Authenticate: schemes, each with parameters.
func parseChallenges(text string) (all []Challenge) {
	for text != "" {
		text = strings.TrimLeft(text, ", \t")
		end := strings.IndexAny(text, ",= \t")
		if end < 0 {
			end = len(text)
		}
		word, rest := text[:end], strings.TrimLeft(text[end:], " \t")
		if !strings.HasPrefix(rest, "=") || word == "" {
			if word == "" && rest != "" {
				rest = rest[1:] // a = where none belongs
			}
			if challengeScheme.MatchString(word) {
				all = append(all, Challenge{Scheme: word})
			}
			text = rest
			continue
		}
		var value string
		value, text = challengeValue(strings.TrimLeft(rest[1:], " \t"))
		if len(all) > 0 {
			all[len(all)-1].set(strings.ToLower(word), value)
		}
	}
	return all
}

// challengeValue reads a token or a quoted text, and returns what is behind it.
func challengeValue(text string) (value, rest string) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexAny(text, ", \t")
		if end < 0 {
			end = len(text)
		}
		return text[:end], text[end:]
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '"':
			return b.String(), text[i+1:]
		case text[i] == '\\' && i+1 < len(text):
			i++
		}
		b.WriteByte(text[i])
	}
	return "", "" // it has no end
}

func (c *Challenge) set(name, value string) {
	for _, p := range []struct {
		name  string
		to    *string
		looks *regexp.Regexp
		most  int // bytes
	}{{"error", &c.Error, challengeError, 64}, {"scope", &c.Scope, challengeScopes, 300}, {"acr_values", &c.ACR, challengeScopes, 200},
		{"max_age", &c.MaxAge, challengeAge, 10}, {"claims", &c.Claims, challengeClaims, 2000}} {
		if p.name == name && *p.to == "" && len(value) <= p.most && p.looks.MatchString(value) {
			*p.to = value
		}
	}
}

// String is the challenge for the operator: in the log, and in the entry.
func (c *Challenge) String() string {
	if c == nil {
		return ""
	}
	out := c.Scheme
	for _, p := range [][2]string{{"error", c.Error}, {"scope", c.Scope}, {"acr_values", c.ACR}, {"max_age", c.MaxAge}} {
		if p[1] != "" {
			out += " " + p[0] + "=" + cutText(p[1], 200)
		}
	}
	if c.Claims != "" {
		out += " with claims"
	}
	return out
}

func cutText(s string, most int) string {
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// stales reports whether a fresh credential may help: the API says that this one is no
// good any more, or says nothing, and another can be had. A token that exeat signed is
// a moment old, so it takes an error to think that the next one fares better.
func stales(status int, c *Challenge, t token.Receipt) bool {
	if status != http.StatusUnauthorized || t.Strategy == "none" || t.Standing && !t.Renewable {
		return false
	}
	if c == nil || c.Error == "" {
		return t.Strategy != "signed"
	}
	return c.Error == "invalid_token"
}
