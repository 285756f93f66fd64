package account

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/exeat/exeat/authz/credential"
	"github.com/exeat/exeat/authz/token"
)

// The lives of scopes for which none is configured: those of reads, which can be
// renewed for days, and all others, which a person is asked for anew.
const (
	ReadLife  = 72 * time.Hour
	WriteLife = 20 * time.Minute
)

// CallbackPath is where people come back to, below the inbox's URL. The API's name
// follows, so that an answer of one server cannot pass for that of another (RFC 9700
// §4.4.2.2).
const CallbackPath = "/connect/callback/"

// Provider is where people connect their accounts of one API.
type Provider struct {
	API          string // the document's name
	Server       *credential.Server
	ClientID     string
	AuthorizeURL string
	// Issuer, if not empty, is what answers have to name (RFC 9207).
	Issuer string
	Scopes []Scope // that the API's operations need, by their names
	// Always are asked for with every connection, and nothing is decided by them,
	// such as offline_access.
	Always []string
	// AlsoGranted are scopes that the server may add; "*" is any.
	AlsoGranted []string
	Resource    string            // that of RFC 8707; empty: none
	Params      map[string]string // others of the authorization request
}

// Scope is one of a provider's.
type Scope struct {
	Name  string
	Says  string        // what it lets do, in the document's words
	Life  time.Duration // after which the person is asked anew
	Tools []string      // that need it
}

// scopeToken is the syntax of one scope (RFC 6749 §3.3).
var scopeToken = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]{1,200}$`)

// ownParams are those that exeat sets itself.
var ownParams = []string{"response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method", "resource"}

// Check reports what cannot work, so that a wrong configuration does not start.
func (p *Provider) Check() error {
	if err := p.Server.Check(); err != nil {
		return err
	}
	if _, err := token.ParseLocation(p.AuthorizeURL); err != nil {
		return fmt.Errorf("connected.authorize_url: %w", err)
	}
	if p.ClientID == "" {
		return errors.New("connected needs client_id")
	}
	for _, s := range p.Scopes {
		if !scopeToken.MatchString(s.Name) {
			return fmt.Errorf("%q is not a scope: write each as an item of its own", s.Name)
		}
		if s.Life < time.Minute || s.Life > 366*24*time.Hour {
			return fmt.Errorf("the scope %s cannot live %s: give it between 1m and 8784h", s.Name, s.Life)
		}
	}
	for _, s := range p.Always {
		if !scopeToken.MatchString(s) {
			return fmt.Errorf("%q is not a scope: write each as an item of its own", s)
		}
	}
	for name := range p.Params {
		if name == "" || slices.Contains(ownParams, name) {
			return fmt.Errorf("the parameter %q of the authorization request is set already", name)
		}
	}
	return nil
}

// Host names the provider to people.
func (p *Provider) Host() string {
	u, err := url.Parse(p.AuthorizeURL)
	if err != nil {
		return ""
	}
	return u.Host
}

// Scope is the scope of a name.
func (p *Provider) Scope(name string) (Scope, bool) {
	i := slices.IndexFunc(p.Scopes, func(s Scope) bool { return s.Name == name })
	if i < 0 {
		return Scope{}, false
	}
	return p.Scopes[i], true
}

// life is how long a scope is good for once it was asked for.
func (p *Provider) life(name string) time.Duration {
	s, _ := p.Scope(name)
	return cmp.Or(s.Life, WriteLife)
}

// Needed are the scopes that a tool needs.
func (p *Provider) Needed(tool string) (names []string) {
	for _, s := range p.Scopes {
		if slices.Contains(s.Tools, tool) {
			names = append(names, s.Name)
		}
	}
	return names
}

// Ask is what the server is asked for in one connection: Chosen by the person, and
// those that are connected still, which keep their ends.
type Ask struct {
	API      string
	Person   string
	Chosen   []string
	Kept     []string
	Redirect string
	Verifier string // of PKCE
}

// NewAsk is a question for the scopes that a person chose.
func (p *Provider) NewAsk(person, inbox string, chosen, live []string) (Ask, error) {
	if len(chosen) == 0 && len(p.Scopes) > 0 {
		return Ask{}, errors.New("no scope was chosen")
	}
	for _, name := range chosen {
		if _, ok := p.Scope(name); !ok {
			return Ask{}, fmt.Errorf("the API needs no scope %q", name)
		}
	}
	return Ask{API: p.API, Person: person, Chosen: chosen, Kept: slices.DeleteFunc(slices.Clone(live), func(s string) bool { return slices.Contains(chosen, s) }),
		Redirect: p.RedirectURI(inbox), Verifier: oauth2.GenerateVerifier()}, nil
}

// RedirectURI is where the server has to be told to send people back to, to the
// letter, for the inbox of that URL.
func (p *Provider) RedirectURI(inbox string) string {
	return inbox + CallbackPath + url.PathEscape(p.API)
}

// all are the scopes that are asked for.
func (a Ask) all(always []string) []string {
	list := slices.Concat(a.Chosen, a.Kept, always)
	slices.Sort(list)
	return slices.Compact(list)
}

// URL is where the person's browser goes.
func (p *Provider) URL(a Ask, state string) string {
	c := oauth2.Config{ClientID: p.ClientID, Endpoint: oauth2.Endpoint{AuthURL: p.AuthorizeURL}, RedirectURL: a.Redirect, Scopes: a.all(p.Always)}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(a.Verifier)}
	if p.Resource != "" {
		options = append(options, oauth2.SetAuthURLParam("resource", p.Resource))
	}
	for _, name := range slices.Sorted(maps.Keys(p.Params)) {
		options = append(options, oauth2.SetAuthURLParam(name, p.Params[name]))
	}
	return c.AuthCodeURL(state, options...)
}

// words lists scopes for people.
func words(scopes []string) string { return strings.Join(scopes, ", ") }
