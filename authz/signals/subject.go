package signals

import (
	"slices"

	"github.com/exeat/exeat/authz/claims"
)

// subject is the id here of whom an event is about. A transmitter may speak of people
// of its own only: that it signs well says nothing about those of another.
func (s *set) subject() (string, error) {
	if !s.claims.Has("sub_id") {
		return "", refuse(badRequest, "it does not say whom it is about (sub_id)")
	}
	who, err := claims.Parse(s.claims["sub_id"])
	if err != nil {
		return "", refuse(badRequest, "its sub_id cannot be read: %v", err)
	}
	// A complex subject is, say, a session of a user: all of that user ends, which is
	// more than it says, and never less.
	if format, err := who.Text("format"); err == nil && (format == "complex" || format == "") && who.Has("user") {
		if who, err = claims.Parse(who["user"]); err != nil {
			return "", refuse(badRequest, "the user of its sub_id cannot be read: %v", err)
		}
	}
	return s.from.name(who)
}

// name reads one subject identifier (RFC 9493).
func (i *Issuer) name(who claims.Set) (string, error) {
	format, err := who.Text("format")
	if err != nil || !slices.Contains(i.Subjects, format) {
		return "", refuse(badRequest, "it names its subject in a form that is not taken from its issuer here: %v are", i.Subjects)
	}
	member := map[string]string{IssuerSubject: "sub", Opaque: "id", Email: "email"}[format]
	if format == IssuerSubject {
		if iss, err := who.Text("iss"); err != nil || iss != i.URL {
			return "", refuse(badRequest, "it is about somebody of another issuer, of whom this one may say nothing")
		}
	}
	id, err := who.Text(member)
	if err != nil || id == "" {
		return "", refuse(badRequest, "its sub_id has no %s", member)
	}
	if id, err = i.Named(id); err != nil {
		return "", refuse(badRequest, "it is about somebody whom this issuer cannot name: %v", err)
	}
	return id, nil
}
