package edge

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestNew has what cannot be served, and the words for it.
func TestNew(t *testing.T) {
	cert := newPair(t, t.TempDir(), "exeat.example.com")
	for _, tt := range []struct {
		name string
		c    Config
		want string // "" is no error
	}{
		{"loopback", Config{Listen: "127.0.0.1:0"}, ""},
		{"IPv6", Config{Listen: "[::1]:0"}, ""},
		{"localhost", Config{Listen: "localhost:0"}, ""},
		{"plain", Config{Listen: "0.0.0.0:0"}, "give tls.cert and tls.key, or put a proxy with TLS before it and name that in proxies and, as https, in public_url, or listen on 127.0.0.1"},
		{"plain on one address", Config{Listen: "192.0.2.1:1"}, "192.0.2.1:1 is not a loopback address"},
		{"plain everywhere", Config{Listen: ":0"}, "is not a loopback address"},
		{"proxies alone", Config{Listen: "0.0.0.0:0", Proxies: []string{"10.0.0.5"}}, "is not a loopback address"},
		{"a URL alone", Config{Listen: "0.0.0.0:0", PublicURL: "https://exeat.example.com"}, "is not a loopback address"},
		{"proxies and a plain URL", Config{Listen: "0.0.0.0:0", PublicURL: "http://localhost:1", Proxies: []string{"10.0.0.5"}}, "is not a loopback address"},
		{"behind a proxy", Config{Listen: "0.0.0.0:0", PublicURL: "https://exeat.example.com", Proxies: []string{"10.0.0.5"}}, ""},
		{"TLS", Config{Listen: "0.0.0.0:0", PublicURL: "https://exeat.example.com", TLS: cert}, ""},
		{"TLS without a name", Config{Listen: "0.0.0.0:0", TLS: cert}, "nobody knows what clients call: say it in public_url"},
		{"TLS on one address", Config{Listen: "192.0.2.1:1", TLS: cert}, ""},
		{"TLS and a plain URL", Config{PublicURL: "http://127.0.0.1:1", TLS: cert}, "with TLS it begins with https://"},
		{"half of TLS", Config{TLS: Files{Cert: cert.Cert}}, "TLS needs both tls.cert and tls.key"},
		{"clients' certificates alone", Config{TLS: Files{ClientCA: cert.Cert}}, "TLS needs both"},
		{"no file", Config{TLS: Files{Cert: "none.pem", Key: cert.Key}}, "none.pem"},
		{"no CA in it", Config{TLS: Files{Cert: cert.Cert, Key: cert.Key, ClientCA: cert.Key}}, "tls.client_ca: "},
		{"mcp twice", Config{PublicURL: "https://exeat.example.com/mcp/", Prefix: true}, "write https://exeat.example.com"},
		{"a path where none can be", Config{PublicURL: "https://exeat.example.com/inbox"}, "leave the path /inbox out"},
		{"everybody a proxy", Config{Proxies: []string{"0.0.0.0/0"}}, "0.0.0.0/0 is everybody"},
		{"everybody by IPv6", Config{Proxies: []string{"::/0"}}, "is everybody"},
		{"a proxy's name", Config{Proxies: []string{"nginx"}}, `proxies: "nginx" is no address`},
		{"an address within a network", Config{Proxies: []string{"10.1.2.3/16"}}, "write 10.1.0.0/16 for all of it"},
		{"any host", Config{Hosts: []string{"*"}}, `hosts: "*" is no host`},
		{"a URL as a host", Config{Hosts: []string{"https://x"}}, "is no host"},
		{"any origin", Config{Origins: []string{"*"}}, `origins: "*" is every page`},
		{"a sandboxed page", Config{Origins: []string{"null"}}, "is every page"},
		{"an origin with a path", Config{Origins: []string{"https://app.example.com/x"}}, "is no origin"},
		{"a plain origin", Config{Origins: []string{"http://app.example.com"}}, "use https"},
		{"an app's origin", Config{Origins: []string{"tauri://localhost", "http://localhost:6274"}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.c)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v", err)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a sentence: %v", err)
			}
		})
	}
}

func TestParsePublicURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://Exeat.Example.com":           "https://exeat.example.com",
		"https://exeat.example.com:443/":      "https://exeat.example.com",
		"https://exeat.example.com:8420/a/b/": "https://exeat.example.com:8420/a/b",
		"HTTPS://exeat.example.com/Agents":    "https://exeat.example.com/Agents",
		"http://127.0.0.1:8420":               "http://127.0.0.1:8420",
		"http://[::1]:80":                     "http://[::1]",
		"http://inbox.localhost:1":            "http://inbox.localhost:1",
		"http://exeat.example.com":            "",
		"exeat.example.com":                   "",
		"https://":                            "",
		"https://:443":                        "",
		"https://a:b@exeat.example.com":       "",
		"https://exeat.example.com?x":         "",
		"https://exeat.example.com#x":         "",
		"https://exeat.example.com/a//b":      "",
		"https://exeat.example.com/a/../b":    "",
		"https://exeat.example.com/a%2fb":     "",
		"ftp://exeat.example.com":             "",
		"https:exeat.example.com":             "",
	} {
		u, err := ParsePublicURL(in)
		if got := u.String(); (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
	u, err := ParsePublicURL("https://exeat.example.com/agents/")
	if err != nil {
		t.Fatal(err)
	}
	got := []string{u.Join("/mcp"), u.WellKnown("oauth-protected-resource", "/mcp"), u.Origin(), u.Host(), u.Path()}
	want := []string{"https://exeat.example.com/agents/mcp", "https://exeat.example.com/.well-known/oauth-protected-resource/agents/mcp", "https://exeat.example.com", "exeat.example.com", "/agents"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// said is a handler that says what reached it.
var said = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	a, _ := ArrivalOf(r)
	fmt.Fprintf(w, "%s client=%s remote=%s proxied=%t host=%s path=%s", a.URL(), a.Client, r.RemoteAddr, a.Proxied, r.Host, r.URL.Path)
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		fmt.Fprintf(w, " certificate=%s", r.TLS.PeerCertificates[0].DNSNames[0])
	}
	for name := range r.Header {
		if strings.Contains(strings.ToLower(name), "forward") || strings.Contains(strings.ToLower(name), "real") {
			fmt.Fprintf(w, " %s!", name)
		}
	}
})

// reach makes an edge on a real listener of loopback.
func reach(t *testing.T, c Config, checks ...Check) (*Edge, string) {
	t.Helper()
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	bound, err := e.Bind(l, []string{addr})
	if err != nil {
		t.Fatal(err)
	}
	srv := &httptest.Server{Listener: bound, Config: &http.Server{Handler: e.Handler(said, checks...)}}
	srv.Start()
	t.Cleanup(srv.Close)
	return e, addr
}

// from is a client that calls from an address of loopback.
func from(t *testing.T, ip string) *http.Client {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	tr := &http.Transport{DialContext: dialer.DialContext}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func send(t *testing.T, c *http.Client, method, target string, header ...string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequest(method, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
		}
		r.Header[name] = append(r.Header[name], value)
	}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header
}

// TestForwarded calls from proxies (127.0.0.2 and all of 127.0.1.0/24) and from
// somebody who is none (127.0.0.3).
func TestForwarded(t *testing.T) {
	const public = "https://exeat.example.com"
	e, addr := reach(t, Config{PublicURL: public + "/agents", Prefix: true, Proxies: []string{"127.0.0.2", "127.0.1.0/24", "2001:db8::/64"}, Hosts: []string{"inner:8420"}})
	for _, tt := range []struct {
		name, ip, path string
		header         []string
		status         int
		want           string
	}{
		{"a proxy", "127.0.0.2", "/agents/mcp", []string{"Host: exeat.example.com", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https"}, 200,
			"https://exeat.example.com/agents/mcp client=203.0.113.9 remote=203.0.113.9:0 proxied=true host=exeat.example.com path=/mcp"},
		{"a proxy that takes the prefix off", "127.0.0.2", "/mcp", []string{"Host: inner:8420", "X-Forwarded-Host: exeat.example.com:443", "X-Forwarded-For: 203.0.113.9"}, 200,
			"https://exeat.example.com/agents/mcp client=203.0.113.9 remote=203.0.113.9:0 proxied=true host=exeat.example.com:443 path=/mcp"},
		{"two proxies", "127.0.0.2", "/mcp", []string{"Host: exeat.example.com", "X-Forwarded-For: 198.51.100.1, 203.0.113.9, 127.0.1.7", "X-Forwarded-Proto: http, https, http"}, 200, "client=203.0.113.9 "},
		{"in two headers", "127.0.0.2", "/mcp", []string{"Host: exeat.example.com", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 127.0.1.7"}, 200, "client=203.0.113.9 "},
		{"what the client says of itself", "127.0.0.2", "/mcp", []string{"Host: exeat.example.com", "X-Forwarded-For: 127.0.0.1, 10.0.0.1, 203.0.113.9"}, 200, "client=203.0.113.9 "},
		{"what the client calls a proxy", "127.0.0.2", "/mcp", []string{"Host: exeat.example.com", "X-Forwarded-For: 127.0.0.2, 203.0.113.9"}, 200, "client=203.0.113.9 "},
		{"nothing but proxies", "127.0.0.2", "/mcp", []string{"Host: exeat.example.com", "X-Forwarded-For: 127.0.1.1, 127.0.1.2"}, 200, "client=127.0.1.1 "},
		{"no address", "127.0.0.2", "/mcp", []string{"Host: exeat.example.com", "X-Forwarded-For: 203.0.113.9, unknown"}, 200, "client=127.0.0.2 "},
		{"an address with a port", "127.0.0.2", "/mcp", []string{"Host: exeat.example.com", "X-Forwarded-For: [2001:db9::1]:99"}, 200, "client=2001:db9::1 "},
		{"an IPv4 address as IPv6", "127.0.0.2", "/mcp", []string{"Host: exeat.example.com", "X-Forwarded-For: ::ffff:203.0.113.9"}, 200, "client=203.0.113.9 "},
		{"a proxy's own request", "127.0.0.2", "/mcp", []string{"Host: exeat.example.com"}, 200, "client=127.0.0.2 "},
		{"another standard", "127.0.0.2", "/mcp", []string{"Host: exeat.example.com", "Forwarded: for=203.0.113.9;proto=http;host=evil"}, 200, "client=127.0.0.2 "},
		{"http before the proxy", "127.0.0.2", "/mcp", []string{"Host: exeat.example.com", "X-Forwarded-Proto: http"}, 403, "called by http"},
		{"another scheme before it", "127.0.0.2", "/mcp", []string{"Host: exeat.example.com", "X-Forwarded-Proto: gopher"}, 403, "neither"},
		{"a rebound name at the proxy", "127.0.0.2", "/mcp", []string{"Host: evil.example", "X-Forwarded-Host: exeat.example.com"}, 403, "host name"},
		{"a foreign name before the proxy", "127.0.0.2", "/mcp", []string{"Host: exeat.example.com", "X-Forwarded-Host: evil.example"}, 403, "host name"},
		{"one of two names", "127.0.0.2", "/mcp", []string{"Host: exeat.example.com", "X-Forwarded-Host: evil.example, exeat.example.com"}, 403, "host name"},
		{"an impostor", "127.0.0.3", "/mcp", []string{"Host: " + addr, "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: gopher", "Forwarded: for=1.2.3.4", "X-Real-Ip: 1.2.3.4", "x_forwarded_for: 1.2.3.4"}, 200,
			"http://" + addr + "/agents/mcp client=127.0.0.3 remote=127.0.0.3:0 proxied=false host=" + addr + " path=/mcp"},
		{"an impostor by a rebound name", "127.0.0.3", "/mcp", []string{"Host: evil.example", "X-Forwarded-Host: exeat.example.com"}, 403, "host name"},
		{"a path that only begins alike", "127.0.0.3", "/agentsmcp", []string{"Host: " + addr}, 200, "path=/agentsmcp"},
		{"a prefix in disguise", "127.0.0.3", "/%61gents/mcp", []string{"Host: " + addr}, 200, "path=/agents/mcp"},
		{"the prefix alone", "127.0.0.3", "/agents", []string{"Host: " + addr}, 200, "path=/"},
		{"well-known", "127.0.0.2", "/.well-known/oauth-protected-resource/agents/mcp", []string{"Host: exeat.example.com"}, 200, "path=/.well-known/oauth-protected-resource/agents/mcp"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body, _ := send(t, from(t, tt.ip), "GET", "http://"+addr+tt.path, tt.header...)
			if status != tt.status || !strings.Contains(body, tt.want) || strings.Contains(body, "!") {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	if e.URL().String() != public+"/agents" {
		t.Error(e.URL())
	}
}

// TestOnlyProxies is plain HTTP beyond loopback: nobody else is heard, and nobody
// else is asked whether it lives but everybody.
func TestOnlyProxies(t *testing.T) {
	e, err := New(Config{Listen: "0.0.0.0:0", PublicURL: "https://exeat.example.com", Proxies: []string{"127.0.0.2"}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	bound, err := e.Bind(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	srv := &httptest.Server{Listener: bound, Config: &http.Server{Handler: e.Handler(said)}}
	srv.Start()
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	target := "http://127.0.0.1:" + u.Port()
	for ip, want := range map[string]int{"127.0.0.2": 200, "127.0.0.3": 403, "127.0.0.1": 403} {
		status, body, _ := send(t, from(t, ip), "GET", target+"/mcp", "Host: exeat.example.com", "X-Forwarded-For: 127.0.0.2")
		if status != want || status == 403 && !strings.Contains(body, "call https://exeat.example.com") {
			t.Errorf("%s: %d %s", ip, status, body)
		}
		if status, body, _ := send(t, from(t, ip), "GET", target+"/healthz", "Host: 10.0.0.7:8420"); status != 200 {
			t.Errorf("%s: %d %s", ip, status, body)
		}
	}
}

// TestBindAgain has a socket at another address than the configuration names.
func TestBindAgain(t *testing.T) {
	e, err := New(Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Bind(l, nil); err == nil || !strings.Contains(err.Error(), "is not a loopback address") {
		t.Error(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("what is not served still listens: %v", err)
	}
}

// TestHosts has names that a client may use, and others.
func TestHosts(t *testing.T) {
	_, addr := reach(t, Config{PublicURL: "https://exeat.example.com", Hosts: []string{"host.docker.internal:8420", "Other.internal", "[2001:db8::1]"}})
	for host, want := range map[string]int{
		addr: 200, "exeat.example.com": 200, "EXEAT.example.com:443": 200, "host.docker.internal:8420": 200, "other.internal": 200, "other.internal:99": 200,
		"[2001:db8::1]:8420": 200, "[2001:db8::1]": 200,
		"exeat.example.com:80": 403, "exeat.example.com.evil.example": 403, "host.docker.internal": 403, "host.docker.internal:1": 403, "evil.example": 403,
		"127.0.0.1": 403, "localhost": 403, "exeat.example.com.": 403, "x.other.internal": 403,
	} {
		if status, body, _ := send(t, http.DefaultClient, "GET", "http://"+addr+"/mcp", "Host: "+host); status != want {
			t.Errorf("%s: %d %s", host, status, body)
		}
	}
}

// TestOrigins has web pages: our own, one that the operator named, and others.
func TestOrigins(t *testing.T) {
	_, addr := reach(t, Config{PublicURL: "https://exeat.example.com", Origins: []string{"https://app.example.com", "HTTPS://Other.example.com:443"}})
	const preflight = "Access-Control-Request-Method: POST"
	for _, tt := range []struct {
		name, method string
		header       []string
		status       int
		allowed      string // Access-Control-Allow-Origin
	}{
		{"no page", "POST", nil, 200, ""},
		{"a page of ours", "POST", []string{"Origin: http://" + addr}, 200, ""},
		{"a page of ours by its public name", "POST", []string{"Host: exeat.example.com", "Origin: https://exeat.example.com"}, 200, ""},
		{"a page of ours by another scheme", "POST", []string{"Origin: https://" + addr}, 403, ""},
		{"a named page", "POST", []string{"Origin: https://app.example.com"}, 200, "https://app.example.com"},
		{"another", "POST", []string{"Origin: https://other.example.com"}, 200, "https://other.example.com"},
		{"its preflight", "OPTIONS", []string{"Origin: https://app.example.com", preflight, "Access-Control-Request-Headers: authorization,Content-Type, dpop,mcp-protocol-version,mcp-param-x,x-evil,cookie"}, 204, "https://app.example.com"},
		{"a foreign page", "POST", []string{"Origin: https://evil.example"}, 403, ""},
		{"its preflight", "OPTIONS", []string{"Origin: https://evil.example", preflight}, 403, ""},
		{"a name that ends alike", "POST", []string{"Origin: https://evilapp.example.com"}, 403, ""},
		{"a name that begins alike", "POST", []string{"Origin: https://app.example.com.evil.example"}, 403, ""},
		{"another port", "POST", []string{"Origin: https://app.example.com:8443"}, 403, ""},
		{"plain", "POST", []string{"Origin: http://app.example.com"}, 403, ""},
		{"sandboxed", "POST", []string{"Origin: null"}, 403, ""},
		{"two", "POST", []string{"Origin: https://app.example.com", "Origin: https://evil.example"}, 403, ""},
		{"rebound", "POST", []string{"Host: evil.example", "Origin: http://evil.example"}, 403, ""},
		{"OPTIONS that is no preflight", "OPTIONS", []string{"Origin: https://app.example.com"}, 200, "https://app.example.com"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body, h := send(t, http.DefaultClient, tt.method, "http://"+addr+"/mcp", tt.header...)
			if status != tt.status || h.Get("Access-Control-Allow-Origin") != tt.allowed {
				t.Errorf("%d %s %v", status, body, h)
			}
			if h.Get("Access-Control-Allow-Credentials") != "" || tt.allowed != "" && h.Get("Vary") != "Origin" {
				t.Error(h)
			}
			if tt.allowed != "" && !strings.Contains(h.Get("Access-Control-Expose-Headers"), "WWW-Authenticate") {
				t.Error(h)
			}
			if status == 204 && h.Get("Access-Control-Allow-Headers") != "authorization, content-type, dpop, mcp-protocol-version, mcp-param-x" {
				t.Error(h)
			}
		})
	}
}
