package token

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/exeat/exeat/openapi/reach"
)

// Guard is a reverse proxy that lets through only requests with a token for
// exactly that request, and adds the API's own credential to them.
type Guard struct {
	Verifier  *Verifier
	Upstream  string  // base URL of the API
	Inject    *Static // the API's own credential; nil for none
	Bodies    Bodies  // what becomes of large ones
	Streams   Streams // what may go on after its request
	Way       reach.Way
	Transport http.RoundTripper // nil means one of its own, by Way
	// OnDecision, if not nil, is told of every request: claims are nil unless
	// it was let through.
	OnDecision func(r *http.Request, c *Claims, refused *Refusal)
	// OnFailure, if not nil, is told of every request that was let through and
	// that the API did not answer, or not to the end. failed.Cause is why.
	OnFailure func(r *http.Request, c *Claims, failed *Refusal)
}

var errNoVerifier = errors.New("the guard needs a verifier with an issuer, an audience, keys and a place to spend tokens")

// Handler checks the configuration and returns the proxy.
//
// The upstream receives the path of the base URL followed by the request-target
// byte for byte, except for a query parameter that the injected credential
// replaces; the headers that the token binds, and of the others only those that
// tell of the content, the client, the form of the answer or the trace. It
// receives each request once, even if the connection breaks. A request whose target cannot be forwarded unchanged is refused
// before its token is spent. Redirects are passed back, not followed, and no
// proxy from the environment is used unless Transport does so.
func (g *Guard) Handler() (http.Handler, error) {
	v := g.Verifier
	if v == nil || v.Issuer == "" || v.Audience == "" || v.Keys == nil || v.Spend == nil {
		return nil, errNoVerifier
	}
	base, err := url.Parse(g.Upstream)
	switch {
	case err != nil:
		return nil, errors.New("the guard's upstream is not a URL")
	case base.Scheme != "http" && base.Scheme != "https", base.Host == "":
		return nil, fmt.Errorf("the guard's upstream %q is not an http or https URL with a host", base.Redacted())
	case base.User != nil:
		return nil, errors.New("the guard's upstream must not hold a user or password; inject them instead")
	case base.RawQuery != "" || base.ForceQuery || base.Fragment != "":
		return nil, fmt.Errorf("the guard's upstream %q must not have a query or fragment", g.Upstream)
	}
	if g.Inject != nil {
		if err := g.Inject.Check(); err != nil {
			return nil, fmt.Errorf("the guard cannot inject its credential: %w", err)
		}
	}
	switch g.Bodies {
	case BodiesInMemory, BodiesInFiles, BodiesStreamed:
	default:
		return nil, fmt.Errorf("the guard cannot keep bodies in the way %q", g.Bodies)
	}
	p := &proxy{Guard: *g, base: base}
	if p.Transport == nil {
		transport := directTransport()
		transport.DialContext, transport.DialTLSContext = g.Way.Dialer(), g.Way.TLSDialer()
		p.Transport = transport
	}
	return p, nil
}

// proxy is a Guard whose configuration was checked.
type proxy struct {
	Guard
	base *url.URL
}

// ServeHTTP lets r through or refuses it.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target, ref := admit(r, p.base, p.Streams.WebSocket && opensWebSocket(r))
	in := &intake{proxy: p, w: w, r: r}
	var claims *Claims
	if ref == nil {
		claims, ref = p.Verifier.check(r, in.digest)
	}
	if ref == nil {
		if ref = in.keep(); ref != nil {
			ref.Txn, claims = claims.Txn, nil
		}
		defer r.Body.Close()
	}
	if p.OnDecision != nil {
		p.OnDecision(r, claims, ref)
	}
	if ref != nil {
		ref.ServeHTTP(w, r)
		return
	}
	p.Verifier.giveNonce(w.Header(), claims)
	p.forward(in, target, claims)
}

// forward sends a request on that was checked, as far as it can be by now.
func (p *proxy) forward(in *intake, target *url.URL, claims *Claims) {
	tell := func(failed *Refusal, err error) {
		failed.Txn, failed.Cause = claims.Txn, err
		if p.OnFailure != nil {
			p.OnFailure(in.r, claims, failed)
		}
	}
	r, limit, done := p.Streams.bounded(in.r)
	defer done()
	forward := httputil.ReverseProxy{
		Rewrite:   func(pr *httputil.ProxyRequest) { p.rewrite(pr.Out, target, claims) },
		Transport: p.Transport,
		ModifyResponse: func(res *http.Response) error {
			if isStream(res) {
				limit()
			}
			if ref := p.Streams.refuse(res); ref != nil {
				return ref
			}
			return in.large.early(res)
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			failed := in.failed(err)
			tell(failed, err)
			failed.ServeHTTP(w, r)
		},
		// What ReverseProxy logs is an answer that broke off after it had begun.
		ErrorLog: log.New(lines(func(s string) { tell(upstreamFailed(nil), errors.New(s)) }), "", 0),
	}
	forward.ServeHTTP(in.w, r)
}

// lines is a writer for a logger.
type lines func(string)

func (f lines) Write(b []byte) (int, error) {
	f(strings.TrimSpace(string(b)))
	return len(b), nil
}

// overrides are headers that some servers obey instead of the method or target,
// which a token binds.
var overrides = []string{
	"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-Method",
	"X-Original-URL", "X-Original-URI", "X-Rewrite-URL", "X-Forwarded-Method", "X-Forwarded-URI",
}

// admit refuses what no token could make safe to forward, and returns the URL
// to forward to, below base. Upgrades are refused, unless this one is expected.
func admit(r *http.Request, base *url.URL, upgrades bool) (*url.URL, *Refusal) {
	switch strings.ToUpper(r.Method) {
	case http.MethodConnect, http.MethodTrace, "TRACK": // TRACE would send the API's own credential back
		return nil, refuse(http.StatusBadRequest, "bad_method", "the guard does not forward %s", brief(r.Method))
	}
	if len(r.Header["Upgrade"]) > 0 && !upgrades {
		return nil, refuse(http.StatusBadRequest, "upgrade", "the guard does not forward this upgrade")
	}
	// Whatever Connection names is removed on the way: If-Match, say, after it
	// was checked.
	for option := range strings.SplitSeq(strings.Join(r.Header["Connection"], ","), ",") {
		switch option = strings.ToLower(strings.TrimSpace(option)); {
		case option == "", option == "close", option == "keep-alive", option == "te", option == "upgrade" && upgrades:
		default:
			return nil, refuse(http.StatusBadRequest, "connection_header", "the Connection header names %s", brief(option))
		}
	}
	for name := range r.Header {
		for _, override := range overrides {
			if sameField(name, override) {
				return nil, refuse(http.StatusBadRequest, "override_header", "the request has the header %s, which could change what the API does", override)
			}
		}
	}
	target, err := below(base, r.RequestURI)
	if err != nil {
		path, _, _ := strings.Cut(r.RequestURI, "?") // the query may hold what others must not read
		return nil, refuse(http.StatusBadRequest, "bad_target", "the request-target %s %v", brief(path), err)
	}
	return target, nil
}

// below is the URL whose request-target is that of the base followed by target,
// byte for byte.
func below(base *url.URL, target string) (*url.URL, error) {
	if !strings.HasPrefix(target, "/") {
		return nil, errors.New("is not a path with an optional query")
	}
	if strings.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		// HTTP/2 can carry these, and in HTTP/1.1 they would end the target.
		return nil, errors.New("has a space or a control character")
	}
	raw, query, forced := strings.Cut(target, "?")
	raw = strings.TrimSuffix(base.EscapedPath(), "/") + raw
	path, err := url.PathUnescape(raw)
	if err != nil {
		return nil, errors.New("has an incomplete percent-encoding")
	}
	if reason := ambiguous(path); reason != "" {
		return nil, errors.New(reason)
	}
	u := &url.URL{Scheme: base.Scheme, Host: base.Host, Path: path, RawPath: raw, RawQuery: query, ForceQuery: forced && query == ""}
	if want := strings.TrimSuffix(base.EscapedPath(), "/") + target; u.RequestURI() != want {
		return nil, errors.New("cannot be forwarded byte for byte")
	}
	return u, nil
}

// ambiguous says why some server could take a path for another, or is "": for a
// segment that is . or .. after decoding once more, with a backslash for a slash, or
// followed by parameters; for a control character, at which some end it.
func ambiguous(path string) string {
	for {
		if strings.ContainsFunc(path, unicode.IsControl) {
			return "has a control character in its path"
		}
		for segment := range strings.SplitSeq(strings.ReplaceAll(path, `\`, "/"), "/") {
			if segment, _, _ = strings.Cut(segment, ";"); segment == "." || segment == ".." {
				return "has a dot segment"
			}
		}
		again, err := url.PathUnescape(path)
		if err != nil || again == path {
			return ""
		}
		path = again // shorter than before, so this ends
	}
}

// unbound are the headers that may reach the API although no token names them.
// Any other could say who asks, or change what is asked for.
var unbound = []string{
	"Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Content-Type", "User-Agent", "Traceparent", "Tracestate",
}

// rewrite makes the request for the API out of the one that was checked.
// ReverseProxy has removed the hop-by-hop headers before, so that nothing the
// client says can remove what is added here.
func (p *proxy) rewrite(out *http.Request, target *url.URL, c *Claims) {
	out.URL, out.Host = target, ""
	kept := append(c.Details.boundNames(), unbound...)
	if len(out.Header["Upgrade"]) > 0 { // then it is one that is expected
		kept = append(kept, handshake...)
	}
	for name := range out.Header {
		if name == "Authorization" || !slices.Contains(kept, name) {
			delete(out.Header, name)
		}
	}
	once(out, c.Effect)
	if p.Inject != nil {
		p.Inject.remove(out)
		p.Inject.place(out)
	}
}

// once keeps net/http from sending out again when a connection that was used
// before breaks: one token, one request. It would do so without a body, if the
// method is for reading or there is an Idempotency-Key in canonical spelling.
// With an https URL, where HTTP/2 then announces a body that never comes, a call
// that was decided to be a read is left as it is; a GET that deletes is not.
func once(out *http.Request, effect string) {
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if values, there := out.Header[name]; there {
			delete(out.Header, name)
			out.Header[strings.ToLower(name)] = values
		}
	}
	switch out.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		if out.Body == nil && (out.URL.Scheme == "http" || effect != EffectRead) {
			out.Body = io.NopCloser(strings.NewReader(""))
		}
	}
}

// upstreamFailed answers for an API that did not. The reason is not in it: it
// would tell the agent how the network behind the guard looks.
func upstreamFailed(err error) *Refusal {
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return refuse(http.StatusGatewayTimeout, "upstream_timeout", "the API did not answer in time; the request may have reached it")
	}
	return refuse(http.StatusBadGateway, "upstream_failed", "the API could not be reached or broke off; the request may have reached it")
}
