package openapi

import (
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"
)

// Effect says what an operation does to the API behind it.
type Effect string

// The effects. An operation whose effect is not known is a write.
const (
	Read   Effect = "read"
	Write  Effect = "write"
	Delete Effect = "delete"
)

// Options steer [Load].
type Options struct {
	// Name is the API's name in tool prefixes and Cedar namespaces. Empty means
	// one derived from the document's title.
	Name string
	// BaseURL stands for the document's server; if it has no path and the server is
	// relative, it is what the server is relative to.
	BaseURL string
	// Include keeps only the operations that match one of its patterns; Exclude
	// drops the ones that match. A pattern is an operation id or tool name,
	// "tag:NAME", an HTTP method in capitals, or a path glob that starts with /
	// (where * stays within a segment and ** does not).
	Include, Exclude []string
	// Rename gives tools other names, by operation id or the name that they have
	// without it. All else, policies too, knows them by the new one.
	Rename map[string]string
	// Parameters says what parameters are, by their name in the document, which may
	// stand behind an operation id or a pattern as in Include, and a space.
	Parameters map[string]ParameterUse
	// Zone is where times without an offset are meant; nil is not known.
	Zone *time.Location
	// Effects overrides the effect of operations, by operation id or tool name.
	Effects map[string]Effect
	// ContentTypes chooses what the body of an operation is sent as, out of what
	// the document names for it, by operation id or tool name. Without one it is
	// what x-exeat-content-type says, or else JSON, a form, a multipart form,
	// JSON lines, XML, bytes or text, whichever comes first.
	ContentTypes map[string]string
	// Marks are words that say what kind of danger operations are, such as money, and
	// Titles the field that names what they are about, by operation id or tool name.
	Marks  map[string][]string
	Titles map[string]string
	// Headers go with every request, like those of arguments: they are shown, and
	// tokens are bound to them, all but Accept. They are not for secrets.
	Headers map[string]string
	// SecretHeaders are names of headers that are set on every request beside its
	// credential: no argument sets them, and what is in them is not known here.
	SecretHeaders []string
	// Refs are beginnings of https URLs, such as https://host/schemas/, that
	// references may lead to; without any, none is fetched.
	Refs []string
	// Cache is a folder that keeps fetched documents, to be fetched again only if
	// they changed. Empty means none.
	Cache string
	// SHA256 is what the root document's bytes must have, in hex. Empty means any.
	SHA256 string
	// Overlays are files of the OpenAPI Overlay Specification 1.x that correct the
	// root document, in order.
	Overlays []string
	// Client fetches documents given as URLs. Nil means a client with bounds.
	Client *http.Client
}

// API is one compiled document.
type API struct {
	Name        string // ^[a-z][a-z0-9_]{0,39}$
	Title       string
	Version     string
	Description string
	Location    string // as given to Load
	// BaseURL is where requests go: scheme, host and path prefix without a
	// trailing slash. Empty if neither the document nor Options name an
	// absolute server; such an API can be listed but not called.
	BaseURL string
	// Digest names the document: "sha-256=:<base64>:" over the bytes read.
	Digest string
	// Operations are ordered by tool name.
	Operations []*Operation
	// Findings name what was left out or changed, by file and position.
	Findings []Finding
	// Security are the document's security schemes by name.
	Security map[string]SecurityScheme
	// Secured is true if the document says anywhere which operations need a
	// credential. If it does not, that an operation names none means nothing.
	Secured bool
	// Zone is that of Options.
	Zone    *time.Location
	headers http.Header // of Options
}

// Finding is one thing in a document that a person may want to mend.
type Finding struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1; 0 if unknown
	Column  int    `json:"column"` // from 1; 0 if unknown
	Pointer string `json:"pointer"`
	// Operation is "METHOD /path" if the finding belongs to one.
	Operation string `json:"operation,omitempty"`
	// LeftOut is true if the operation is not served because of it.
	LeftOut bool   `json:"left_out"`
	Message string `json:"message"`
}

// SecurityScheme is an OpenAPI Security Scheme Object, as far as placing a
// credential needs it.
type SecurityScheme struct {
	Type   string    // apiKey, http, oauth2, openIdConnect, mutualTLS
	In     string    // header, query, cookie (apiKey)
	Name   string    // parameter name (apiKey)
	Scheme string    // bearer, basic, … (http), lower case
	Code   *CodeFlow // nil if there is none
}

// CodeFlow is the authorization code flow of an oauth2 scheme, as the document has it:
// nothing of it is checked.
type CodeFlow struct {
	AuthorizeURL, TokenURL string
	Scopes                 map[string]string // what each lets do, in words
}

// TakesBearer reports whether the scheme takes a bearer token.
func (s SecurityScheme) TakesBearer() bool {
	return s.Type == "http" && s.Scheme == "bearer" || s.Type == "oauth2" || s.Type == "openIdConnect"
}

// SecurityNeed is one scheme that a request must satisfy, with the scopes that
// the operation names.
type SecurityNeed struct {
	Scheme string
	Scopes []string
}

// Operation is one method and path of a document, compiled.
type Operation struct {
	API         *API
	Name        string // tool name: ^[a-z0-9_]{1,40}$, unique in the API
	ID          string // operationId, or "METHOD /path" if the document has none
	Method      string // upper case
	Path        string // template, e.g. /pets/{petId}, at most 1024 bytes, without query and fragment
	Summary     string
	Description string
	Tags        []string
	Deprecated  bool
	Effect      Effect
	Hints       Hints // for the sentence that tells a person what a call does
	// JSON is true if the document says that a good answer may be JSON, or says
	// nothing of it.
	JSON bool
	// Security lists alternatives, in the document's order; each lists schemes that
	// are needed together. Empty means none is needed, if the API is Secured.
	Security [][]SecurityNeed
	// Input is the tool's input schema: one self-contained JSON Schema 2020-12
	// object with root type object. Property names are argument names: those of
	// the parameters, and "body". Names that clash between places get the place
	// as suffix (id_query): path goes before query, header and cookie. Of a schema
	// larger than 256 KiB it has what is nearest to its root.
	Input json.RawMessage
	whole json.RawMessage // all of the schema if Input, against which calls are checked, is not; else nil
	long  bool            // a description in Input is longer than maxDescription
	query string          // that the document wrote into the path, e.g. beta=true; it is always sent
	// fragment of the path, by which documents tell operations apart; it is never sent.
	fragment string
	baseURL  string // the operation's own server, or ""
	accept   string // what the operation's requests ask for
	saysJSON bool   // the document says that a good answer may be JSON
	params   []param
	body     *body
	input    *validator // compiled from Input at load
	to       atomic.Pointer[destination]
	// Names within the body that hosts refuse, and what agents see instead; and
	// the same the other way. Nil if there are none.
	aliases, originals map[string]string
}

// param is one parameter and how it is written into a request. Property is its
// name in the arguments, Name its name on the wire.
type param struct {
	Property      string
	Name          string
	In            string // path, query, querystring, header, cookie
	Style         string // always set
	Explode       bool
	AllowReserved bool
	Nested        bool // lists and objects within the value are written with brackets, whatever the style
	Slashes       bool // of a path parameter: may hold slashes, which are sent as %2F
	Required      bool
	ContentType   string           // for content parameters: the value is serialised so
	Fields        map[string]field // of one that is a form with encodings
	Type          string           // string, integer, number, boolean, array, object, or "" if unknown
}

// body is a request body under the argument "body".
type body struct {
	Required bool
	// Media is the chosen media type; Essence its lower-case type/subtype.
	Media   string
	Essence string
	// Fields are the properties of a form or multipart body with an encoding.
	Fields map[string]field
	// XML is how an XML body is written. Nil means as the string it is given as.
	XML *xmlNode
	// Bytes is true if the argument is bytes as base64; Encoding is what the wire
	// carries them in: base64, base64url, or "" for as they are. Any other is that
	// of the argument.
	Bytes    bool
	Encoding string
	// Withheld are names at its top that are credentials, which no argument sets.
	Withheld []string
	// Choices are media types that Choice, an argument, chooses from; without it,
	// the first that the body fits. Those of bytes may be ranges.
	Choices []string
	Choice  string
}

// field is how one property of a form or multipart body is written.
type field struct {
	Style         string
	Explode       bool
	AllowReserved bool
	ContentType   string // for multipart parts and JSON-in-form values
	Binary        bool   // the argument is base64 text or {filename, content_type, data}
	Encoding      string // of the bytes, as in body
	Headers       string // of multipart parts, each with its CRLF
}
