package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/openapi"
)

// flags are the common ones: they say what exeat.yaml says, for one document or
// a few.
type flags struct {
	configFile     string
	name           string
	baseURL        string
	policy         []string
	db             string
	keys           string
	user           string
	groups         []string
	listen         string
	inboxListen    string
	include        []string
	overlays       []string
	refs           []string
	sha256         string
	exclude        []string
	mode           string
	pin            []string
	hostProfile    string
	toolBudget     int
	keyEnv         []string
	noCredential   bool
	logFormat      string
	pprof          string
	needsNoCalling bool // the command only reads documents and policies
}

// documents adds the flags that say which documents and operations.
func (f *flags) documents(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.configFile, "config", "", "read the configuration from `FILE` instead of SPEC arguments")
	fs.StringVar(&f.name, "name", "", "call the API `NAME` in tool prefixes and policies (one SPEC only)")
	fs.StringVar(&f.baseURL, "base-url", "", "send calls to `URL` instead of the document's server")
	fs.StringArrayVar(&f.overlays, "overlay", nil, "correct the document with the OpenAPI Overlay in `FILE` (repeatable, in order)")
	fs.StringArrayVar(&f.refs, "allow-ref", nil, "fetch what the document's references name below the https `URL` (repeatable)")
	fs.StringVar(&f.sha256, "sha256", "", "serve the document only if its bytes have the SHA-256 `HEX`")
	fs.StringArrayVar(&f.include, "include", nil, "serve only operations that match `PATTERN`: an operation id, tag:NAME, a METHOD or a /path/glob/** (repeatable)")
	fs.StringArrayVar(&f.exclude, "exclude", nil, "leave out operations that match `PATTERN` (repeatable)")
}

// offer adds the flags that say how tools are offered.
func (f *flags) offer(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.mode, "mode", "", "offer tools as `MODE`: all lists them, search lists find_tools, describe_tool and call_tool instead, auto (default) searches beyond 40")
	fs.StringVar(&f.hostProfile, "host-profile", "", "offer schemas as `HOST` takes them: generic (default), claude, openai or gemini")
	fs.IntVar(&f.toolBudget, "tool-budget", 0, "cut schemas to `BYTES` each; agents describe the rest on demand (default 16384)")
	fs.StringArrayVar(&f.pin, "pin", nil, "list the tool `NAME` in any mode (repeatable)")
}

// policies adds the flag for policies.
func (f *flags) policies(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.policy, "policy", nil, "decide by the Cedar policies in `FILE|DIR` (repeatable; default: reads are allowed, writes wait for a person)")
}

// state adds the flags that say where exeat keeps its own files and who calls.
func (f *flags) state(cmd *cobra.Command) {
	fs := cmd.Flags()
	f.database(cmd)
	f.keyFolder(cmd)
	fs.StringVar(&f.user, "user", "", "call as the principal `NAME` (default: the operating system's user)")
	fs.StringArrayVar(&f.groups, "group", nil, "put the principal into the group `NAME` (repeatable)")
	fs.StringArrayVar(&f.keyEnv, "api-key-env", nil, "send the API's standing key from the environment variable `[SCHEME=]NAME`, where the document's security scheme puts it, instead of a token signed for each call (repeatable with SCHEME)")
	fs.BoolVar(&f.noCredential, "no-credential", false, "send calls without any credential")
	fs.StringVar(&f.logFormat, "log", "", "write the log on stderr as `FORMAT`: console or json")
}

// database adds the flag for the database alone.
func (f *flags) database(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.db, "db", "", "keep holds and the audit log in the SQLite file `PATH` (default: ~/.local/state/exeat/exeat.db)")
}

func (f *flags) keyFolder(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.keys, "keys", "", "keep signing keys in `DIR` (default: ~/.local/state/exeat/keys)")
}

// config merges the file and the flags. specs are the SPEC arguments.
func (f *flags) config(specs []string) (config, error) {
	var c config
	var err error
	if f.configFile != "" {
		if len(specs) > 0 {
			return c, errors.New("SPEC arguments and --config exclude each other: put the documents into the file's apis")
		}
		if c, err = loadConfig(f.configFile); err != nil {
			return c, err
		}
	}
	for _, s := range specs {
		c.APIs = append(c.APIs, apiConfig{Spec: s})
	}
	if (f.name != "" || f.baseURL != "" || len(f.keyEnv) > 0) && len(c.APIs) != 1 {
		return c, errors.New("--name, --base-url and --api-key-env are for one document: with several, use --config")
	}
	for i := range c.APIs {
		f.api(&c.APIs[i])
	}
	if len(f.policy) > 0 {
		c.Policy = f.policy
	}
	if len(f.groups) > 0 {
		c.Groups = f.groups
	}
	for _, o := range []struct {
		flag string
		to   *string
	}{{f.db, &c.DB}, {f.keys, &c.Keys}, {f.user, &c.User}, {f.listen, &c.Listen}, {f.inboxListen, &c.Inbox.Listen}, {f.logFormat, &c.Log}, {f.mode, &c.Mode}, {f.hostProfile, &c.HostProfile}} {
		if o.flag != "" {
			*o.to = o.flag
		}
	}
	c.Pin = append(c.Pin, f.pin...)
	if f.toolBudget != 0 {
		c.ToolBudget = f.toolBudget
	}
	if c.ToolBudget != 0 && c.ToolBudget < 500 {
		return c, fmt.Errorf("tool_budget is %d; it is a number of bytes, 500 or more", c.ToolBudget)
	}
	if c.HostProfile != "" && !slices.Contains(openapi.Profiles(), openapi.Profile(c.HostProfile)) {
		return c, fmt.Errorf("host_profile is %q; it can be generic, claude, openai or gemini", c.HostProfile)
	}
	if !slices.Contains([]string{"", "auto", "all", "search"}, c.Mode) {
		return c, fmt.Errorf("mode is %q; it can be auto, all or search", c.Mode)
	}
	if f.needsNoCalling {
		setDefault(&c.User, "somebody")
		return c, nil
	}
	return c.withDefaults()
}

func (f *flags) api(a *apiConfig) {
	if f.name != "" {
		a.Name = f.name
	}
	if f.baseURL != "" {
		a.BaseURL = f.baseURL
	}
	a.Include = append(a.Include, f.include...)
	a.Overlays = append(a.Overlays, f.overlays...)
	a.Refs = append(a.Refs, f.refs...)
	if f.sha256 != "" {
		a.SHA256 = f.sha256
	}
	a.Exclude = append(a.Exclude, f.exclude...)
	if len(f.keyEnv) > 0 || f.noCredential {
		a.Credential, a.Credentials = nil, nil
	}
	for _, env := range f.keyEnv {
		scheme, name, named := strings.Cut(env, "=")
		if !named {
			a.Credential = &credentialConfig{Strategy: "static", Env: env}
			continue
		}
		if a.Credentials == nil {
			a.Credentials = map[string]credentialConfig{}
		}
		a.Credentials[scheme] = credentialConfig{Strategy: "static", Env: name}
	}
	if f.noCredential {
		a.Credential = &credentialConfig{Strategy: "none"}
	}
}

// specThen splits arguments into an optional SPEC and want others: SPEC is there
// unless --config names the documents.
func (f *flags) specThen(args []string, want ...string) (specs, rest []string, err error) {
	n := len(want)
	if f.configFile == "" {
		n++
	}
	if len(args) != n {
		usage := strings.Join(want, " ")
		return nil, nil, fmt.Errorf("expected the arguments SPEC %s, or --config FILE and %s", usage, usage)
	}
	if f.configFile == "" {
		return args[:1], args[1:], nil
	}
	return nil, args, nil
}
