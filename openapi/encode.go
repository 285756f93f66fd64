package openapi

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/exeat/exeat/openapi/strictjson"
)

// Encode writes checked arguments into the request they stand for. It is
// strict: a path argument cannot add, remove or dot a segment, and no value can
// break out of its header, cookie or query parameter. The error is an
// *ArgumentError, or plain if the operation has no absolute server or its path
// template cannot be a request's path.
//
// What a place cannot express is refused, never dropped: null, and empty arrays
// and objects, in parameters and forms. Equal arguments give equal bytes.
func (op *Operation) Encode(args *Args) (*Request, error) {
	to := op.destination()
	if to.err != nil {
		return nil, to.err
	}
	e := &encoder{op: op, args: args.value, header: op.fixedHeader()}
	path := e.path(op.Path)
	if op.query != "" {
		e.query = append(e.query, escapeFixed(op.query))
	}
	for _, p := range op.params {
		if v, given := e.args[p.Property]; given && p.In != "path" {
			e.parameter(p, v)
		}
	}
	if len(e.cookies) > 0 {
		e.header.Set("Cookie", strings.Join(e.cookies, "; "))
	}
	r := &Request{Method: op.Method, Origin: to.origin, Target: to.prefix + path, Path: path, Header: e.header}
	if len(e.query) > 0 {
		r.Target += "?" + strings.Join(e.query, "&")
	}
	e.body(r)
	if e.bad != nil {
		e.bad.Fits = true
		return nil, e.bad
	}
	return r, nil
}

// fixedHeader is the header of every request of the operation.
func (op *Operation) fixedHeader() http.Header {
	h := http.Header{}
	if op.API != nil {
		maps.Copy(h, op.API.headers.Clone())
	}
	h.Set("Accept", cmp.Or(op.accept, acceptHeader(nil)))
	return h
}

// body writes the body into the request.
func (e *encoder) body(r *Request) {
	x := e.op.body
	if x == nil || e.bad != nil {
		return
	}
	v, given := e.args["body"]
	chosen, _ := e.args[x.Choice].(string)
	switch {
	case given && x.setsWithheld(v) != nil:
		e.fail(x.setsWithheld(v))
	case given:
		r.ContentType, r.Body, e.bad = x.encode(v, chosen)
	case chosen != "":
		e.fail(refuse("/"+escape(x.Choice), "is of no use without a body"))
	}
}

// destination is where the requests of an operation go, or why none can be made.
type destination struct {
	base           string // as it was given
	origin, prefix string
	err            error
}

// destination is found out for the first request, and once more if the API's base URL
// is another by then.
func (op *Operation) destination() *destination {
	base := op.baseURL
	if base == "" && op.API != nil {
		base = op.API.BaseURL
	}
	if to := op.to.Load(); to != nil && to.base == base {
		return to
	}
	to := &destination{base: base}
	to.origin, to.prefix, to.err = splitBase(base)
	if to.err == nil {
		err := legalPath(op.wholePath())
		if strings.Contains(op.Path+op.query, "#") {
			err = errors.New("the path holds a fragment")
		}
		if err != nil {
			to.err = fmt.Errorf("%s %q: %w", op.Method, op.Path, err)
		}
	}
	op.to.Store(to)
	return to
}

// splitBase splits a base URL into its origin and path prefix. The host is in small
// letters and a scheme's own port is left out, so that equal servers are equal texts.
func splitBase(base string) (origin, prefix string, err error) {
	if base == "" {
		return "", "", errors.New("the document names no absolute server: pass --base-url")
	}
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return "", "", errors.New("the base URL cannot be read: pass another with --base-url")
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", "", fmt.Errorf("the base URL %q is not http(s)://host/path: pass another with --base-url", u.Redacted())
	}
	host := strings.ToLower(u.Host)
	own := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	prefix = strings.TrimRight(u.EscapedPath(), "/")
	if err := legalPath(prefix + "/"); err != nil || strings.ContainsAny(prefix, "{}") {
		return "", "", fmt.Errorf("the base URL %q has no plain path (%v): pass another with --base-url", base, err)
	}
	return u.Scheme + "://" + strings.TrimSuffix(host, own), escapeFixed(prefix), nil
}

// encoder gathers the parts of one request. bad is the first thing wrong.
type encoder struct {
	op      *Operation
	args    map[string]any
	query   []string
	cookies []string
	header  http.Header
	spilt   map[string]string // which argument wrote a name that it chose itself
	size    int               // bytes of what the arguments wrote, but for the body
	bad     *ArgumentError
}

// maxHead bounds what arguments write into a request's target and headers, in
// bytes: few servers take more.
const maxHead = 64 << 10

// wrote counts what an argument wrote.
func (e *encoder) wrote(n int, at string) {
	if e.size += n; e.size > maxHead {
		e.fail(refuse(at, "makes the request's path, query and headers longer than %d bytes", maxHead))
	}
}

func (e *encoder) fail(bad *ArgumentError) {
	if e.bad == nil {
		e.bad = bad
	}
}

// path fills the template, segment by segment.
func (e *encoder) path(template string) string {
	segments := strings.Split(template, "/")
	for i, segment := range segments {
		segments[i] = e.segment(segment)
	}
	return strings.Join(segments, "/")
}

// segment fills one segment of the path template and looks at the whole of it:
// two harmless values beside each other may make a dot segment.
func (e *encoder) segment(template string) string {
	var b strings.Builder
	last, slashes := "", false
	for rest := template; rest != ""; {
		fixed, after, open := strings.Cut(rest, "{")
		name, tail, closed := strings.Cut(after, "}")
		p := e.op.pathParam(name)
		if !open || !closed || p == nil {
			b.WriteString(escapeFixed(rest))
			break
		}
		b.WriteString(escapeFixed(fixed))
		last = "/" + escape(p.Property)
		v, given := e.args[p.Property]
		if !given {
			e.fail(refuse(last, "is required"))
			return ""
		}
		text, bad := p.pathText(v, last)
		if bad != nil {
			e.fail(bad)
			return ""
		}
		e.wrote(len(text), last)
		b.WriteString(text)
		slashes = slashes || p.Slashes
		rest = tail
	}
	if last == "" {
		return b.String()
	}
	parts := []string{b.String()}
	if slashes {
		parts = strings.Split(b.String(), "%2F")
	}
	for _, part := range parts {
		if reason := unsafeSegment(part); reason != "" {
			e.fail(refuse(last, "makes a path segment that %s", reason))
		}
	}
	return b.String()
}

func (op *Operation) pathParam(name string) *param {
	for i := range op.params {
		if p := &op.params[i]; p.In == "path" && p.Name == name {
			return p
		}
	}
	return nil
}

// parameter writes one query, header or cookie parameter.
func (e *encoder) parameter(p param, v any) {
	at := "/" + escape(p.Property)
	switch p.In {
	case "query":
		pairs, bad := p.queryPairs(v, at)
		if bad == nil {
			bad = e.refuseSpill(p, pairs, at)
		}
		if bad != nil {
			e.fail(bad)
		}
		for _, pair := range pairs {
			e.wrote(len(pair.name)+len(pair.value)+2, at)
			e.query = append(e.query, pair.name+"="+pair.value)
		}
	case "querystring":
		e.queryString(p, v, at)
	case "cookie":
		pairs, bad := p.cookiePairs(v, at)
		if bad == nil {
			bad = e.refuseSpill(p, pairs, at)
		}
		if bad != nil {
			e.fail(bad)
		}
		for _, pair := range pairs {
			e.wrote(len(pair.name)+len(pair.value)+3, at)
			e.cookies = append(e.cookies, pair.name+"="+pair.value)
		}
	case "header":
		text, bad := p.headerText(v, at)
		if bad == nil && e.header.Get(p.Name) != "" {
			bad = refuse(at, "cannot be given beside another argument for the same header")
		}
		if bad != nil {
			e.fail(bad)
		}
		e.wrote(len(p.Name)+len(text)+4, at)
		e.header.Set(p.Name, text)
	}
}

// refuseSpill refuses an exploded object that writes another parameter's name, or
// the name a credential goes by: the policy would see one value and the API
// another.
func (e *encoder) refuseSpill(p param, pairs []pair, at string) *ArgumentError {
	if !slices.ContainsFunc(pairs, func(x pair) bool { return x.key != "" }) {
		return nil
	}
	taken := map[string]bool{}
	if p.In == "query" {
		taken = e.op.fixedQuery()
	}
	for _, other := range e.op.params {
		if other.In == p.In && other.Name != p.Name {
			taken[strictjson.Fold(other.Name)] = true
		}
	}
	if e.op.API != nil {
		for _, s := range e.op.API.Security {
			if s.Type == "apiKey" && s.In == p.In && s.Name != p.Name {
				taken[strictjson.Fold(s.Name)] = true
			}
		}
	}
	if e.spilt == nil {
		e.spilt = map[string]string{}
	}
	for _, pair := range pairs {
		name := strictjson.Fold(pair.key)
		head, _, bracket := strings.Cut(name, "[")
		if name == "" || p.Style == "deepObject" && !taken[name] {
			continue
		}
		if taken[name] || bracket && taken[head] {
			return refuse(at+"/"+escape(pair.key), "would be written as another parameter of that name")
		}
		if first, given := e.spilt[p.In+head]; given && first != p.Property {
			return refuse(at+"/"+escape(pair.key), "would be written as what %q writes already", first)
		}
		e.spilt[p.In+head] = p.Property
	}
	return nil
}
