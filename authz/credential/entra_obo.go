package credential

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/exeat/exeat/authz/token"
)

// grantJWT is the grant type of RFC 7523 §2.1.
const grantJWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// EntraOBO has Microsoft Entra ID make, of the caller's token, one for the API behind
// (on-behalf-of). Where Entra or the API wants other claims of the caller's login, the
// call ends with a token.ClaimsError, and can be made again with a token that has them.
type EntraOBO struct {
	Server *Server
	Wants
	// CAE says to Entra that exeat understands claims challenges (cp1): tokens then live
	// for up to 28 hours, and APIs refuse them as soon as something happens.
	CAE bool
	// RefuseWider refuses a token that has more scopes than were asked for. Entra gives
	// all that the user or an administrator has consented to.
	RefuseWider bool
	Now         func() time.Time // nil means time.Now

	wanted wantedClaims
}

// NeedsCaller says that the token is made of the caller's.
func (e *EntraOBO) NeedsCaller() bool { return true }

// Check reports what cannot work, so that a wrong configuration does not start.
func (e *EntraOBO) Check() error {
	if e.Scopes != nil && len(e.Scopes) == 0 {
		return errors.New("there is no token of Entra without scopes: name them, or api://…/.default")
	}
	if e.Params.Has("claims") || e.Params.Has("requested_token_use") {
		return errors.New("the parameters claims and requested_token_use are set already")
	}
	return errors.Join(e.Server.Check(), e.Wants.Check())
}

// Attach gets a token for c and sets it on r.
func (e *EntraOBO) Attach(ctx context.Context, c token.Call, r *http.Request) (token.Receipt, error) {
	if err := token.FreeAuthorization(r); err != nil {
		return token.Receipt{}, err
	}
	form, scopes := e.form(c)
	form.Del("resource") // its v2.0 endpoint refuses it
	switch {
	case c.Caller.IsZero():
		return token.Receipt{}, errors.New("this call came without an access token that another could be made of: exeat was reached by stdio, or with a token that exeat gave out itself. Serve it with exeat http and oauth")
	case c.CallerBound:
		return token.Receipt{}, errors.New("the caller's access token is bound to a key that only the caller has, and Entra would take it for a bearer token")
	case len(scopes) == 0:
		return token.Receipt{}, errors.New("the operation names no scopes, and Entra makes no token without: name them (scopes), such as api://…/.default")
	}
	form.Set("assertion", c.Caller.Reveal())
	form.Set("requested_token_use", "on_behalf_of")
	whose := c.Subject + "\x00" + c.Audience + "\x00" + c.Details.Identifier
	if claims, err := claimsParameter(e.wanted.of(whose, e.now()), e.CAE); err != nil {
		return token.Receipt{}, err
	} else if claims != "" {
		form.Set("claims", claims)
	}
	t, err := e.Server.Ask(ctx, grantJWT, form, scopes)
	if err != nil {
		return token.Receipt{}, err
	}
	if err := checkIssued(t, nil, nil); err != nil {
		return token.Receipt{}, fmt.Errorf("cannot use the token of Entra: %w", err)
	}
	if t.AccessToken == c.Caller.Reveal() {
		return token.Receipt{}, errors.New("cannot use the token of Entra: it is the caller's own, which no API may get")
	}
	granted := grantedScope(t, scopes)
	wider := e.wider(granted, scopes)
	if wider != "" && e.RefuseWider {
		return token.Receipt{}, fmt.Errorf("cannot use the token of Entra: %s (also_granted names what it may add; entra_obo.wider: note takes it all the same)", wider)
	}
	r.Header.Set("Authorization", "Bearer "+t.AccessToken)
	return token.Receipt{Strategy: "entra_obo", Issuer: e.Server.Host(), Audience: c.Audience, Scope: granted, Expires: t.Expiry, Wider: wider,
		Narrowed: "the caller's own rights", Challenged: func(claims json.RawMessage) { e.wanted.note(whose, claims, e.now()) }}, nil
}

func (e *EntraOBO) now() time.Time { return timeOf(e.Now) }

// wider says which scopes a token has that were not asked for. Scopes that are asked for
// by .default are those of the consent.
func (e *EntraOBO) wider(granted string, asked []string) string {
	if slices.ContainsFunc(asked, func(s string) bool { return strings.HasSuffix(s, "/.default") }) {
		return "all scopes that were consented to (.default)"
	}
	var more []string
	for scope := range strings.FieldsSeq(granted) {
		same := func(s string) bool { return strings.EqualFold(s, scope) || s == "*" }
		if !slices.ContainsFunc(asked, same) && !slices.ContainsFunc(e.AlsoGranted, same) && !slices.Contains([]string{"openid", "profile", "email", "offline_access"}, scope) {
			more = append(more, brief(scope))
		}
	}
	if len(more) == 0 {
		return ""
	}
	return fmt.Sprintf("it has %d scopes that were not asked for: %s", len(more), strings.Join(more[:min(len(more), 3)], ", "))
}

// claimsParameter is the claims request of a token request: what was wanted, and the
// capability of the client.
func claimsParameter(wanted json.RawMessage, cae bool) (string, error) {
	object := map[string]json.RawMessage{}
	if wanted != nil {
		if err := json.Unmarshal(wanted, &object); err != nil {
			return "", errors.New("the claims that are wanted are not one JSON object")
		}
	}
	if cae {
		access := map[string]json.RawMessage{}
		if raw, ok := object["access_token"]; ok && (json.Unmarshal(raw, &access) != nil || access == nil) {
			return "", errors.New("the claims that are wanted of the access token are not a JSON object")
		}
		access["xms_cc"] = json.RawMessage(`{"values":["cp1"]}`)
		b, err := json.Marshal(access)
		if err != nil {
			return "", err
		}
		object["access_token"] = b
	}
	if len(object) == 0 {
		return "", nil
	}
	b, err := json.Marshal(object)
	return string(b), err
}

// wantedClaims are what APIs wanted of somebody for an operation: the next token for it
// is asked for with them. Without, Entra would make the same token again.
type wantedClaims struct {
	mu sync.Mutex
	by map[string]wantedClaim
}

type wantedClaim struct {
	claims json.RawMessage
	until  time.Time
}

// How long and of how many it is remembered what an API wanted.
const (
	wantedFor  = 15 * time.Minute
	wantedMost = 10_000
)

func (w *wantedClaims) note(whose string, claims json.RawMessage, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by == nil || len(w.by) >= wantedMost {
		w.by = map[string]wantedClaim{}
	}
	w.by[whose] = wantedClaim{claims, now.Add(wantedFor)}
}

func (w *wantedClaims) of(whose string, now time.Time) json.RawMessage {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.by[whose]; now.Before(one.until) {
		return one.claims
	}
	delete(w.by, whose)
	return nil
}
