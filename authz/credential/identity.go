package credential

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Identity signs who exeat is, for a cloud that trusts its issuer: web identity at AWS,
// workload identity federation at Google and Microsoft. Its key is for nothing else.
type Identity struct {
	Key                       *SigningKey
	Issuer, Subject, Audience string
	Now                       func() time.Time // nil means time.Now
}

// Check reports what cannot work; takes are the algorithms that the cloud verifies.
func (i *Identity) Check(takes ...string) error {
	for name, value := range map[string]string{"issuer": i.Issuer, "subject": i.Subject, "audience": i.Audience} {
		if value == "" {
			return fmt.Errorf("an identity that exeat signs needs the %s", name)
		}
	}
	if alg := string(i.Key.alg); !slices.Contains(takes, alg) {
		return fmt.Errorf("the key of the identity signs with %s, and only %s is understood there: an RSA key is (openssl genpkey -algorithm RSA -out FILE)", alg, strings.Join(takes, " or "))
	}
	return nil
}

// Sign returns a JWT that is good for a minute.
func (i *Identity) Sign() (string, error) {
	now := timeOf(i.Now)
	return i.Key.Sign("JWT", map[string]any{"iss": i.Issuer, "sub": i.Subject, "aud": i.Audience, "jti": rand.Text(), "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(assertionTTL).Unix()})
}
