// Package credential gets credentials for one call from those who give them out: an
// authorization server, a cloud, a vault. Each strategy is one type with the method
// Attach, in a file of its own; [Server] is what those have in common that ask an
// OAuth authorization server.
//
// Which file answers what:
//
//	server.go              asks an authorization server, and has it revoke
//	server_auth.go         proves to one who exeat is
//	server_client.go       how a request to one is sent
//	issued.go              what a token is that came back
//	client_credentials.go  tokens of exeat's own
//	exchange.go            tokens made of the caller's
//	exchange_subject.go    whose a token is that is exchanged
//	txn_token.go           transaction tokens, which say what a call is about
//	txn_service.go         the same from the service of a trust domain
//	id_jag.go              identity assertions for the servers of other companies
//	identity.go            a JWT that says to a cloud who exeat is
//	fill.go                values of a call in the templates of a narrowing
//	aws_sts.go             keys of AWS
//	aws_keys.go            the standing keys that they are asked for with
//	aws_policy.go          what they may do
//	aws_sign.go            the signature over the request
//	gcp_downscope.go       tokens of Google, cut down to one object
//	gcp_source.go          where the token comes from that is cut down
//	entra_obo.go           tokens of Entra on behalf of the caller
//	github_app.go          tokens of a GitHub App
//	github_table.go        which permission an operation needs there
//	github_token.go        asks GitHub
//	vault.go               secrets of a vault, leased for one call
//	vault_login.go         logs in to the vault
//	vendor.go              a request to a vendor, and its answer
//	vault_api.go           asks the vault, and gives back
//
// What all keep to: nothing is kept for the next call, unless a strategy says why;
// what comes back is no more than what was asked for, or it is refused; an error
// says what to do, and holds neither a secret nor what a server wrote.
package credential
