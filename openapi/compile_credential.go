package openapi

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// ParameterUse is what the operator says of a parameter.
type ParameterUse string

// The uses of a parameter.
const (
	// AsArgument makes a parameter an argument although its name or description is a
	// credential's. That of a security scheme never is one.
	AsArgument ParameterUse = "argument"
	// AsCredential keeps a parameter from the agent: a credential fills it.
	AsCredential ParameterUse = "credential"
	// AsSegment lets a path parameter hold slashes, which are sent as %2F.
	AsSegment ParameterUse = "segment"
)

// use is what the operator says of a parameter, or "".
func (b *builder) use(name, in string) ParameterUse {
	for _, key := range slices.Sorted(maps.Keys(b.c.opts.Parameters)) {
		pattern, last, found := cutLast(key, " ")
		if !found {
			pattern, last = "", key
		}
		use := b.c.opts.Parameters[key]
		if last == name && (pattern == "" || matches(b.op, pattern)) && (use == AsSegment) == (in == "path") {
			b.c.used[key] = true
			return use
		}
	}
	return ""
}

// cutLast cuts a text at the last separator.
func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}

// parameterUses refuses what is said of a parameter that no operation has.
func (c *compiler) parameterUses() *Error {
	for _, key := range slices.Sorted(maps.Keys(c.opts.Parameters)) {
		use := c.opts.Parameters[key]
		if use != AsArgument && use != AsCredential && use != AsSegment {
			return &Error{File: c.location, Message: fmt.Sprintf("parameters: %q is %q; it can be argument, credential or segment", key, use)}
		}
		if !c.used[key] {
			return &Error{File: c.location, Message: fmt.Sprintf("parameters: no operation has a parameter %q that could be a %s", key, use),
				Hint: "write its name as the document does, alone or behind an operation id or a path pattern and a space"}
		}
	}
	return nil
}

// credentialNames are the names, without - and _ and a leading x, that parameters
// have for nothing but a credential.
var credentialNames = []string{"accesstoken", "oauthtoken", "authtoken", "apikey", "apitoken", "privatetoken", "bearertoken", "authenticationtoken",
	"authorizationtoken", "oauthaccesstoken", "apiaccesstoken", "subscriptionkey", "ocpapimsubscriptionkey", "functionskey", "apisecret", "appkey", "apptoken", "authkey"}

// maybeCredentialNames are names that other parameters have, too: the description
// tells.
var maybeCredentialNames = []string{"key", "token", "auth", "secret", "sig", "signature", "session", "sessionid", "credential", "credentials", "appid", "clientkey", "accesskey", "hapikey"}

// tellsCredential finds descriptions of credentials.
var tellsCredential = regexp.MustCompile(`(?i)\b(api|access|auth|authentication|authorization|oauth|oauth2|oauth 2\.0|bearer|security|session|app|application|subscription|developer|client)['’]?s?[ _-]?(api )?(key|token|secret)\b|\bauthenticat(e|es|ion)\b|\bcredentials?\b`)

// looksLikeCredential reports whether a parameter that no security scheme names is a
// credential, by its name, or its name and its description.
func looksLikeCredential(p parameter) bool {
	name := plainName(p.name)
	if slices.Contains(credentialNames, name) {
		return true
	}
	return slices.Contains(maybeCredentialNames, name) && tellsCredential.MatchString(cut(str(p.v["description"]), maxDescription))
}

// fillsCredential leaves a parameter to a credential, if it is one: to the scheme of
// that place, or to one that is made for it where the operation names none.
func (b *builder) fillsCredential(p parameter) bool {
	if !slices.Contains([]string{"query", "header", "cookie"}, p.in) || b.isCredential(p) || p.in == "header" && b.c.isFixed(p.name) {
		return false
	}
	use := b.use(p.name, p.in)
	if use == AsArgument || use != AsCredential && !looksLikeCredential(p) {
		return false
	}
	why := "it is a credential"
	if use == "" {
		why = `it looks like a credential; "argument" for it in the configuration's parameters keeps it`
	}
	if len(b.op.Security) > 0 && !b.made {
		b.c.finding(p.at, b.name, false, fmt.Sprintf("the parameter %s is left out: %s, and the operation's security says where credentials go", p.name, why))
		return true
	}
	if p.in != "query" && !isToken(p.name) || p.in == "header" && ownHeader(p.name) {
		return false
	}
	name := b.c.schemeFor(p)
	b.c.finding(p.at, b.name, false, fmt.Sprintf("the parameter %s is left out: %s; the credential for %s fills it", p.name, why, name))
	b.demand(SecurityNeed{Scheme: name}, p.v["required"] == true)
	return true
}

// demand adds a credential to what the operation needs: required ones together, else
// any of them or none.
func (b *builder) demand(need SecurityNeed, required bool) {
	b.made = true
	if len(b.c.declared) == 0 {
		b.op.API.Secured = true // by its parameters
	}
	if required {
		b.must = append(b.must, need)
	} else {
		b.may = append(b.may, need)
	}
	b.op.Security = nil
	for _, n := range b.may {
		b.op.Security = append(b.op.Security, append(slices.Clone(b.must), n))
	}
	b.op.Security = append(b.op.Security, slices.Clone(b.must))
}

// schemeFor is the name of the security scheme for a parameter, which is made if
// there is none.
func (c *compiler) schemeFor(p parameter) string {
	want := SecurityScheme{Type: "apiKey", In: p.in, Name: p.name}
	for _, name := range slices.Sorted(maps.Keys(c.api.Security)) {
		if c.api.Security[name] == want {
			return name
		}
	}
	name := p.name
	for _, taken := c.api.Security[name]; taken; _, taken = c.api.Security[name] {
		name += "_" + p.in
	}
	c.api.Security[name] = want
	return name
}
