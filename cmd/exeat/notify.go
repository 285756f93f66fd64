package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"
	_ "time/tzdata" // zones of quiet hours, on machines that have none

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/authz/notify"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/store"
)

// notifyConfig is a channel. Its URL holds a secret, and so does its secret.
type notifyConfig struct {
	Name       string `yaml:"name"` // default: the URL's scheme
	URL        string `yaml:"url"`  // in the file itself; the others are better
	URLEnv     string `yaml:"url_env"`
	URLFile    string `yaml:"url_file"`
	SecretEnv  string `yaml:"secret_env"` // makes it a signed webhook
	SecretFile string `yaml:"secret_file"`

	URLCommand    []string `yaml:"url_command"`
	SecretCommand []string `yaml:"secret_command"`
}

type quietConfig struct {
	From string `yaml:"from"` // 22:00
	To   string `yaml:"to"`
	Zone string `yaml:"zone"` // Europe/Berlin; default: this machine's
}

var channelName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

// maxChannels bounds the notices that one hold writes.
const maxChannels = 20

// notifyChannels makes the channels of the configuration.
func notifyChannels(cfg config) ([]*notify.Channel, error) {
	if len(cfg.Notify) > maxChannels {
		return nil, fmt.Errorf("notify has %d channels; %d are the most", len(cfg.Notify), maxChannels)
	}
	var list []*notify.Channel
	seen := map[string]bool{}
	for i, n := range cfg.Notify {
		c, err := n.channel()
		if err != nil {
			return nil, fmt.Errorf("notify[%d]: %w", i, err)
		}
		if seen[c.Name] {
			return nil, fmt.Errorf("notify[%d]: there is a channel %q already: give one another name", i, c.Name)
		}
		seen[c.Name] = true
		list = append(list, c)
	}
	return list, nil
}

// channel makes one channel. Errors do not repeat its URL.
func (n notifyConfig) channel() (*notify.Channel, error) {
	if (n.URL == "") == n.url().isZero() {
		return nil, errors.New("give one of url_env, url_file, url_command and url")
	}
	address := token.NewSecret(n.URL)
	var err error
	if n.URL == "" {
		if address, err = n.url().read("url_"); err != nil {
			return nil, err
		}
	}
	name := n.Name
	if name == "" {
		name, _, _ = strings.Cut(address.Reveal(), ":")
		name, _, _ = strings.Cut(name, "+")
		if !channelName.MatchString(name) {
			return nil, errors.New("give it a name: its URL does not begin with a service")
		}
	}
	if !channelName.MatchString(name) {
		return nil, fmt.Errorf("the name %q: use lower-case letters, digits and -", name)
	}
	if n.secret().isZero() {
		return notify.NewChannel(name, address.Reveal())
	}
	secret, err := n.secret().read("secret_")
	if err != nil {
		return nil, err
	}
	return notify.NewWebhook(name, address.Reveal(), secret.Reveal())
}

// url and secret are where the address and the key of a webhook are.
func (n notifyConfig) url() secretSource { return secretSource{n.URLEnv, n.URLFile, n.URLCommand} }

func (n notifyConfig) secret() secretSource {
	return secretSource{n.SecretEnv, n.SecretFile, n.SecretCommand}
}

// newPush is what sends messages to browsers, or nil if they get none.
func newPush(cfg config, keys *token.Keys) (*notify.Push, error) {
	if cfg.Inbox.Push == "" {
		return nil, nil
	}
	secret, err := keys.Secret("vapid")
	if err != nil {
		return nil, err
	}
	return notify.NewPush(secret, cfg.Inbox.Push, nil)
}

// newNotifier is who tells channels and browsers of held calls.
func (g *gateway) newNotifier(channels []*notify.Channel, push *notify.Push, url string) (*notify.Notifier, error) {
	quiet, err := notify.ParseQuiet(g.cfg.Quiet.From, g.cfg.Quiet.To, g.cfg.Quiet.Zone)
	if err != nil {
		return nil, err
	}
	return notify.New(notify.Config{Holds: g.holds, Store: g.store, Channels: channels, Push: push, URL: url,
		Digest: g.cfg.NotifyDigest, Details: g.cfg.NotifyDetails, Quiet: quiet, Describe: describer(g.docs),
		Trouble: func(err error) { g.log.Warn().Err(err).Msg("notify") }})
}

// describer says what the operations of documents do.
func describer(docs []*openapi.API) func(api, tool string) (method, path, summary string) {
	type operation struct{ api, tool string }
	known := map[operation]*openapi.Operation{}
	for _, d := range docs {
		for _, op := range d.Operations {
			known[operation{d.Name, op.Name}] = op
		}
	}
	return func(api, tool string) (method, path, summary string) {
		op := known[operation{api, tool}]
		if op == nil {
			return "", "", ""
		}
		return op.Method, op.Path, op.Summary
	}
}

func notifyCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "notify",
		Short: "Try the channels that are told of held calls, and see how they do",
		Long: `People are told of held calls over the channels that exeat.yaml lists under
notify: chats, mail, phones, signed webhooks. A message says what waits and links
to the inbox; it decides nothing.`,
	}
	cmd.AddCommand(notifyTestCmd(), notifyStatusCmd())
	return cmd
}

// onChannels makes the RunE of a command that works on the channels of a
// configuration. What it returns as bad makes the exit code 1.
func onChannels(f *flags, work func(*cobra.Command, channelCommand, []string) (bad bool, err error)) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, names []string) error {
		cfg, err := f.config(nil)
		if err != nil {
			return err
		}
		channels, err := notifyChannels(cfg)
		if err != nil {
			return err
		}
		if len(channels) == 0 {
			return errors.New("the configuration lists no channel under notify: pass --config FILE with one")
		}
		s, err := openStore(cmd.Context(), cfg.DB, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		defer s.Close()
		bad, err := work(cmd, channelCommand{s, channels, inboxURL(cfg.Inbox, nil)}, names)
		if err == nil && bad {
			return exitError{code: 1}
		}
		return err
	}
}

// channelCommand is what a command about channels works on.
type channelCommand struct {
	store    *store.Store
	channels []*notify.Channel
	url      string // of the inbox
}

func notifyTestCmd() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:     "test [NAME...]",
		Short:   "Send one test message to every channel, or to those named, and say what happened",
		Example: `  exeat notify test --config exeat.yaml`,
		RunE: onChannels(&f, func(cmd *cobra.Command, on channelCommand, names []string) (bad bool, err error) {
			wanted := map[string]bool{}
			for _, name := range names {
				wanted[name] = true
			}
			for _, c := range on.channels {
				if len(names) > 0 && !wanted[c.Name] {
					continue
				}
				delete(wanted, c.Name)
				result := "took the message"
				if err := notify.Test(cmd.Context(), on.store, on.url, c); err != nil {
					bad, result = true, err.Error()
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", c.Name, result)
			}
			for name := range wanted {
				return bad, fmt.Errorf("there is no channel %q", name)
			}
			return bad, nil
		}),
	}
	f.notify(cmd)
	return cmd
}

// notify adds the flags of commands that only need channels and the database.
func (f *flags) notify(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.configFile, "config", "", "read the channels from the configuration `FILE`")
	f.database(cmd)
	cmd.MarkFlagRequired("config")
}

func notifyStatusCmd() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Say how every channel does; the exit code is 1 if one fails",
		Args:    cobra.NoArgs,
		Example: `  exeat notify status --config exeat.yaml`,
		RunE: onChannels(&f, func(cmd *cobra.Command, on channelCommand, _ []string) (bool, error) {
			list, err := notify.Health(cmd.Context(), on.store, on.channels)
			if err != nil {
				return false, err
			}
			return writeHealth(cmd.OutOrStdout(), list)
		}),
	}
	f.notify(cmd)
	return cmd
}

func writeHealth(w io.Writer, list []store.ChannelHealth) (bad bool, err error) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CHANNEL\tLAST SENT\tWAITING\tGIVEN UP\tDROPPED\tPROBLEM")
	for _, h := range list {
		sent := "never"
		if !h.Sent.IsZero() {
			sent = h.Sent.UTC().Format(time.RFC3339)
		}
		bad = bad || h.Problem != ""
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%s\n", h.Name, sent, h.Waiting, h.Failed, h.Dropped, cmp.Or(h.Problem, "-"))
	}
	return bad, t.Flush()
}
