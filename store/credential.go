package store

import (
	"fmt"
	"strings"
	"time"
)

// Loose says in what the credential of a request was good for more than its call, in
// words; "" if it was not, as far as is known.
func (e Entry) Loose() string {
	switch {
	case e.Standing:
		return "a standing key"
	case e.Credential != nil:
		return e.Credential.Wider
	}
	return ""
}

// Credentials says of an entry with which credential the request left, in words; "" if
// with none.
func (e Entry) Credentials() string {
	if e.Strategy == "" {
		return ""
	}
	said := []string{e.Strategy}
	if e.Standing {
		said = append(said, "a standing key")
	}
	if c := e.Credential; c != nil {
		for _, part := range []struct{ before, text string }{{"made by ", c.Issuer}, {"for ", c.Audience}, {"scope ", c.Scope}, {"narrowed to ", c.Narrowed}, {"wider than the call: ", c.Wider}} {
			if part.text != "" {
				said = append(said, part.before+part.text)
			}
		}
		if !c.Expires.IsZero() && e.Kind != KindSpent {
			said = append(said, fmt.Sprintf("good for %s", c.Expires.Sub(e.Time).Round(time.Second)))
		}
		switch {
		case e.Kind == KindSpent && e.Code != "":
			said = append(said, "could not be revoked")
		case e.Kind == KindSpent:
			said = append(said, "revoked")
		case c.Revocable:
			said = append(said, "revoked after the call")
		}
	}
	return strings.Join(said, ", ")
}
