package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/issuer"
	"github.com/exeat/exeat/authz/signals"
)

// signalsConfig is an issuer that says when somebody's sessions or account ended.
type signalsConfig struct {
	Issuer   string `yaml:"issuer"`
	Audience string `yaml:"audience"` // default: the URL that signals come to
	// JWKS or JWKSFile has the keys of its signals; by default those that its
	// metadata names.
	JWKS     string `yaml:"jwks"`
	JWKSFile string `yaml:"jwks_file"`
	// Subjects are the forms in which it names people; the default follows from the
	// claim by which they are known here.
	Subjects []string    `yaml:"subjects"`
	Push     *pushConfig `yaml:"push"` // takes those that come
	Poll     *pollConfig `yaml:"poll"` // fetches them
}

// pushConfig has the bearer token that the issuer sends, if it sends one.
type pushConfig struct {
	TokenEnv  string `yaml:"token_env"`
	TokenFile string `yaml:"token_file"`

	TokenCommand []string `yaml:"token_command"`
}

type pollConfig struct {
	Endpoint  string `yaml:"endpoint"`
	TokenEnv  string `yaml:"token_env"`
	TokenFile string `yaml:"token_file"`

	TokenCommand []string `yaml:"token_command"`

	Every time.Duration `yaml:"every"`
}

// How often signals are fetched.
const (
	fetchEvery    = 15 * time.Second
	fetchShortest = time.Second
	fetchLongest  = time.Hour
)

// within makes the paths of the files relative to the configuration's folder.
func (c *signalsConfig) within(dir string) {
	c.JWKSFile = relative(dir, c.JWKSFile)
	if c.Push != nil {
		s := c.Push.token().within(dir)
		c.Push.TokenFile, c.Push.TokenCommand = s.file, s.command
	}
	if c.Poll != nil {
		s := c.Poll.token().within(dir)
		c.Poll.TokenFile, c.Poll.TokenCommand = s.file, s.command
	}
}

// namesOf says by which claim of an issuer its people are known here, and behind which
// prefix; ok is whether there are any.
func (c config) namesOf(url string) (prefix, claim string, ok bool) {
	if o := c.Inbox.OIDC; o != nil && o.Issuer == url {
		return "", cmp.Or(o.Subject, "sub"), true
	}
	for _, x := range c.OAuth.Issuers {
		if x.Issuer == url && url != "" {
			return x.Prefix, cmp.Or(x.Subject, "sub"), true
		}
	}
	return "", "", false
}

// named is the id here of somebody of an issuer with this prefix, as in its tokens.
func (c config) named(prefix string) func(string) (string, error) {
	return func(subject string) (string, error) {
		if prefix != "" {
			return prefix + subject, nil
		}
		for _, x := range c.OAuth.Issuers {
			if x.Prefix != "" && strings.HasPrefix(subject, x.Prefix) || strings.HasPrefix(subject, authz.BySPIFFE) {
				return "", errors.New("its id begins as those of another issuer do")
			}
		}
		return subject, nil
	}
}

// signalsPath is where signals come to, below the URL that clients call.
const signalsPath = "/signals"

// signalIssuer is what of the configuration's entry is checked before anything is
// opened.
func (c config) signalIssuer(s signalsConfig, report func(error)) (signals.Issuer, error) {
	out := signals.Issuer{URL: s.Issuer, Audience: cmp.Or(s.Audience, c.publicURL()+signalsPath), Subjects: s.Subjects}
	prefix, claim, ok := c.namesOf(s.Issuer)
	switch {
	case !ok:
		return out, fmt.Errorf("%q is no issuer of this configuration (inbox.oidc, oauth.issuers), so it is not known whom it speaks of", s.Issuer)
	case s.JWKS != "" && s.JWKSFile != "":
		return out, errors.New("both jwks and jwks_file are given; keep one")
	case s.Subjects == nil && claim == "sub":
		out.Subjects = []string{signals.IssuerSubject}
	case s.Subjects == nil && claim == "email":
		out.Subjects = []string{signals.Email}
	case s.Subjects == nil:
		return out, fmt.Errorf("people of this issuer are known by the claim %q: say in subjects in which form its signals name that", claim)
	}
	out.Named = c.named(prefix)
	keys, err := s.keys(report)
	if err != nil {
		return out, err
	}
	out.Keys = keys
	if s.Push != nil {
		out.Push = &signals.Push{}
		if out.Push.Token, err = secretIn(s.Push.token()); err != nil {
			return out, fmt.Errorf("push: %w", err)
		}
	}
	if s.Poll != nil {
		if out.Poll, err = s.Poll.poll(); err != nil {
			return out, fmt.Errorf("poll: %w", err)
		}
	}
	return out, nil
}

// keys are the keys of the issuer's signals.
func (c signalsConfig) keys(report func(error)) (*issuer.Source, error) {
	set := issuer.Config{URL: c.Issuer, JWKS: c.JWKS, Report: report}
	if c.JWKSFile != "" {
		set.Local = func(context.Context) ([]byte, error) { return readBounded(c.JWKSFile, 1<<20) }
		b, err := set.Local(context.Background())
		if err == nil {
			_, err = issuer.ParseKeys(b)
		}
		if err != nil {
			return nil, fmt.Errorf("jwks_file %s: %w", c.JWKSFile, err)
		}
	}
	return issuer.NewSource(set)
}

func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("it is larger than %d bytes", most)
	}
	return b, err
}

func (c pollConfig) poll() (*signals.Poll, error) {
	out := &signals.Poll{Endpoint: c.Endpoint, Every: cmp.Or(c.Every, fetchEvery)}
	if out.Every < fetchShortest || out.Every > fetchLongest {
		return nil, fmt.Errorf("every is %s; it can be between %s and %s", c.Every, fetchShortest, fetchLongest)
	}
	var err error
	if out.Token, err = secretIn(c.token()); err != nil {
		return nil, err
	}
	out.Client, err = issuer.NewClient(nil, c.Endpoint)
	return out, err
}

func (c pushConfig) token() secretSource {
	return secretSource{c.TokenEnv, c.TokenFile, c.TokenCommand}
}

func (c pollConfig) token() secretSource {
	return secretSource{c.TokenEnv, c.TokenFile, c.TokenCommand}
}

// secretIn is the secret of a source; nil if there is none.
func secretIn(s secretSource) (func() string, error) {
	if s.isZero() {
		return nil, nil
	}
	secret, err := s.read("token_")
	return secret.Reveal, err
}

// signalIssuers are those of the configuration.
func (c config) signalIssuers(report func(error)) (list []signals.Issuer, err error) {
	for i, s := range c.Signals {
		one, err := c.signalIssuer(s, report)
		if err != nil {
			return nil, fmt.Errorf("signals[%d]: %w", i, err)
		}
		list = append(list, one)
	}
	if err := signals.Check(list); err != nil {
		return nil, fmt.Errorf("signals: %w", err)
	}
	return list, nil
}

// openSignals makes what hears signals, in a process that takes MCP over HTTP.
func (g *gateway) openSignals() error {
	if len(g.cfg.Signals) == 0 || g.mcpL == nil {
		return nil
	}
	list, err := g.cfg.signalIssuers(func(err error) { g.log.Error().Err(err).Msg("signals") })
	if err != nil {
		return err
	}
	if g.signals, err = signals.New(signals.Config{Holds: g.holds, Store: g.store, Issuers: list, Now: g.cfg.now, Observe: g.observeSignal}); err != nil {
		return fmt.Errorf("signals: %w", err)
	}
	return nil
}

// observeSignal writes the log line of a signal.
func (g *gateway) observeSignal(e signals.Event) {
	line := g.log.Info()
	switch {
	case e.Err != nil:
		line = g.log.Warn().Err(e.Err)
	case e.Unknown:
		line = g.log.Debug()
	}
	line.Str("issuer", e.Issuer).Str("jti", e.JTI).Str("event", e.Kind).Msg("signal: " + strings.TrimSuffix(e.Text, "; "))
}

// signals says whose signals are heard, and what that relies on.
func (d *doctor) signals(ctx context.Context, cfg config) {
	list, err := cfg.signalIssuers(nil)
	if err != nil {
		d.bad("signals", err.Error())
		return
	}
	for i, s := range list {
		c := cfg.Signals[i]
		if _, err := s.Keys.Keys(ctx, "exeat doctor", "RS256"); err != nil && !errors.Is(err, issuer.ErrUnknownKey) {
			d.bad("signals", err.Error())
			continue
		}
		way := "they come to " + cfg.publicURL() + signalsPath
		if c.Poll != nil {
			way = fmt.Sprintf("they are fetched from %s every %s", c.Poll.Endpoint, cmp.Or(c.Poll.Every, fetchEvery))
		}
		d.ok("signals", fmt.Sprintf("of %s, for %s: %s", s.URL, s.Audience, way))
		if c.Push != nil && s.Push.Token == nil {
			d.note("signals", "whoever reaches "+signalsPath+" can have signatures checked there: have "+s.URL+" send a bearer token (push.token_file)")
		}
		for _, file := range c.files() {
			d.private("signals", file)
		}
	}
}

// files are those with secrets.
func (c signalsConfig) files() (list []string) {
	if c.Push != nil && c.Push.TokenFile != "" {
		list = append(list, c.Push.TokenFile)
	}
	if c.Poll != nil && c.Poll.TokenFile != "" {
		list = append(list, c.Poll.TokenFile)
	}
	return list
}
