// Package mcpserver serves tools over MCP, by stdio and streamable HTTP, in
// both eras of the protocol (2025-11-25 and 2026-07-28). It decides who is
// calling and nothing else: every call goes to tools.Runner.
//
// What a message meets on its way, and the file that answers for it:
//
//	http.go     which paths there are, and which hosts and origins may ask
//	auth.go     who makes an HTTP request, and one way to find out: a random token
//	challenge.go  what is said to who is not let in
//	front.go    one HTTP request: read it whole, let it through or refuse it
//	body.go     how much of it is read, and how long it may take
//	session.go  the ids of the old era's sessions, which need no memory
//	stdio.go    the same for a client on stdin and stdout
//	running.go  requests that are being answered, so that a client can cancel one
//	message.go  one JSON-RPC message, read once and strictly; members.go its objects
//	methods.go  the table of methods: which era, who says it, who answers it
//	limit.go    how much one principal and one agent may ask
//	serve.go    calls, lists and pings, which exeat answers in mcp-go's place
//	answer.go   the answer to a call, as bytes; result.go the same for mcp-go
//	list.go     the answer to tools/list
//	server.go   what a server is made of, and what it lets each caller do
//	offer.go    which tools there are, and which are listed
//	own.go      exeat's own tools; search.go those that stand for many others
package mcpserver
