package credential

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/token"
)

const maxLease = 100 * 365 * 24 * 3600 // seconds; beyond, a time would overflow

// vaultAnswer is what a vault answers, as far as it is looked at.
type vaultAnswer struct {
	Lease   string         `json:"lease_id"`
	Seconds int64          `json:"lease_duration"`
	Data    map[string]any `json:"data"`
	Wrapped any            `json:"wrap_info"`
	Auth    *struct {
		Token   string `json:"client_token"`
		Seconds int64  `json:"lease_duration"`
		Uses    int    `json:"num_uses"`
	} `json:"auth"`
}

// field is a text in the answer: of its data, or, of an answer that is a token of the
// vault itself, client_token.
func (a vaultAnswer) field(name string) (string, error) {
	if a.Auth != nil && name == "client_token" {
		return a.Auth.Token, nil
	}
	var at any = a.Data
	for part := range strings.SplitSeq(name, ".") {
		object, ok := at.(map[string]any)
		if !ok {
			return "", fmt.Errorf("the vault's answer has no %s (field and user_field say where to look)", name)
		}
		at = object[part]
	}
	text, ok := at.(string)
	if !ok || text == "" {
		return "", fmt.Errorf("%s in the vault's answer is no text (field and user_field say where to look)", name)
	}
	return text, nil
}

// lease is how long what was taken lives, and whether it has a lease. A token of the
// vault is leased as well.
func (a vaultAnswer) lease() (time.Duration, bool) {
	seconds := a.Seconds
	if a.Auth != nil {
		seconds = a.Auth.Seconds
	}
	return time.Duration(min(max(seconds, 0), maxLease)) * time.Second, a.Lease != "" || a.Auth != nil
}

// jwtEnd is when a JWT says that it ends; zero for what is none. Nothing is decided by
// it, so its signature is not looked at.
func jwtEnd(text string) time.Time {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Ends int64 `json:"exp"`
	}
	if err != nil || json.Unmarshal(payload, &claims) != nil || claims.Ends <= 0 || claims.Ends > 1<<40 {
		return time.Time{}
	}
	return time.Unix(claims.Ends, 0)
}

// take takes the secret.
func (v *Vault) take(ctx context.Context, login vaultToken, path string) (vaultAnswer, error) {
	var answer vaultAnswer
	var err error
	if v.Data == nil {
		err = v.ask(ctx, http.MethodGet, path, login.token, nil, &answer)
	} else {
		err = v.ask(ctx, http.MethodPost, path, login.token, v.Data, &answer)
	}
	switch {
	case err != nil:
		return vaultAnswer{}, err
	case answer.Wrapped != nil:
		return vaultAnswer{}, errors.New("its answer is wrapped, and is not unwrapped: take wrapping, or the control group, off the path")
	}
	return answer, nil
}

// end returns what ends what was taken for a call; nil if there is nothing to end. A
// login for the call ends with all leases that were taken with it, though not with a
// token of the vault that has no parent.
func (v *Vault) end(login vaultToken, answer vaultAnswer) func(context.Context) error {
	var ends []func(context.Context) error
	if answer.Auth != nil {
		ends = append(ends, func(ctx context.Context) error {
			return v.revoke(ctx, "auth/token/revoke-self", token.NewSecret(answer.Auth.Token), nil)
		})
	}
	switch {
	case login.perCall:
		ends = append(ends, func(ctx context.Context) error { return v.revoke(ctx, "auth/token/revoke-self", login.token, nil) })
	case answer.Lease != "":
		ends = append(ends, func(ctx context.Context) error {
			return v.revoke(ctx, "sys/leases/revoke", login.token, map[string]any{"lease_id": answer.Lease, "sync": true})
		})
	}
	if len(ends) == 0 {
		return nil
	}
	return func(ctx context.Context) error {
		var errs []error
		for _, end := range ends {
			errs = append(errs, end(ctx))
		}
		return errors.Join(errs...)
	}
}

// revoke asks the vault to end something.
func (v *Vault) revoke(ctx context.Context, path string, as token.Secret, body map[string]any) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	switch err := v.ask(ctx, http.MethodPost, path, as, body, nil); {
	case isStatus(err, http.StatusForbidden):
		return fmt.Errorf("cannot revoke what was taken from the vault: %w (the policy of exeat's login has to allow update at %s)", err, path)
	case err != nil:
		return fmt.Errorf("cannot revoke what was taken from the vault: %w", err)
	}
	return nil
}

// ask sends a request to the vault and reads the answer. Its error holds nothing that
// the vault wrote.
func (v *Vault) ask(ctx context.Context, method, path string, as token.Secret, body map[string]any, into any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return errors.New("what is to be written (data) is no JSON")
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(v.URL, "/")+"/v1/"+path, bytes.NewReader(text))
	if err != nil {
		return errors.New("the address of the vault is not a URL")
	}
	r.Header.Set("X-Vault-Request", "true")
	if !as.IsZero() {
		r.Header.Set("X-Vault-Token", as.Reveal())
	}
	if v.Namespace != "" {
		r.Header.Set("X-Vault-Namespace", v.Namespace)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return roundTrip(v.Client, r, "the vault", func(res *http.Response) error {
		if res.StatusCode/100 == 2 {
			return nil
		}
		return vaultRefusal(res.StatusCode)
	}, into)
}

// vaultRefusal is the status of an answer that is no success.
type vaultRefusal int

// Error says what the status means, and what to do.
func (r vaultRefusal) Error() string {
	hint := map[vaultRefusal]string{
		http.StatusBadRequest:         ": it does not take what it is asked (look at path, data and role)",
		http.StatusForbidden:          ": the policy of exeat's login does not allow it, or the login is no good any more",
		http.StatusNotFound:           ": there is nothing at that path (look at path, mount and namespace)",
		http.StatusMethodNotAllowed:   ": the path is read without data, and written with it",
		http.StatusTemporaryRedirect:  ": it is a standby that does not forward; give the address of the active one",
		http.StatusTooManyRequests:    ": it is a standby, or was asked too often",
		http.StatusServiceUnavailable: ": it is sealed, or down for maintenance",
	}[r]
	return fmt.Sprintf("the vault answered %d%s", int(r), hint)
}

// isStatus reports whether an error is a vault's answer with that status.
func isStatus(err error, status int) bool {
	var refused vaultRefusal
	return errors.As(err, &refused) && int(refused) == status
}
