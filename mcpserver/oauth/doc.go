// Package oauth is the resource server of MCP's authorization: it says who makes a
// request from the access token in it, or what would let the request in. It is an
// [mcpserver.Authenticator]. Tokens are made by issuers that the operator names;
// none is made, passed on or logged here.
//
// What a token meets, and the file that answers for it:
//
//	config.go     whose tokens are taken, and what of a configuration cannot be used
//	oauth.go      where in a request a token may be, and the way of it through what follows
//	jwt.go        a JWT (RFC 9068): read once and strictly, its kind, its signature
//	introspect.go  any other token: its issuer is asked (RFC 7662)
//	spiffe.go     a JWT-SVID of a trust domain
//	check.go      for whom it is, and for when
//	binding.go    whether whoever sends it has the key that it is bound to (RFC 7800, RFC 8705)
//	dpop.go       the proof of that key (RFC 9449), which authz/dpop reads
//	caller.go     whom it describes: the principal, the agent, whom that acts through
//	latest.go     what was last said of whom
//	recent.go     a bounded memory
//	challenge.go  what is said to who is not let in
//	metadata.go   where clients learn who gives tokens (RFC 9728)
package oauth
