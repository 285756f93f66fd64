package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/examples/petstore"
	"github.com/exeat/exeat/store"
)

func demoCmd() *cobra.Command {
	d := &demo{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See the whole idea work: an API, its guard, exeat, the inbox and an agent, on this machine",
		Long: `Start, in one process and on loopback, a small pet shop, the guard in front of
it, exeat over streamable HTTP, and the inbox; then play an agent with a real MCP
client that reads a pet, tries to delete one, and waits for you.

Everything is made in a temporary folder and removed at the end.

With Keycloak it is Keycloak that mints the token of each call, out of the token
that the agent called with: for one API, one scope and a minute, and revoked once
the call has its answer. That needs Java 17; Maven downloads Keycloak the first time
(177 MB) and kept, its realm is in memory.`,
		Example: `  exeat demo
  exeat demo --with keycloak
  exeat demo --approve-after 2s   # approves by itself, through the inbox
  exeat demo --keep               # goes on serving, for a host of yours`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := os.MkdirTemp("", "exeat-demo-")
			if err != nil {
				return failed(err)
			}
			defer os.RemoveAll(dir)
			if d.with != "" && d.with != "keycloak" {
				return fmt.Errorf("there is no demo with %q; it can be keycloak", d.with)
			}
			d.out, d.dir = cmd.OutOrStdout(), dir
			if err := d.run(cmd.Context()); err != nil {
				return ctxErr(cmd.Context(), failed(err))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&d.with, "with", "", "have this authorization `SERVER` mint the tokens: keycloak")
	cmd.Flags().StringVar(&d.keycloakDir, "keycloak", "", "with keycloak: the `DIR` of one that is unpacked already, so that none is downloaded")
	cmd.Flags().DurationVar(&d.approveAfter, "approve-after", 0, "approve the held call after `TIME`, the way a person does: login, page, form")
	cmd.Flags().BoolVar(&d.keep, "keep", false, "go on serving after the demo and print what to paste into a host")
	return cmd
}

// demo is the stage and what stands on it.
type demo struct {
	out          io.Writer
	dir          string
	approveAfter time.Duration
	keep         bool

	shop     *counter
	gateway  *gateway
	mcpURL   string
	bearer   string
	guardURL string
	spent    *store.Store // the guard's
	login    string       // the link that the person opens
	seen     *lastToken   // what the guard has let through
	jobs     *errgroup.Group

	with         string
	keycloakDir  string
	keycloak     *identityProvider // nil without
	shopURL      string
	elsewhereURL string
	tried        []stolenUse
}

// lastToken remembers the newest request that passed the guard, so that the
// demo can show its token and try to use it again.
type lastToken struct {
	next     http.Handler
	requests chan *http.Request
	stolen   func(*http.Request) // gets a copy while the request is under way; may be nil
}

// last is that request, or nil.
func (l *lastToken) last() *http.Request {
	select {
	case r := <-l.requests:
		l.requests <- r
		return r
	default:
		return nil
	}
}

func (l *lastToken) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if last := l.last(); last != nil && last.Header.Get("Authorization") == r.Header.Get("Authorization") {
		l.next.ServeHTTP(w, r) // it is the demo that tries the token again
		return
	}
	copied := r.Clone(context.Background())
	select {
	case <-l.requests:
	default:
	}
	select {
	case l.requests <- copied:
	default:
	}
	if l.stolen != nil {
		l.stolen(copied)
	}
	l.next.ServeHTTP(w, r)
}

func (d *demo) close() {
	if d.gateway != nil {
		d.gateway.close()
	}
	if d.spent != nil {
		d.spent.Close()
	}
}

// counter counts the requests of the shop that may change something.
type counter struct {
	next   http.Handler
	writes atomic.Int32
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		c.writes.Add(1)
	}
	c.next.ServeHTTP(w, r)
}

func (d *demo) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d.jobs, ctx = errgroup.WithContext(ctx)
	defer d.close()
	start := d.start
	if d.with != "" {
		start = d.startWithKeycloak
	}
	if err := start(ctx); err != nil {
		cancel()
		return errors.Join(err, d.jobs.Wait())
	}
	d.jobs.Go(func() error {
		defer cancel()
		if err := d.play(ctx); err != nil {
			return err
		}
		if d.keep {
			d.hosts()
			<-ctx.Done()
		}
		return nil
	})
	return d.jobs.Wait()
}

// start builds the stage from the back: the shop, its guard, exeat, the inbox.
func (d *demo) start(ctx context.Context) error {
	var listeners [3]net.Listener
	for i := range listeners {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		listeners[i] = l
	}
	shopL, guardL, mcpL := listeners[0], listeners[1], listeners[2]
	issuer := "http://" + mcpL.Addr().String()
	d.guardURL = "http://" + guardL.Addr().String()

	key := rand.Text()
	d.shop = &counter{next: &petstore.Server{Key: key}}
	guard, err := d.guard(ctx, issuer, "http://"+shopL.Addr().String(), key)
	if err != nil {
		return err
	}
	d.seen = &lastToken{next: guard, requests: make(chan *http.Request, 1)}

	spec := filepath.Join(d.dir, "petstore.yaml")
	if err := os.WriteFile(spec, petstore.Document, 0o600); err != nil {
		return err
	}
	cfg, err := config{
		APIs: []apiConfig{{Spec: spec, BaseURL: d.guardURL}}, DB: filepath.Join(d.dir, "exeat.db"), Keys: filepath.Join(d.dir, "keys"),
		User: "alice", Listen: mcpL.Addr().String(), Issuer: issuer, Inbox: inboxConfig{Listen: "127.0.0.1:0"},
	}.withDefaults()
	if err != nil {
		return err
	}
	if d.gateway, err = openGateway(ctx, cfg, io.Discard, doors{mcp: true, inbox: true, sockets: map[string]net.Listener{"mcp": mcpL}}); err != nil {
		return err
	}
	d.login = d.gateway.inbox.LoginLink()
	handler, bearer, err := d.gateway.http(ctx)
	if err != nil {
		return err
	}
	d.mcpURL, d.bearer = issuer+"/mcp", bearer
	d.jobs.Go(func() error { return serveHTTP(ctx, shopL, d.shop, d.gateway.log) })
	d.jobs.Go(func() error { return serveHTTP(ctx, guardL, d.seen, d.gateway.log) })
	d.jobs.Go(func() error {
		return d.gateway.run(ctx, func(ctx context.Context) error { return d.gateway.serveMCP(ctx, handler) })
	})
	return nil
}

// guard stands in front of the shop and alone has its key.
func (d *demo) guard(ctx context.Context, issuer, shop, key string) (http.Handler, error) {
	var err error
	if d.spent, err = store.Open(ctx, filepath.Join(d.dir, "guard.db")); err != nil {
		return nil, err
	}
	source, err := d.enroll(ctx, issuer)
	if err != nil {
		return nil, err
	}
	g := &token.Guard{
		Verifier: &token.Verifier{Issuer: issuer, Audience: d.guardURL, Keys: source, Spend: d.spent.Spend, RequireApproval: true},
		Upstream: shop,
		Inject:   token.Bearer(token.NewSecret(key)),
	}
	return g.Handler()
}

// enroll makes exeat's keys and gives them to the guard.
func (d *demo) enroll(ctx context.Context, issuer string) (*token.KeySource, error) {
	keys, err := token.OpenKeys(filepath.Join(d.dir, "keys"), "")
	if err != nil {
		return nil, err
	}
	set, err := keys.JWKS(now())
	if err != nil {
		return nil, err
	}
	pins := issuerPins(d.spent, issuer)
	if _, err := token.Enroll(ctx, pins, set, false, now()); err != nil {
		return nil, err
	}
	return token.NewPinnedSource(ctx, issuer+"/.well-known/jwks.json", pins)
}

// approveAs does what a person does: opens the login link, presses the button,
// opens the page of the call, and presses approve.
func approveAs(ctx context.Context, loginLink, holdURL string) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	u, err := url.Parse(loginLink)
	if err != nil {
		return err
	}
	person := &browser{client: &http.Client{Jar: jar, Timeout: 10 * time.Second}, origin: u.Scheme + "://" + u.Host}
	if _, err := person.post(ctx, "/login", url.Values{"code": {u.Query().Get("code")}}); err != nil {
		return err
	}
	return person.approve(ctx, holdURL)
}

// seenBox is a box that says that something was looked at.
var seenBox = regexp.MustCompile(`name="seen" value="([^"]+)"`)

// approve opens the page of a call, looks at all of it, and presses approve.
func (b *browser) approve(ctx context.Context, holdURL string) error {
	page, err := b.get(ctx, strings.TrimPrefix(holdURL, b.origin))
	if err != nil {
		return err
	}
	form := url.Values{"verdict": {"approve"}, "sure": {"yes"}}
	for _, name := range []string{"csrf", "digest"} {
		m := regexp.MustCompile(`name="` + name + `" value="([^"]+)"`).FindStringSubmatch(page)
		if m == nil {
			return fmt.Errorf("the page of the call has no field %s", name)
		}
		form.Set(name, m[1])
	}
	for _, m := range seenBox.FindAllStringSubmatch(page, -1) {
		form.Add("seen", m[1]) // what is folded was opened
	}
	_, err = b.post(ctx, strings.TrimPrefix(holdURL, b.origin), form)
	return err
}

// browser is as much of one as a person needs here.
type browser struct {
	client *http.Client
	origin string
}

func (b *browser) get(ctx context.Context, path string) (string, error) {
	return b.do(ctx, http.MethodGet, path, nil)
}

func (b *browser) post(ctx context.Context, path string, form url.Values) (string, error) {
	return b.do(ctx, http.MethodPost, path, strings.NewReader(form.Encode()))
}

func (b *browser) do(ctx context.Context, method, path string, body io.Reader) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, b.origin+path, body)
	if err != nil {
		return "", err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", b.origin)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the inbox answered %s to %s %s", resp.Status, method, path)
	}
	return string(text), err
}

var errNotAsExpected = errors.New("the demo did not go as it should")
