package mcpserver

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Challenge is the answer to a request that is not let in as it is: what is
// missing (RFC 9110, section 11.6.1; RFC 6750, section 3), or that it cannot be
// found out now.
type Challenge struct {
	// Status is of the answer; 0 means 401. Only 401 and 403 ask for a
	// credential: any other comes without WWW-Authenticate.
	Status int
	Scheme string // of the Authorization header; "" means Bearer
	Realm  string // "" means exeat
	// Code says what was wrong with the credential (RFC 6750, section 3.1). It
	// is "" where none came: nothing was wrong with it.
	Code string
	// Help is a sentence for the person who sets the client up: which header to
	// send, and where to get what goes into it.
	Help string
	// ResourceMetadata is the URL of RFC 9728 metadata, where a client learns
	// which authorization server gives it a token. "" means that none does.
	ResourceMetadata string
	Scope            string        // what a token needs, separated by spaces
	ACRValues        []string      // how a person should have logged in (RFC 9470)
	MaxAge           time.Duration // and how long ago at most, in whole seconds; 0 means any
	Params           []Param       // what else the scheme defines
	// Also is another scheme that would do. Only its header counts.
	Also *Challenge
	// DPoPNonce is what the next proof has to hold (RFC 9449, section 9).
	DPoPNonce  string
	RetryAfter time.Duration // when to try again; 0 says nothing of it
}

// Param is a parameter of a challenge.
type Param struct{ Name, Value string }

func (c *Challenge) Error() string {
	return cmp.Or(c.Code, "no credential") + ": " + c.Help
}

// header is the challenge as the value of WWW-Authenticate.
func (c *Challenge) header() string {
	out := cmp.Or(c.Scheme, "Bearer") + " realm=" + quote(cmp.Or(c.Realm, "exeat"))
	add := func(name, value string) {
		if value != "" {
			out += ", " + name + "=" + quote(value)
		}
	}
	add("error", c.Code)
	if c.Code != "" {
		add("error_description", c.Help)
	}
	add("scope", c.Scope)
	add("resource_metadata", c.ResourceMetadata)
	add("acr_values", strings.Join(c.ACRValues, " "))
	if c.MaxAge > 0 {
		add("max_age", strconv.FormatInt(int64(c.MaxAge/time.Second), 10))
	}
	for _, p := range c.Params {
		add(p.Name, p.Value)
	}
	return out
}

// quote writes a text as a quoted string that every client reads alike: printable
// ASCII without quotes and backslashes (RFC 6750, section 3).
func quote(s string) string {
	return `"` + strings.Map(func(r rune) rune {
		switch {
		case r == '"', r == '\\':
			return '\''
		case r < ' ', r > '~':
			return '?'
		}
		return r
	}, s) + `"`
}

// Answer writes the challenge as the answer to a request.
func (c *Challenge) Answer(w http.ResponseWriter) {
	status := cmp.Or(c.Status, http.StatusUnauthorized)
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		for one := c; one != nil; one = one.Also {
			w.Header().Add("WWW-Authenticate", one.header())
		}
	}
	if c.DPoPNonce != "" {
		w.Header().Set("DPoP-Nonce", c.DPoPNonce)
	}
	if c.RetryAfter > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(int64((c.RetryAfter+time.Second-1)/time.Second)))
	}
	w.Header().Set("Cache-Control", "no-store")
	answerOAuth(w, status, cmp.Or(c.Code, "unauthorized"), cmp.Or(c.Help, "a credential is needed"))
}

// answerOAuth writes an error in the form that OAuth clients show to people
// (RFC 6749, section 5.2).
func answerOAuth(w http.ResponseWriter, status int, code, description string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": description})
}
