// Package credential gets credentials for one call from those who give them out: an
// authorization server, a cloud, a vault. Each strategy is one type with the method
// Attach, in a file of its own; [Server] is what those have in common that ask an
// OAuth authorization server, and issued.go reads what a token is that they get.
//
// What all keep to: nothing is kept for the next call, unless a strategy says why;
// what comes back is no more than what was asked for, or it is refused; an error
// says what to do, and holds neither a secret nor what a server wrote.
package credential
