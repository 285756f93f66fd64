package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/tools"
)

// valueConfig is a text of the configuration, or where it is: in an environment
// variable, a file, or what a command prints.
type valueConfig struct {
	text    string
	Env     string   `yaml:"env"`
	File    string   `yaml:"file"`
	Command []string `yaml:"command"`
}

// UnmarshalYAML reads either form.
func (v *valueConfig) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&v.text)
	}
	if err := refuseUnknown(n, "main.valueConfig", "env", "file", "command"); err != nil {
		return err
	}
	type plain valueConfig
	return n.Decode((*plain)(v))
}

// refuseUnknown reports keys that there are not, as the YAML library does where a part
// does not read itself.
func refuseUnknown(n *yaml.Node, typ string, known ...string) error {
	var unknown yaml.TypeError
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		if key := n.Content[i]; !slices.Contains(known, key.Value) {
			unknown.Errors = append(unknown.Errors, fmt.Sprintf("line %d: field %s not found in type %s", key.Line, key.Value, typ))
		}
	}
	if len(unknown.Errors) > 0 {
		return &unknown
	}
	return nil
}

func (v *valueConfig) within(dir string) {
	s := v.source().within(dir)
	v.File, v.Command = s.file, s.command
}

func (v valueConfig) source() secretSource { return secretSource{v.Env, v.File, v.Command} }

// isText reports whether the text stands in the configuration itself.
func (v valueConfig) isText() bool { return v.source().isZero() }

// read returns the text.
func (v valueConfig) read() (string, error) {
	if v.isText() {
		return v.text, nil
	}
	secret, err := v.source().read("")
	return secret.Reveal(), err
}

// headerConfig is the value of a header that goes with every call. What is in the
// environment, in a file or printed by a command is a secret, unless it is shown.
type headerConfig struct {
	valueConfig
	Show bool `yaml:"show"`
}

// UnmarshalYAML reads either form.
func (h *headerConfig) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&h.text)
	}
	if err := refuseUnknown(n, "main.headerConfig", "env", "file", "command", "show"); err != nil {
		return err
	}
	var plain struct {
		Env     string   `yaml:"env"`
		File    string   `yaml:"file"`
		Command []string `yaml:"command"`
		Show    bool     `yaml:"show"`
	}
	err := n.Decode(&plain)
	h.Env, h.File, h.Command, h.Show = plain.Env, plain.File, plain.Command, plain.Show
	return err
}

func (h headerConfig) isSecret() bool { return !h.isText() && !h.Show }

// headers puts the fixed headers of an API into what its document is loaded with.
func (a apiConfig) headers(o *openapi.Options) error {
	for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
		h := a.Headers[name]
		if h.isSecret() {
			o.SecretHeaders = append(o.SecretHeaders, name)
			continue
		}
		text, err := h.read()
		if err != nil {
			return fmt.Errorf("headers: %s: %w", name, err)
		}
		if o.Headers == nil {
			o.Headers = map[string]string{}
		}
		o.Headers[name] = text
	}
	return nil
}

// withHeaders has the secret headers of an API go with its credentials.
func (a apiConfig) withHeaders(credentials tools.Credentials) (tools.Credentials, error) {
	w := token.WithHeaders{Attacher: credentials}
	for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
		h := a.Headers[name]
		if !h.isSecret() {
			continue
		}
		at := func(secret token.Secret) *token.Static {
			return &token.Static{Placement: token.Placement{In: "header", Name: name}, Secret: secret}
		}
		secret, err := h.source().read("")
		if err == nil {
			err = at(secret).Check()
		}
		if err != nil {
			return nil, fmt.Errorf("headers: %s: %w", name, err)
		}
		if !h.source().changes() {
			w.Headers = append(w.Headers, at(secret))
			continue
		}
		w.Headers = append(w.Headers, token.NewRenewable(at(secret), func(ctx context.Context) (*token.Static, error) {
			secret, err := h.source().readAgain(ctx)
			return at(secret), err
		}))
	}
	if len(w.Headers) == 0 {
		return credentials, nil
	}
	return w, nil
}
