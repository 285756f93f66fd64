package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/exeat/exeat/authz/account"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/tools"
)

// config is exeat.yaml. Flags override it. Paths are relative to the file.
// docs/configuration.md explains every field.
type config struct {
	now func() time.Time // nil means time.Now
	// accounts, if not nil, is where those are kept that people connect.
	accounts *account.Book
	trouble  func(error) // is told what goes wrong where nobody waits for it; may be nil

	// APIs are the documents to serve.
	APIs []apiConfig `yaml:"apis"`
	// AllowPrivate names hosts, addresses and prefixes of this network that calls
	// may go to, beside the base URLs above.
	AllowPrivate []string `yaml:"allow_private"`
	// Proxy is that of calls and of requests for tokens: environment, none (default)
	// or its URL.
	Proxy *valueConfig `yaml:"proxy"`
	// Mode is how tools are offered: auto, all or search.
	Mode string `yaml:"mode"`
	// Pin lists tools that are listed in any mode.
	Pin []string `yaml:"pin"`
	// HostProfile names what hosts are known to refuse in schemas; ToolBudget
	// bounds one, in bytes.
	HostProfile string `yaml:"host_profile"`
	ToolBudget  int    `yaml:"tool_budget"`
	// Policy lists Cedar files and folders of *.cedar files. Empty means the
	// built-in default: reads are allowed, everything else waits for a person.
	Policy []string `yaml:"policy"`
	// State names the folder that DB and Keys are in by default, apart from those
	// of other configurations of the same user.
	State string `yaml:"state"`
	// DB is the SQLite file with holds and the audit log.
	DB string `yaml:"db"`
	// Keys is the folder with signing keys.
	Keys string `yaml:"keys"`
	// KeyAlg is EdDSA (default) or ES256, for keys made from now on.
	KeyAlg string `yaml:"key_alg"`
	// User is the principal's name where no login says it; the default is the
	// operating system's user. Groups and Email are what policies see of it.
	User   string   `yaml:"user"`
	Groups []string `yaml:"groups"`
	Email  string   `yaml:"email"`
	// People are others who can log in to the inbox by a link or a passkey.
	People []personConfig `yaml:"people"`
	// Issuer is the iss of the tokens that exeat signs.
	Issuer string `yaml:"issuer"`
	// Listen is where `exeat http` serves MCP. PublicURL is what clients call, if
	// that is another; edge.Config says what the others are.
	Listen    string    `yaml:"listen"`
	PublicURL string    `yaml:"public_url"`
	TLS       tlsConfig `yaml:"tls"`
	Proxies   []string  `yaml:"proxies"`
	Hosts     []string  `yaml:"hosts"`
	Origins   []string  `yaml:"origins"`
	// OAuth says whose access tokens let clients call; with it the bearer token of
	// the key folder lets nobody.
	OAuth oauthConfig `yaml:"oauth"`
	// Signals are issuers that say when somebody's sessions or account ended.
	Signals []signalsConfig `yaml:"signals"`
	// Inbox is where people decide.
	Inbox inboxConfig `yaml:"inbox"`
	// Notify are the channels that are told of held calls. NotifyDigest is how
	// many may wait before people get one message about all.
	Notify       []notifyConfig `yaml:"notify"`
	NotifyDigest int            `yaml:"notify_digest"`
	// NotifyDetails says that messages name what a call is about.
	NotifyDetails bool `yaml:"notify_details"`
	// Quiet are hours in which people are not told.
	Quiet quietConfig `yaml:"quiet"`
	// Holds bounds how long calls wait.
	Holds holdsConfig `yaml:"holds"`
	// Limits bound what one agent of a principal may ask of the MCP server.
	Limits limitsConfig `yaml:"limits"`
	// Timeout bounds one request to an API.
	Timeout time.Duration `yaml:"timeout"`
	// ResponseLimit bounds what is read of an API's answer, in bytes.
	ResponseLimit int64 `yaml:"response_limit"`
	// Log is the format of the log on stderr: console or json.
	Log string `yaml:"log"`
}

// personConfig is somebody whom only this configuration knows.
type personConfig struct {
	Name   string   `yaml:"name"`
	Groups []string `yaml:"groups"`
	Email  string   `yaml:"email"`
}

type inboxConfig struct {
	Listen  string    `yaml:"listen"`
	URL     string    `yaml:"url"` // its origin for people, if that is not the address
	TLS     tlsConfig `yaml:"tls"`
	Proxies []string  `yaml:"proxies"`
	Push    string    `yaml:"push"` // whom push services can reach; switches messages to browsers on
	// OIDC, if given, is the OpenID provider that people log in with.
	OIDC *oidcConfig `yaml:"oidc"`
	// Fatigue says when approvals have to be typed.
	Fatigue fatigueConfig `yaml:"fatigue"`
}

type fatigueConfig struct {
	Off        bool          `yaml:"off"`
	Streak     int           `yaml:"streak"`      // approvals in a row, each
	FasterThan time.Duration `yaml:"faster_than"` // from page to decision
	Most       int           `yaml:"most"`        // approvals
	Within     time.Duration `yaml:"within"`
}

// fatigue is nil where it is off.
func (c fatigueConfig) fatigue() *approval.Fatigue {
	if c.Off {
		return nil
	}
	return &approval.Fatigue{Streak: c.Streak, FasterThan: c.FasterThan, Most: c.Most, Within: c.Within}
}

type holdsConfig struct {
	TTL         time.Duration `yaml:"ttl"`          // until a person has to decide
	ApprovedFor time.Duration `yaml:"approved_for"` // until an approved call has to be sent
	MaxOpen     int           `yaml:"max_open"`     // open holds of one principal
}

type limitsConfig struct {
	PerSecond  int `yaml:"per_second"` // requests on average; five times as many at once
	Concurrent int `yaml:"concurrent"` // tool calls under way
}

type apiConfig struct {
	Spec     string   `yaml:"spec"`
	Name     string   `yaml:"name"`
	BaseURL  string   `yaml:"base_url"`
	Include  []string `yaml:"include"`
	Overlays []string `yaml:"overlays"` // files that correct the document
	SHA256   string   `yaml:"sha256"`   // of the document's bytes
	Refs     []string `yaml:"refs"`     // beginnings of URLs that its references may lead to
	Exclude  []string `yaml:"exclude"`
	// Rename gives tools other names, by operation id or tool name.
	Rename map[string]string `yaml:"rename"`
	// Parameters say what parameters are: argument, credential or segment.
	Parameters map[string]openapi.ParameterUse `yaml:"parameters"`
	Effects    map[string]string               `yaml:"effects"`
	// Zone is where times without an offset are meant, such as Europe/Berlin.
	Zone string `yaml:"zone"`
	// ContentTypes choose what the bodies of operations are sent as.
	ContentTypes map[string]string `yaml:"content_types"`
	// Marks say what kind of danger operations are, Titles which field names what they
	// are about, by operation id or tool name.
	Marks  map[string][]string `yaml:"marks"`
	Titles map[string]string   `yaml:"titles"`
	// Mask are JSON Pointers of arguments that are masked where calls are shown.
	Mask []string `yaml:"mask"`
	// Before says what is read for the person who decides: check (default), show
	// or off.
	Before   string `yaml:"before"`
	Audience string `yaml:"audience"` // default: the base URL
	// Credential is the one credential of the API; Credentials are several, by the
	// document's security scheme that each is for.
	Credential  *credentialConfig           `yaml:"credential"`
	Credentials map[string]credentialConfig `yaml:"credentials"`
	// CredentialFor are other credentials for some operations; the first that fits
	// counts.
	CredentialFor []credentialForConfig `yaml:"credential_for"`
	// Certificate is what exeat shows to the API in TLS.
	Certificate *certificateConfig `yaml:"client_certificate"`
	// CA is a PEM file: whose certificates of the API are believed, and no others.
	CA string `yaml:"ca"`
	// Proxy is that of this API, in place of the one for all.
	Proxy *valueConfig `yaml:"proxy"`
	// TxnToken has a transaction token go with every call.
	TxnToken *txnTokenConfig `yaml:"txn_token"`
	// Headers go with every call.
	Headers map[string]headerConfig `yaml:"headers"`
}

// certificateConfig names PEM files.
type certificateConfig struct {
	Cert string `yaml:"cert"` // with the chain, if it needs one
	Key  string `yaml:"key"`
}

// loadConfig reads exeat.yaml strictly: an unknown key is an error with its
// line and the key that was probably meant.
func loadConfig(path string) (config, error) {
	var c config
	text, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("read the configuration: %w", err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return c, fmt.Errorf("%s: %s", path, explainYAML(err))
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return c, fmt.Errorf("%s: holds more than one YAML document; keep one", path)
	}
	dir := filepath.Dir(path)
	for i := range c.APIs {
		a := &c.APIs[i]
		if a.Spec == "" {
			return c, fmt.Errorf("%s: apis[%d] has no spec: name an OpenAPI file, folder or https URL", path, i)
		}
		a.within(dir)
	}
	for i := range c.Notify {
		n := &c.Notify[i]
		url, secret := n.url().within(dir), n.secret().within(dir)
		n.URLFile, n.URLCommand, n.SecretFile, n.SecretCommand = url.file, url.command, secret.file, secret.command
	}
	for i := range c.Signals {
		c.Signals[i].within(dir)
	}
	for i := range c.Policy {
		c.Policy[i] = relative(dir, c.Policy[i])
	}
	if c.Proxy != nil {
		c.Proxy.within(dir)
	}
	c.OAuth.within(dir)
	if o := c.Inbox.OIDC; o != nil {
		s := o.source().within(dir)
		o.ClientSecretFile, o.ClientSecretCommand = s.file, s.command
	}
	c.DB, c.Keys = relative(dir, c.DB), relative(dir, c.Keys)
	c.TLS, c.Inbox.TLS = c.TLS.within(dir), c.Inbox.TLS.within(dir)
	return c, nil
}

// within makes the paths of an API those of files in dir.
func (a *apiConfig) within(dir string) {
	if !strings.Contains(a.Spec, "://") {
		a.Spec = relative(dir, a.Spec)
	}
	within(dir, a.Credential, a.Credentials)
	for _, f := range a.CredentialFor {
		within(dir, f.Credential, f.Credentials)
	}
	a.CA = relative(dir, a.CA)
	for name, h := range a.Headers {
		h.within(dir)
		a.Headers[name] = h
	}
	if a.Proxy != nil {
		a.Proxy.within(dir)
	}
	a.TxnToken.within(dir)
	if a.Certificate != nil {
		a.Certificate.Cert, a.Certificate.Key = relative(dir, a.Certificate.Cert), relative(dir, a.Certificate.Key)
	}
	for j := range a.Overlays {
		a.Overlays[j] = relative(dir, a.Overlays[j])
	}
}

func relative(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// stateDir is the user's folder for exeat's own files, made on first use.
func stateDir() (string, error) {
	dir, err := statePath()
	if err != nil {
		return "", err
	}
	return dir, makeState(dir)
}

func makeState(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder for exeat's files: %w", err)
	}
	return nil
}

// statePath is stateDir, whether or not it is there: of the state that EXEAT_STATE
// names, if it does.
func statePath() (string, error) { return statePathOf(os.Getenv("EXEAT_STATE")) }

// stateName is what a state can be called: it names a folder.
var stateName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}$`)

// statePathOf is the folder of the state of that name, of the one without a name
// if it is "".
func statePathOf(name string) (string, error) {
	if name != "" && !stateName.MatchString(name) {
		return "", fmt.Errorf("the state %q cannot be called so: use small letters, digits, - and _, at most 40", name)
	}
	dir := os.Getenv("XDG_STATE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("there is no home directory for exeat's files: set HOME or XDG_STATE_HOME, or pass --db and --keys")
		}
		dir = filepath.Join(home, ".local", "state")
	}
	dir = filepath.Join(dir, "exeat")
	if name != "" {
		dir = filepath.Join(dir, "states", name)
	}
	return dir, nil
}

// withDefaults fills what was not said.
func (c config) withDefaults() (config, error) {
	setDefault(&c.State, os.Getenv("EXEAT_STATE"))
	if c.DB == "" || c.Keys == "" {
		dir, err := statePathOf(c.State)
		if err == nil {
			err = makeState(dir)
		}
		if err != nil {
			return c, err
		}
		if c.DB == "" {
			c.DB = filepath.Join(dir, "exeat.db")
		}
		if c.Keys == "" {
			c.Keys = filepath.Join(dir, "keys")
		}
	}
	if c.User == "" {
		if u, err := user.Current(); err == nil && u.Username != "" {
			c.User = u.Username
		} else {
			return c, errors.New("the operating system does not say who you are: pass --user NAME")
		}
	}
	for i, p := range c.People {
		if p.Name == "" || p.Name == c.User || slices.ContainsFunc(c.People[:i], func(q personConfig) bool { return q.Name == p.Name }) {
			return c, fmt.Errorf("people[%d]: each has a name of their own, and %q is the user's or another's, or empty", i, p.Name)
		}
	}
	if err := c.OAuth.check(c.Inbox); err != nil {
		return c, err
	}
	setDefault(&c.KeyAlg, "EdDSA")
	setDefault(&c.Listen, "127.0.0.1:8420")
	setDefault(&c.Log, "console")
	if c.Log != "console" && c.Log != "json" {
		return c, fmt.Errorf("log is %q; it can be console or json", c.Log)
	}
	for _, d := range []struct {
		name  string
		value int64
	}{{"timeout", int64(c.Timeout)}, {"response_limit", c.ResponseLimit}, {"holds.ttl", int64(c.Holds.TTL)},
		{"holds.approved_for", int64(c.Holds.ApprovedFor)}, {"holds.max_open", int64(c.Holds.MaxOpen)},
		{"notify_digest", int64(c.NotifyDigest)}, {"limits.per_second", int64(c.Limits.PerSecond)}, {"limits.concurrent", int64(c.Limits.Concurrent)}} {
		if d.value < 0 {
			return c, fmt.Errorf("%s is negative; leave it out for the default", d.name)
		}
	}
	return c, nil
}

// issuer is the iss of tokens: where the keys are published, unless said
// otherwise.
func (c config) issuer() string {
	if c.Issuer != "" {
		return c.Issuer
	}
	return c.publicURL()
}

func setDefault(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

// offer is how schemas are offered.
func (c config) offer() tools.Offer {
	return tools.Offer{Profile: openapi.Profile(c.HostProfile), Budget: c.ToolBudget}
}
