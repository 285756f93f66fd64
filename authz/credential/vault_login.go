package credential

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/exeat/exeat/authz/token"
)

// VaultLogin is how exeat logs in to a vault.
type VaultLogin struct {
	// Mount is where the way to log in is mounted, such as approle; empty: there is
	// nothing to log in to, and Secret is a vault's token.
	Mount string
	// Fields are what goes with the secret, such as the role, and Field is where the
	// secret goes: secret_id or jwt.
	Fields map[string]string
	Field  string
	// Secret is read for each login; c is the call that it is for.
	Secret func(ctx context.Context, c token.Call) (token.Secret, error)
	// PerCall is a login for each call, which ends with it. Others are kept until shortly
	// before they end.
	PerCall bool
}

func (l VaultLogin) check() error {
	switch {
	case l.Secret == nil:
		return errors.New("it is not said how exeat logs in to the vault")
	case l.Mount != "" && !vaultMount.MatchString(l.Mount):
		return fmt.Errorf("mount: %s is no mount of a vault", brief(l.Mount))
	}
	return nil
}

// vaultToken is what exeat asks a vault with.
type vaultToken struct {
	token   token.Secret
	kept    bool // it was kept from a login before
	perCall bool // it ends with the call
}

// keptLogin is a login that is used for several calls.
type keptLogin struct {
	mu    sync.Mutex
	token token.Secret
	until time.Time
}

// forget makes the next call log in again, unless another has.
func (k *keptLogin) forget(t token.Secret) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.token.Equal(t) {
		k.until = time.Time{}
	}
}

// logIn returns what to ask the vault with. Who comes while somebody logs in waits for
// that.
func (v *Vault) logIn(ctx context.Context, c token.Call) (vaultToken, error) {
	if v.Login.Mount == "" {
		secret, err := v.Login.Secret(ctx, c)
		return vaultToken{token: secret}, err
	}
	if v.Login.PerCall {
		t, _, err := v.askLogin(ctx, c)
		return vaultToken{token: t, perCall: true}, err
	}
	v.kept.mu.Lock()
	defer v.kept.mu.Unlock()
	if !c.Fresh && v.now().Before(v.kept.until) {
		return vaultToken{token: v.kept.token, kept: true}, nil
	}
	t, lives, err := v.askLogin(ctx, c)
	if err != nil {
		return vaultToken{}, err
	}
	if lives == 0 { // not to be kept
		return vaultToken{token: t, perCall: true}, nil
	}
	v.kept.token, v.kept.until = t, v.now().Add(lives-lives/5)
	return vaultToken{token: t}, nil
}

// askLogin logs in, and tells for how long the login may be kept.
func (v *Vault) askLogin(ctx context.Context, c token.Call) (token.Secret, time.Duration, error) {
	secret, err := v.Login.Secret(ctx, c)
	if err != nil {
		return token.Secret{}, 0, err
	}
	body := map[string]any{v.Login.Field: secret.Reveal()}
	for name, value := range v.Login.Fields {
		body[name] = value
	}
	var answer vaultAnswer
	if err := v.ask(ctx, http.MethodPost, "auth/"+v.Login.Mount+"/login", token.Secret{}, body, &answer); err != nil {
		var refused vaultRefusal
		if errors.As(err, &refused) && (refused == http.StatusBadRequest || refused == http.StatusForbidden) {
			err = fmt.Errorf("it answered %d, and does not take the login (look at auth, mount and role, and at what exeat logs in with)", int(refused))
		}
		return token.Secret{}, 0, fmt.Errorf("cannot log in to the vault: %w", err)
	}
	if answer.Auth == nil || answer.Auth.Token == "" {
		return token.Secret{}, 0, errors.New("cannot log in to the vault: it asks for more than one step, or its answer is no login")
	}
	lives := time.Duration(min(max(answer.Auth.Seconds, 0), maxLease)) * time.Second
	if answer.Auth.Uses > 0 { // it is soon used up
		lives = 0
	}
	return token.NewSecret(answer.Auth.Token), lives, nil
}
