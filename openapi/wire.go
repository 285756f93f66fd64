package openapi

import (
	"net/http"
)

// Request is one exact HTTP request, without credentials. What a person is
// shown, what a token is bound to and what is sent are these bytes.
type Request struct {
	Method string
	// Origin is the scheme and host (and nothing else) the request goes to.
	Origin string
	// Target is the raw request-target: path and query as they go on the wire.
	Target string
	// Path is the percent-encoded path below the API's base URL, without the
	// query, e.g. /pets/42: what policies call the resource.
	Path        string
	ContentType string      // "" without a body
	Header      http.Header // from parameters and Accept; canonical keys; no Content-Type
	Body        []byte
}

// Response is what an API answered, in a form an agent can use. At most one of
// JSON, Text and Binary is set; none for an empty body or one left out.
type Response struct {
	Status    int
	MediaType string
	JSON      []byte // one valid JSON value, numbers as the API wrote them
	Text      string
	Binary    []byte
	// Note says in one sentence what was cut or could not be read, and which
	// arguments would narrow the answer. Empty if the response is whole.
	Note string
	// TooLarge is true if the response is left out, since it is over the limit
	// and a part of it would be of no use.
	TooLarge bool
}
