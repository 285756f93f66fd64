package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// What the configuration says of gcp_downscope is checked before anything is served.
func TestGCPDownscopeConfigured(t *testing.T) {
	dir := t.TempDir()
	newIdentityProvider(t, filepath.Join(dir, "identity.pem"))
	writeFiles(t, dir, map[string]string{"token.jwt": "a.b.c\n", "sa.json": `{"type": "authorized_user"}`, "orders.yaml": strings.Replace(ordersDocument, "%s", "https://storage.googleapis.com", 1)})
	const rules = ", rules: [{bucket: orders, object: '{id}.json'}]"
	const provider = "provider: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/exeat'"
	for settings, want := range map[string]string{
		"{machine: true" + rules + "}":                                 "",
		"{" + provider + ", identity: {file: token.jwt}" + rules + "}": "",
		"{" + provider + ", identity: {key: identity.pem, issuer: 'https://id.example.com', subject: exeat}" + rules + "}": "",
		"{machine: true, service_account: orders@p.iam.gserviceaccount.com, lasts: 2m" + rules + "}":                       "",
		"{" + provider + rules + "}":                                 "needs the identity",
		"{" + provider + ", identity: {}" + rules + "}":              "identity: an identity is either",
		"{provider: pool, identity: {file: token.jwt}" + rules + "}": "resource name",
		"{machine: true, key_file: sa.json" + rules + "}":            "give one of",
		"{key_file: sa.json" + rules + "}":                           "is not the key of a service account",
		"{machine: true}":                                            "one to ten",
		"{machine: true, rules: [{object: x}]}":                      "rules[0]: name the bucket",
		"":                                                           "needs its settings",
	} {
		if err := configured(t, dir, "{strategy: gcp_downscope, gcp_downscope: "+settings+"}"); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", settings, err)
		}
	}
}
