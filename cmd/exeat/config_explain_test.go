package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is wrong in exeat.yaml is said in its own words: none of Go's.
func TestConfigExplains(t *testing.T) {
	for text, want := range map[string]string{
		"ssl: {cert: a}":                                     `line 1: there is no key "ssl": TLS of what exeat serves is`,
		"tls: {certt: a}":                                    `tls: there is no key "certt"; did you mean "cert"?`,
		"inbox: {tls: {client-ca: a}}":                       `there is no key "client-ca"; did you mean "client_ca"?`,
		"public-url: a":                                      `there is no key "public-url"; did you mean "public_url"?`,
		"tls_cert: a":                                        `there is no key "tls_cert": TLS of what exeat serves is tls: {cert: FILE, key: FILE}`,
		"apis: [{spec: a, tls: 1}]":                          `apis[]: there is no key "tls": TLS of what exeat serves is`,
		"inbox: {certificate: x}":                            `inbox: there is no key "certificate": TLS of what exeat serves is`,
		"inbox: {lisetn: x}":                                 `inbox: there is no key "lisetn"; did you mean "listen"?`,
		"strategy: static":                                   `there is no key "strategy"; it is a key of apis[].credential`,
		"apis: [{spec: a, scopes: [b]}]":                     `apis[]: there is no key "scopes"; it is a key of apis[].credential`,
		"apis: [{spec: a, credential: {acr_values: [b]}}]":   `apis[].credential: there is no key "acr_values"; it is a key of inbox.oidc`,
		"apis: [{spec: a, credentials: {K: {scopse: [b]}}}]": `there is no key "scopse"; did you mean "scopes"?`,
		"apis: [{spec: a, credentials: [b]}]":                "a list is not a part with keys of your own, each with a part with keys: strategy",
		"inbox: {oidc: {db: x}}":                             `inbox.oidc: there is no key "db"; it is a key of the file itself`,
		"quiet: {hours: 3}":                                  `quiet: there is no key "hours": there are from, to, zone`,
		"apis: [{spec: a, credential: static}]":              "static is not a part with keys: strategy, scheme, env",
		"apis: [{spec: a, credential: {env: []}}]":           "a list is not a text",
		"apis: {spec: a}":                                    "a part with keys is not a list (write each item as - …) whose items are each a part with keys: spec, name",
		"policy: a.cedar":                                    "a.cedar is not a list (write each item as - …) whose items are each a text",
		"inbox: {oidc: []}":                                  "a list is not a part with keys: ",
		"holds: {ttl: 5}":                                    "5 is not a time: write it like 30s, 5m or 1h30m",
		"holds: {ttl: soon}":                                 "soon is not a time",
		"limits: {per_second: many}":                         "many is not a whole number",
		"inbox: {fatigue: {off: maybe}}":                     "maybe is not true or false",
		"apis: [{spec: a, effects: [b]}]":                    "a list is not a part with keys of your own",
	} {
		path := filepath.Join(t.TempDir(), "exeat.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := loadConfig(path)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "main.") || strings.Contains(err.Error(), "unmarshal") {
			t.Errorf("%s: %v\nwant %s", text, err, want)
		}
	}
}
