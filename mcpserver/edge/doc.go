// Package edge is how a server of exeat is reached: by TLS of its own or through
// proxies, under a public URL, by which names and from which web pages.
//
//	edge.go      what is configured, what of it cannot be served, and the handler
//	url.go       the public URL, with its path prefix
//	tls.go       certificates from files, read again when they change
//	forwarded.go who made a request, as far as trusted proxies tell
//	names.go     Host and Origin, and browser clients of other origins (CORS)
//	health.go    /healthz and /readyz
//	sockets.go   sockets that systemd opened
package edge
