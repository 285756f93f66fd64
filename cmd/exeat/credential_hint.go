package main

import (
	"fmt"
	"net/http"

	"github.com/exeat/exeat/openapi"
)

// threeWays are what to do where an API does not take the tokens that exeat signs.
const threeWays = "(1) give exeat the API's own key: --api-key-env NAME, or credential: {strategy: static, env: NAME}; " +
	"(2) put exeat guard, which checks the tokens and adds the key, in front of the API, and make --base-url the guard; " +
	"(3) let the API check the tokens itself (docs/token.md). For 2 and 3 say so with credential: {strategy: signed}"

// isSigned reports whether the calls of an API carry a token of our own.
func (a apiConfig) isSigned() bool {
	c := a.single()
	return len(a.Credentials) == 0 && len(a.CredentialFor) == 0 && (c.Strategy == "" || c.Strategy == "signed")
}

// hintUnknownTokens says that an API asks for credentials of its own and gets our
// tokens instead, of which nobody said that it can check them. Who writes the
// strategy or an audience down has said it.
func hintUnknownTokens(a apiConfig, doc *openapi.API) string {
	if a.single().Strategy != "" || len(a.Credentials) > 0 || len(a.CredentialFor) > 0 || a.Audience != "" {
		return ""
	}
	asks := 0
	for _, op := range doc.Operations {
		if wantsCredential(op) {
			asks++
		}
	}
	if asks == 0 {
		return ""
	}
	return fmt.Sprintf("%s: its document asks for a credential of the API's own at %d of %d operations, and exeat sends a token that it signs for each call. "+
		"Unless a guard or the API checks those, the API will answer 401. Ways out: %s", doc.Name, asks, len(doc.Operations), threeWays)
}

// wantsCredential reports whether an operation cannot be called without a bearer
// token, a key or a password.
func wantsCredential(op *openapi.Operation) bool {
	for _, together := range op.Security {
		if len(together) == 0 {
			return false // or none at all
		}
	}
	for _, together := range op.Security {
		for _, need := range together {
			switch op.API.Security[need.Scheme].Type {
			case "apiKey", "http", "oauth2", "openIdConnect", "basic":
				return true
			}
		}
	}
	return false
}

// hintRefused says to the operator what an API's 401 or 403 means for the
// credential that exeat sent; empty if it need not mean anything.
func (g *gateway) hintRefused(api string, status int) string {
	for i, doc := range g.docs {
		if doc.Name != api {
			continue
		}
		switch signed := g.cfg.APIs[i].isSigned(); {
		case signed && (status == http.StatusUnauthorized || status == http.StatusForbidden):
			return "the API refused the token that exeat signed for this call. Ways out: " + threeWays
		case status == http.StatusUnauthorized:
			return "the API refused the credential that the configuration gives it: look at credential of this API, and run exeat doctor"
		}
	}
	return ""
}
