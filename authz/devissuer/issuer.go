package devissuer

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/tally"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi/reach"
	"github.com/exeat/exeat/store"
)

// Path is where an issuer is, below the URL that MCP clients call: its identifier
// is that URL with this at its end.
const Path = "/oauth"

// Config is what an [Issuer] is made of.
type Config struct {
	// Issuer is its identifier, such as https://exeat.example.com/oauth. What clients
	// call is below it.
	Issuer string
	// Resource is what its tokens are for: the URL of this exeat's MCP endpoint.
	Resource string
	// Inbox is the origin of the inbox, where people log in and are asked.
	Inbox string
	// Scopes are those that clients may ask for; who asks for none gets all.
	Scopes []string
	// Keys sign the tokens: keys of its own, never those of the tokens for APIs.
	Keys  *token.Keys
	Store *store.Store
	Holds *approval.Service // says who a person is, and what time it is
	// Reach is how clients' documents are fetched; nil: from no private address.
	Reach *reach.Dialer
	// Roots, if not nil, are the certificate authorities of their servers.
	Roots *x509.CertPool
	// Trouble, if not nil, is told of errors that clients are not told.
	Trouble func(error)
}

// How long what is given lasts.
const (
	codeLife    = time.Minute
	tokenLife   = 5 * time.Minute
	refreshLife = 7 * 24 * time.Hour  // of one refresh token, if it is not used
	accessLife  = 30 * 24 * time.Hour // of all that a person let a client do
	askLife     = 10 * time.Minute    // of the page that asks them
)

// Issuer is the authorization server. It is safe for concurrent use.
type Issuer struct {
	c         Config
	path      string // of the identifier, as a whole
	secret    []byte // of the MACs over what is stored
	asked     []byte // of the MACs over what people are asked; of this process
	endpoints http.Handler
	authorize http.Handler
	documents documents
	registers tally.Counter
}

// New is an Issuer. The error says what of the configuration it cannot work with.
func New(c Config) (*Issuer, error) {
	if c.Keys == nil || c.Store == nil || c.Holds == nil {
		return nil, errors.New("the issuer has no keys, no store or no holds")
	}
	for what, location := range map[string]string{"issuer": c.Issuer, "resource": c.Resource, "inbox": c.Inbox} {
		if err := checkLocation(location); err != nil {
			return nil, fmt.Errorf("issuer dev: the %s %q %w", what, location, err)
		}
	}
	if c.Reach == nil {
		var err error
		if c.Reach, err = reach.New(net.Dialer{Timeout: documentTime}); err != nil {
			return nil, err
		}
	}
	secret, err := c.Keys.Secret("access")
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(c.Issuer)
	if err != nil || !strings.HasSuffix(u.Path, Path) {
		return nil, fmt.Errorf("issuer dev: the issuer %q does not end with %s", c.Issuer, Path)
	}
	i := &Issuer{c: c, path: u.Path, secret: secret, asked: make([]byte, 32)}
	rand.Read(i.asked)
	i.documents = newDocuments(c)
	// CORS is the business of what all of exeat's MCP side is behind.
	none := op.WithServerCORSOptions(nil)
	i.authorize = op.RegisterServer(server{i: i}, op.Endpoints{Authorization: op.NewEndpoint(AuthorizePath)}, none, op.WithEncoder(i))
	i.endpoints = op.RegisterServer(server{i: i}, op.Endpoints{Token: op.NewEndpoint(Path + "/token"), Revocation: op.NewEndpoint(Path + "/revoke"),
		JwksURI: op.NewEndpoint(Path + "/jwks.json")}, none)
	return i, nil
}

// checkLocation refuses what is neither https nor on this machine: codes and
// tokens would travel in the open.
func checkLocation(location string) error {
	u, err := url.Parse(location)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || strings.Contains(location, "#") || strings.HasSuffix(location, "/"):
		return errors.New("is not an absolute URL without query, fragment and a slash at its end")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return errors.New("is neither https nor on a loopback address: codes and tokens would travel in the open; set tls or public_url")
}

// isLoopback reports a host that is this machine, as people and RFC 8252 write it.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// server is an Issuer as the library asks it. What is not here it refuses.
type server struct {
	op.UnimplementedServer
	i *Issuer
}

// URL is its identifier.
func (i *Issuer) URL() string { return i.c.Issuer }

func (i *Issuer) now() time.Time { return i.c.Holds.Now() }

// trouble tells the operator of an error.
func (i *Issuer) trouble(err error) {
	if i.c.Trouble != nil {
		i.c.Trouble(fmt.Errorf("issuer dev: %w", err))
	}
}

// Paths are what clients call, by pattern of [http.ServeMux]: metadata, keys,
// registration, tokens and their revocation. What people open is the inbox's.
// Requests are to come without the path prefix of the public URL, as
// mcpserver/edge hands them on; in what is well known of the host it stands at the
// end, and stays.
func (i *Issuer) Paths() map[string]http.Handler {
	metadata := op.RegisterMetadataServer(metadataServer{i: i}, op.WithServerCORSOptions(nil))
	return map[string]http.Handler{
		"/.well-known/oauth-authorization-server" + i.path: metadata,
		"/.well-known/openid-configuration" + i.path:       metadata,
		Path + "/.well-known/openid-configuration":         metadata,
		"GET " + Path + "/jwks.json":                       i.endpoints,
		"POST " + Path + "/token":                          strictForm(i.endpoints),
		"POST " + Path + "/revoke":                         strictForm(i.endpoints),
		"POST " + Path + "/register":                       http.HandlerFunc(i.register),
	}
}

// JWKS are the public keys that its tokens are checked with, for who checks them in
// the same process.
func (i *Issuer) JWKS(context.Context) ([]byte, error) { return i.c.Keys.JWKS(i.now()) }

// maxBody bounds what clients send, in bytes.
const maxBody = 16 << 10

// strictForm lets in what can be read in one way only: parameters of a form, each
// once. What stands in a URL ends up in logs.
func strictForm(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		w.Header().Set("Cache-Control", "no-store")
		problem := ""
		switch err := r.ParseForm(); {
		case r.URL.RawQuery != "" || r.URL.ForceQuery:
			problem = "parameters go into the body, not into the URL"
		case err != nil:
			problem = "the body is no form of at most 16 KiB"
		case len(r.PostForm) == 0:
			problem = "the body has to be application/x-www-form-urlencoded"
		}
		for name, values := range r.PostForm {
			if len(values) > 1 {
				problem = fmt.Sprintf("%.40q is there more than once", name)
			}
		}
		if problem != "" {
			writeProblem(w, http.StatusBadRequest, "invalid_request", problem)
			return
		}
		next.ServeHTTP(w, r)
	})
}
