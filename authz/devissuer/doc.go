// Package devissuer is a small OAuth 2.1 authorization server within exeat, for
// teams without an identity provider and for tests: authorization codes with PKCE
// for public clients, bound to this exeat's one resource, and nothing else. People
// log in to it by the inbox, where they are asked.
//
// What each file answers:
//
//	issuer.go           what is it made of, and which of it is where?
//	metadata.go         what do clients find out about it?
//	client.go           which clients are there, and where may people be sent back to?
//	client_register.go  how does a client register itself (RFC 7591)?
//	client_document.go  what does a client's own document say (CIMD)?
//	authorize.go        what may a client ask for?
//	consent.go          what is a person asked, and what do they say?
//	access.go           what did they let which clients do, until when?
//	token.go            what does a client get for a code or a refresh token?
package devissuer
