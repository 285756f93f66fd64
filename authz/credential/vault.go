package credential

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/token"
)

// Vault takes a secret from a vault with the API of HashiCorp Vault and OpenBao, for
// each call anew, puts it where a standing key would go, and revokes its lease once the
// call has its answer.
type Vault struct {
	URL       string // without /v1
	Namespace string
	Login     VaultLogin
	// Path is what is read, without v1/, such as database/creds/{owner}: a value of the
	// call's path stands for each {name}.
	Path string
	// Data is written to the path; nil: the path is read.
	Data map[string]any
	// Field is the secret in the answer, UserField the user name that goes with it, if
	// any. A dot leads into an object: data.password.
	Field, UserField string
	// Put makes the credential of what was found, Place says where it goes.
	Put   func(user string, secret token.Secret) (*token.Static, error)
	Place string

	Client *http.Client     // nil means one that follows no redirects and uses no proxy
	Now    func() time.Time // nil means time.Now

	kept keptLogin
}

// longLease is a life of which the entry of a call says that it is longer than need be.
const longLease = time.Hour

var (
	vaultPath = regexp.MustCompile(`^[A-Za-z0-9_.{}/-]{1,256}$`)
	// vaultValue is what an argument may put into a path: never a separator, and never a
	// name that leads elsewhere.
	vaultValue = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}$`)
	vaultField = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	vaultMount = regexp.MustCompile(`^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$`)
)

// Check reports what cannot work, so that a wrong configuration does not start.
func (v *Vault) Check() error {
	if _, err := token.ParseLocation(v.URL); err != nil {
		return fmt.Errorf("the vault: %w", err)
	}
	plain := templateParam.ReplaceAllString(v.Path, "x")
	switch {
	case !vaultPath.MatchString(v.Path) || strings.ContainsAny(plain, "{}"):
		return fmt.Errorf("path: %s is no path of a vault; write it as database/creds/{name}", brief(v.Path))
	case strings.HasPrefix(v.Path, "v1/") || strings.HasPrefix(plain, "/") || strings.HasSuffix(plain, "/") || strings.Contains(plain, "//") || strings.Contains("/"+plain+"/", "/../") || strings.Contains("/"+plain+"/", "/./"):
		return fmt.Errorf("path: write %s without v1/ and /, .. or . at its ends or between", brief(v.Path))
	case !vaultField.MatchString(v.Field):
		return errors.New("field: say which field of the answer is the secret, such as password")
	case v.UserField != "" && !vaultField.MatchString(v.UserField):
		return fmt.Errorf("user_field: %s is no field", brief(v.UserField))
	case v.Namespace != "" && !vaultMount.MatchString(strings.Trim(v.Namespace, "/")):
		return fmt.Errorf("namespace: %s is none", brief(v.Namespace))
	}
	return v.Login.check()
}

// Attach takes a secret for c and puts it on r.
func (v *Vault) Attach(ctx context.Context, c token.Call, r *http.Request) (token.Receipt, error) {
	path, err := v.path(c)
	if err != nil {
		return token.Receipt{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	login, err := v.logIn(bounded, c)
	if err != nil {
		return token.Receipt{}, err
	}
	answer, err := v.take(bounded, login, path)
	if login.kept && isStatus(err, http.StatusForbidden) { // it may have ended before its time
		v.kept.forget(login.token)
		if login, err = v.logIn(bounded, c); err != nil {
			return token.Receipt{}, err
		}
		answer, err = v.take(bounded, login, path)
	}
	if err != nil {
		return token.Receipt{}, v.ended(ctx, fmt.Errorf("cannot take the secret from the vault: %w", err), v.end(login, vaultAnswer{}))
	}
	end := v.end(login, answer)
	if _, leased := answer.lease(); login.perCall && !leased { // what is taken does not end with the login
		if err := end(bounded); err != nil {
			return token.Receipt{}, err
		}
		end = nil
	}
	receipt, err := v.put(ctx, c, r, answer)
	if err != nil {
		return token.Receipt{}, v.ended(ctx, err, end)
	}
	receipt.Strategy, receipt.Issuer, receipt.Scope, receipt.Revoke = "vault", v.host(), path, end
	return receipt, nil
}

// ended ends what was taken and is not used, since nothing else would.
func (v *Vault) ended(ctx context.Context, err error, end func(context.Context) error) error {
	if end == nil {
		return err
	}
	return errors.Join(err, end(context.WithoutCancel(ctx)))
}

// put makes a credential of an answer, and says what it is.
func (v *Vault) put(ctx context.Context, c token.Call, r *http.Request, answer vaultAnswer) (token.Receipt, error) {
	secret, err := answer.field(v.Field)
	if err != nil {
		return token.Receipt{}, err
	}
	user := ""
	if v.UserField != "" {
		if user, err = answer.field(v.UserField); err != nil {
			return token.Receipt{}, err
		}
	}
	key, err := v.Put(user, token.NewSecret(secret))
	if err == nil {
		_, err = key.Attach(ctx, c, r)
	}
	if err != nil {
		return token.Receipt{}, fmt.Errorf("cannot send the secret of the vault: %w", err)
	}
	var receipt token.Receipt
	now := v.now()
	lives, leased := answer.lease()
	switch ends := jwtEnd(secret); {
	case leased:
		receipt.Narrowed = "leased for this call"
		if lives > 0 {
			receipt.Expires = now.Add(lives).UTC()
		}
		if lives == 0 || lives > longLease {
			receipt.Wider = "its lease is longer than an hour: give its role a shorter ttl"
		}
	case !ends.IsZero():
		receipt.Expires, receipt.Wider = ends.UTC(), "it has no lease that could be revoked, and ends by itself"
	default:
		receipt.Standing, receipt.Wider = true, "it has no lease: it works until somebody changes it"
	}
	return receipt, nil
}

// path is the path of a call: a value that could lead elsewhere is refused.
func (v *Vault) path(c token.Call) (string, error) {
	var wrong error
	path := templateParam.ReplaceAllStringFunc(v.Path, func(param string) string {
		name := strings.Trim(param, "{}")
		value, ok := c.Path[name]
		switch {
		case !ok:
			wrong = fmt.Errorf("the path in the vault needs %s, which is not in the path of the operation: use another credential for it (credential_for)", param)
		case !vaultValue.MatchString(value):
			wrong = fmt.Errorf("the argument %s cannot be a part of a path in the vault: it may have letters, digits, - _ and . only, and not begin with the last", name)
		}
		return value
	})
	if wrong != nil {
		return "", wrong
	}
	return path, nil
}

// Lacks says why no call of an operation can have a secret; empty if one can.
func (v *Vault) Lacks(tool, method, template string) string {
	if _, err := v.path(anyCall(tool, method, template)); err != nil {
		return err.Error()
	}
	return ""
}

// host names the vault in entries.
func (v *Vault) host() string { return hostOf(v.URL) }

func (v *Vault) now() time.Time { return timeOf(v.Now) }
