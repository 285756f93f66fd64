package token

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// CheckHeader is the header by which a proxy proves that it may ask a guard, and
// at /check also says what about. It is one header so that no proxy can be
// configured to prove the one and to pass the other on from its client.
const CheckHeader = "X-Exeat-Check"

// CodeHeader has the code of a refusal in the answer to a check, for proxies that
// drop its body.
const CodeHeader = "X-Exeat-Code"

// minCheckSecret is how many bytes the secret of a proxy has at least.
const minCheckSecret = 32

// Checks are how a proxy may ask the guard, instead of sending its requests through.
type Checks struct {
	Secret Secret       // that only the proxy and the guard know
	Unseen []UnseenBody // whose content may pass although the proxy does not show it
}

// CheckHandler answers a proxy that asks whether it may pass a request on. The
// answer is 200 with the API's own credential, if there is one to inject, or a
// refusal; the token is spent by it. Three kinds of asking are understood:
//
//   - /check: CheckHeader is "SECRET METHOD BODY TARGET". BODY is empty or 0 where
//     the request has none, the digest of it where the proxy computed that
//     (sha-256=:…:), and anything else where it does not know (nginx, HAProxy)
//   - /forward-auth: X-Forwarded-Method, X-Forwarded-Uri and the body (Traefik)
//   - /ext-authz/…: the request itself behind this prefix, with its body (Envoy)
//
// All headers of the request have to be shown: one that neither the token names
// nor the guard would let through itself is refused, since the proxy sends it on.
func (g *Guard) CheckHandler(how Checks) (http.Handler, error) {
	if v := g.Verifier; v == nil || v.Issuer == "" || v.Audience == "" || v.Keys == nil || v.Spend == nil {
		return nil, errNoVerifier
	}
	secret := how.Secret.Reveal()
	if len(secret) < minCheckSecret || strings.Contains(secret, " ") || !how.Secret.headerSafe() {
		return nil, fmt.Errorf("the secret that a proxy asks with has to have %d characters or more, without spaces: openssl rand -hex 32 prints one", minCheckSecret)
	}
	if g.Inject != nil {
		if err := g.Inject.Check(); err != nil {
			return nil, fmt.Errorf("the guard cannot inject its credential: %w", err)
		}
		if g.Inject.Placement.In == "query" {
			return nil, errors.New("a proxy that asks cannot be given a credential for the query: let it hold that itself, or send requests through the guard")
		}
	}
	return &checker{Guard: *g, secret: sha256.Sum256([]byte(secret)), unseen: how.Unseen}, nil
}

// checker is a Guard that is asked.
type checker struct {
	Guard
	secret [sha256.Size]byte
	unseen []UnseenBody
}

// question is what a proxy asks about.
type question struct {
	request *http.Request // as the proxy's client sent it
	content contentOf
	// plain says that the proxy knows no refusals but 401 and 403.
	plain bool
}

func (k *checker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q, ref := k.question(r)
	var claims *Claims
	if ref == nil {
		_, ref = admit(q.request, &url.URL{Scheme: "http", Host: "api"}, false)
	}
	if ref == nil {
		claims, ref = k.Verifier.check(q.request, func(c *Claims) (string, *Refusal) {
			if ref := unboundHeader(q.request.Header, c); ref != nil {
				return "", ref
			}
			return q.content(c)
		})
	}
	if k.OnDecision != nil {
		k.OnDecision(q.request, claims, ref)
	}
	if ref == nil {
		k.pass(w, q.request, claims)
		return
	}
	w.Header().Set(CodeHeader, ref.Code)
	if said := *ref; q.plain && said.Status < http.StatusInternalServerError && said.Status != http.StatusUnauthorized {
		said.Status = http.StatusForbidden
		ref = &said
	}
	ref.ServeHTTP(w, r)
}

// pass says yes, and gives the proxy what it adds to the request.
func (k *checker) pass(w http.ResponseWriter, r *http.Request, c *Claims) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if NewSecret(c.Txn).headerSafe() {
		h.Set("X-Exeat-Txn", c.Txn)
	}
	if k.Inject != nil {
		out := &http.Request{Header: http.Header{}, URL: &url.URL{}}
		if slices.Contains(c.Details.boundNames(), "Cookie") {
			out.Header["Cookie"] = r.Header["Cookie"]
		}
		k.Inject.remove(out)
		k.Inject.place(out)
		for name, values := range out.Header {
			h[name] = values
		}
	}
	w.WriteHeader(http.StatusOK)
}

// question reads what the proxy asks. On a refusal the request is the proxy's own.
func (k *checker) question(r *http.Request) (question, *Refusal) {
	own := question{request: r, plain: true}
	proof, ref := single(r.Header, CheckHeader)
	if ref != nil {
		return own, ref
	}
	secret, described, _ := strings.Cut(proof, " ")
	sum := sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(sum[:], k.secret[:]) != 1 {
		return own, refuse(http.StatusForbidden, "not_the_proxy", "only the proxy may ask, which knows a secret")
	}
	delete(r.Header, CheckHeader)
	switch target, toEnvoy := strings.CutPrefix(r.RequestURI, "/ext-authz/"); {
	case toEnvoy && described == "":
		return k.fromEnvoy(r, "/"+target)
	case r.RequestURI == "/check":
		return k.fromHeader(r, described)
	case r.RequestURI == "/forward-auth" && described == "":
		return k.fromTraefik(r)
	}
	own.plain = false
	return own, refuse(http.StatusNotFound, "unknown_check", "ask at /check, /forward-auth or /ext-authz/, each as it is documented")
}

// single is the value of a header that has to be there once.
func single(h http.Header, name string) (string, *Refusal) {
	if values := h[name]; len(values) == 1 {
		return values[0], nil
	}
	return "", refuse(http.StatusForbidden, "not_the_proxy", "the header %s is there %d times, not once", name, len(h[name]))
}

// about is the request that r asks about.
func about(r *http.Request, method, target string) *http.Request {
	q := r.WithContext(r.Context())
	q.Method, q.RequestURI = method, target
	path, query, _ := strings.Cut(target, "?")
	q.URL = &url.URL{Path: path, RawQuery: query}
	return q
}

// fromHeader reads /check.
func (k *checker) fromHeader(r *http.Request, described string) (question, *Refusal) {
	parts := strings.SplitN(described, " ", 3)
	if len(parts) != 3 {
		return question{request: r, plain: true}, refuse(http.StatusBadRequest, "bad_check", "%s is not SECRET METHOD BODY TARGET", CheckHeader)
	}
	method, body, target := parts[0], parts[1], parts[2]
	q := about(r, method, target)
	return question{request: q, plain: true, content: func(c *Claims) (string, *Refusal) {
		switch {
		case body == "" || body == "0":
			return contentDigest(nil), nil
		case isContentDigest(body):
			return body, nil
		case slices.ContainsFunc(k.unseen, func(u UnseenBody) bool { return u.matches(method, target) }):
			c.BodyUnseen = true
			return c.Details.Request.ContentDigest, nil
		}
		return "", refuse(http.StatusForbidden, "body_unseen", "the proxy does not show the body of the request, so nothing can tell whether it is the one that the token is for")
	}}, nil
}

// isContentDigest tells whether s is written as contentDigest writes.
func isContentDigest(s string) bool {
	return len(s) == len(contentDigest(nil)) && strings.HasPrefix(s, "sha-256=:") && strings.HasSuffix(s, "=:")
}

// fromTraefik reads /forward-auth.
func (k *checker) fromTraefik(r *http.Request) (question, *Refusal) {
	own := question{request: r}
	method, ref := single(r.Header, "X-Forwarded-Method")
	if ref != nil {
		return own, ref
	}
	target, ref := single(r.Header, "X-Forwarded-Uri")
	if ref != nil {
		return own, ref
	}
	delete(r.Header, "X-Forwarded-Method")
	delete(r.Header, "X-Forwarded-Uri")
	return question{request: about(r, method, target), content: k.shown(r)}, nil
}

// fromEnvoy reads /ext-authz/.
func (k *checker) fromEnvoy(r *http.Request, target string) (question, *Refusal) {
	q := question{request: about(r, r.Method, target), content: k.shown(r)}
	if partial := r.Header["X-Envoy-Auth-Partial-Body"]; len(partial) > 1 || len(partial) == 1 && partial[0] != "false" {
		return q, refuse(http.StatusForbidden, "body_unseen", "the proxy shows only a part of the body")
	}
	return q, nil
}

// shown reads the content that a proxy shows.
func (k *checker) shown(r *http.Request) contentOf {
	return func(*Claims) (string, *Refusal) {
		return k.Verifier.digestBody(r)
	}
}

// ofTheHop are headers that belong to the way between proxy and guard, and that
// proxies set: of those, whoever configures the proxy has to see that it does.
var ofTheHop = []string{
	"Authorization", "Connection", "Content-Length", "Expect",
	"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-Ip", "X-Request-Id",
	"X-Envoy-Auth-Partial-Body", "X-Envoy-Attempt-Count", "X-Envoy-Expected-Rq-Timeout-Ms", "X-Envoy-External-Address", "X-Envoy-Internal",
}

// unboundHeader refuses a header that the guard itself would not send on. The proxy
// would.
func unboundHeader(h http.Header, c *Claims) *Refusal {
	bound := append(c.Details.boundNames(), c.Confirm.headers()...)
	for name := range h {
		if !slices.Contains(bound, name) && !slices.Contains(unbound, name) && !slices.Contains(ofTheHop, name) {
			return refuse(http.StatusForbidden, "unbound_header", "the request has the header %s, which the token does not name", brief(name))
		}
	}
	return nil
}

// UnseenBody names requests whose body a check lets pass without seeing it. All
// else of them is bound as ever.
type UnseenBody struct {
	Method string
	Path   string // as in the request-target, without the query
	Below  bool   // and all paths that begin with it
}

// ParseUnseenBody reads "POST /uploads/*", or without the star the one path.
func ParseUnseenBody(s string) (UnseenBody, error) {
	method, path, ok := strings.Cut(s, " ")
	path, below := strings.CutSuffix(path, "*")
	switch {
	case !ok || !fieldName.MatchString(method) || method != strings.ToUpper(method) || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "*? "):
		return UnseenBody{}, fmt.Errorf("%q is no request whose body may pass unseen: write it as \"POST /uploads\", or \"POST /uploads/*\" with all that is below", s)
	case below && !strings.HasSuffix(path, "/"):
		return UnseenBody{}, fmt.Errorf("%q would take every path that begins so: end it with /*", s)
	}
	return UnseenBody{Method: method, Path: path, Below: below}, nil
}

func (u UnseenBody) matches(method, target string) bool {
	path, _, _ := strings.Cut(target, "?")
	return method == u.Method && (path == u.Path || u.Below && strings.HasPrefix(path, u.Path))
}
