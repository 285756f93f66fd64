package credential

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	entraClient = "11111111-2222-3333-4444-555555555555"
	entraSecret = "s3~secret"
	entraIssuer = "https://exeat.example.com"
)

// entraWorld is Microsoft Entra ID's token endpoint (v2.0) for on-behalf-of, from its
// public documentation: it checks each parameter and refuses what Entra refuses.
type entraWorld struct {
	*httptest.Server
	key        *rsa.PrivateKey // of the certificate of exeat, and of its issuer
	thumbprint string
	pem        string // key and certificate

	mu       sync.Mutex
	users    map[string][]string // tokens of users for exeat: the contexts (acrs) that they have
	made     map[string][]string // tokens for APIs, likewise
	wants    string              // the context that a conditional access policy wants, empty: none
	consent  []string
	requests []url.Values
}

func newEntraWorld(t testing.TB) *entraWorld {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(certificate)
	w := &entraWorld{key: key, thumbprint: base64.RawURLEncoding.EncodeToString(sum[:]), pem: filepath.Join(t.TempDir(), "exeat.pem"), users: map[string][]string{"user.token.1": nil}, made: map[string][]string{}}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	if err := os.WriteFile(w.pem, text, 0o600); err != nil {
		t.Fatal(err)
	}
	w.Server = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.Close)
	return w
}

func (w *entraWorld) tokenURL() string { return w.URL + "/contoso/oauth2/v2.0/token" }

func (w *entraWorld) refuse(rw http.ResponseWriter, code, number string, more map[string]any) {
	answer := map[string]any{"error": code, "error_description": "AADSTS" + number + ": canary-4711", "error_codes": []string{number}, "trace_id": "0000aaaa-11bb-cccc-dd22-eeeeee333333"}
	for k, v := range more {
		answer[k] = v
	}
	rw.Header().Set("Content-Type", "application/json; charset=utf-8")
	rw.WriteHeader(400)
	json.NewEncoder(rw).Encode(answer)
}

func (w *entraWorld) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if strings.HasPrefix(r.URL.Path, "/api/") {
		w.api(rw, r)
		return
	}
	if r.Method != "POST" || r.URL.Path != "/contoso/oauth2/v2.0/token" || r.ParseForm() != nil {
		w.refuse(rw, "invalid_request", "900023", nil)
		return
	}
	form := r.PostForm
	w.requests = append(w.requests, form)
	has, known := w.users[form.Get("assertion")]
	var claims struct {
		AccessToken struct {
			ACRs struct{ Value string }    `json:"acrs"`
			CC   struct{ Values []string } `json:"xms_cc"`
		} `json:"access_token"`
	}
	wanted := w.wants
	if text := form.Get("claims"); text != "" {
		if json.Unmarshal([]byte(text), &claims) != nil {
			w.refuse(rw, "invalid_request", "9001023", nil)
			return
		}
		if v := claims.AccessToken.ACRs.Value; v != "" {
			wanted = v
		}
	}
	switch {
	case form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
		w.refuse(rw, "unsupported_grant_type", "70003", nil)
	case form.Has("resource"):
		w.refuse(rw, "invalid_request", "901002", nil)
	case !w.knows(r, form):
		w.refuse(rw, "invalid_client", "7000215", nil)
	case form.Get("requested_token_use") != "on_behalf_of":
		w.refuse(rw, "invalid_request", "900144", nil)
	case !known:
		w.refuse(rw, "invalid_grant", "50013", nil)
	case form.Get("scope") == "":
		w.refuse(rw, "invalid_request", "900144", nil)
	case wanted != "" && !slices.Contains(has, wanted):
		w.refuse(rw, "interaction_required", "50076", map[string]any{"claims": fmt.Sprintf(`{"access_token":{"acrs":{"essential":true,"value":%q}}}`, wanted), "suberror": "basic_action"})
	default:
		name := "obo." + rand.Text()
		w.made[name] = nil
		if wanted != "" { // only a token that is asked for with a context has it
			w.made[name] = []string{wanted}
		}
		scope := form.Get("scope")
		if w.consent != nil {
			scope = strings.Join(w.consent, " ")
		}
		rw.Header().Set("Content-Type", "application/json; charset=utf-8")
		json.NewEncoder(rw).Encode(map[string]any{"token_type": "Bearer", "scope": scope, "expires_in": 3599, "ext_expires_in": 3599, "access_token": name})
	}
}

// knows checks who asks: by a secret, by a certificate, or by another issuer's word.
func (w *entraWorld) knows(r *http.Request, form url.Values) bool {
	if id, secret, ok := r.BasicAuth(); ok {
		return id == entraClient && secret == url.QueryEscape(entraSecret)
	}
	if form.Get("client_id") != entraClient {
		return false
	}
	if form.Has("client_secret") {
		return form.Get("client_secret") == entraSecret
	}
	signed, err := jwt.ParseSigned(form.Get("client_assertion"), []jose.SignatureAlgorithm{jose.PS256, jose.RS256})
	if err != nil || form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return false
	}
	var claims jwt.Claims
	if signed.Claims(w.key.Public(), &claims) != nil {
		return false
	}
	header := signed.Headers[0]
	if claims.Issuer == entraClient {
		return header.Algorithm == "PS256" && header.ExtraHeaders["typ"] == "JWT" && header.ExtraHeaders["x5t#S256"] == w.thumbprint && claims.ID != "" && claims.NotBefore != nil &&
			claims.Validate(jwt.Expected{Issuer: entraClient, Subject: entraClient, AnyAudience: jwt.Audience{w.tokenURL()}, Time: time.Now()}) == nil
	}
	return header.Algorithm == "RS256" && claims.Validate(jwt.Expected{Issuer: entraIssuer, Subject: "exeat", AnyAudience: jwt.Audience{"api://AzureADTokenExchange"}, Time: time.Now()}) == nil
}

// api answers an API that wants the context c1 of who changes something.
func (w *entraWorld) api(rw http.ResponseWriter, r *http.Request) {
	has, known := w.made[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	switch {
	case !known:
		rw.Header().Set("WWW-Authenticate", `Bearer realm="", error="invalid_token"`)
		rw.WriteHeader(401)
	case r.Method != "GET" && !slices.Contains(has, "c1"):
		claims := base64.StdEncoding.EncodeToString([]byte(`{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`))
		rw.Header().Set("WWW-Authenticate", `Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", error="insufficient_claims", claims="`+claims+`"`)
		rw.WriteHeader(401)
	default:
		rw.Write([]byte("{}"))
	}
}
