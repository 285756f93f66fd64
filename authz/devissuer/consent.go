package devissuer

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/approval"
)

// Errors of what people are asked.
var (
	// ErrAsk is a question that was not put here, to this person, or lately.
	ErrAsk = errors.New("this question was not put to you here, or more than 10 minutes ago")
	// ErrFresh is a login that is older than the client wants it to be.
	ErrFresh = errors.New("the client wants you to log in anew")
)

// Ask is what a person is asked about a client.
type Ask struct {
	Client     string    // its client_id
	Document   string    // the host that its document is from, or ""
	Registered time.Time // when it registered itself, if it has no document
	Name       string    // what it calls itself
	Redirect   string    // where the person is sent back to
	Host       string    // of it
	Local      bool      // that is a program on the person's own machine
	Resource   string    // what it wants to use
	Scopes     []string
	Sealed     string // what the answer has to bring back
}

// Ask reads an authorization request, for a person who is logged in. The error is
// a *Refusal, ErrFresh or one of the service's.
func (i *Issuer) Ask(r *http.Request, who approval.Identity) (Ask, error) {
	p, err := i.c.Holds.Recognise(r.Context(), who)
	if err != nil {
		return Ask{}, err
	}
	req, err := i.read(r)
	if err != nil {
		return Ask{}, err
	}
	if p.Principal.AuthTime.Before(req.Fresh) {
		return Ask{}, ErrFresh
	}
	c, err := i.findClient(r.Context(), req.Client)
	if err != nil {
		return Ask{}, &Refusal{Text: err.Error()}
	}
	req.Person = p.Name()
	ask := Ask{Client: c.ID, Registered: c.Registered, Name: c.Name, Redirect: req.Redirect, Resource: i.c.Resource, Scopes: req.Scopes, Sealed: i.seal(req)}
	if u, err := url.Parse(c.ID); err == nil && c.Registered.IsZero() {
		ask.Document = u.Host
	}
	if u, err := url.Parse(req.Redirect); err == nil {
		ask.Host, ask.Local = u.Host, isLoopback(u.Hostname())
	}
	return ask, nil
}

// Answer is what a person says to what they were asked: the client may, or may
// not. It returns where to send them.
func (i *Issuer) Answer(ctx context.Context, who approval.Identity, sealed string, allow bool) (string, error) {
	p, err := i.c.Holds.Recognise(ctx, who)
	if err != nil {
		return "", err
	}
	req, err := i.unseal(sealed, p.Name())
	if err != nil {
		return "", err
	}
	if !allow {
		return i.back(req, url.Values{"error": {"access_denied"}, "error_description": {"the person did not allow it"}})
	}
	if err := i.mayAllow(ctx, p); err != nil {
		return "", err
	}
	if p.Principal.AuthTime.Before(req.Fresh) {
		return "", ErrFresh
	}
	c, err := i.findClient(ctx, req.Client)
	if err != nil {
		return "", &Refusal{Text: err.Error()}
	}
	if !c.allows(req.Redirect) {
		return "", &Refusal{Text: "The client does not want you to be sent back there any more."}
	}
	code, err := i.give(ctx, p, c, req)
	if err != nil {
		return "", err
	}
	return i.back(req, url.Values{"code": {code}})
}

// mayAllow refuses a login without a passkey of somebody who has one: as with
// holds, whoever got hold of a link allows nothing with it.
func (i *Issuer) mayAllow(ctx context.Context, p approval.Person) error {
	has, err := i.c.Holds.HasPasskey(ctx, p.Name())
	if err == nil && has && !p.Strong {
		err = approval.ErrNeedPasskey
	}
	return err
}

// seal is a request as a page carries it, so that nobody can answer another than
// was shown.
func (i *Issuer) seal(req request) string {
	b, _ := json.Marshal(req) // texts and times always can
	return base64.RawURLEncoding.EncodeToString(b) + "." + base64.RawURLEncoding.EncodeToString(mac(i.asked, "ask", b))
}

// unseal reads a request that was put to a person.
func (i *Issuer) unseal(sealed, person string) (request, error) {
	text, sum, _ := strings.Cut(sealed, ".")
	b, err := base64.RawURLEncoding.DecodeString(text)
	got, err2 := base64.RawURLEncoding.DecodeString(sum)
	if err != nil || err2 != nil || !hmac.Equal(got, mac(i.asked, "ask", b)) {
		return request{}, ErrAsk
	}
	var req request
	if json.Unmarshal(b, &req) != nil || req.Person != person || !i.now().Before(req.Ends) {
		return request{}, ErrAsk
	}
	return req, nil
}

// mac is HMAC-SHA-256 over texts, none of which can be taken for another.
func mac(key []byte, use string, texts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, t := range append([][]byte{[]byte(use)}, texts...) {
		sum := sha256.Sum256(t)
		h.Write(sum[:])
	}
	return h.Sum(nil)
}
