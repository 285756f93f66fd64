package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/exeat/exeat/authz/issuer"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi"
)

// A transaction token goes with every call of its API, beside whatever credential that
// has.
func TestTxnTokenBesideCredentials(t *testing.T) {
	t.Setenv("KEY", "a-standing-key")
	keys, err := token.OpenKeys(filepath.Join(t.TempDir(), "keys"), "")
	if err != nil {
		t.Fatal(err)
	}
	service := &credentialConfig{TokenURL: "https://tts.example/token", ClientID: "exeat", Env: "KEY", Issuer: "https://tts.example"}
	for name, tt := range map[string]struct {
		credential credentialConfig
		headers    map[string]headerConfig
		txn        txnTokenConfig
		want       string // begins Authorization
		needs      bool   // the caller's token
		refused    string
	}{
		"none":              {credentialConfig{Strategy: "none"}, nil, txnTokenConfig{TrustDomain: "trust.example"}, "", false, ""},
		"signed":            {credentialConfig{}, nil, txnTokenConfig{TrustDomain: "trust.example", Workload: "gate"}, "Bearer eyJ", false, ""},
		"static":            {credentialConfig{Strategy: "static", Env: "KEY", Scheme: "bearer"}, nil, txnTokenConfig{TrustDomain: "trust.example"}, "Bearer a-standing-key", false, ""},
		"with a header":     {credentialConfig{Strategy: "none"}, map[string]headerConfig{"X-Key": {valueConfig: valueConfig{Env: "KEY"}}}, txnTokenConfig{TrustDomain: "trust.example"}, "", false, ""},
		"a service":         {credentialConfig{Strategy: "none"}, nil, txnTokenConfig{TrustDomain: "trust.example", Service: service}, "", true, ""},
		"of what is said":   {credentialConfig{Strategy: "none"}, nil, txnTokenConfig{TrustDomain: "trust.example", Service: service, Subject: "assertion"}, "", false, ""},
		"no domain":         {credentialConfig{}, nil, txnTokenConfig{}, "", false, "trust_domain"},
		"subject alone":     {credentialConfig{}, nil, txnTokenConfig{TrustDomain: "d", Subject: "caller"}, "", false, "no service"},
		"another subject":   {credentialConfig{}, nil, txnTokenConfig{TrustDomain: "d", Service: service, Subject: "me"}, "", false, "caller (default) or assertion"},
		"service, strategy": {credentialConfig{}, nil, txnTokenConfig{TrustDomain: "d", Service: &credentialConfig{Strategy: "static"}}, "", false, "leave strategy"},
		"service, no URL":   {credentialConfig{}, nil, txnTokenConfig{TrustDomain: "d", Service: &credentialConfig{}}, "", false, "token_url"},
	} {
		t.Run(name, func(t *testing.T) {
			doc, err := openapi.Load(t.Context(), "../../examples/petstore/openapi.yaml", openapi.Options{})
			if err != nil {
				t.Fatal(err)
			}
			a := apiConfig{Credential: &tt.credential, Headers: tt.headers, TxnToken: &tt.txn}
			api, err := serveAPI(config{Issuer: "https://exeat.example"}, a, doc, keys)
			if tt.refused != "" {
				if err == nil || !strings.Contains(err.Error(), "txn_token: ") || !strings.Contains(err.Error(), tt.refused) {
					t.Errorf("error %v, want %q", err, tt.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			asks, ok := api.Credentials.(interface{ NeedsCaller(string) bool })
			if !ok || asks.NeedsCaller("get_pet") != tt.needs {
				t.Errorf("needs the caller's token: %v", !tt.needs)
			}
			if tt.txn.Service != nil {
				return
			}
			r, err := http.NewRequestWithContext(t.Context(), "GET", doc.BaseURL+"/pets/1", nil)
			if err != nil {
				t.Fatal(err)
			}
			c := token.Call{Txn: "txn_1", Subject: "ann", Agent: "claude", Audience: doc.BaseURL, Scopes: []string{"pets:read"}, Effect: "read",
				Details: token.Bind(doc.BaseURL, "GET", "/pets/1", "", nil, nil, "get_pet", "")}
			receipt, err := api.Credentials.Attach(t.Context(), c, r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := issuer.ParseJWS(r.Header.Get("Txn-Token"), 8<<10)
			if err != nil || !got.IsType("txntoken+jwt") || string(got.Payload["scope"]) != `"pets:read"` {
				t.Errorf("%v, Txn-Token %s", err, r.Header.Get("Txn-Token"))
			}
			want := tt.txn.Workload
			if want == "" {
				want = "https://exeat.example"
			}
			if workload, _ := got.Payload.Text("req_wl"); workload != want || !strings.HasPrefix(r.Header.Get("Authorization"), tt.want) || tt.want == "" && r.Header.Get("Authorization") != "" {
				t.Errorf("by %s, Authorization %.20s", workload, r.Header.Get("Authorization"))
			}
			if !strings.HasSuffix(receipt.Strategy, "+txn_token") || tt.headers != nil && r.Header.Get("X-Key") == "" {
				t.Errorf("%+v, %v", receipt, r.Header)
			}
		})
	}
}

// Files of a service are found beside the configuration, and an unknown key is named.
func TestTxnTokenConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "exeat.yaml")
	write := func(text string) (config, error) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return loadConfig(file)
	}
	cfg, err := write("apis: [{spec: a.yaml, txn_token: {trust_domain: d, service: {token_url: 'https://x/', client_id: c, file: secret}}}]")
	if err != nil || cfg.APIs[0].TxnToken.Service.File != filepath.Join(filepath.Dir(file), "secret") {
		t.Errorf("%v %+v", err, cfg.APIs)
	}
	if _, err := write("apis: [{spec: a.yaml, txn_token: {domain: d}}]"); err == nil || !strings.Contains(err.Error(), `"domain"`) {
		t.Error(err)
	}
}
