package openapi

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// swaggerSite is the server of a Swagger 2.0 document.
func (c *compiler) swaggerSite() (site, error) {
	host, path := str(c.doc["host"]), "/"+strings.TrimPrefix(str(c.doc["basePath"]), "/")
	schemes := stringsOf(c.doc["schemes"])
	if len(schemes) > 0 && !slices.Contains(schemes, "https") && !slices.Contains(schemes, "http") {
		return site{}, fmt.Errorf("calls go by http or https, and its schemes are %s", strings.Join(schemes, ", "))
	}
	if strings.ContainsAny(host, "/?#@") {
		return site{}, fmt.Errorf("the host %q is not a host and perhaps a port", shorten(host, 200))
	}
	at := path
	if found, err := url.Parse(c.root.foundAt()); err == nil && found.Host != "" && host == "" {
		host = found.Host
		if slices.Contains(schemes, found.Scheme) || len(schemes) == 0 {
			schemes = []string{found.Scheme}
		}
	}
	scheme := "https"
	if len(schemes) > 0 && !slices.Contains(schemes, "https") {
		scheme = "http"
	}
	if host != "" {
		at = scheme + "://" + host + path
	}
	s, err := c.at(c.root, at)
	if err != nil {
		return s, fmt.Errorf("the server %q %w", shorten(at, 200), err)
	}
	s.relative = c.doc["host"] == nil
	return s, nil
}

// schemes checks that a Swagger 2.0 operation can be called as the API is.
func (b *builder) schemes() error {
	own := stringsOf(b.v["schemes"])
	scheme, _, known := strings.Cut(b.c.api.BaseURL, "://")
	ok := slices.Contains(own, scheme)
	if !known || b.c.opts.BaseURL != "" {
		ok = slices.Contains(own, "https") || slices.Contains(own, "http")
	}
	if len(own) == 0 || ok {
		return nil
	}
	return &placedError{b.at.to("schemes"), fmt.Errorf("its schemes are %s, and the API's calls go to %s", strings.Join(own, ", "), b.c.api.BaseURL)}
}

// stringsOf are the strings of a list.
func stringsOf(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, x := range list {
		if s, ok := x.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// securitySchemes reads the document's security schemes, of either version.
func (c *compiler) securitySchemes() map[string]SecurityScheme {
	components, _ := c.doc["components"].(map[string]any)
	list, _ := components["securitySchemes"].(map[string]any)
	at := place{doc: c.root, pointer: "/components/securitySchemes"}
	if c.swagger2 {
		list, _ = c.doc["securityDefinitions"].(map[string]any)
		at.pointer = "/securityDefinitions"
	}
	out := map[string]SecurityScheme{}
	for i, name := range sortedKeys(list) {
		if i == maxSchemes {
			c.finding(at.to(name), "", false, fmt.Sprintf("there are more than %d security schemes; this and those after it are left out", maxSchemes))
			break
		}
		v := list[name]
		_, s, err := c.loader.follow(at.to(name), v)
		if err != nil {
			continue
		}
		x := SecurityScheme{Type: str(s["type"]), In: str(s["in"]), Name: str(s["name"]), Scheme: strings.ToLower(str(s["scheme"])), Code: codeFlow(s)}
		if x.Type == "basic" {
			x.Type, x.Scheme = "http", "basic"
		}
		if x.Type == "apiKey" && (x.In == "header" || x.In == "cookie") && !isToken(x.Name) {
			c.finding(at.to(name), "", false, fmt.Sprintf("the security scheme is left out: %q is no legal name of a %s", x.Name, x.In))
			continue
		}
		out[name] = x
	}
	return out
}

// codeFlow reads the authorization code flow of a security scheme, of either version.
func codeFlow(s map[string]any) *CodeFlow {
	flows, _ := s["flows"].(map[string]any)
	code, ok := flows["authorizationCode"].(map[string]any)
	if !ok && s["flow"] == "accessCode" {
		code, ok = s, true
	}
	if !ok {
		return nil
	}
	flow := &CodeFlow{AuthorizeURL: str(code["authorizationUrl"]), TokenURL: str(code["tokenUrl"]), Scopes: map[string]string{}}
	scopes, _ := code["scopes"].(map[string]any)
	for name, says := range scopes {
		flow.Scopes[name] = str(says)
	}
	return flow
}

// maxSchemes bounds the security schemes of a document.
const maxSchemes = 200

// needs reads security requirements: alternatives of schemes needed together.
func needs(v any) [][]SecurityNeed {
	list, _ := v.([]any)
	var out [][]SecurityNeed
	for _, alt := range list {
		m, _ := alt.(map[string]any)
		var all []SecurityNeed
		for _, name := range sortedKeys(m) {
			n := SecurityNeed{Scheme: name}
			scopes, _ := m[name].([]any)
			for _, s := range scopes {
				if s, ok := s.(string); ok {
					n.Scopes = append(n.Scopes, s)
				}
			}
			all = append(all, n)
		}
		out = append(out, all)
	}
	return out
}

// collection maps Swagger 2.0's collectionFormat to a style.
func collection(v map[string]any, in string) (style string, explode, ok bool) {
	style = defaultStyle(in)
	switch str(v["collectionFormat"]) {
	case "", "csv":
		return style, false, true
	case "multi":
		return "form", true, in == "query" || in == "formData"
	case "ssv":
		return "spaceDelimited", false, in == "query"
	case "pipes":
		return "pipeDelimited", false, in == "query"
	case "tsv":
		return "tabDelimited", false, in == "query"
	}
	return "", false, false
}
