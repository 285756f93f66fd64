package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/exeat/exeat/authz/credential"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi"
)

// awsSTSConfig is keys of AWS for one call.
type awsSTSConfig struct {
	Role       string        `yaml:"role_arn"`
	ExternalID string        `yaml:"external_id"`
	Service    string        `yaml:"service"`
	Region     string        `yaml:"region"`
	STSURL     string        `yaml:"sts_url"`
	Lasts      time.Duration `yaml:"lasts"`
	// CredentialsFile, in place of the environment, has the standing keys; so does
	// WebIdentity.
	CredentialsFile string          `yaml:"credentials_file"`
	Profile         string          `yaml:"profile"`
	WebIdentity     *identityConfig `yaml:"web_identity"`
	Policy          []awsStatement  `yaml:"policy"`
}

// awsStatement is a statement of the session policy of a call.
type awsStatement struct {
	Effects    []string                       `yaml:"effects"`
	Methods    []string                       `yaml:"methods"`
	Actions    []string                       `yaml:"actions"`
	Resources  []string                       `yaml:"resources"`
	Conditions map[string]map[string][]string `yaml:"conditions"`
}

func (c *awsSTSConfig) within(dir string) {
	if c != nil {
		c.CredentialsFile = relative(dir, c.CredentialsFile)
		c.WebIdentity.within(dir)
	}
}

// identityConfig is a JWT that says to a cloud who exeat is: one that another program
// keeps in a file, or one that exeat signs.
type identityConfig struct {
	File     string `yaml:"file"`
	Key      string `yaml:"key"`
	KeyID    string `yaml:"key_id"`
	Issuer   string `yaml:"issuer"`
	Subject  string `yaml:"subject"`
	Audience string `yaml:"audience"`
}

func (c *identityConfig) within(dir string) {
	if c != nil {
		c.File, c.Key = relative(dir, c.File), relative(dir, c.Key)
	}
}

// signer returns what makes the JWT; audience is what the cloud calls itself, and algs
// what it verifies.
func (c *identityConfig) signer(audience string, algs ...string) (func() (string, error), error) {
	switch {
	case (c.File == "") == (c.Key == ""):
		return nil, errors.New("an identity is either a JWT in a file (file), or signed by exeat with a private key in PEM (key)")
	case c.File != "":
		return func() (string, error) {
			jwt, err := token.SecretFromFile(c.File)
			return jwt.Reveal(), err
		}, nil
	}
	key, err := credential.ReadSigningKey(c.Key, c.KeyID)
	if err != nil {
		return nil, err
	}
	id := &credential.Identity{Key: key, Issuer: c.Issuer, Subject: c.Subject, Audience: c.Audience}
	if id.Audience == "" {
		id.Audience = audience
	}
	return id.Sign, id.Check(algs...)
}

// takesSignature reports whether a security scheme is a signature in Authorization, as
// AWS's documents describe theirs.
func takesSignature(s openapi.SecurityScheme) bool {
	return s.Type == "apiKey" && s.In == "header" && strings.EqualFold(s.Name, "Authorization")
}

func newAWSSTS(use credentialUse) (token.Attacher, error) {
	c := use.c.AWSSTS
	if c == nil {
		return nil, errors.New("aws_sts needs its settings: aws_sts: {role_arn: …, service: …, region: …, policy: …}")
	}
	a := &credential.AWS{Endpoint: c.STSURL, Role: c.Role, ExternalID: c.ExternalID, Service: c.Service, Region: c.Region, Lasts: c.Lasts, Client: use.c.client}
	if a.Endpoint == "" {
		if c.Role == "" {
			return nil, errors.New("aws_sts needs role_arn, the role that keys are of")
		}
		a.Endpoint = fmt.Sprintf("https://sts.%s.amazonaws.com/", c.Region)
	}
	for _, s := range c.Policy {
		a.Policy = append(a.Policy, credential.Statement{Which: credential.Which{Effects: s.Effects, Methods: s.Methods}, Actions: s.Actions, Resources: s.Resources, Conditions: s.Conditions})
	}
	var err error
	switch {
	case c.WebIdentity != nil && c.CredentialsFile != "":
		return nil, errors.New("both credentials_file and web_identity are given; keep one")
	case c.WebIdentity != nil:
		a.WebIdentity, err = c.WebIdentity.signer("sts.amazonaws.com", "RS256", "ES256")
	case c.CredentialsFile != "":
		a.Keys = func() (aws.Credentials, error) { return credential.AWSKeysFromFile(c.CredentialsFile, c.Profile) }
	default:
		a.Keys = credential.AWSKeysFromEnv
	}
	if err != nil {
		return nil, fmt.Errorf("web_identity: %w", err)
	}
	return a, a.Check()
}
