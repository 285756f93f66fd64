package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/exeat/exeat/authz/credential"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi"
)

// keyring has the credentials of an API, by the document's security scheme that
// each is for.
type keyring struct {
	doc *openapi.API
	by  map[string]token.Attacher
	any token.Attacher // for whatever scheme; nil if there is none
}

// keyring makes the credentials of the configuration.
func (a apiConfig) keyring(cfg config, doc *openapi.API, keys *token.Keys) (keyring, error) {
	ring := keyring{doc: doc, by: map[string]token.Attacher{}}
	if len(a.Credentials) > 0 && a.Credential != nil {
		return ring, errors.New("both credential and credentials are given; keep credentials, which names the security scheme of each")
	}
	for name, s := range doc.Security {
		if s.Type == "mutualTLS" && a.Certificate != nil {
			ring.by[name] = &token.Together{} // met before there is a request
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Credentials)) {
		c := a.Credentials[name]
		if c.Scheme != "" {
			return ring, fmt.Errorf("credentials: %s: scheme is for a single credential; here the key in front names it", name)
		}
		if err := ring.add(cfg, c, []string{name}, keys); err != nil {
			return ring, fmt.Errorf("credentials: %s: %w", name, err)
		}
	}
	if a.Credential != nil {
		names, err := a.Credential.schemes(doc)
		if err == nil {
			err = ring.add(cfg, *a.Credential, names, keys)
		}
		if err != nil {
			return ring, fmt.Errorf("credential: %w", err)
		}
	}
	return ring, nil
}

// add makes one credential, for the schemes of these names, or for any if there
// are none.
func (k *keyring) add(cfg config, c credentialConfig, names []string, keys *token.Keys) (err error) {
	if len(names) == 0 {
		k.any, err = newCredential(credentialUse{cfg, c, k.doc, nil, keys})
		return err
	}
	var made token.Attacher
	for _, name := range names {
		s, ok := k.doc.Security[name]
		if !ok {
			return fmt.Errorf("the document has no security scheme %q; it has %s", name, strings.Join(slices.Sorted(maps.Keys(k.doc.Security)), ", "))
		}
		if made == nil {
			if made, err = newCredential(credentialUse{cfg, c, k.doc, &s, keys}); err != nil {
				return err
			}
		}
		k.by[name] = made
	}
	return nil
}

// schemes are those that a single credential is for; none means whatever the
// operation needs.
func (c credentialConfig) schemes(doc *openapi.API) ([]string, error) {
	if c.Scheme != "" {
		return []string{c.Scheme}, nil
	}
	names := neededSchemes(doc)
	fits := func(fit func(openapi.SecurityScheme) bool) []string {
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !fit(doc.Security[name]) })
	}
	s, err := strategyOf(c.Strategy)
	switch {
	case err != nil:
		return nil, err
	case s.fits != nil:
		return fits(s.fits), nil
	case c.User != "":
		return fits(func(s openapi.SecurityScheme) bool { return s.Scheme == "basic" }), nil
	case len(names) > 1:
		return nil, fmt.Errorf("the document has the security schemes %s: name the one that the key is for (scheme, or --api-key-env SCHEME=NAME), or give each its own (credentials)", strings.Join(names, ", "))
	}
	return names, nil
}

// neededSchemes are the document's security schemes that an operation needs, or
// all if no operation needs any.
func neededSchemes(doc *openapi.API) []string {
	names := map[string]bool{}
	for _, op := range doc.Operations {
		for _, alternative := range op.Security {
			for _, need := range alternative {
				if _, ok := doc.Security[need.Scheme]; ok {
					names[need.Scheme] = true
				}
			}
		}
	}
	if len(names) == 0 {
		return slices.Sorted(maps.Keys(doc.Security))
	}
	return slices.Sorted(maps.Keys(names))
}

// credential is what the operation's own requirement asks for: one of its
// alternatives, nothing if it needs none. Where the document says nothing of
// security, all go.
func (k *keyring) credential(op *openapi.Operation) token.Attacher {
	if !k.doc.Secured {
		var all []openapi.SecurityNeed
		for _, name := range slices.Sorted(maps.Keys(k.by)) {
			all = append(all, openapi.SecurityNeed{Scheme: name})
		}
		return token.Together(k.parts(all))
	}
	if parts := k.choose(op.Security); parts != nil {
		return token.Together(parts)
	}
	needsNone := func(alternative []openapi.SecurityNeed) bool { return len(alternative) == 0 }
	if len(op.Security) == 0 || slices.ContainsFunc(op.Security, needsNone) {
		return token.Together{}
	}
	return token.Missing{Why: k.lacking(op)}
}

// choose picks the first alternative that there are all credentials for and that has
// no standing key among them, or else the first of the others.
func (k *keyring) choose(alternatives [][]openapi.SecurityNeed) (chosen []token.Part) {
	for _, alternative := range alternatives {
		if len(alternative) == 0 || len(k.lacks(alternative)) > 0 || k.clash(alternative) != "" {
			continue
		}
		parts := k.parts(alternative)
		if !slices.ContainsFunc(parts, isStanding) {
			return parts
		}
		if chosen == nil {
			chosen = parts
		}
	}
	return chosen
}

func isStanding(p token.Part) bool {
	switch p.Attacher.(type) {
	case *token.Static, *token.Renewable:
		return true
	}
	return false
}

// clash is the place where two credentials of an alternative would go, such as the
// header Authorization: a request with both cannot be made. Empty if there is none.
func (k *keyring) clash(alternative []openapi.SecurityNeed) string {
	taken := map[string]bool{}
	for _, p := range k.parts(alternative) {
		place := "header Authorization"
		switch a := p.Attacher.(type) {
		case *token.Static:
			place = a.Placement.String()
		case *token.Renewable:
			place = a.Placement().String()
		case *credential.Vault:
			place = a.Place
		case *token.Together:
			continue // nothing goes anywhere
		}
		if taken[place] {
			return place
		}
		taken[place] = true
	}
	return ""
}

// lacks are the schemes of an alternative that there is no credential for.
func (k *keyring) lacks(alternative []openapi.SecurityNeed) (names []string) {
	for _, need := range alternative {
		if _, ok := k.by[need.Scheme]; !ok && k.any == nil {
			names = append(names, need.Scheme)
		}
	}
	return names
}

// parts are the credentials of an alternative, each once.
func (k *keyring) parts(alternative []openapi.SecurityNeed) (parts []token.Part) {
	at := map[token.Attacher]int{}
	for _, need := range alternative {
		one, ok := k.by[need.Scheme]
		if !ok {
			one = k.any
		}
		i, ok := at[one]
		if !ok {
			i = len(parts)
			at[one], parts = i, append(parts, token.Part{Attacher: one})
		}
		parts[i].Scopes = append(parts[i].Scopes, need.Scopes...)
	}
	if len(alternative) == 0 && k.any != nil {
		parts = append(parts, token.Part{Attacher: k.any})
	}
	return parts
}

// lacking says what an operation needs and there is no credential for.
func (k *keyring) lacking(op *openapi.Operation) string {
	var ways []string
	for _, alternative := range op.Security {
		var way []string
		for _, name := range k.lacks(alternative) {
			way = append(way, fmt.Sprintf("%s (%s)", name, describeScheme(k.doc.Security[name])))
		}
		if len(way) == 0 {
			var names []string
			for _, need := range alternative {
				names = append(names, need.Scheme)
			}
			way = []string{fmt.Sprintf("%s together, which both go into the %s", strings.Join(names, " and "), k.clash(alternative))}
		}
		ways = append(ways, strings.Join(way, " and "))
	}
	return "there is no credential for " + strings.Join(ways, ", or for ") + ": give it in apis[].credentials"
}

// describeScheme says what a security scheme wants, and where.
func describeScheme(s openapi.SecurityScheme) string {
	switch s.Type {
	case "":
		return "which the document does not describe"
	case "apiKey":
		return fmt.Sprintf("a key in the %s %s", s.In, s.Name)
	case "http":
		return "http " + s.Scheme
	}
	return s.Type
}

// lacksOf say why there is no credential for an operation, of those that know it before
// it is called.
func lacksOf(parts token.Together, op *openapi.Operation) (why []string) {
	for _, p := range parts {
		if a, ok := p.Attacher.(interface {
			Lacks(tool, method, template string) string
		}); ok {
			if lack := a.Lacks(op.Name, op.Method, op.Path); lack != "" {
				why = append(why, lack)
			}
		}
	}
	return why
}

// gaps say which operations cannot be called for want of a credential, and which
// credential goes nowhere.
func (a apiConfig) gaps(doc *openapi.API, credentials any) []string {
	if w, with := credentials.(token.WithHeaders); with {
		credentials = w.Attacher
	}
	by, ok := credentials.(token.ByOperation)
	if !ok || len(doc.Operations) == 0 {
		return nil
	}
	lacking := map[string][]string{}
	used := false
	for _, op := range doc.Operations {
		switch a := by[op.Name].(type) {
		case token.Missing:
			lacking[a.Why] = append(lacking[a.Why], op.Name)
		case token.Together:
			used = used || len(a) > 0
			for _, why := range lacksOf(a, op) {
				lacking[why] = append(lacking[why], op.Name)
			}
		}
	}
	var out []string
	for _, why := range slices.Sorted(maps.Keys(lacking)) {
		ops := lacking[why]
		names := strings.Join(ops[:min(len(ops), 5)], ", ")
		if len(ops) > 5 {
			names += ", …"
		}
		out = append(out, fmt.Sprintf("%s: %s. Refused for want of it (%d): %s", doc.Name, why, len(ops), names))
	}
	if len(a.Credentials) == 0 && !used && len(lacking) == 0 {
		out = append(out, doc.Name+": the credential goes nowhere: by the document no operation that is served needs it")
	}
	needed := neededSchemes(doc)
	for _, name := range slices.Sorted(maps.Keys(a.Credentials)) {
		if !slices.Contains(needed, name) {
			out = append(out, fmt.Sprintf("%s: the credential for %s goes nowhere: by the document no operation that is served needs it", doc.Name, name))
		}
	}
	return out
}
