package token

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/exeat/exeat/authz/dpop"
)

// Refusal is why a request was not let through, or not answered. Code is a
// stable word for machines, Detail a sentence; both are safe to send. Txn and
// Cause are for whoever runs the verifier, and are not sent.
//
// The codes, by status:
//
//   - 400: bad_method, bad_target, body_unreadable, connection_header, override_header,
//     repeated_header, trailers, transfer_encoding, upgrade
//   - 401: no_token, many_tokens, token_too_long, not_bearer, malformed_token,
//     bad_header, wrong_alg, wrong_typ, bad_kid, unknown_kid, bad_signature,
//     not_canonical, ambiguous_claims, bad_claims, wrong_issuer,
//     wrong_audience, bad_times, issued_in_future, expired, lives_too_long,
//     bad_details, spent, not_bound, not_dpop, no_signature, wrong_signature_input,
//     wrong_signature, invalid_dpop_proof, wrong_dpop_key, use_dpop_nonce
//   - 403: wrong_method, wrong_target, wrong_query, wrong_content_type,
//     wrong_digest, wrong_content_digest, wrong_header, wrong_details, wrong_effect,
//     approval_required, approval_expired, approval_mismatch, approval_spent
//   - of a check also 400 bad_check, 403 not_the_proxy, unbound_header and
//     body_unseen, 404 unknown_check; where the proxy knows 401 and 403 only, 403
//     for all else of 4xx
//   - 413 body_too_large, 415 content_encoding
//   - 500 not_configured, 502 upstream_failed, upstream_early, event_stream, 504 upstream_timeout
//   - 503 keys_unavailable, spend_unavailable, spool_unavailable
type Refusal struct {
	Status int // HTTP
	Code   string
	Detail string
	Nonce  string // for a DPoP proof, with use_dpop_nonce
	Txn    string // of the token, once its signature and claims hold
	Cause  error  // what failed behind keys_unavailable, spend_unavailable, upstream_failed and upstream_timeout
}

func (r *Refusal) Error() string { return r.Code + ": " + r.Detail }

func refuse(status int, code, format string, args ...any) *Refusal {
	return &Refusal{Status: status, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// because notes what failed.
func (r *Refusal) because(err error) *Refusal {
	r.Cause = err
	return r
}

// unauthorized refuses the token itself, whatever the request.
func unauthorized(code, format string, args ...any) *Refusal {
	return refuse(http.StatusUnauthorized, code, format, args...)
}

// ServeHTTP answers with the refusal as RFC 9457 problem details, and on 401
// with the challenge of RFC 6750 §3.
func (r *Refusal) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	body, err := json.Marshal(map[string]any{
		"type":   "urn:exeat:guard:" + r.Code,
		"title":  strings.ReplaceAll(r.Code, "_", " "),
		"status": r.Status,
		"detail": r.Detail,
	})
	if err != nil {
		panic("token: a refusal that is not JSON: " + err.Error())
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", r.challenge())
	}
	if r.Nonce != "" {
		h.Set("DPoP-Nonce", r.Nonce)
	}
	w.WriteHeader(r.Status)
	w.Write(append(body, '\n'))
}

// challenge says by which scheme the request has to come, and what was wrong.
func (r *Refusal) challenge() string {
	switch r.Code {
	case "no_token": // RFC 6750 §3.1: no error code for a request without credentials
		return `Bearer`
	case "use_dpop_nonce", "invalid_dpop_proof": // codes of RFC 9449 §7.1
		return fmt.Sprintf(`DPoP error="%s", algs="%s"`, r.Code, dpop.Algorithms())
	case "not_dpop", "wrong_dpop_key":
		return fmt.Sprintf(`DPoP error="invalid_token", error_description="%s", algs="%s"`, r.Code, dpop.Algorithms())
	}
	return `Bearer error="invalid_token", error_description="` + r.Code + `"`
}
