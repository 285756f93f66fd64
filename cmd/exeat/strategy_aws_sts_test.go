package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// What the configuration says of aws_sts is checked before anything is served.
func TestAWSSTSConfigured(t *testing.T) {
	const base = "role_arn: 'arn:aws:iam::123456789012:role/orders', service: s3, region: eu-central-1"
	const policy = ", policy: [{actions: ['s3:PutObject'], resources: ['arn:aws:s3:::orders/{id}.json']}]"
	dir := t.TempDir()
	newIdentityProvider(t, filepath.Join(dir, "identity.pem"))
	writeFiles(t, dir, map[string]string{
		"aws.ini":     "# of the team\n[default]\naws_access_key_id = AKIDSTANDING\naws_secret_access_key = canary-4711\n\n[short]\naws_access_key_id=AKIDSTANDING\n",
		"token.jwt":   "a.b.c\n",
		"orders.yaml": strings.Replace(ordersDocument, "%s", "https://s3.eu-central-1.amazonaws.com", 1),
	})
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	for settings, want := range map[string]string{
		"{" + base + policy + ", credentials_file: aws.ini}":                                                           "",
		"{" + base + policy + ", web_identity: {file: token.jwt}}":                                                     "",
		"{" + base + policy + ", web_identity: {key: identity.pem, issuer: 'https://id.example.com', subject: exeat}}": "",
		"{" + base + policy + "}": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment",
		"{" + base + policy + ", credentials_file: aws.ini, profile: short}":                                                "profile short: there is no access key id with its secret",
		"{" + base + policy + ", credentials_file: none.ini}":                                                               "cannot read the keys",
		"{" + base + policy + ", credentials_file: aws.ini, web_identity: {file: token.jwt}}":                               "keep one",
		"{" + base + policy + ", web_identity: {}}":                                                                         "either a JWT in a file",
		"{" + base + policy + ", web_identity: {key: identity.pem, issuer: 'https://id.example.com'}}":                      "needs the subject",
		"{" + base + policy + ", web_identity: {key: orders.yaml, issuer: 'https://id.example.com', subject: exeat}}":       "no private key",
		"{" + base + ", credentials_file: aws.ini}":                                                                         "there is no policy",
		"{" + base + policy + ", credentials_file: aws.ini, sts_url: 'http://sts.example.com'}":                             "https",
		"{service: s3, region: eu-central-1" + policy + ", credentials_file: aws.ini}":                                      "role_arn",
		"{" + base + ", credentials_file: aws.ini, policy: [{actions: [PutObject], resources: ['arn:aws:s3:::orders/x']}]}": "policy[0]",
		"": "needs its settings",
	} {
		err := configured(t, dir, "{strategy: aws_sts, aws_sts: "+settings+"}")
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary")) {
			t.Errorf("%s: %v", settings, err)
		}
	}
}

// configured makes the credential that text says, for the document orders.yaml in dir.
func configured(t *testing.T, dir, text string) error {
	t.Helper()
	writeFiles(t, dir, map[string]string{"exeat.yaml": "apis: [{spec: orders.yaml, credential: " + text + "}]\n"})
	cfg, err := loadConfig(filepath.Join(dir, "exeat.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	docs, err := loadDocs(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, err = serveAPI(cfg, cfg.APIs[0], docs[0], nil)
	return err
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// What an issuer of one's own publishes verifies what exeat signs, and is public only.
func TestIdentityKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "identity.pem")
	newIdentityProvider(t, file)
	var out, errs strings.Builder
	if code := execute(t.Context(), []string{"keys", "jwks", "--of", file, "--kid", "k1"}, strings.NewReader(""), &out, &errs); code != 0 {
		t.Fatal(errs.String())
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(out.String()), &set); err != nil || len(set.Key("k1")) != 1 || !set.Keys[0].IsPublic() {
		t.Fatalf("%v: %s", err, out.String())
	}
	sign, err := (&identityConfig{Key: file, KeyID: "k1", Issuer: "https://id.example.com", Subject: "exeat"}).signer("sts.amazonaws.com", "ES256")
	if err != nil {
		t.Fatal(err)
	}
	text, err := sign()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256})
	var claims jwt.Claims
	if err == nil {
		err = signed.Claims(&set, &claims)
	}
	if err == nil {
		err = claims.Validate(jwt.Expected{Issuer: "https://id.example.com", Subject: "exeat", AnyAudience: jwt.Audience{"sts.amazonaws.com"}, Time: time.Now()})
	}
	if err != nil || claims.Expiry.Time().Sub(claims.IssuedAt.Time()) > time.Minute {
		t.Errorf("%v: %s", err, text)
	}
	if code := execute(t.Context(), []string{"keys", "jwks", "--of", filepath.Join(t.TempDir(), "none.pem")}, strings.NewReader(""), &out, &errs); code == 0 {
		t.Error("a file that there is not")
	}
}
