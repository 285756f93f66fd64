package approval

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
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

// markPasskey makes the MAC of a passkey: who can write to the database cannot put in a
// key, or give one to somebody else.
func (s *Service) markPasskey(p store.Passkey) []byte {
	p.Version, p.Mark = 0, nil
	p.Created, p.Used, p.Revoked = p.Created.UTC(), p.Used.UTC(), p.Revoked.UTC()
	form, err := json.Marshal(p)
	if err != nil {
		return nil
	}
	return s.mac(passkeyDomain, form)
}

// PasskeysOf lists the good passkeys of a person, or of everybody if person is
// "". One whose seal is broken is left out.
func (s *Service) PasskeysOf(ctx context.Context, person string) ([]store.Passkey, error) {
	var list []store.Passkey
	err := s.c.Store.View(ctx, func(tx *store.Tx) error {
		all, err := tx.Passkeys(person)
		list = slices.DeleteFunc(all, func(p store.Passkey) bool { return !s.goodKey(p) })
		return err
	})
	return list, err
}

func (s *Service) goodKey(p store.Passkey) bool {
	return len(s.c.Key) >= 32 && p.Revoked.IsZero() && hmac.Equal(p.Mark, s.markPasskey(p))
}

// HasPasskey reports whether a person has a good passkey.
func (s *Service) HasPasskey(ctx context.Context, person string) (bool, error) {
	h, err := s.holder(ctx, person)
	return len(h.keys) > 0, err
}

func (s *Service) holder(ctx context.Context, person string) (h holder, err error) {
	err = s.c.Store.View(ctx, func(tx *store.Tx) error {
		h, err = s.signers(tx, person)
		return err
	})
	return h, err
}

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
		all, err := tx.Passkeys(person)
		if err != nil {
			return err
		}
		good := slices.DeleteFunc(all, func(p store.Passkey) bool { return !k.s.goodKey(p) })
		if len(good) > 0 && !more || len(good) >= maxPasskeys {
			return ErrMorePasskey
		}
		if err := tx.InsertPasskey(p); err != nil {
			return err
		}
		return tx.Append(store.Entry{Kind: store.KindPasskey, Time: now, Principal: person, By: person, Note: noteOfKey(noteKeyAdded, p.ID)})
	})
}

// RevokeOwnPasskey ends a person's own passkey. Who signed in without one cannot:
// a session that was stolen could otherwise get rid of the keys that stand in its
// way.
func (s *Service) RevokeOwnPasskey(ctx context.Context, who Identity, id string) error {
	p, err := s.admit(ctx, who)
	if err != nil {
		return err
	}
	if !p.Strong {
		return ErrMorePasskey
	}
	return s.RevokePasskey(ctx, p.Name(), id, p.Name())
}

// RevokePasskey ends a passkey, for whoever runs this exeat. by is who does it.
func (s *Service) RevokePasskey(ctx context.Context, person, id, by string) error {
	return s.update(ctx, func(tx *store.Tx) error {
		p, err := tx.Passkey(id)
		if errors.Is(err, store.ErrNotFound) || err == nil && (p.Person != person || !s.goodKey(p)) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		now := s.Now()
		p.Revoked = now
		p.Mark = s.markPasskey(p)
		if err := tx.SwapPasskey(p); err != nil {
			return err
		}
		return tx.Append(store.Entry{Kind: store.KindPasskey, Time: now, Principal: person, By: by, Note: noteOfKey(noteKeyRevoked, p.ID)})
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

// signers are a person's keys as tx has them.
func (s *Service) signers(tx *store.Tx, person string) (holder, error) {
	h := holder{name: person}
	list, err := tx.Passkeys(person)
	if err == nil {
		err = s.checkPasskeys(tx, person, list)
	}
	if err != nil {
		return h, err
	}
	for _, p := range list {
		var c webauthn.Credential
		if s.goodKey(p) && json.Unmarshal(p.Credential, &c) == nil {
			h.keys = append(h.keys, c)
		}
	}
	return h, err
}

// count keeps a key's record after a use. A counter that went backwards means a
// copy.
func (s *Service) count(tx *store.Tx, credential *webauthn.Credential, now time.Time) error {
	if credential.Authenticator.CloneWarning {
		return fmt.Errorf("%w: its counter went backwards, as a copy's would", ErrPasskey)
	}
	record, err := json.Marshal(credential)
	if err != nil {
		return err
	}
	p, err := tx.Passkey(keyID(credential.ID))
	if err != nil || !s.goodKey(p) {
		return errors.Join(ErrPasskey, err)
	}
	p.Credential, p.Used = record, now
	p.Mark = s.markPasskey(p)
	return tx.SwapPasskey(p)
}

func keyID(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }
