package token

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gowebpki/jcs"
)

// DetailsType is the RFC 9396 type of the authorization details object.
const DetailsType = "urn:exeat:call:1"

// Details is the one authorization_details object of a token: it names one
// exact request. Field order is irrelevant: comparison is by RFC 8785 form.
type Details struct {
	Type       string         `json:"type"`
	Locations  []string       `json:"locations"`  // the API's resource identifier, once
	Actions    []string       `json:"actions"`    // the HTTP method, once
	Identifier string         `json:"identifier"` // the operation
	Request    RequestDetails `json:"request"`
	Document   string         `json:"document,omitempty"` // digest of the OpenAPI document
}

// RequestDetails bind the request's bytes.
type RequestDetails struct {
	Target        string            `json:"target"` // raw request-target
	ContentType   string            `json:"content_type,omitempty"`
	ContentDigest string            `json:"content_digest"`    // RFC 9530: sha-256=:…: (of nothing, if there is no body)
	Headers       map[string]string `json:"headers,omitempty"` // by lower-case name: all that the call's arguments set
}

// boundHeaders change what a request means, so a token also says that they are
// not there.
var boundHeaders = []string{"Idempotency-Key", "If-Match"}

// emptyDigest is the content digest of no content.
var emptyDigest = contentDigest(nil)

// Bind makes the details of a request that is about to be sent to audience.
// header is what the call's arguments set, and Accept, which is not bound: it
// changes the form of an answer only. The guard recomputes the same from the
// request that it receives.
func Bind(audience, method, target, contentType string, header http.Header, body []byte, operation, document string) Details {
	return bind(audience, method, target, contentType, header, contentDigest(body), operation, document)
}

func bind(audience, method, target, contentType string, header http.Header, digest, operation, document string) Details {
	var bound map[string]string
	for name, values := range header {
		if name == "Accept" || len(values) == 0 {
			continue
		}
		if bound == nil {
			bound = make(map[string]string, len(header))
		}
		bound[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return Details{
		Type:       DetailsType,
		Locations:  []string{audience},
		Actions:    []string{method},
		Identifier: operation,
		Request: RequestDetails{
			Target:        target,
			ContentType:   contentType,
			ContentDigest: digest,
			Headers:       bound,
		},
		Document: document,
	}
}

// boundNames are the headers that d is about, present or not, in canonical form.
func (d Details) boundNames() []string {
	if len(d.Request.Headers) == 0 {
		return boundHeaders
	}
	names := slices.Clone(boundHeaders)
	for name := range d.Request.Headers {
		if name = http.CanonicalHeaderKey(name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// boundOf is the part of a request's header that d is about.
func (d Details) boundOf(header http.Header) http.Header {
	var part http.Header
	for _, name := range d.boundNames() {
		if values := header[name]; len(values) > 0 {
			if part == nil {
				part = http.Header{}
			}
			part[name] = values
		}
	}
	return part
}

// contentDigest is the value of an RFC 9530 Content-Digest field.
func contentDigest(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// Digest names the details, and with them the request: 64 hex digits of
// SHA-256 over their RFC 8785 form.
func (d Details) Digest() string {
	sum := sha256.Sum256(d.appendTo(make([]byte, 0, 512)))
	return hex.EncodeToString(sum[:])
}

// canonical is the RFC 8785 form of v.
func canonical(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return jcs.Transform(b)
}

// check tells whether d has the shape that a token may carry for audience.
func (d Details) check(audience string) error {
	switch {
	case d.Type != DetailsType:
		return fmt.Errorf("the details have the type %s, not %q", brief(d.Type), DetailsType)
	case len(d.Locations) != 1 || d.Locations[0] != audience:
		return errors.New("the details do not name the audience as their only location")
	case len(d.Actions) != 1 || d.Actions[0] == "":
		return errors.New("the details do not name exactly one method")
	case !strings.HasPrefix(d.Request.Target, "/"):
		return fmt.Errorf("the details name the target %s, which is not a path with an optional query", brief(d.Request.Target))
	case d.Request.ContentDigest == "":
		return errors.New("the details name no content digest")
	}
	// JSON replaces bytes that are not UTF-8, so that two requests would share
	// one digest.
	r := d.Request
	valid := utf8.ValidString(d.Actions[0]) && utf8.ValidString(d.Identifier) && utf8.ValidString(d.Document) &&
		utf8.ValidString(r.Target) && utf8.ValidString(r.ContentType) && utf8.ValidString(r.ContentDigest)
	for name, value := range r.Headers {
		valid = valid && utf8.ValidString(name) && utf8.ValidString(value)
	}
	if !valid {
		return errors.New("the details hold bytes that are not UTF-8")
	}
	return nil
}

// Equal reports whether both name the same request, and nothing else.
func (d Details) Equal(e Details) bool {
	r, s := d.Request, e.Request
	return d.Type == e.Type && d.Identifier == e.Identifier && d.Document == e.Document &&
		slices.Equal(d.Locations, e.Locations) && slices.Equal(d.Actions, e.Actions) &&
		r.Target == s.Target && r.ContentType == s.ContentType && r.ContentDigest == s.ContentDigest && maps.Equal(r.Headers, s.Headers)
}

// differs says how the request that was bound as got differs from the one that
// d allows, or nil if it does not.
func (d Details) differs(got Details) *Refusal {
	was, is := d.Request, got.Request
	wasPath, _, _ := strings.Cut(was.Target, "?")
	isPath, _, _ := strings.Cut(is.Target, "?")
	for _, c := range []struct{ code, what, was, is string }{
		{"wrong_method", "method", d.Actions[0], got.Actions[0]},
		{"wrong_target", "path", wasPath, isPath},
		{"wrong_query", "query", was.Target, is.Target},
		{"wrong_content_type", "content type", was.ContentType, is.ContentType},
		{"wrong_digest", "content digest", was.ContentDigest, is.ContentDigest},
	} {
		switch {
		case c.was == c.is:
		case c.what == "query": // not quoted, since it may hold secrets
			return refuse(http.StatusForbidden, c.code, "the request's query is not the one that the token is for")
		default:
			return refuse(http.StatusForbidden, c.code, "the token is for the %s %s, the request has %s", c.what, brief(c.was), brief(c.is))
		}
	}
	for _, name := range d.boundNames() {
		name = strings.ToLower(name)
		wasValue, wasThere := was.Headers[name]
		isValue, isThere := is.Headers[name]
		if wasThere != isThere || wasValue != isValue {
			return refuse(http.StatusForbidden, "wrong_header", "the request's %s is not the one that the token is for", name)
		}
	}
	if !d.Equal(got) {
		return refuse(http.StatusForbidden, "wrong_details", "the token is for another request")
	}
	return nil
}

// brief quotes foreign text for a message, cut to a length a person reads.
func brief(s string) string {
	const limit = 120
	if len(s) > limit {
		return fmt.Sprintf("%.*q… (%d bytes)", limit, s, len(s))
	}
	return fmt.Sprintf("%q", s)
}
