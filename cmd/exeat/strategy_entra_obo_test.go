package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the configuration says of entra_obo is checked before anything is served.
func TestEntraOBOConfigured(t *testing.T) {
	dir := t.TempDir()
	newIdentityProvider(t, filepath.Join(dir, "ec.pem"))
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	writeFiles(t, dir, map[string]string{"secret.txt": "canary-4711", "key.pem": private, "both.pem": private + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})),
		"orders.yaml": strings.Replace(ordersDocument, "%s", "https://orders.example.com", 1)})
	t.Setenv("ENTRA_SECRET", "canary-4711")
	for settings, want := range map[string]string{
		"client_id: c, env: ENTRA_SECRET, entra_obo: {tenant: contoso.example}":                                                          "",
		"client_id: c, env: ENTRA_SECRET, token_url: 'https://login.partner.example/t/oauth2/v2.0/token'":                                "",
		"client_id: c, auth: key, file: both.pem, entra_obo: {tenant: contoso.example, cae: true}":                                       "",
		"client_id: c, entra_obo: {tenant: contoso.example, identity: {key: key.pem, issuer: 'https://id.example.com', subject: exeat}}": "",
		"client_id: c, auth: key, file: key.pem, entra_obo: {tenant: contoso.example}":                                                   "no certificate of its key",
		"client_id: c, entra_obo: {tenant: contoso.example, identity: {key: ec.pem, issuer: 'https://id.example.com', subject: exeat}}":  "only RS256",
		"client_id: c, auth: body, env: ENTRA_SECRET, entra_obo: {tenant: t, identity: {file: secret.txt}}":                              "keep one",
		"client_id: c, env: ENTRA_SECRET":                                                           "needs the tenant",
		"client_id: c, env: ENTRA_SECRET, entra_obo: {tenant: '../x'}":                              "needs the tenant",
		"env: ENTRA_SECRET, entra_obo: {tenant: t}":                                                 "client_id",
		"client_id: c, entra_obo: {tenant: t}":                                                      "name the environment variable",
		"client_id: c, env: ENTRA_SECRET, scopes: [], entra_obo: {tenant: t}":                       "without scopes",
		"client_id: c, env: ENTRA_SECRET, entra_obo: {tenant: t, wider: x}":                         "it can be note",
		"client_id: c, env: ENTRA_SECRET, params: {requested_token_use: x}, entra_obo: {tenant: t}": "set already",
	} {
		if err := configured(t, dir, "{strategy: entra_obo, "+settings+"}"); (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary")) {
			t.Errorf("%s: %v", settings, err)
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, "exeat.yaml")); err != nil || strings.Contains(string(text), "canary") {
		t.Error(err)
	}
}
