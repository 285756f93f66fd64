package credential

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google/externalaccount"
	"golang.org/x/oauth2/jwt"

	"github.com/exeat/exeat/authz/token"
)

// cloudPlatform is the scope of tokens that are to be cut down.
const cloudPlatform = "https://www.googleapis.com/auth/cloud-platform"

// GoogleKeyFile gets tokens of a service account by its key (a JSON file of Google's).
func GoogleKeyFile(path string, client *http.Client) (oauth2.TokenSource, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the key of the service account: %w", err)
	}
	var key struct {
		Type     string `json:"type"`
		Email    string `json:"client_email"`
		Key      string `json:"private_key"`
		KeyID    string `json:"private_key_id"`
		TokenURL string `json:"token_uri"`
	}
	if json.Unmarshal(text, &key) != nil || key.Type != "service_account" || key.Email == "" {
		return nil, fmt.Errorf("%s is not the key of a service account, as Google writes it (type: service_account)", path)
	}
	if _, err := token.ParseLocation(key.TokenURL); err != nil {
		return nil, fmt.Errorf("%s: token_uri: %w", path, err)
	}
	if _, alg, err := parseKey([]byte(key.Key)); err != nil || alg != "RS256" {
		return nil, fmt.Errorf("%s: private_key is not an RSA key in PEM", path)
	}
	config := jwt.Config{Email: key.Email, PrivateKey: []byte(key.Key), PrivateKeyID: key.KeyID, TokenURL: key.TokenURL, Scopes: []string{cloudPlatform}}
	return keep(client, config.TokenSource), nil
}

// GoogleFederation gets tokens for a JWT of an issuer that a workload identity pool
// trusts. provider is its resource name: //iam.googleapis.com/projects/…/providers/….
func GoogleFederation(provider, universe string, identity func() (string, error), client *http.Client) (oauth2.TokenSource, error) {
	config := externalaccount.Config{Audience: provider, SubjectTokenType: "urn:ietf:params:oauth:token-type:jwt", Scopes: []string{cloudPlatform},
		UniverseDomain: universe, SubjectTokenSupplier: supplier(identity)}
	if !providerName.MatchString(provider) {
		return nil, errors.New("the provider is not one: write its resource name, //iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/NAME")
	}
	return keep(client, func(ctx context.Context) oauth2.TokenSource {
		source, err := externalaccount.NewTokenSource(ctx, config)
		if err != nil {
			return failing{err}
		}
		return source
	}), nil
}

// providerName is the syntax of the resource name of a provider.
var providerName = regexp.MustCompile(`^//iam\.[a-z0-9.-]+/(projects/[^/]+/)?locations/[^/]+/work(load|force)(Identity)?Pools/[^/]+/providers/[^/]+$`)

// supplier gives Google's library the JWT that says who exeat is.
type supplier func() (string, error)

// SubjectToken returns the JWT.
func (s supplier) SubjectToken(context.Context, externalaccount.SupplierOptions) (string, error) {
	return s()
}

type failing struct{ err error }

func (f failing) Token() (*oauth2.Token, error) { return nil, f.err }

// metadataURL is where a machine at Google gets the token of its service account. It
// is the same on each, and only this machine can answer there.
const metadataURL = "http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token"

// GoogleMachine gets tokens of the service account of this machine, from Google's
// metadata server.
func GoogleMachine(client *http.Client) oauth2.TokenSource {
	return keep(client, func(ctx context.Context) oauth2.TokenSource { return machine{ctx} })
}

type machine struct{ ctx context.Context }

// Token asks the metadata server.
func (m machine) Token() (*oauth2.Token, error) {
	r, err := http.NewRequestWithContext(m.ctx, http.MethodGet, metadataURL, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Metadata-Flavor", "Google")
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := fetchJSON(oauth2.NewClient(m.ctx, nil), r, &answer); err != nil || answer.AccessToken == "" {
		return nil, errors.New("there is no token at the metadata server of this machine")
	}
	return &oauth2.Token{AccessToken: answer.AccessToken, TokenType: "Bearer", Expiry: time.Now().Add(time.Duration(answer.ExpiresIn) * time.Second)}, nil
}

// keep keeps a token of Google's while it lives. Its errors are said by what was heard.
func keep(client *http.Client, make func(context.Context) oauth2.TokenSource) oauth2.TokenSource {
	return oauth2.ReuseTokenSource(nil, heeded{client, make})
}

type heeded struct {
	client *http.Client
	make   func(context.Context) oauth2.TokenSource
}

// Token gets a new one.
func (h heeded) Token() (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	client, heard := listen(ctx, h.client)
	t, err := h.make(context.WithValue(ctx, oauth2.HTTPClient, client)).Token()
	if err != nil {
		return nil, heard.explain()
	}
	return t, nil
}

// heard is the last answer of a server of Google's, whose libraries put what it wrote
// into their errors.
type heard struct {
	ctx    context.Context
	next   http.RoundTripper
	status int
	code   string
	err    error
}

// listen is a client that ends with ctx and notes what came.
func listen(ctx context.Context, client *http.Client) (*http.Client, *heard) {
	if client == nil {
		client = direct
	}
	h := &heard{ctx: ctx, next: client.Transport}
	return &http.Client{Transport: h, CheckRedirect: client.CheckRedirect}, h
}

// RoundTrip sends r.
func (h *heard) RoundTrip(r *http.Request) (*http.Response, error) {
	h.status, h.code, h.err = 0, "", nil
	res, err := h.next.RoundTrip(r.WithContext(h.ctx))
	if err != nil {
		h.err = err
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		h.err = err
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(text))
	h.status = res.StatusCode
	var oauth struct {
		Error string `json:"error"`
	}
	var api struct {
		Error struct {
			Status string `json:"status"`
		} `json:"error"`
	}
	if json.Unmarshal(text, &oauth) == nil && errorCode.MatchString(oauth.Error) {
		h.code = oauth.Error
	} else if json.Unmarshal(text, &api) == nil && googleStatus.MatchString(api.Error.Status) {
		h.code = api.Error.Status
	}
	return res, nil
}

// googleStatus is what an error of an API of Google's looks like.
var googleStatus = regexp.MustCompile(`^[A-Z_]{1,64}$`)

// explain is what went wrong, without a word of the server's.
func (h *heard) explain() error {
	switch {
	case h.err != nil:
		return fmt.Errorf("no answer of Google's: %w", h.err)
	case h.code != "":
		return fmt.Errorf("refused by Google: %s%s", h.code, googleHints[h.code])
	case h.status == 0:
		return errors.New("nothing could be asked: the key or the identity cannot be read")
	case h.status != http.StatusOK:
		return fmt.Errorf("answered by Google with %d", h.status)
	}
	return errors.New("what Google answered is not a token")
}

// googleHints say what an error is often about.
var googleHints = map[string]string{
	"invalid_grant":     " (the key was deleted, the identity is not what the provider wants, or the clock of this machine is wrong)",
	"invalid_request":   " (Google does not understand the rules)",
	"invalid_target":    " (the provider is not one)",
	"PERMISSION_DENIED": " (the service account needs the role Service Account Token Creator on the one that is impersonated)",
	"NOT_FOUND":         " (there is no such service account)",
}

// fetchJSON reads the answer to r.
func fetchJSON(client *http.Client, r *http.Request, to any) error {
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %d", res.StatusCode)
	}
	return json.Unmarshal(text, to)
}
