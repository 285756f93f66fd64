package approval

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/exeat/exeat/store"
)

// Signed is a decision that a passkey signed: what is kept of it, with which
// anybody who has the person's public key can check it.
type Signed struct {
	Origin string          `json:"origin"` // of the inbox
	Choice string          `json:"choice"` // "once", "grant " and the terms of a grant, or "together " and a list of holds
	Until  time.Time       `json:"until"`  // when the challenge ended
	Answer json.RawMessage `json:"answer"` // AuthenticationResponseJSON (WebAuthn Level 3 §5.1.9)
}

// challenge is what a passkey signs: this person's choice for this hold, while
// it can be made.
func challenge(person, hold, digest, choice string, until time.Time) []byte {
	form, err := json.Marshal([]string{person, hold, digest, choice, until.UTC().Format(time.RFC3339)})
	if err != nil {
		return nil // strings can always be encoded
	}
	sum := sha256.Sum256(append([]byte(signedDomain), form...))
	return sum[:]
}

// AskToSign is what a browser needs to sign a choice; nil if the person has no
// passkey.
func (k *Passkeys) AskToSign(ctx context.Context, person, hold, digest, choice string, until time.Time) (*protocol.CredentialAssertion, error) {
	who, err := k.s.holder(ctx, person)
	if err != nil || len(who.keys) == 0 {
		return nil, err
	}
	options, _, err := k.web.BeginLogin(who, webauthn.WithChallenge(challenge(person, hold, digest, choice, until)), webauthn.WithUserVerification(protocol.VerificationRequired))
	return options, err
}

// The choices that a passkey signs, and how long a page's challenge lives.
const (
	ChoiceOnce    = "once"
	choiceGrant   = "grant "
	choiceSeveral = "together " // and the holds with their digests, each to be approved once
	DecisionLife  = 15 * time.Minute
)

// sign checks an approval as the person's passkeys want it. Who has a passkey
// approves with it: a session that was stolen approves nothing. strong is who,
// recognised by the key.
func (s *Service) sign(tx *store.Tx, h store.Hold, who Person, v Verdict, now time.Time) (strong Person, err error) {
	signer, err := s.signers(tx, who.Name())
	switch {
	case err != nil:
		return who, err
	case v.Approve && (len(signer.keys) > 0 || v.Signed != nil):
		if err := s.checkSignature(tx, signer, h, ChoiceOnce, v.Signed, now); err != nil {
			return who, err
		}
	}
	return strengthen(who, signer), nil
}

// strengthen is a person as their decision will have recognised them: by their
// passkey, if they have one.
func strengthen(p Person, signer holder) Person {
	if len(signer.keys) > 0 {
		p.AMR, p.Strong = passkeyAMR, true
	}
	return p
}

// checkSignature checks that a passkey has just signed a choice about a hold, and
// counts its use.
func (s *Service) checkSignature(tx *store.Tx, signer holder, h store.Hold, choice string, signed *Signed, now time.Time) error {
	if signed == nil {
		return ErrNeedPasskey
	}
	if signed.Choice != choice || !now.Before(signed.Until) || signed.Until.After(now.Add(2*DecisionLife)) {
		return fmt.Errorf("%w: it took too long, or was for another choice", ErrPasskey)
	}
	credential, err := verifySigned(signer, h.ID, h.Digest, *signed)
	if err != nil {
		return err
	}
	return s.count(tx, credential, now)
}

// verifySigned checks a signed decision against a person's keys.
func verifySigned(who holder, hold, digest string, s Signed) (*webauthn.Credential, error) {
	web, err := webAt(s.Origin)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrPasskey, err)
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(s.Answer)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrPasskey, err)
	}
	want := challenge(who.name, hold, digest, s.Choice, s.Until)
	if list, ok := strings.CutPrefix(s.Choice, choiceSeveral); ok {
		var shown []Shown
		if json.Unmarshal([]byte(list), &shown) != nil || !slices.Contains(shown, Shown{hold, digest}) {
			return nil, fmt.Errorf("%w: it signed other calls", ErrPasskey)
		}
		want = challenge(who.name, "", "", s.Choice, s.Until)
	}
	data := webauthn.SessionData{Challenge: base64.RawURLEncoding.EncodeToString(want), RelyingPartyID: web.Config.RPID,
		UserID: who.WebAuthnID(), UserVerification: protocol.VerificationRequired}
	credential, err := web.ValidateLogin(who, data, parsed)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrPasskey, err)
	}
	return credential, nil
}

// checkSigner checks again, before a send, that the key that signed an approval is
// good and did sign it.
func (s *Service) checkSigner(tx *store.Tx, h store.Hold, a store.Approval) error {
	if len(a.Signed) == 0 {
		return nil
	}
	var signed Signed
	if err := json.Unmarshal(a.Signed, &signed); err != nil || forOnce(signed.Choice) != a.Once {
		return ErrTampered
	}
	who, err := s.signers(tx, a.ByName)
	if errors.Is(err, ErrStale) { // it is over, and must not stand in the way of others
		return fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	if err != nil {
		return err
	}
	if _, err := verifySigned(who, h.ID, h.Digest, signed); err != nil {
		return fmt.Errorf("%w: the passkey that signed it does not stand for it any more", ErrForbidden)
	}
	return nil
}

// Pinned is a person's public key, kept outside of the machine that exeat runs
// on, to check with what its log says people approved.
type Pinned struct {
	Person     string          `json:"person"`
	Name       string          `json:"name"`
	ID         string          `json:"id"`
	Credential json.RawMessage `json:"credential"` // credential record (WebAuthn Level 3 §4)
}

// Pins are a person's good passkeys, to be kept elsewhere; those of everybody if
// person is "".
func (s *Service) Pins(ctx context.Context, person string) ([]Pinned, error) {
	list, err := s.PasskeysOf(ctx, person)
	pins := []Pinned{}
	for _, p := range list {
		pins = append(pins, Pinned{p.Person, p.Name, p.ID, p.Credential})
	}
	return pins, err
}

// CheckEntry checks the passkey's signature of an approval or a grant against
// pinned keys. It is false for an entry of another kind, and for one without a
// signature; the error says that there is one that is not the person's, or that
// it does not stand for what the entry says.
func CheckEntry(e store.Entry, pins []Pinned) (signed bool, err error) {
	if e.Kind != store.KindApprove && e.Kind != KindGrant || len(e.Signed) == 0 {
		return false, nil
	}
	var s Signed
	if err := json.Unmarshal(e.Signed, &s); err != nil {
		return false, fmt.Errorf("entry %d: its signature cannot be read", e.Seq)
	}
	if !tellsOf(s.Choice, e) {
		return false, fmt.Errorf("entry %d: %s signed something else than it says", e.Seq, e.By)
	}
	who := holder{name: e.By}
	for _, p := range pins {
		var c webauthn.Credential
		if p.Person == e.By && json.Unmarshal(p.Credential, &c) == nil {
			who.keys = append(who.keys, c)
		}
	}
	if _, err := verifySigned(who, e.Hold, e.Digest, s); err != nil {
		return false, fmt.Errorf("entry %d: %s approved %s, and none of the pinned passkeys signed that", e.Seq, e.By, e.Hold)
	}
	return true, nil
}

// forOnce reports whether a choice lets a call go once.
func forOnce(choice string) bool {
	return choice == ChoiceOnce || strings.HasPrefix(choice, choiceSeveral)
}

// tellsOf reports whether a choice is the one that an entry tells of.
func tellsOf(choice string, e store.Entry) bool {
	if e.Grant == "" {
		return forOnce(choice)
	}
	var terms struct {
		Subject string `json:"subject"`
		Agent   string `json:"agent"`
		Scope   Scope  `json:"scope"`
	}
	text, ok := strings.CutPrefix(choice, choiceGrant)
	if !ok || json.Unmarshal([]byte(text), &terms) != nil {
		return false
	}
	at := terms.Scope
	return terms.Subject == e.Principal && terms.Agent == e.Agent && at.API == e.API && at.Tool == e.Tool && (e.Kind != KindGrant || at.Path == e.Path)
}
