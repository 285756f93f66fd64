package oauth

import (
	"strings"
	"testing"
)

// TestConfigurations refuses what cannot be meant, and says what of it.
func TestConfigurations(t *testing.T) {
	one := Issuer{URL: "https://a.example"}
	with := func(change func(*Issuer)) []Issuer {
		i := one
		change(&i)
		return []Issuer{i}
	}
	for name, c := range map[string]struct {
		config Config
		want   string // of the error; "" means none
	}{
		"good":                      {Config{Issuers: []Issuer{one, {URL: "https://b.example", Prefix: "b:"}}}, ""},
		"on loopback":               {Config{Issuers: []Issuer{{URL: "http://127.0.0.1:9000"}, {URL: "http://localhost:9000", Prefix: "x"}}}, ""},
		"no issuer":                 {Config{}, "no issuer"},
		"no TLS":                    {Config{Issuers: []Issuer{{URL: "http://a.example"}}}, "not https"},
		"an issuer with a query":    {Config{Issuers: []Issuer{{URL: "https://a.example?x=1"}}}, "query"},
		"no URL":                    {Config{Issuers: []Issuer{{URL: "a.example"}}}, "not a URL"},
		"twice":                     {Config{Issuers: []Issuer{one, {URL: one.URL, Prefix: "b:"}}}, "twice"},
		"two without prefix":        {Config{Issuers: []Issuer{one, {URL: "https://b.example"}}}, "the same person"},
		"the same prefix":           {Config{Issuers: []Issuer{{URL: "https://a.example", Prefix: "x:"}, {URL: "https://b.example", Prefix: "x:"}}}, "begins with"},
		"a prefix of a prefix":      {Config{Issuers: []Issuer{{URL: "https://a.example", Prefix: "x:"}, {URL: "https://b.example", Prefix: "x:y:"}}}, "begins with"},
		"a prefix that hides":       {Config{Issuers: with(func(i *Issuer) { i.Prefix = "x\u200b" })}, "prefix"},
		"HS256":                     {Config{Issuers: with(func(i *Issuer) { i.Algorithms = []string{"HS256"} })}, "HS256"},
		"none":                      {Config{Issuers: with(func(i *Issuer) { i.Algorithms = []string{"none"} })}, "none"},
		"no algorithm":              {Config{Issuers: with(func(i *Issuer) { i.Algorithms = []string{} })}, "algorithms"},
		"no audience":               {Config{Issuers: with(func(i *Issuer) { i.Audience = []string{} })}, "audience"},
		"an empty audience":         {Config{Issuers: with(func(i *Issuer) { i.Audience = []string{""} })}, "audience"},
		"dpop":                      {Config{Issuers: with(func(i *Issuer) { i.DPoP = "always" })}, "dpop"},
		"half a workload":           {Config{Issuers: with(func(i *Issuer) { i.Workload.Claim = "idtyp" })}, "workload"},
		"introspection as nobody":   {Config{Issuers: with(func(i *Issuer) { i.Introspection = &Introspection{} })}, "client_id"},
		"introspection without TLS": {Config{Issuers: with(func(i *Issuer) { *i = opaque(*i); i.Introspection.Endpoint = "http://a.example/i" })}, "not https"},
		"introspection of two":      {Config{Issuers: []Issuer{opaque(one), opaque(Issuer{URL: "https://b.example", Prefix: "b:"})}}, "would be shown"},
		"resource with a slash":     {Config{Resource: "https://exeat.example.com/mcp/", Issuers: []Issuer{one}}, "not a URL"},
		"resource with a query":     {Config{Resource: "https://exeat.example.com/mcp?x", Issuers: []Issuer{one}}, "not a URL"},
		"resource in capitals":      {Config{Resource: "https://Exeat.example.com/mcp", Issuers: []Issuer{one}}, "write https://exeat.example.com/mcp"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.config.Resource == "" {
				c.config.Resource = resource
			}
			_, err := New(c.config)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want %q", err, c.want)
			}
		})
	}
}
