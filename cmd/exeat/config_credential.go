package main

import "net/http"

// credentialForConfig gives some operations credentials of their own.
type credentialForConfig struct {
	Tools       []string                    `yaml:"tools"`
	Effects     []string                    `yaml:"effects"`
	Credential  *credentialConfig           `yaml:"credential"`
	Credentials map[string]credentialConfig `yaml:"credentials"`
}

// credentialConfig is one credential. docs/credentials.md explains every field.
type credentialConfig struct {
	// Strategy is one of strategies; signed is the default.
	Strategy string `yaml:"strategy"`
	// Scheme names the document's security scheme that says where a static key
	// goes; needed only if the document has several.
	Scheme string `yaml:"scheme"`
	// Env, File or Command hold the static key or the client secret.
	Env     string   `yaml:"env"`
	File    string   `yaml:"file"`
	Command []string `yaml:"command"`
	// User is the user name of http basic; the secret is its password.
	User string `yaml:"user"`
	// Binding has tokens of the strategy signed be of no use without a proof by exeat:
	// signature (RFC 9421) or dpop (RFC 9449).
	Binding string `yaml:"binding"`
	// TokenURL and ClientID are for strategies that ask an authorization server; so
	// is what follows. Auth says how exeat proves who it is: header (default) or body,
	// which is where the secret goes; key, with which it signs; file, in which an
	// assertion is kept; none. Issuer is what the server calls itself.
	TokenURL string `yaml:"token_url"`
	CA       string `yaml:"ca"` // PEM file: whose certificates of that server are believed
	// Certificate is what exeat shows to that server in TLS (RFC 8705).
	Certificate *certificateConfig `yaml:"client_certificate"`
	RevokeURL   string             `yaml:"revoke_url"`
	Issuer      string             `yaml:"issuer"`
	ClientID    string             `yaml:"client_id"`
	Auth        string             `yaml:"auth"`
	KeyID       string             `yaml:"key_id"`
	// Scopes are asked for in place of those that the operation names; AlsoGranted
	// are what the server may add.
	Scopes      []string `yaml:"scopes"`
	AlsoGranted []string `yaml:"also_granted"`
	// Resource is that of RFC 8707: the API's audience, or nothing if it is empty.
	Resource *string           `yaml:"resource"`
	Audience string            `yaml:"audience"` // a parameter that some servers want
	Params   map[string]string `yaml:"params"`   // others

	AWSSTS       *awsSTSConfig       `yaml:"aws_sts"`
	Exchange     *exchangeConfig     `yaml:"exchange"`
	IDJAG        *idJAGConfig        `yaml:"id_jag"`
	GitHubApp    *githubAppConfig    `yaml:"github_app"`
	GCPDownscope *gcpDownscopeConfig `yaml:"gcp_downscope"`
	Vault        *vaultConfig        `yaml:"vault"`
	EntraOBO     *entraOBOConfig     `yaml:"entra_obo"`
	Connected    *connectedConfig    `yaml:"connected"`

	client *http.Client // for whoever gives out the credential; nil means the usual one
}

// within makes the paths of credentials those of files in dir.
func within(dir string, one *credentialConfig, several map[string]credentialConfig) {
	if one != nil {
		one.within(dir)
	}
	for name, c := range several {
		c.within(dir)
		several[name] = c
	}
}

func (c *credentialConfig) within(dir string) {
	s := c.source().within(dir)
	c.AWSSTS.within(dir)
	if c.IDJAG != nil {
		s := secretSource{file: c.IDJAG.File, command: c.IDJAG.Command}.within(dir)
		c.IDJAG.File, c.IDJAG.Command = s.file, s.command
	}
	c.GCPDownscope.within(dir)
	c.EntraOBO.within(dir)
	c.File, c.Command, c.CA = s.file, s.command, relative(dir, c.CA)
	if c.Certificate != nil {
		c.Certificate = &certificateConfig{Cert: relative(dir, c.Certificate.Cert), Key: relative(dir, c.Certificate.Key)}
	}
}

// tlsFiles are those of requests to whoever gives out the credential.
func (c credentialConfig) tlsFiles() tlsFiles {
	f := tlsFiles{ca: c.CA}
	if c.Certificate != nil {
		f.cert, f.key = c.Certificate.Cert, c.Certificate.Key
	}
	return f
}

// source is where the secret is.
func (c credentialConfig) source() secretSource { return secretSource{c.Env, c.File, c.Command} }

// ofCaller says whether the credential is made of the caller's own access token.
func (c credentialConfig) ofCaller() bool {
	switch c.Strategy {
	case "exchange":
		return c.Exchange == nil || c.Exchange.Subject != "assertion"
	case "id_jag":
		return c.IDJAG == nil || c.IDJAG.Subject != "assertion"
	}
	return c.Strategy == "entra_obo"
}
