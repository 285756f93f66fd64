package openapi

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/exeat/exeat/openapi/strictjson"
)

// bodyProperty is one at the top of a body, or a field of a form.
type bodyProperty struct {
	at       place
	name     string
	words    string // its description
	text     bool   // its value can be a text
	required bool
}

// withhold keeps from the agent what is a credential at the top of a body, and
// returns the names. The scheme of the operation is the credential then; where there
// is none nothing fills it, so an operation that requires it cannot be served.
func (b *builder) withhold(list []bodyProperty) ([]string, error) {
	var out []string
	names := map[string]bool{}
	for _, p := range list {
		names[plainName(p.name)] = true
	}
	for _, p := range list {
		use, why := b.use(p.name, "body"), ""
		switch use {
		case AsArgument:
			continue
		case AsCredential:
			why = "it is a credential"
		default:
			if !b.bodyCredential(p, names["granttype"]) {
				b.offersCredential(p)
				continue
			}
			why = `it looks like a credential; "argument" for it in the configuration's parameters keeps it`
		}
		switch {
		case len(b.op.Security) > 0:
			b.c.finding(p.at, b.name, false, fmt.Sprintf("the body's %s is left out: %s, and the operation's security says where credentials go", p.name, why))
		case p.required:
			return nil, &placedError{p.at, fmt.Errorf("its body needs %s, which no security scheme fills: %s", p.name, why)}
		default:
			b.c.finding(p.at, b.name, false, fmt.Sprintf("the body's %s is left out, and no security scheme fills it: %s", p.name, why))
		}
		out = append(out, p.name)
	}
	return out, nil
}

// withholdFrom keeps credentials at the top of a body's schema from the agent.
func (b *builder) withholdFrom(x *body, at place, schema any) error {
	list, err := b.topProperties(at, schema)
	if err != nil {
		return err
	}
	b.withheld, err = b.withhold(list)
	x.Withheld = b.withheld
	return err
}

// withholdFields does so with the formData parameters of Swagger 2.0, and returns the
// others.
func (b *builder) withholdFields(form []parameter) ([]parameter, error) {
	var list []bodyProperty
	for _, p := range form {
		list = append(list, bodyProperty{at: p.at, name: p.name, words: str(p.v["description"]), text: p.v["type"] == "string", required: p.v["required"] == true})
	}
	out, err := b.withhold(list)
	b.withheld = out
	return slices.DeleteFunc(form, func(p parameter) bool { return slices.Contains(out, p.name) }), err
}

// offersCredential finds what is offered although it has a credential's name.
func (b *builder) offersCredential(p bodyProperty) {
	if p.text && slices.Contains(credentialNames, plainName(p.name)) {
		b.c.finding(p.at, b.name, false, fmt.Sprintf(`the body's %s is offered, since it looks like data of the API: "credential" for it in the configuration's parameters keeps it from the agent`, p.name))
	}
}

// tellsOwn finds descriptions of the credential of a request, not of one that it is
// about.
var tellsOwn = regexp.MustCompile(`(?i)\bauthenticat(e|es|ion|ing)\b|\bauthori[sz](e|es|ation)\b|\brequires? (the )?scopes?\b|\byour\b.{0,20}\b(key|token|secret)\b`)

// bodyCredential reports whether a body's property is a credential. Bodies are data:
// the keys and tokens of others are there, too. So it is one if a security scheme of
// the operation has its name, or the operation has none and no other way is named,
// and else only if its description says so.
func (b *builder) bodyCredential(p bodyProperty, grants bool) bool {
	name := plainName(p.name)
	clear, maybe := slices.Contains(credentialNames, name), slices.Contains(maybeCredentialNames, name)
	words, secured := cut(p.words, maxDescription), len(b.op.Security) > 0
	switch {
	case !p.text:
		return false
	case name == "clientsecret" && grants:
		return true // RFC 6749 §2.3.1
	case b.aboutCredentials():
		return false
	case b.schemeIs(name, clear):
		return !maybe || words == "" || tellsCredential.MatchString(words)
	case name == "clientsecret":
		return !secured
	case secured:
		return (clear || maybe) && tellsOwn.MatchString(words)
	}
	return clear || maybe && tellsCredential.MatchString(words)
}

// schemeIs reports whether a scheme that the operation needs has this plain name, in
// requests or, if the name is a credential's alone, in the document; or is a bearer
// token, which the name stands for in a body (RFC 6750 §2.2).
func (b *builder) schemeIs(name string, clear bool) bool {
	for _, all := range b.op.Security {
		for _, need := range all {
			s := b.c.api.Security[need.Scheme]
			bearer := s.Type == "oauth2" || s.Type == "openIdConnect" || s.Type == "http" && s.Scheme == "bearer"
			if s.Type == "apiKey" && plainName(s.Name) == name || clear && plainName(need.Scheme) == name || bearer && slices.Contains(bearerNames, name) {
				return true
			}
		}
	}
	return false
}

// bearerNames are what a bearer token is called where it is no header.
var bearerNames = []string{"accesstoken", "oauthtoken", "bearertoken", "oauthaccesstoken"}

// plainName is a name as names of credentials are compared.
func plainName(name string) string {
	return strings.TrimPrefix(strings.NewReplacer("-", "", "_", "").Replace(strictjson.Fold(name)), "x")
}

// credentialWords are what the path of an operation has that makes, shows or revokes
// credentials, which are its data then.
var credentialWords = []string{"token", "tokens", "key", "keys", "apikey", "apikeys", "secret", "secrets", "credential", "credentials", "grant", "grants",
	"oauth", "oauth2", "revoke", "revocation", "introspect", "introspection"}

// aboutCredentials reports whether the operation's path speaks of credentials.
func (b *builder) aboutCredentials() bool {
	return slices.ContainsFunc(strings.FieldsFunc(templateName.ReplaceAllString(b.op.Path, ""), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }),
		func(word string) bool { return slices.Contains(credentialWords, strings.ToLower(word)) })
}

// topProperties lists the properties at the top of a body, also those of the parts of
// it and of its alternatives.
func (b *builder) topProperties(at place, schema any) ([]bodyProperty, error) {
	var out []bodyProperty
	seen := map[place]bool{}
	named, required := map[string]bool{}, map[string]bool{}
	var walk func(at place, v any, always bool, depth int) error
	walk = func(at place, v any, always bool, depth int) error {
		at, m, err := b.c.loader.follow(at, v)
		if err != nil || seen[at] || depth > 10 {
			return nil // translating says what is wrong
		}
		seen[at] = true
		props, _ := m["properties"].(map[string]any)
		if err := b.c.spend(1 + len(props)); err != nil {
			return &placedError{at, err}
		}
		for _, name := range stringsOf(m["required"]) {
			required[name] = required[name] || always
		}
		for _, name := range sortedKeys(props) {
			where, p, err := b.c.loader.follow(at.to("properties", name), props[name])
			if err != nil || named[name] {
				continue
			}
			named[name] = true
			typ := b.typeOf(where, p)
			text := (typ == "" || typ == "string") && p["readOnly"] != true
			out = append(out, bodyProperty{at: at.to("properties", name), name: name, words: str(p["description"]), text: text})
		}
		for _, key := range []string{"allOf", "anyOf", "oneOf"} {
			parts, _ := m[key].([]any)
			for i, part := range parts {
				if err := walk(at.to(key, fmt.Sprint(i)), part, always && key == "allOf", depth+1); err != nil {
					return err
				}
			}
		}
		return nil
	}
	err := walk(at, schema, true, 0)
	for i := range out {
		out[i].required = required[out[i].name]
	}
	return out, err
}
