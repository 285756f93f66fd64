package devissuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/exeat/exeat/store"
)

// client is a program that asks for tokens. All are public: none has a secret.
type client struct {
	ID         string    `json:"-"`
	Name       string    `json:"client_name,omitempty"` // its own word
	Redirects  []string  `json:"redirect_uris"`
	Registered time.Time `json:"-"` // zero: it is its document
}

// grantTypes are all that there are.
var grantTypes = []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken}

// What the library asks of a client.

func (c *client) GetID() string                       { return c.ID }
func (c *client) RedirectURIs() []string              { return c.Redirects }
func (c *client) PostLogoutRedirectURIs() []string    { return nil }
func (c *client) ApplicationType() op.ApplicationType { return op.ApplicationTypeNative } // ports of loopback addresses may differ
func (c *client) AuthMethod() oidc.AuthMethod         { return oidc.AuthMethodNone }
func (c *client) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}
func (c *client) GrantTypes() []oidc.GrantType                                 { return grantTypes }
func (c *client) LoginURL(string) string                                       { return "" }
func (c *client) AccessTokenType() op.AccessTokenType                          { return op.AccessTokenTypeJWT }
func (c *client) IDTokenLifetime() time.Duration                               { return 0 }
func (c *client) DevMode() bool                                                { return false }
func (c *client) IsScopeAllowed(string) bool                                   { return true } // [Issuer.scopes] says
func (c *client) IDTokenUserinfoClaimsAssertion() bool                         { return false }
func (c *client) ClockSkew() time.Duration                                     { return 0 }
func (c *client) RestrictAdditionalIdTokenScopes() func([]string) []string     { return noScopes }
func (c *client) RestrictAdditionalAccessTokenScopes() func([]string) []string { return noScopes }

func noScopes([]string) []string { return nil }

// errNoClient is a client_id that stands for nobody.
var errNoClient = errors.New("no client of this client_id is registered here, or not any more: register again")

// findClient returns the client of an id: one that registered itself, or one whose
// id is the URL of its document. The error can be told to anybody.
func (i *Issuer) findClient(ctx context.Context, id string) (*client, error) {
	if strings.HasPrefix(id, "https://") {
		return i.documents.client(ctx, id, i.now())
	}
	return i.registered(ctx, id)
}

// registered returns a client that registered itself.
func (i *Issuer) registered(ctx context.Context, id string) (*client, error) {
	var stored store.Client
	err := i.c.Store.View(ctx, func(tx *store.Tx) (err error) {
		stored, err = tx.Client(id, i.now())
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, errNoClient
	}
	c := &client{ID: id, Registered: stored.Created}
	if err == nil {
		err = json.Unmarshal(stored.Body, c)
	}
	if err != nil {
		i.trouble(err)
		return nil, errInside()
	}
	return c, nil
}

// allows reports whether people may be sent to a URI: one of the client's own, or,
// of loopback addresses, one that differs in its port alone (RFC 8252 §7.3).
func (c *client) allows(asked string) bool {
	if checkRedirect(asked) != nil {
		return false
	}
	for _, own := range c.Redirects {
		if own == asked || portless(own) != "" && portless(own) == portless(asked) {
			return true
		}
	}
	return false
}

// portless is a loopback URI without its port; "" for any other.
func portless(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" || !isLoopback(u.Hostname()) {
		return ""
	}
	u.Host = strings.TrimSuffix(u.Host, ":"+u.Port())
	return u.String()
}

// Bounds of what a client says of itself.
const (
	maxRedirects = 10
	maxURI       = 1024 // bytes
	maxName      = 100  // characters
)

var (
	hostForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
	portForm = regexp.MustCompile(`^[0-9]{0,5}$`)
)

// checkRedirect refuses a URI that people are not to be sent back to.
func checkRedirect(uri string) error {
	u, err := url.Parse(uri)
	switch {
	case err != nil || len(uri) > maxURI || u.Opaque != "" || u.User != nil || strings.ContainsAny(uri, "#\\ \"'<>`{}|^"):
		return fmt.Errorf("%.100q is not a plain absolute URL of at most %d bytes without user and fragment", uri, maxURI)
	case !portForm.MatchString(u.Port()) || strings.HasSuffix(u.Host, ":"):
		return fmt.Errorf("%.100q has a port that is none", uri)
	case u.Scheme == "http" && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1" || u.Hostname() == "::1"):
		return nil
	case u.Scheme == "https" && hostForm.MatchString(u.Hostname()):
		return nil
	}
	return fmt.Errorf("%.100q is neither https nor http on 127.0.0.1, [::1] or localhost: another program could have taken its scheme, or read what is sent there", uri)
}

// check refuses what a client cannot be, and shortens its name to what fits.
func (c *client) check() error {
	if len(c.Redirects) == 0 || len(c.Redirects) > maxRedirects {
		return fmt.Errorf("redirect_uris has to hold 1 to %d URIs", maxRedirects)
	}
	for _, uri := range c.Redirects {
		if err := checkRedirect(uri); err != nil {
			return fmt.Errorf("redirect_uris: %w", err)
		}
	}
	name := []rune(strings.ToValidUTF8(strings.TrimSpace(c.Name), "\uFFFD"))
	c.Name = string(name[:min(len(name), maxName)])
	return nil
}
