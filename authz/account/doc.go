// Package account keeps the accounts that people connect: a person logs in at the
// authorization server of an API once, in the inbox, and exeat then makes an access
// token for each of their calls, with the scopes of that call only.
//
//	provider.go  where are accounts of an API connected, and what is asked there?
//	redeem.go    what did somebody come back with?
//	keep.go      how is it kept?
//	book.go      whose account is connected, for which scopes, until when?
//	renew.go     how is a token made of it for one call?
//	attach.go    how does that get to a request, and what does a call lack?
package account
