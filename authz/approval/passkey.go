package approval

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/exeat/exeat/authz/plaintext"
	"github.com/exeat/exeat/store"
)

// Passkeys are WebAuthn credentials of the people of one inbox: they sign in
// with them, and sign decisions. User verification is always asked for.
type Passkeys struct {
	s   *Service
	web *webauthn.WebAuthn

	mu         sync.Mutex
	ceremonies map[string]ceremony // by challenge; guarded by mu
}

// ceremony is a challenge that was given out and not answered yet.
type ceremony struct {
	person string // who registers; "" for a sign-in
	data   webauthn.SessionData
	end    time.Time
}

// Bounds of ceremonies and keys.
const (
	ceremonyLife  = 5 * time.Minute
	maxCeremonies = 256
	maxPasskeys   = 20 // of one person
	maxKeyName    = 60 // characters
	passkeyDomain = "exeat passkey 1\n"
	signedDomain  = "exeat decision 1\n"
)

// passkeyAMR is how somebody with a passkey was recognised (RFC 8176): a key, and
// what unlocks it.
var passkeyAMR = []string{"mfa", "pop", "user"}

// Errors of passkeys.
var (
	ErrPasskey     = errors.New("the passkey was not accepted")
	ErrMorePasskey = errors.New("another passkey can be added only by somebody who signed in with one")
	ErrKeyName     = errors.New("a passkey has a name of at most 60 characters")
	ErrNeedPasskey = errors.New("this needs a passkey")
)

// NewPasskeys is for an inbox at origin. The error says why browsers would not
// use passkeys there.
func NewPasskeys(s *Service, origin string) (*Passkeys, error) {
	web, err := webAt(origin)
	if err != nil {
		return nil, err
	}
	return &Passkeys{s: s, web: web, ceremonies: map[string]ceremony{}}, nil
}

// holder is a person as the library knows one.
type holder struct {
	name string
	keys []webauthn.Credential
}

// WebAuthnID implements webauthn.User. It tells nothing of the person, and is the
// same for all of their keys.
func (h holder) WebAuthnID() []byte {
	sum := sha256.Sum256([]byte("exeat user handle 1\n" + h.name))
	return sum[:]
}

// WebAuthnName implements webauthn.User.
func (h holder) WebAuthnName() string { return plaintext.Name(h.name) }

// WebAuthnDisplayName implements webauthn.User.
func (h holder) WebAuthnDisplayName() string { return plaintext.Name(h.name) }

// WebAuthnCredentials implements webauthn.User.
func (h holder) WebAuthnCredentials() []webauthn.Credential { return h.keys }

// begin remembers a challenge; the oldest makes room.
func (k *Passkeys) begin(person string, data webauthn.SessionData) {
	now := k.s.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.ceremonies) >= maxCeremonies {
		oldest := ""
		for c, x := range k.ceremonies {
			if oldest == "" || x.end.Before(k.ceremonies[oldest].end) {
				oldest = c
			}
		}
		delete(k.ceremonies, oldest)
	}
	k.ceremonies[data.Challenge] = ceremony{person, data, now.Add(ceremonyLife)}
}

// take ends the ceremony of a challenge, and reports whether it was open.
func (k *Passkeys) take(challenge string) (ceremony, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, ok := k.ceremonies[challenge]
	delete(k.ceremonies, challenge)
	return c, ok && k.s.Now().Before(c.end)
}

// BeginRegistration is what a browser needs to make a passkey. Who has one makes
// another only after signing in with it.
func (k *Passkeys) BeginRegistration(ctx context.Context, who Identity) (*protocol.CredentialCreation, error) {
	p, err := k.s.admit(ctx, who)
	if err != nil {
		return nil, err
	}
	person, more := p.Name(), p.Strong
	h, err := k.s.holder(ctx, person)
	if err != nil {
		return nil, err
	}
	if len(h.keys) > 0 && !more {
		return nil, ErrMorePasskey
	}
	options, data, err := k.web.BeginRegistration(h, webauthn.WithExclusions(webauthn.Credentials(h.keys).CredentialDescriptors()))
	if err != nil {
		return nil, err
	}
	k.begin(person, *data)
	return options, nil
}

// Register keeps the passkey that a browser made.
func (k *Passkeys) Register(ctx context.Context, who Identity, name string, response []byte) error {
	by, err := k.s.admit(ctx, who)
	if err != nil {
		return err
	}
	person, more := by.Name(), by.Strong
	if name == "" || !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxKeyName {
		return ErrKeyName
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrPasskey, err)
	}
	c, ok := k.take(parsed.Response.CollectedClientData.Challenge)
	if !ok || c.person != person {
		return fmt.Errorf("%w: it took too long, or was answered before", ErrPasskey)
	}
	credential, err := k.web.CreateCredential(holder{name: person}, c.data, parsed)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrPasskey, err)
	}
	record, err := json.Marshal(credential)
	if err != nil {
		return err
	}
	now := k.s.Now()
	p := store.Passkey{ID: keyID(credential.ID), Person: person, Name: name, Credential: record, Created: now}
	p.Mark = k.s.markPasskey(p)
	return k.s.update(ctx, func(tx *store.Tx) error {
		good, err := k.s.signers(tx, person)
		if err != nil {
			return err
		}
		if len(good.keys) > 0 && !more || len(good.keys) >= maxPasskeys {
			return ErrMorePasskey
		}
		if err := tx.InsertPasskey(p); err != nil {
			return err
		}
		return k.s.tellKey(tx, person, person, noteKeyAdded, digestOf(p.ID))
	})
}

// BeginSignIn is what a browser needs to sign somebody in.
func (k *Passkeys) BeginSignIn() (*protocol.CredentialAssertion, error) {
	options, data, err := k.web.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, err
	}
	k.begin("", *data)
	return options, nil
}

// PasskeyUse says whose passkey has just answered. Only FinishSignIn makes one.
type PasskeyUse struct{ person string }

// Name is the person in holds and entries.
func (u PasskeyUse) Name() string { return u.person }

// FinishSignIn says whose passkey answered.
func (k *Passkeys) FinishSignIn(ctx context.Context, response []byte) (PasskeyUse, error) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return PasskeyUse{}, fmt.Errorf("%w: %v", ErrPasskey, err)
	}
	c, ok := k.take(parsed.Response.CollectedClientData.Challenge)
	if !ok || c.person != "" {
		return PasskeyUse{}, fmt.Errorf("%w: it took too long, or was answered before", ErrPasskey)
	}
	var key store.Passkey
	find := func(id, handle []byte) (webauthn.User, error) {
		var h holder
		err := k.s.c.Store.View(ctx, func(tx *store.Tx) error {
			var err error
			key, err = tx.Passkey(keyID(id))
			return err
		})
		if err != nil || !k.s.goodKey(key) {
			return nil, ErrPasskey
		}
		h, err = k.s.holder(ctx, key.Person)
		return h, err
	}
	_, credential, err := k.web.ValidatePasskeyLogin(find, c.data, parsed)
	if err != nil {
		return PasskeyUse{}, fmt.Errorf("%w: %v", ErrPasskey, err)
	}
	if err := k.s.update(ctx, func(tx *store.Tx) error { return k.s.count(tx, credential, k.s.Now()) }); err != nil {
		return PasskeyUse{}, err
	}
	return PasskeyUse{key.Person}, nil
}

// webAt is WebAuthn for an inbox at origin.
func webAt(origin string) (*webauthn.WebAuthn, error) {
	u, err := url.Parse(origin)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "https" && u.Hostname() != "localhost" {
		return nil, fmt.Errorf("browsers use passkeys on https and on http://localhost, and the inbox is at %s", origin)
	}
	web, err := webauthn.New(&webauthn.Config{RPID: u.Hostname(), RPDisplayName: "exeat", RPOrigins: []string{origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{ResidentKey: protocol.ResidentKeyRequirementRequired,
			UserVerification: protocol.VerificationRequired}})
	if err != nil {
		return nil, fmt.Errorf("passkeys cannot be used at %s: %v", origin, err)
	}
	return web, nil
}

func keyID(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }
