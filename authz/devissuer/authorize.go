package devissuer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// AuthorizePath is where clients send people, at the inbox's origin.
const AuthorizePath = "/oauth/authorize"

// request is what a client asks a person for, once it was found to be in order.
type request struct {
	Client    string    `json:"client"`
	Redirect  string    `json:"redirect"`
	State     string    `json:"state,omitempty"`
	Challenge string    `json:"challenge"` // PKCE, S256
	Scopes    []string  `json:"scopes,omitempty"`
	Fresh     time.Time `json:"fresh,omitzero"` // the login must not be older
	Person    string    `json:"person"`         // who is asked
	Ends      time.Time `json:"ends"`
}

// Refusal is a request of a client that nobody is asked about. Back, if not empty,
// is where the client is told of it.
type Refusal struct{ Text, Back string }

func (e *Refusal) Error() string { return e.Text }

// justNow is how old a login may be that was made because of a request: the page
// that asks for it is loaded again afterwards.
const justNow = 2 * time.Minute

// maxState bounds what a client wants back, in bytes.
const maxState = 1024

// askedKey is where authorize finds what it is to fill in.
type askedKey struct{}

// read checks an authorization request. The error is a *Refusal.
func (i *Issuer) read(r *http.Request) (request, error) {
	for name, values := range r.URL.Query() {
		if len(values) > 1 {
			return request{}, &Refusal{Text: "The request of the client has the parameter " + name + " more than once."}
		}
	}
	var asked request
	var got answer
	i.authorize.ServeHTTP(&got, r.WithContext(context.WithValue(r.Context(), askedKey{}, &asked)))
	switch {
	case asked.Client != "":
		return asked, nil
	case got.header.Get("Location") != "":
		back := got.header.Get("Location")
		text := "The request of the client is not one that can be answered here."
		if u, err := url.Parse(back); err == nil && u.Query().Get("error_description") != "" {
			text = u.Query().Get("error_description")
		}
		return request{}, &Refusal{Text: text, Back: back}
	}
	var problem struct {
		Text string `json:"error_description"`
	}
	if json.Unmarshal(got.body.Bytes(), &problem) != nil || problem.Text == "" {
		problem.Text = "The request of the client cannot be read."
	}
	return request{}, &Refusal{Text: problem.Text}
}

// answer is what the library answers, which a person is shown in another way.
type answer struct {
	header http.Header
	body   bytes.Buffer
}

func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = http.Header{}
	}
	return a.header
}
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
func (a *answer) WriteHeader(int)             {}

// VerifyAuthRequest finds the client, and whether people may be sent back to where
// it says. Before that is known, nobody is sent anywhere.
func (s server) VerifyAuthRequest(ctx context.Context, r *op.Request[oidc.AuthRequest]) (*op.ClientRequest[oidc.AuthRequest], error) {
	c, err := s.i.findClient(ctx, r.Data.ClientID)
	if err != nil {
		return nil, oidc.ErrInvalidRequestRedirectURI().WithDescription("%s", err)
	}
	if !c.allows(r.Data.RedirectURI) {
		return nil, oidc.ErrInvalidRequestRedirectURI().WithDescription("The client has not registered the redirect_uri of its request.")
	}
	r.Data.ResponseMode = oidc.ResponseModeQuery // errors go nowhere else either; Authorize refuses what was asked
	if len(r.Data.Scopes) == 0 {
		r.Data.Scopes = oidc.SpaceDelimitedArray{oidc.ScopeOfflineAccess} // the library wants one; scopes drops it
	}
	return &op.ClientRequest[oidc.AuthRequest]{Request: r, Client: c}, nil
}

// challengeForm is a SHA-256 in base64url.
var challengeForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// Authorize checks the rest. What it refuses the client is told.
func (s server) Authorize(ctx context.Context, r *op.ClientRequest[oidc.AuthRequest]) (*op.Redirect, error) {
	asked, ok := ctx.Value(askedKey{}).(*request)
	if !ok {
		return nil, errInside()
	}
	q, mode := r.Data, r.Form.Get("response_mode")
	switch {
	case r.Form.Has("request") || r.Form.Has("request_uri"):
		return nil, oidc.ErrRequestNotSupported().WithDescription("request and request_uri are not supported")
	case mode != "" && mode != string(oidc.ResponseModeQuery):
		return nil, oidc.ErrInvalidRequest().WithDescription("the only response_mode is query")
	case q.CodeChallengeMethod != oidc.CodeChallengeMethodS256 || !challengeForm.MatchString(q.CodeChallenge):
		return nil, oidc.ErrInvalidRequest().WithDescription("PKCE is needed: a code_challenge with code_challenge_method=S256")
	case !s.i.isResource(r.Form.Get("resource")):
		return nil, oidc.ErrInvalidTarget().WithDescription("resource (RFC 8707) has to be %s", s.i.c.Resource)
	case len(q.State) > maxState:
		return nil, oidc.ErrInvalidRequest().WithDescription("the state is longer than 1024 bytes")
	case slices.Contains(q.Prompt, oidc.PromptNone):
		return nil, oidc.ErrInteractionRequired().WithDescription("nothing is allowed here without asking a person")
	}
	now := s.i.now()
	*asked = request{Client: q.ClientID, Redirect: q.RedirectURI, State: q.State, Challenge: q.CodeChallenge, Scopes: s.i.scopes(q.Scopes), Ends: now.Add(askLife)}
	if q.MaxAge != nil { // prompt=login is a max_age of 0
		asked.Fresh = now.Add(-max(justNow, time.Duration(min(*q.MaxAge, uint(accessLife/time.Second)))*time.Second)).Truncate(time.Second)
	}
	return op.NewRedirect(AuthorizePath), nil
}

// isResource reports whether a client means this exeat, with a slash at the end or
// without.
func (i *Issuer) isResource(named string) bool {
	return strings.TrimSuffix(named, "/") == i.c.Resource
}

// scopes are those of the scopes asked for that there are; all if none was.
func (i *Issuer) scopes(asked []string) (list []string) {
	for _, s := range i.c.Scopes {
		if slices.Contains(asked, s) {
			list = append(list, s)
		}
	}
	if slices.Equal(asked, []string{oidc.ScopeOfflineAccess}) {
		return i.c.Scopes
	}
	return list
}

// encoder writes the library's errors as parameters of a URL.
var encoder = oidc.NewEncoder()

// Encode names the issuer in every answer that a person carries back (RFC 9207).
func (i *Issuer) Encode(src any, dst map[string][]string) error {
	dst["iss"] = []string{i.c.Issuer}
	return encoder.Encode(src, dst)
}

// back is where a person is sent with an answer.
func (i *Issuer) back(req request, answer url.Values) (string, error) {
	u, err := url.Parse(req.Redirect)
	if err != nil {
		return "", errors.New("the redirect_uri cannot be read")
	}
	q := u.Query()
	answer.Set("iss", i.c.Issuer)
	if req.State != "" {
		answer.Set("state", req.State)
	}
	for name, values := range answer {
		q[name] = values
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}
