package credential

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/token"
)

// What a transaction token is called (draft-ietf-oauth-transaction-tokens-10).
const (
	typeTxnToken   = "urn:ietf:params:oauth:token-type:txn_token"
	typeSelfSigned = "urn:ietf:params:oauth:token-type:self_signed"
	joseTxnToken   = "txntoken+jwt"
	txnHeader      = "Txn-Token"
)

// TxnToken sends with a call, beside its credential, what it is about: a transaction
// token, for APIs of one trust domain that pass it on to each other. It is no
// credential, and never in Authorization; it holds no other token. exeat signs it
// itself, as the service of its domain for that; [TxnService] asks one.
type TxnToken struct {
	Domain   string // the trust domain, which is the audience
	Workload string // what exeat is called there (req_wl)
	Issuer   string
	Keys     *token.Keys
	Now      func() time.Time // nil means time.Now
}

// txnClaims are the claims of a transaction token. Who acts for the subject is said as
// in the profile for agents (draft-araut-oauth-transaction-tokens-for-agents-02).
type txnClaims struct {
	Issuer   string     `json:"iss"`
	IssuedAt int64      `json:"iat"`
	Audience string     `json:"aud"`
	Expires  int64      `json:"exp"`
	Txn      string     `json:"txn"`
	Subject  string     `json:"sub"`
	Scope    string     `json:"scope"`
	Workload string     `json:"req_wl"`
	Actor    txnActor   `json:"act"`
	Details  txnDetails `json:"tctx"`
	Context  txnContext `json:"rctx,omitzero"`
}

type txnActor struct {
	Subject string `json:"sub"`
	Profile string `json:"sub_profile"`
}

// txnDetails are what the transaction is, which nobody may change.
type txnDetails struct {
	Operation string               `json:"operation"`
	Effect    string               `json:"effect"`
	Resource  string               `json:"resource"`
	Method    string               `json:"method"`
	Request   token.RequestDetails `json:"request"`
	Agent     string               `json:"agent,omitempty"` // where there is no claim for it
	Approval  *token.ApprovalClaim `json:"approval,omitempty"`
}

// txnContext is how the principal came.
type txnContext struct {
	AuthTime int64    `json:"auth_time,omitempty"`
	ACR      string   `json:"acr,omitempty"`
	AMR      []string `json:"amr,omitempty"`
}

// Check reports what cannot work, so that a wrong configuration does not start.
func (t *TxnToken) Check() error {
	if t.Domain == "" || t.Workload == "" || t.Issuer == "" {
		return errors.New("a transaction token needs the name of the trust domain (trust_domain) and what exeat is called there (workload)")
	}
	return nil
}

// Attach signs a transaction token for c and sets it on r.
func (t *TxnToken) Attach(_ context.Context, c token.Call, r *http.Request) (token.Receipt, error) {
	if t.Keys == nil {
		return token.Receipt{}, errors.New("exeat has no key of its own here to sign a transaction token with")
	}
	now := timeOf(t.Now)
	life := token.DefaultTTL
	if c.TTL > 0 && c.TTL < life {
		life = c.TTL
	}
	until := now.Add(life).Truncate(time.Second)
	payload, err := json.Marshal(txnClaims{Issuer: t.Issuer, IssuedAt: now.Unix(), Audience: t.Domain, Expires: until.Unix(), Txn: c.Txn, Subject: c.Subject,
		Scope: strings.Join(txnScopes(c), " "), Workload: t.Workload, Actor: txnActor{c.Agent, "ai_agent"}, Details: describeTxn(c), Context: txnContext{unix(c.AuthTime), c.ACR, c.AMR}})
	if err != nil {
		return token.Receipt{}, err
	}
	signed, err := t.Keys.SignType(joseTxnToken, payload)
	if err != nil {
		return token.Receipt{}, fmt.Errorf("cannot sign a transaction token: %w", err)
	}
	return token.Receipt{Strategy: "txn_token", Issuer: t.Issuer, Audience: t.Domain, Expires: until}, setTxnToken(r, signed)
}

// setTxnToken puts a transaction token into a request, where there must not be one.
func setTxnToken(r *http.Request, signed string) error {
	if token.RemoveField(r.Header, txnHeader) {
		return errors.New("the request already has a Txn-Token header, where the transaction token goes")
	}
	if len(signed) > maxToken {
		return fmt.Errorf("the transaction token would take %d bytes of the %d that a header may have", len(signed), maxToken)
	}
	r.Header.Set(txnHeader, signed)
	return nil
}

// txnScopes are what a call is about, in a word: those of its operation, or its name.
func txnScopes(c token.Call) []string {
	if len(c.Scopes) > 0 {
		return c.Scopes
	}
	return []string{c.Details.Identifier}
}

func describeTxn(c token.Call) txnDetails {
	return txnDetails{Operation: c.Details.Identifier, Effect: c.Effect, Resource: c.Audience, Method: strings.Join(c.Details.Actions, " "), Request: c.Details.Request, Approval: c.Approval}
}

// unix is 0 for no time.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
