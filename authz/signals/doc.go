// Package signals hears from issuers that somebody's sessions ended or that their
// account was disabled, and ends here what that name carries: the Shared Signals
// Framework of OpenID, with Security Event Tokens (RFC 8417) that are pushed
// (RFC 8935) or polled (RFC 8936).
//
// What a token meets, and the file that answers for it:
//
//	config.go   whose signals are heard, and what of a configuration cannot be used
//	set.go      is it a whole, fresh security event token of a known issuer?
//	subject.go  whom is it about?
//	apply.go    what does each event do, and was this token here before?
//	push.go     tokens that come over HTTP
//	poll.go     tokens that are fetched
package signals
