package inbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/exeat/exeat/openapi/reach"
)

// OIDCConfig says with which OpenID provider people log in to an inbox, and who
// may.
type OIDCConfig struct {
	Issuer   string // https, or http on a loopback address
	ClientID string
	// Secret reveals the client's secret; nil for a public client.
	Secret func() string
	Scopes []string // besides openid; nil means email
	// Subject and Groups name the claims that name a person and their groups in
	// policies. The default is sub, and no groups.
	Subject, Groups string
	Allowed         Allowed
	// ACR and MaxAge are asked for with each login, and a login that does not
	// have them is refused. StepUp are the acr values that are asked for when a
	// policy wants a better login than the one there is; nil means ACR.
	ACR, StepUp []string
	MaxAge      time.Duration // whole seconds; 0 means any
	// Local keeps the login by link and passkey beside this one.
	Local bool
	Now   func() time.Time // nil means time.Now
}

// Allowed is who may log in. Nobody, if it is empty.
type Allowed struct {
	Subjects []string // as policies see them
	Emails   []string // verified ones, written as the provider does
	Groups   []string
	Everyone bool // whom the provider lets in
}

// OIDC is a login with an OpenID provider: authorization code with PKCE.
type OIDC struct {
	c        OIDCConfig
	redirect string
	client   *http.Client
	now      func() time.Time
	flows    flows

	asking chan struct{} // one discovery at a time; guards what follows
	found  *provider
	failed error // why the last discovery failed
	next   time.Time
}

// provider is what discovery found.
type provider struct {
	*oidc.Provider
	oauth    oauth2.Config
	verifier *oidc.IDTokenVerifier
	names    bool // its answers name it (RFC 9207)
}

// Bounds of what a provider is asked and may answer.
const (
	oidcTimeout   = 10 * time.Second // of one request
	discoverAgain = 5 * time.Second  // after a failure
	maxOIDCAnswer = 1 << 20          // bytes
	maxOIDCHeader = 64 << 10         // bytes
)

var errOIDCDown = errors.New("the OpenID provider does not answer as one")

// NewOIDC is for an inbox at origin. The error says what of the configuration
// cannot be used; the provider is not asked yet.
func NewOIDC(origin string, c OIDCConfig) (*OIDC, error) {
	u, err := url.Parse(c.Issuer)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("the issuer %q is not a URL like https://login.example.com", c.Issuer)
	case u.Scheme != "https" && !onLoopback(u):
		return nil, fmt.Errorf("the issuer %s is not https: whoever listens on the way could log in as anybody", c.Issuer)
	case c.ClientID == "":
		return nil, errors.New("client_id is missing: register exeat with the provider and name the client that it gives you")
	case len(c.Allowed.Subjects)+len(c.Allowed.Emails)+len(c.Allowed.Groups) == 0 && !c.Allowed.Everyone:
		return nil, errors.New("allowed is empty, so nobody could log in: name subjects, emails or groups, or set everyone to true if the provider lets in the right people only")
	case len(c.Allowed.Groups) > 0 && c.Groups == "":
		return nil, errors.New("allowed names groups: say which claim has them (groups)")
	case c.MaxAge < 0 || c.MaxAge%time.Second != 0:
		return nil, errors.New("max_age is a time of whole seconds")
	case slices.ContainsFunc(slices.Concat(c.ACR, c.StepUp, c.Scopes), func(s string) bool { return s == "" || strings.ContainsAny(s, " \t\r\n") }):
		return nil, errors.New("scopes, acr_values and step_up are lists of words")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Subject == "" {
		c.Subject = "sub"
	}
	if c.Scopes == nil {
		c.Scopes = []string{oidc.ScopeEmail}
	}
	if c.StepUp == nil {
		c.StepUp = c.ACR
	}
	return &OIDC{c: c, redirect: origin + callbackPath, now: c.Now, asking: make(chan struct{}, 1), client: &http.Client{
		Timeout:       oidcTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: cutAnswers{&http.Transport{DialContext: reach.Within(oidcTimeout), ForceAttemptHTTP2: true,
			MaxResponseHeaderBytes: maxOIDCHeader, MaxIdleConns: 4, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: oidcTimeout}},
	}}, nil
}

// RedirectURL is where the provider has to be told to send people back to, to
// the letter.
func (o *OIDC) RedirectURL() string { return o.redirect }

// onLoopback reports whether a URL leads to this machine.
func onLoopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// cutAnswers cuts answers off, with an error, where they become too large.
type cutAnswers struct{ next http.RoundTripper }

func (c cutAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(r)
	if err == nil {
		resp.Body = &cutBody{ReadCloser: resp.Body, Left: maxOIDCAnswer}
	}
	return resp, err
}

type cutBody struct {
	io.ReadCloser
	Left int64
}

func (c *cutBody) Read(p []byte) (int, error) {
	if c.Left <= 0 {
		return 0, fmt.Errorf("the answer is larger than %d bytes", maxOIDCAnswer)
	}
	n, err := c.ReadCloser.Read(p[:min(int64(len(p)), c.Left)])
	c.Left -= int64(n)
	return n, err
}

// Discover asks the provider what it is and can do, unless that is known. A
// provider that fails is asked again by the next login, after a few seconds.
func (o *OIDC) Discover(ctx context.Context) error {
	_, err := o.provider(ctx)
	return err
}

func (o *OIDC) provider(ctx context.Context) (*provider, error) {
	select {
	case o.asking <- struct{}{}:
		defer func() { <-o.asking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if o.found != nil {
		return o.found, nil
	}
	if o.failed != nil && o.now().Before(o.next) {
		return nil, o.failed
	}
	found, err := o.discover(ctx)
	if err != nil {
		o.failed, o.next = fmt.Errorf("%w: %s: %s", errOIDCDown, o.c.Issuer, brief(err)), o.now().Add(discoverAgain)
		return nil, o.failed
	}
	o.found, o.failed = found, nil
	return found, nil
}

// discover reads the provider's metadata (OpenID Connect Discovery 1.0 §4) and
// refuses a provider that cannot do what is needed.
func (o *OIDC) discover(ctx context.Context) (*provider, error) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, o.client), oidcTimeout)
	defer cancel()
	p, err := oidc.NewProvider(ctx, o.c.Issuer)
	if err != nil {
		return nil, err
	}
	var m struct {
		Auth       string   `json:"authorization_endpoint"`
		Token      string   `json:"token_endpoint"`
		JWKS       string   `json:"jwks_uri"`
		UserInfo   string   `json:"userinfo_endpoint"`
		Names      bool     `json:"authorization_response_iss_parameter_supported"`
		Methods    []string `json:"token_endpoint_auth_methods_supported"`
		Challenges []string `json:"code_challenge_methods_supported"`
	}
	if err := p.Claims(&m); err != nil {
		return nil, err
	}
	for name, endpoint := range map[string]string{"authorization_endpoint": m.Auth, "token_endpoint": m.Token, "jwks_uri": m.JWKS, "userinfo_endpoint": m.UserInfo} {
		u, err := url.Parse(endpoint)
		if endpoint == "" && name == "userinfo_endpoint" {
			continue
		}
		if err != nil || u.Host == "" || u.Fragment != "" || u.Scheme != "https" && !(onLoopback(u) && strings.HasPrefix(o.c.Issuer, "http://")) {
			return nil, fmt.Errorf("its %s is not an https URL", name)
		}
	}
	if len(m.Challenges) > 0 && !slices.Contains(m.Challenges, "S256") {
		return nil, errors.New("it does not support PKCE with S256")
	}
	style, err := o.authStyle(m.Methods)
	if err != nil {
		return nil, err
	}
	endpoint := p.Endpoint()
	endpoint.AuthStyle = style
	out := &provider{Provider: p, names: m.Names, verifier: p.Verifier(&oidc.Config{ClientID: o.c.ClientID, Now: o.now}),
		oauth: oauth2.Config{ClientID: o.c.ClientID, Endpoint: endpoint, RedirectURL: o.redirect, Scopes: append([]string{oidc.ScopeOpenID}, o.c.Scopes...)}}
	if o.c.Secret != nil {
		out.oauth.ClientSecret = o.c.Secret()
	}
	return out, nil
}

// authStyle is how the client authenticates. It is never found out by trying:
// a code that was sent once is spent.
func (o *OIDC) authStyle(methods []string) (oauth2.AuthStyle, error) {
	switch {
	case o.c.Secret == nil:
		return oauth2.AuthStyleInParams, nil // only the client's id goes there
	case len(methods) == 0 || slices.Contains(methods, "client_secret_basic"):
		return oauth2.AuthStyleInHeader, nil
	case slices.Contains(methods, "client_secret_post"):
		return oauth2.AuthStyleInParams, nil
	}
	return 0, errors.New("it takes a client secret neither as client_secret_basic nor as client_secret_post")
}

// brief is an error of the provider for the operator: what it quotes of the
// provider may be long, and hold anything.
func brief(err error) string {
	text := []rune(strings.ToValidUTF8(err.Error(), "\uFFFD"))
	if len(text) > 300 {
		text = append(text[:300], '…')
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, string(text))
}

// host names the provider to people.
func (o *OIDC) host() string {
	u, err := url.Parse(o.c.Issuer)
	if err != nil {
		return o.c.Issuer
	}
	return u.Host
}
