package store

import (
	"testing"
	"time"
)

func TestCredentialsInWords(t *testing.T) {
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	narrow := Credential{Issuer: "as.example", Audience: "petshop", Scope: "pets:delete", Expires: at.Add(time.Minute), Narrowed: "one pet", Revocable: true}
	wide := Credential{Issuer: "as.example", Wider: "it has the scope admin, too"}
	for _, tt := range []struct {
		entry       Entry
		says, loose string
	}{
		{Entry{}, "", ""},
		{Entry{Strategy: "signed", JTI: "x"}, "signed", ""},
		{Entry{Strategy: "static", Standing: true}, "static, a standing key", "a standing key"},
		{Entry{Strategy: "exchange", Credential: &narrow}, "exchange, made by as.example, for petshop, scope pets:delete, narrowed to one pet, good for 1m0s, revoked after the call", ""},
		{Entry{Strategy: "exchange", Credential: &wide}, "exchange, made by as.example, wider than the call: it has the scope admin, too", "it has the scope admin, too"},
		{Entry{Kind: KindSpent, Strategy: "exchange", Credential: &narrow}, "exchange, made by as.example, for petshop, scope pets:delete, narrowed to one pet, revoked", ""},
		{Entry{Kind: KindSpent, Code: "credential_failed", Strategy: "exchange"}, "exchange", ""},
		{Entry{Kind: KindSpent, Code: "credential_failed", Strategy: "exchange", Credential: &wide}, "exchange, made by as.example, wider than the call: it has the scope admin, too, could not be revoked", "it has the scope admin, too"},
	} {
		tt.entry.Time = at
		if says, loose := tt.entry.Credentials(), tt.entry.Loose(); says != tt.says || loose != tt.loose {
			t.Errorf("%+v: %q, %q", tt.entry, says, loose)
		}
	}
}
