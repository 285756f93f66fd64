package openapi

import (
	"fmt"
	"slices"
	"strings"
)

// swaggerBase is the server of a Swagger 2.0 document, or "".
func (c *compiler) swaggerBase() string {
	host := str(c.doc["host"])
	base := str(c.doc["basePath"])
	if host == "" {
		return c.againstLocation("/" + strings.TrimPrefix(base, "/"))
	}
	scheme := "https"
	if list, _ := c.doc["schemes"].([]any); len(list) > 0 {
		scheme = "http"
		for _, s := range list {
			if s == "https" {
				scheme = "https"
			}
		}
	}
	u, err := absolute(scheme + "://" + host + "/" + strings.TrimPrefix(base, "/"))
	if err != nil {
		return ""
	}
	return u
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
		x := SecurityScheme{Type: str(s["type"]), In: str(s["in"]), Name: str(s["name"]), Scheme: strings.ToLower(str(s["scheme"]))}
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

// producesJSON reports whether an operation's produces, or else the document's,
// has JSON or says nothing.
func (c *compiler) producesJSON(own any) bool {
	list, _ := own.([]any)
	if list == nil {
		list, _ = c.doc["produces"].([]any)
	}
	return len(list) == 0 || slices.ContainsFunc(list, func(x any) bool { return isJSON(essence(str(x))) || essence(str(x)) == "*/*" })
}
