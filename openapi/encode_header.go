package openapi

import (
	"slices"
	"strings"
)

// isToken reports whether s can be a header's or cookie's name (RFC 9110 §5.6.2).
func isToken(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", r)
	}) < 0
}

// ownHeaders are set by exeat, the credential, proxies or HTTP itself, never by
// an argument (OpenAPI names the first three). Some servers take the last ones
// for the real host, method, path or client of a request.
var ownHeaders = []string{
	"accept", "content-type", "authorization", "cookie", "set-cookie", "host", "content-length", "content-encoding", "dpop", "txn-token",
	"transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect", "accept-encoding", "user-agent", "http2-settings",
	"forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "x-remote-ip", "x-remote-addr", "true-client-ip", "cf-connecting-ip", "fastly-client-ip",
	"x-http-method", "x-http-method-override", "x-method-override", "x-http-host-override", "x-host", "x-original-host", "x-original-url", "x-rewrite-url",
}

// ownHeader reports whether no argument may set a header. Servers that hand
// headers on as CGI variables do not tell - from _.
func ownHeader(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	for _, prefix := range []string{"x-forwarded", "x-original-forwarded", "proxy-", "sec-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains(ownHeaders, name)
}
