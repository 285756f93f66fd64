// Package token makes and checks the credential of one request.
//
// The way of a credential: Bind names the exact request in one RFC 9396
// authorization_details object; Signed mints an RFC 9068 access token around it
// (or Static attaches what an API of today understands, and authz/credential what
// others give out for one call);
// Verifier recomputes the same object from the request that arrives, and spends
// the token; Guard does so in front of an API that cannot, and adds the API's
// own credential, which the process that talks to agents then never holds.
//
// What each file answers:
//
//	details.go                    which request exactly? its form and its digest
//	attach.go                     what a credential is made for, and what is told of it
//	attach_signed.go              a token of exeat's own, for one request
//	sender.go                     does the request come from who has the key that its token is bound to?
//	signature.go                  requests that are signed (RFC 9421), and what a signature covers
//	write.go                      the members of a token and of details, written
//	attach_static.go              a standing key, and where it goes
//	attach_renewable.go           a standing key that is read anew when it is refused
//	attach_headers.go             secret headers that go with every call
//	attach_together.go            several credentials that one operation needs at once
//	claims_needed.go              which claims a login lacks for a credential
//	attach_secret.go              where secrets are read from, and that they are never printed
//	keys.go                       the keys that sign: made, rotated, published
//	keys_ring.go                  the file that they are kept in
//	keys_file.go                  who else could read or change that file
//	keys_lock_unix.go             one process at a time changes it
//	keys_lock_other.go            the same where there are no file locks
//	keys_rotation.go              a new key, signed by the one before
//	keys_pinned.go                which keys a guard believes, since it was enrolled
//	keys_source.go                where a verifier gets public keys, and how often
//	verify.go                     is this token good for this request?
//	verify_claims.go              what does the token say, read in only one way?
//	verify_body.go                the body that arrived, within bounds
//	verify_handler.go             the same for an API of one's own, written in Go
//	verify_spent.go               was the token used before?
//	guard.go                      the proxy that checks, takes the token off and adds the API's key
//	guard_body.go                 bodies that are too large for memory
//	guard_stream.go               WebSockets and events, which go on after their request
//	guard_check.go                what a proxy that asks is told, instead of one that sends through
//	guard_problem.go              how a refusal is answered (RFC 9457)
package token
