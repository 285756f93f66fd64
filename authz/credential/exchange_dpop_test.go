package credential

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/exeat/exeat/authz/dpop"
	"github.com/exeat/exeat/authz/issuer"
)

// bindingServer wants a proof with the nonce of now, in front of as, and has tokens be
// bound to its key.
type bindingServer struct {
	as       *exchanger
	nonce    string
	ignores  bool // it says DPoP, and binds nothing
	asBearer bool
	requests int
	proofs   []string
}

func (s *bindingServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests++
	raw := r.Header.Get("DPoP")
	s.proofs = append(s.proofs, raw)
	proof, err := issuer.ParseJWS(raw, 8<<10)
	var key jose.JSONWebKey
	if err != nil || json.Unmarshal(proof.Header["jwk"], &key) != nil || !proof.Verify(key.Key) || string(proof.Payload["htm"]) != `"POST"` ||
		string(proof.Payload["htu"]) != `"http://`+r.Host+r.URL.Path+`"` || proof.Payload.Has("ath") {
		jsonAnswer(400, `{"error":"invalid_dpop_proof"}`)(w)
		return
	}
	w.Header().Set("DPoP-Nonce", s.nonce)
	if nonce, _ := proof.Payload.Text("nonce"); nonce != s.nonce {
		jsonAnswer(400, `{"error":"use_dpop_nonce"}`)(w)
		return
	}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		s.as.t.Error(err)
	}
	s.as.change = func(claims, answer map[string]any) {
		if !s.asBearer {
			answer["token_type"] = "DPoP"
		}
		if !s.ignores {
			claims["cnf"] = map[string]any{"jkt": base64.RawURLEncoding.EncodeToString(sum)}
		}
	}
	s.as.ServeHTTP(w, r)
}

func TestExchangeBound(t *testing.T) {
	as := newExchanger(t)
	front := &bindingServer{as: as, nonce: "nonce-1"}
	server := httptest.NewServer(front)
	defer server.Close()
	x := as.asker()
	x.DPoP = true
	x.Server.TokenURL = server.URL + "/token"
	spent := dpop.NewSpent(time.Now)
	api := dpop.Checker{Skew: 5 * time.Second, Spend: spent.Spend}
	thumbprints := map[string]bool{}
	for i, requests := range []int{2, 1, 2} { // the nonce is learnt, known, and another by then
		if i == 2 {
			front.nonce = "nonce-2"
		}
		c := as.call()
		c.CallerBound = true // one bound token for another
		r := outgoing(t)
		front.requests = 0
		receipt, err := x.Attach(t.Context(), c, r)
		if err != nil || front.requests != requests || receipt.Narrowed != "it is bound to a key of this call" {
			t.Fatalf("%v, %d requests, %+v", err, front.requests, receipt)
		}
		raw, isDPoP := strings.CutPrefix(r.Header.Get("Authorization"), "DPoP ")
		got, err := issuer.ParseJWS(raw, maxToken)
		if err != nil || !isDPoP {
			t.Fatal(r.Header, err)
		}
		thumbprint, _ := got.Payload.Text("/cnf/jkt")
		thumbprints[thumbprint] = true
		want := dpop.Request{Method: r.Method, URL: r.URL.String(), Token: raw, Thumbprint: thumbprint}
		if err := api.Check(t.Context(), r.Header, want, time.Now()); err != nil {
			t.Error(err)
		}
		want.URL = testAudience + "pets/43"
		if err := api.Check(t.Context(), r.Header, want, time.Now()); err == nil {
			t.Error("the proof is good for another pet")
		}
	}
	if len(thumbprints) != 3 {
		t.Errorf("%d keys for 3 calls", len(thumbprints))
	}
	// The API has nonces, too: it asks once, and the next proof has what it gave.
	api.Nonces = &dpop.Nonces{Key: []byte("key")}
	for i := range 2 {
		r := outgoing(t)
		receipt, err := x.Attach(t.Context(), as.call(), r)
		if err != nil {
			t.Fatal(err)
		}
		raw := strings.TrimPrefix(r.Header.Get("Authorization"), "DPoP ")
		got, err := issuer.ParseJWS(raw, maxToken)
		if err != nil {
			t.Fatal(err)
		}
		thumbprint, _ := got.Payload.Text("/cnf/jkt")
		err = api.Check(t.Context(), r.Header, dpop.Request{Method: r.Method, URL: r.URL.String(), Token: raw, Thumbprint: thumbprint}, time.Now())
		problem, _ := err.(*dpop.Problem)
		if i == 1 && err != nil || i == 0 && (problem == nil || problem.Nonce == "") {
			t.Fatalf("attempt %d: %v", i, err)
		}
		if problem != nil {
			res := &http.Response{StatusCode: 401, Header: http.Header{"Dpop-Nonce": {problem.Nonce}, "Www-Authenticate": {`DPoP error="use_dpop_nonce"`}}}
			if !receipt.Answered(res) {
				t.Error("the API's nonce is not asked with")
			}
		}
	}
	for name, set := range map[string]func(){"a bearer token": func() { front.asBearer = true }, "not bound": func() { front.asBearer, front.ignores = false, true }} {
		set()
		r := outgoing(t)
		if _, err := x.Attach(t.Context(), as.call(), r); err == nil || r.Header.Get("Authorization")+r.Header.Get("DPoP") != "" {
			t.Errorf("%s: %v %v", name, err, r.Header)
		}
	}
}

// A server that asks for ever new nonces, or refuses for another reason, is not asked
// again and again.
func TestExchangeNonceOnce(t *testing.T) {
	for name, body := range map[string]string{"ever new": `{"error":"use_dpop_nonce"}`, "other": `{"error":"invalid_grant"}`, "a lot": `{"error":"use_dpop_nonce","x":"` + strings.Repeat("x", maxAnswer) + `"}`} {
		as, requests := newExchanger(t), 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests++
			var b bytes.Buffer
			if _, err := b.ReadFrom(r.Body); err != nil || b.Len() == 0 {
				t.Errorf("request %d has %d bytes: %v", requests, b.Len(), err)
			}
			w.Header().Set("DPoP-Nonce", strings.Repeat("n", requests))
			jsonAnswer(400, body)(w)
		}))
		x := as.asker()
		x.DPoP, x.Server.TokenURL, x.Server.RevokeURL = true, server.URL, ""
		_, err := x.Attach(context.WithoutCancel(t.Context()), as.call(), outgoing(t))
		if want := map[string]int{"ever new": 2, "other": 1, "a lot": 1}[name]; err == nil || requests != want {
			t.Errorf("%s: %v, %d requests", name, err, requests)
		}
		server.Close()
	}
}

// An API that wants a nonce in proofs is given it with the next token, for the same
// call and at once for those after it.
func TestExchangeNonceOfTheAPI(t *testing.T) {
	as := newExchanger(t)
	server := httptest.NewServer(&bindingServer{as: as})
	defer server.Close()
	x := as.asker()
	x.DPoP, x.Server.TokenURL = true, server.URL+"/token"
	api := dpop.Checker{Skew: 5 * time.Second, Nonces: &dpop.Nonces{Key: []byte("api")}, Spend: dpop.NewSpent(time.Now).Spend}
	for i, code := range []string{"use_dpop_nonce", "", ""} {
		r := outgoing(t)
		c := as.call()
		c.CallerBound = true
		receipt, err := x.Attach(t.Context(), c, r)
		if err != nil {
			t.Fatal(err)
		}
		raw := strings.TrimPrefix(r.Header.Get("Authorization"), "DPoP ")
		got, err := issuer.ParseJWS(raw, maxToken)
		if err != nil {
			t.Fatal(err)
		}
		thumbprint, _ := got.Payload.Text("/cnf/jkt")
		problem := new(dpop.Problem)
		err = api.Check(t.Context(), r.Header, dpop.Request{Method: r.Method, URL: r.URL.String(), Token: raw, Thumbprint: thumbprint}, time.Now())
		if errors.As(err, &problem); problem.Code != code || err != nil && code == "" {
			t.Errorf("call %d: %v", i, err)
		}
		res := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}}
		if problem.Nonce != "" {
			res.StatusCode = http.StatusUnauthorized
			res.Header.Set("DPoP-Nonce", problem.Nonce)
			res.Header.Set("WWW-Authenticate", `DPoP error="use_dpop_nonce"`)
		}
		if again := receipt.Answered(res); again != (code != "") {
			t.Errorf("call %d is to be sent again: %v", i, again)
		}
	}
}
