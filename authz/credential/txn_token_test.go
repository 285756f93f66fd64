package credential

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz/issuer"
	"github.com/exeat/exeat/authz/token"
)

func TestTxnToken(t *testing.T) {
	as := newExchanger(t)
	now := time.Unix(1_800_000_000, 0)
	own := &TxnToken{Domain: "trust.example", Workload: "exeat-1", Issuer: exeatName, Keys: as.keys, Now: func() time.Time { return now }}
	if err := own.Check(); err != nil {
		t.Fatal(err)
	}
	c := as.call()
	c.AuthTime, c.AMR = time.Unix(1_700_000_000, 0), []string{"hwk"}
	c.Approval = &token.ApprovalClaim{ID: "hold_1", By: "bob", At: 1, Until: 2, Once: true, Details: "d"}
	r := outgoing(t)
	r.Header.Set("Authorization", "Bearer of-the-call")
	receipt, err := own.Attach(t.Context(), c, r)
	if err != nil || receipt.Audience != "trust.example" || !receipt.Expires.Equal(now.Add(30*time.Second)) || receipt.Standing {
		t.Fatalf("%v %+v", err, receipt)
	}
	jws, err := issuer.ParseJWS(r.Header.Get("Txn-Token"), maxToken)
	if err != nil {
		t.Fatal(err)
	}
	text, err := as.keys.JWKS(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(text, &set); err != nil || !jws.SignedBy(set.Keys) || jws.Typ != "txntoken+jwt" || r.Header.Get("Authorization") != "Bearer of-the-call" {
		t.Errorf("typ %s, %v, %v", jws.Typ, err, r.Header)
	}
	got := map[string]string{}
	for name, value := range jws.Payload {
		got[name] = string(value)
	}
	want := map[string]string{"iss": `"https://exeat.example"`, "iat": "1800000000", "exp": "1800000030", "aud": `"trust.example"`, "txn": `"txn_1"`, "sub": `"alice"`,
		"scope": `"pets:write"`, "req_wl": `"exeat-1"`, "act": `{"sub":"claude","sub_profile":"ai_agent"}`, "rctx": `{"auth_time":1700000000,"amr":["hwk"]}`,
		"tctx": `{"operation":"put_pet","effect":"write","resource":"https://petstore.example/","method":"PUT","request":{"target":"/pets/42?force=true","content_type":"application/json",` +
			`"content_digest":"sha-256=:O3/bwLI2GVtr9FYRtNPVLbxUYS+uyizahpaqm17U6/o=:"},"approval":{"id":"hold_1","by":"bob","at":1,"until":2,"once":true,"details":"d"}}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// It is no access token, wherever it comes.
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := token.NewKeySource(file)
	if err != nil {
		t.Fatal(err)
	}
	v := &token.Verifier{Issuer: exeatName, Audience: "trust.example", Keys: keys, Now: own.Now, Spend: func(context.Context, string, string, time.Time) (bool, error) { return true, nil }}
	if _, refusal := v.Check(asBearer(r)); refusal == nil || refusal.Code != "wrong_typ" {
		t.Errorf("a transaction token as an access token: %v", refusal)
	}
	r.Header["txn-token"] = []string{"of the agent"}
	if _, err := own.Attach(t.Context(), c, r); err == nil {
		t.Error("a request that had a transaction token")
	}
	c.Scopes, c.TTL = nil, 5*time.Second
	r = outgoing(t)
	if receipt, err := own.Attach(t.Context(), c, r); err != nil || !receipt.Expires.Equal(now.Add(5*time.Second)) {
		t.Error(receipt, err)
	}
	if jws, err := issuer.ParseJWS(r.Header.Get("Txn-Token"), maxToken); err != nil || string(jws.Payload["scope"]) != `"put_pet"` {
		t.Errorf("without scopes: %v %s", err, jws.Payload["scope"])
	}
	own.Domain = ""
	if own.Check() == nil {
		t.Error("no trust domain")
	}
}

// asBearer is r with its transaction token as a bearer token.
func asBearer(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+r.Header.Get("Txn-Token"))
	return r
}

// A service of a trust domain: what it is asked, and what of it is taken.
func TestTxnService(t *testing.T) {
	as := newExchanger(t)
	var typ string
	good := func(form map[string][]string, claims, answer map[string]any) {
		typ = "txntoken+jwt"
		delete(claims, "jti")
		claims["txn"], claims["req_wl"] = "txn-of-the-service", "exeat"
		answer["issued_token_type"], answer["token_type"] = typeTxnToken, "N_A"
		delete(answer, "expires_in")
	}
	asks := func() *TxnService {
		return &TxnService{Domain: "trust.example", Server: &Server{TokenURL: as.url + "/txn", Auth: SecretAuth{"exeat", token.NewSecret("s3"), false}}}
	}
	set := func(name string, value any) func(claims, answer map[string]any) {
		return func(claims, _ map[string]any) { claims[name] = value }
	}
	without := func(name string) func(claims, answer map[string]any) {
		return func(claims, answer map[string]any) { delete(claims, name); delete(answer, name) }
	}
	c := as.call()
	for name, tt := range map[string]struct {
		change func(claims, answer map[string]any)
		set    func(*TxnService)
		want   string
	}{
		"of the caller's token": {func(_, _ map[string]any) {}, nil, ""},
		"of what exeat says":    {func(_, _ map[string]any) {}, func(s *TxnService) { s.Subject = as.assertion() }, ""},
		"with the agent":        {set("act", map[string]any{"sub": "claude"}), nil, ""},
		"another agent":         {set("act", map[string]any{"sub": "cursor"}), nil, "act"},
		"another type":          {func(_, _ map[string]any) { typ = "at+jwt" }, nil, `typ is "at+jwt"`},
		"an access token":       {func(_, a map[string]any) { a["issued_token_type"] = typeAccessToken }, nil, "issued_token_type"},
		"a bearer token":        {func(_, a map[string]any) { a["token_type"] = "Bearer" }, nil, "token_type"},
		"opaque":                {func(_, a map[string]any) { a["access_token"] = "opaque" }, nil, "cannot be read"},
		"another domain":        {set("aud", "other.example"), nil, "trust domain"},
		"two domains":           {set("aud", []string{"trust.example", "other.example"}), nil, "trust domain"},
		"no end":                {without("exp"), nil, "longer"},
		"an hour":               {set("exp", time.Now().Add(time.Hour).Unix()), nil, "longer"},
		"more scopes":           {set("scope", "pets:write admin"), nil, "a scope"},
		"no scope":              {without("scope"), nil, "no scope"},
		"no txn":                {without("txn"), nil, "no txn"},
		"no workload":           {without("req_wl"), nil, "no req_wl"},
		"another subject":       {set("sub", "bob-2"), nil, "in the name of another"},
		"another, by assertion": {set("sub", "bob-2"), func(s *TxnService) { s.Subject = as.assertion() }, "in the name of another"},
		"the token within":      {set("rctx", map[string]any{"deep": []any{"Bearer " + c.Caller.Reveal()}}), nil, "holds the token"},
	} {
		t.Run(name, func(t *testing.T) {
			as.change = func(claims, answer map[string]any) {
				good(nil, claims, answer)
				tt.change(claims, answer)
				if answer["access_token"] == nil {
					signed, err := as.key.Sign(typ, claims)
					if err != nil {
						t.Error(err)
					}
					answer["access_token"] = signed
				}
			}
			x, r := asks(), outgoing(t)
			if tt.set != nil {
				tt.set(x)
			}
			if err := x.Check(); err != nil || x.NeedsCaller() != (x.Subject == nil) {
				t.Fatal(err)
			}
			receipt, err := x.Attach(t.Context(), c, r)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || r.Header.Get("Txn-Token") != "" {
					t.Errorf("error %v, want %q", err, tt.want)
				}
				return
			}
			if err != nil || r.Header.Get("Txn-Token") == "" || r.Header.Get("Authorization") != "" || receipt.Audience != "trust.example" {
				t.Errorf("%v %v %+v", err, r.Header, receipt)
			}
			form := as.forms[len(as.forms)-1]
			if form.Get("audience") != "trust.example" || form.Get("scope") != "pets:write" || !strings.Contains(form.Get("request_details"), `"agent":"claude"`) || form.Has("resource") {
				t.Errorf("asked %v", form)
			}
		})
	}
	c.Caller = token.Secret{}
	if _, err := asks().Attach(t.Context(), c, outgoing(t)); err == nil || !strings.Contains(err.Error(), "exeat http") {
		t.Errorf("without a caller's token: %v", err)
	}
}
