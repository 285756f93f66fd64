package inbox

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/compare"
	"github.com/exeat/exeat/store"
)

// masked stands for a value that is not shown unasked.
const masked = "•••••• (hidden)"

// mask hides what is not for everybody's eyes wherever a page shows the call.
// Nothing else changes: a value is hidden at its own place only, since an agent
// that chooses a secret could else hide with it what stands elsewhere.
func (v *HoldView) mask(h store.Hold) {
	if len(h.Masked) == 0 {
		return
	}
	v.Masked = true
	hideFiles(v.Files, h.Masked)
	var inBody, plain []string // pointers into the body, and values outside of it
	whole := slices.Contains(h.Masked, "")
	for _, p := range h.Masked {
		if p == "/body" || strings.HasPrefix(p, "/body/") || p == "" {
			inBody = append(inBody, strings.TrimPrefix(p, "/body"))
		}
		if strings.HasPrefix(p, "/body") {
			continue
		}
		if value, ok := approval.ValueAt(h.Args, p); ok {
			plain = append(plain, *text(value))
		} else {
			whole = true // within a list: where it stands in the URL cannot be told
		}
	}
	v.Args = hideValues(h.Args, h.Masked)
	if len(inBody) > 0 && v.BodySize > 0 {
		v.BodyBase64, v.BodySHA256 = "", ""
		if v.Body = string(hideValues([]byte(v.Body), inBody)); !json.Valid(h.Request.Body) || whole {
			v.Body = masked
		}
	}
	if whole {
		v.URL, v.Header, v.Before = v.Origin+" "+masked, nil, nil
		return
	}
	if len(plain) > 0 {
		v.URL = hideInURL(h.Request, plain)
		header := map[string][]string{}
		for name, values := range v.Header {
			values = slices.Clone(values)
			for i, x := range values {
				if slices.Contains(plain, x) || http.CanonicalHeaderKey(name) == "Cookie" {
					values[i] = masked
				}
			}
			header[name] = values
		}
		v.Header = header
	}
	if slices.Contains(inBody, "") {
		v.Before = nil
	}
	if v.Before != nil {
		v.Before.mask(inBody)
	}
}

// mask hides the fields that the body's secrets become.
func (v *BeforeView) mask(pointers []string) {
	secret := func(name string) bool {
		return slices.ContainsFunc(pointers, func(p string) bool {
			steps := strings.Split(strings.TrimPrefix(p, "/"), "/")
			return name == strings.ReplaceAll(strings.ReplaceAll(steps[len(steps)-1], "~1", "/"), "~0", "~")
		})
	}
	for _, c := range []*compare.Change{v.root, v.had} {
		if c == nil {
			continue
		}
		hideIn(c.Was, secret)
		hideIn(c.Is, secret)
		closeHidden(c)
	}
	hidden := masked
	for i, line := range v.Changes { // the operations of a patch
		if slices.ContainsFunc(strings.Split(strings.Join(line.Path[1:], "/"), "/"), secret) || line.holds(secret) {
			if line.Was != nil {
				v.Changes[i].Was = &hidden
			}
			if line.Is != nil {
				v.Changes[i].Is = &hidden
			}
		}
	}
}

// holds reports whether a value of the line may have a secret within it.
func (line DiffLine) holds(secret func(string) bool) bool {
	found := func(s *string) bool {
		if s == nil {
			return false
		}
		v, err := compare.Parse([]byte(*s))
		if err != nil {
			return false
		}
		before := v.JSON()
		hideIn(v, secret)
		return v.JSON() != before
	}
	return found(line.Was) || found(line.Is)
}

// hideIn hides the members and items of a value that are secret, at any depth.
func hideIn(v *compare.Value, secret func(string) bool) {
	if v == nil {
		return
	}
	one := func(name string, x *compare.Value) {
		if secret(name) {
			*x = compare.Value{Kind: compare.Hidden, Text: masked}
		} else {
			hideIn(x, secret)
		}
	}
	for _, m := range v.Members {
		one(m.Name, m.Value)
	}
	for i, x := range v.Items {
		one(strconv.Itoa(i), x)
	}
}

// closeHidden leaves nothing of what is within a hidden value.
func closeHidden(c *compare.Change) {
	if c.Was != nil && c.Was.Kind == compare.Hidden || c.Is != nil && c.Is.Kind == compare.Hidden {
		c.Within = nil
	}
	for i := range c.Within {
		closeHidden(&c.Within[i])
	}
}

// hideValues returns a JSON text with the values at the pointers hidden; what cannot be
// read is hidden whole.
func hideValues(raw []byte, pointers []string) []byte {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return []byte(strconv.Quote(masked))
	}
	for _, p := range pointers {
		v = hideAt(v, strings.Split(p, "/")[1:])
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return []byte(strconv.Quote(masked))
	}
	return bytes.TrimSpace(out.Bytes())
}

func hideAt(v any, steps []string) any {
	if len(steps) == 0 {
		return masked
	}
	step := strings.ReplaceAll(strings.ReplaceAll(steps[0], "~1", "/"), "~0", "~")
	switch x := v.(type) {
	case map[string]any:
		if member, ok := x[step]; ok {
			x[step] = hideAt(member, steps[1:])
		}
	case []any:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(x) {
			x[i] = hideAt(x[i], steps[1:])
		}
	}
	return v
}

// hideInURL returns a request's URL with the values hidden that are secrets, as a
// whole segment of the path or a whole value of the query.
func hideInURL(q store.Request, values []string) string {
	path, query, _ := strings.Cut(q.Target, "?")
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if plain, err := url.PathUnescape(s); err == nil && slices.Contains(values, plain) {
			segments[i] = masked
		}
	}
	out := q.Origin + strings.Join(segments, "/")
	if query == "" {
		return out
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(value); err != nil || slices.Contains(values, plain) {
			pairs[i] = name + "=" + masked
		}
	}
	return out + "?" + strings.Join(pairs, "&")
}

// hideRule is a rule as it is shown: with its secret values hidden.
func hideRule(r approval.Rule) approval.Rule {
	if len(r.Masked) == 0 {
		return r
	}
	if r.Scope.Same != "" {
		r.Scope.Same = string(hideValues([]byte(r.Scope.Same), r.Masked))
	}
	equal := slices.Clone(r.Scope.Equal)
	for i, e := range equal {
		if slices.ContainsFunc(r.Masked, func(p string) bool {
			return p == e.Pointer || strings.HasPrefix(p, e.Pointer+"/") || strings.HasPrefix(e.Pointer, p+"/")
		}) {
			equal[i].Value = strconv.Quote(masked)
		}
	}
	r.Scope.Equal = equal
	return r
}
