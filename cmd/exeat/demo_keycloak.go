package main

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/exeat/exeat/examples/petstore"
)

//go:embed demo_keycloak.json
var demoRealm string

// identityProvider is the Keycloak of the demo, with a realm of its own.
type identityProvider struct {
	url     string // of the realm
	command *exec.Cmd
	log     bytes.Buffer
	secrets map[string]string // by what stands for them in the realm
}

// keycloakWithin bounds the start of Keycloak.
const keycloakWithin = 3 * time.Minute

// startKeycloak says what it downloads and starts, and does so.
func (d *demo) startKeycloak(ctx context.Context, inbox string) (*identityProvider, error) {
	if err := findJava(ctx); err != nil {
		return nil, err
	}
	dir, err := d.keycloakDir, error(nil)
	if dir == "" {
		if dir, err = keycloakFolder(); err != nil {
			return nil, err
		}
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			d.say("Downloading Keycloak %s with Maven (%s, %d MB, its SHA-256 is checked)\ninto %s; it stays there for the next time.", keycloakVersion, keycloakPackage, keycloakBytes/1_000_000, dir)
			if err := fetchKeycloak(ctx, dir); err != nil {
				return nil, err
			}
		}
	}
	port, err := freeAddress()
	if err != nil {
		return nil, err
	}
	k := &identityProvider{url: "http://" + port + "/realms/exeat-demo", secrets: map[string]string{"INBOX-URL": inbox}}
	for _, name := range []string{"ALICE-PASSWORD", "EXEAT-SECRET", "PETSHOP-SECRET", "ELSEWHERE-SECRET"} {
		k.secrets[name] = rand.Text()
	}
	d.say("Starting Keycloak %s at http://%s, which takes about half a minute. Its data is in memory; it ends with the demo.", keycloakVersion, port)
	admin := rand.Text()
	_, number, err := net.SplitHostPort(port)
	if err != nil {
		return nil, err
	}
	k.command = exec.CommandContext(ctx, filepath.Join(dir, "bin", "kc.sh"), "start-dev", "--db=dev-mem", "--http-host=127.0.0.1", "--http-port="+number)
	k.command.Env = append(os.Environ(), "KC_BOOTSTRAP_ADMIN_USERNAME=admin", "KC_BOOTSTRAP_ADMIN_PASSWORD="+admin, "JAVA_OPTS_APPEND=-Xmx700m")
	k.command.Stdout, k.command.Stderr = &k.log, &k.log
	k.command.Cancel = func() error { return k.command.Process.Signal(os.Interrupt) }
	k.command.WaitDelay = 20 * time.Second
	if err := k.command.Start(); err != nil {
		return nil, fmt.Errorf("cannot start Keycloak (--keycloak names the folder that has its bin/kc.sh): %w", err)
	}
	ended := make(chan struct{})
	d.jobs.Go(func() error {
		defer close(ended)
		if err := k.command.Wait(); err != nil && ctx.Err() == nil {
			return fmt.Errorf("the Keycloak of the demo ended: %w\n%s", err, lastLines(k.log.String(), 20))
		}
		return nil
	})
	return k, k.makeRealm(ctx, "http://"+port, admin, ended)
}

// freeAddress is an address of loopback that nobody listens at.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// makeRealm waits until Keycloak answers, and makes the demo's realm as its
// administrator.
func (k *identityProvider) makeRealm(ctx context.Context, server, admin string, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, keycloakWithin)
	defer cancel()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	form := url.Values{"grant_type": {"password"}, "client_id": {"admin-cli"}, "username": {"admin"}, "password": {admin}}
	var granted struct {
		Access string `json:"access_token"`
	}
	for granted.Access == "" {
		if err := postForm(ctx, server+"/realms/master/protocol/openid-connect/token", form, &granted); err == nil {
			break
		}
		select {
		case <-tick.C:
		case <-ended:
			return errors.New("the Keycloak of the demo does not start; it needs Java 17 or newer, by JAVA_HOME or as java in PATH. What it said is below")
		case <-ctx.Done():
			return fmt.Errorf("the Keycloak of the demo does not answer: %w", ctx.Err())
		}
	}
	realm := demoRealm
	for name, value := range k.secrets {
		realm = strings.ReplaceAll(realm, name, value)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server+"/admin/realms", strings.NewReader(realm))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+granted.Access)
	return answerOf(r, nil)
}

// token lets the agent have an access token in Alice's name.
func (k *identityProvider) token(ctx context.Context) (string, error) {
	form := url.Values{"grant_type": {"password"}, "client_id": {"agent"}, "username": {"alice"}, "password": {k.secrets["ALICE-PASSWORD"]}}
	var granted struct {
		Access string `json:"access_token"`
	}
	err := postForm(ctx, k.url+"/protocol/openid-connect/token", form, &granted)
	return granted.Access, err
}

func postForm(ctx context.Context, location string, form url.Values, out any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, location, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return answerOf(r, out)
}

func answerOf(r *http.Request, out any) error {
	resp, err := (&http.Client{Timeout: time.Minute}).Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	switch {
	case err != nil:
		return err
	case resp.StatusCode >= 300:
		return fmt.Errorf("%s %s: %s %s", r.Method, r.URL.Redacted(), resp.Status, lastLines(string(text), 3))
	case out == nil:
		return nil
	}
	return json.Unmarshal(text, out)
}

// protected is an API that asks Keycloak about every token it gets (RFC 7662): whether
// it is for this API, and whether its scope allows the request.
type protected struct {
	name string // of its client at Keycloak
	by   *identityProvider
	next http.Handler
}

func (p *protected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	var says struct {
		Active bool
		Scope  string
	}
	form := url.Values{"token": {bearer}, "client_id": {p.name}, "client_secret": {p.by.secrets[strings.ToUpper(p.name)+"-SECRET"]}}
	if err := postForm(r.Context(), p.by.url+"/protocol/openid-connect/token/introspect", form, &says); err != nil {
		http.Error(w, "the token cannot be checked", http.StatusServiceUnavailable)
		return
	}
	needs := map[string]string{http.MethodGet: "pets:read", http.MethodDelete: "pets:delete"}[r.Method]
	if needs == "" {
		needs = "pets:write"
	}
	switch {
	case !says.Active:
		http.Error(w, "Keycloak says that this token is not good here", http.StatusUnauthorized)
	case !slices.Contains(strings.Fields(says.Scope), needs):
		http.Error(w, "the token allows "+says.Scope+", and this needs "+needs, http.StatusForbidden)
	default:
		r.Header.Del("Authorization") // the shop itself asks for none
		p.next.ServeHTTP(w, r)
	}
}

// startWithKeycloak builds the other stage: Keycloak, the shop that asks it about
// tokens, another API that does, exeat, the inbox.
func (d *demo) startWithKeycloak(ctx context.Context) error {
	var listeners [4]net.Listener
	for i := range listeners {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		listeners[i] = l
	}
	shopL, elsewhereL, mcpL, inboxL := listeners[0], listeners[1], listeners[2], listeners[3]
	inbox := "http://" + inboxL.Addr().String()
	var err error
	if d.keycloak, err = d.startKeycloak(ctx, inbox); err != nil {
		return err
	}
	if d.bearer, err = d.keycloak.token(ctx); err != nil {
		return err
	}
	d.shop = &counter{next: petstore.New()}
	d.shopURL, d.elsewhereURL = "http://"+shopL.Addr().String(), "http://"+elsewhereL.Addr().String()
	d.seen = &lastToken{next: &protected{"petshop", d.keycloak, d.shop}, requests: make(chan *http.Request, 1), stolen: d.steal}
	elsewhere := &protected{"elsewhere", d.keycloak, petstore.New()}

	cfg, err := d.keycloakConfig(mcpL.Addr().String(), inboxL.Addr().String())
	if err != nil {
		return err
	}
	if d.gateway, err = openGateway(ctx, cfg, io.Discard, doors{mcp: true, inbox: true, sockets: map[string]net.Listener{"mcp": mcpL, "inbox": inboxL}}); err != nil {
		return err
	}
	handler, _, err := d.gateway.http(ctx)
	if err != nil {
		return err
	}
	d.mcpURL = "http://" + mcpL.Addr().String() + "/mcp"
	d.jobs.Go(func() error { return serveHTTP(ctx, shopL, d.seen, d.gateway.log) })
	d.jobs.Go(func() error { return serveHTTP(ctx, elsewhereL, elsewhere, d.gateway.log) })
	d.jobs.Go(func() error {
		return d.gateway.run(ctx, func(ctx context.Context) error { return d.gateway.serveMCP(ctx, handler) })
	})
	return nil
}

// keycloakConfig is what somebody would write into exeat.yaml for this.
func (d *demo) keycloakConfig(mcp, inbox string) (config, error) {
	spec, secret := filepath.Join(d.dir, "petstore.yaml"), filepath.Join(d.dir, "exeat.secret")
	err := errors.Join(os.WriteFile(spec, petstore.Document, 0o600), os.WriteFile(secret, []byte(d.keycloak.secrets["EXEAT-SECRET"]), 0o600))
	if err != nil {
		return config{}, err
	}
	realm, none := d.keycloak.url, ""
	protocol := realm + "/protocol/openid-connect"
	oidc := &oidcConfig{Issuer: realm, ClientID: "inbox", Scopes: []string{}, Subject: "preferred_username"}
	oidc.Allowed.Everyone = true
	return config{
		APIs: []apiConfig{{Spec: spec, BaseURL: d.shopURL, Credential: &credentialConfig{Strategy: "exchange", TokenURL: protocol + "/token", RevokeURL: protocol + "/revoke",
			ClientID: "exeat", File: secret, Resource: &none, Audience: "petshop"}}},
		DB: filepath.Join(d.dir, "exeat.db"), Keys: filepath.Join(d.dir, "keys"), User: "operator", Listen: mcp,
		OAuth: oauthConfig{Issuers: []issuerConfig{{Issuer: realm, Audience: []string{"exeat"}, Types: "any", Subject: "preferred_username"}}},
		Inbox: inboxConfig{Listen: inbox, OIDC: oidc},
	}.withDefaults()
}
