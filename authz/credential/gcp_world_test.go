package credential

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// gcpWorld is Google's token services and Cloud Storage, from their public
// documentation, at their own names: it checks each parameter and evaluates
// boundaries. Its service accounts may do all.
type gcpWorld struct {
	client *http.Client
	key    *rsa.PrivateKey
	file   string // the key file of a service account

	mu       sync.Mutex
	tokens   map[string]gcpToken
	objects  map[string]string // by bucket/object
	requests []string          // host and path
}

type gcpToken struct {
	life  time.Duration
	rules []gcpRule // nil: not cut down
}

type gcpRule struct {
	AvailableResource     string
	AvailablePermissions  []string
	AvailabilityCondition *struct{ Expression string }
}

func newGCPWorld(t testing.TB) *gcpWorld {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	w := &gcpWorld{key: key, tokens: map[string]gcpToken{}, objects: map[string]string{}}
	secure, plain := httptest.NewTLSServer(http.HandlerFunc(w.serve)), httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(secure.Close)
	t.Cleanup(plain.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	w.client = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			to := secure.Listener.Addr().String()
			if strings.HasSuffix(address, ":80") {
				to = plain.Listener.Addr().String()
			}
			return (&net.Dialer{}).DialContext(ctx, network, to)
		}}}
	der, _ := x509.MarshalPKCS8PrivateKey(key)
	w.file = filepath.Join(t.TempDir(), "sa.json")
	text, _ := json.Marshal(map[string]string{"type": "service_account", "client_email": "exeat@p.iam.gserviceaccount.com", "private_key_id": "k1",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": "https://oauth2.googleapis.com/token"})
	if err := os.WriteFile(w.file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

// strategy is how a call to w gets its credential.
func (w *gcpWorld) strategy(t testing.TB) *GCP {
	source, err := GoogleKeyFile(w.file, w.client)
	if err != nil {
		t.Fatal(err)
	}
	return &GCP{Source: source, Client: w.client, Rules: []BoundaryRule{{Bucket: "{bucket}", Object: "orders/{id}.json"}}}
}

func (w *gcpWorld) issue(rw http.ResponseWriter, t gcpToken, answer map[string]any) {
	name := "ya29." + rand.Text()
	w.tokens[name] = t
	answer["access_token"], answer["token_type"], answer["expires_in"] = name, "Bearer", int(t.life.Seconds())
	rw.Header().Set("Content-Type", "application/json")
	json.NewEncoder(rw).Encode(answer)
}

func refuseGCP(rw http.ResponseWriter, code string) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(400)
	fmt.Fprintf(rw, `{"error":%q,"error_description":"canary-4711"}`, code)
}

func (w *gcpWorld) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests = append(w.requests, r.Host+r.URL.Path)
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	switch r.Host + r.URL.Path {
	case "oauth2.googleapis.com/token":
		w.grant(rw, form)
	case "sts.googleapis.com/v1/token":
		w.exchange(rw, form)
	case "169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token":
		if r.Header.Get("Metadata-Flavor") != "Google" {
			rw.WriteHeader(403)
			return
		}
		w.issue(rw, gcpToken{life: time.Hour}, map[string]any{})
	case "iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/orders@p.iam.gserviceaccount.com:generateAccessToken":
		var want struct {
			Scope    []string
			Lifetime string
		}
		life, err := time.ParseDuration(strings.TrimSpace(func() string { json.Unmarshal(body, &want); return want.Lifetime }()))
		if _, ok := w.bearer(r); !ok || err != nil || !slices.Equal(want.Scope, []string{cloudPlatform}) {
			rw.WriteHeader(403)
			rw.Write([]byte(`{"error":{"code":403,"message":"canary-4711","status":"PERMISSION_DENIED"}}`))
			return
		}
		name := "ya29." + rand.Text()
		w.tokens[name] = gcpToken{life: life}
		json.NewEncoder(rw).Encode(map[string]any{"accessToken": name, "expireTime": time.Now().Add(life)})
	default:
		w.storage(rw, r, string(body))
	}
}

func (w *gcpWorld) bearer(r *http.Request) (gcpToken, bool) {
	t, ok := w.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	return t, ok
}

// grant answers a service account that signs for itself (RFC 7523).
func (w *gcpWorld) grant(rw http.ResponseWriter, form url.Values) {
	signed, err := jwt.ParseSigned(form.Get("assertion"), []jose.SignatureAlgorithm{jose.RS256})
	var claims struct {
		jwt.Claims
		Scope string `json:"scope"`
	}
	if err == nil {
		err = signed.Claims(w.key.Public(), &claims)
	}
	if err == nil {
		err = claims.Validate(jwt.Expected{Issuer: "exeat@p.iam.gserviceaccount.com", AnyAudience: jwt.Audience{"https://oauth2.googleapis.com/token"}, Time: time.Now()})
	}
	if err != nil || form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || claims.Scope != cloudPlatform || signed.Headers[0].KeyID != "k1" {
		refuseGCP(rw, "invalid_grant")
		return
	}
	w.issue(rw, gcpToken{life: time.Hour}, map[string]any{})
}

// exchange answers Google's token service: a federated identity, or a boundary.
func (w *gcpWorld) exchange(rw http.ResponseWriter, form url.Values) {
	const types = "urn:ietf:params:oauth:token-type:"
	var options struct {
		AccessBoundary struct{ AccessBoundaryRules []gcpRule }
	}
	switch {
	case form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:token-exchange" || form.Get("requested_token_type") != types+"access_token":
		refuseGCP(rw, "invalid_request")
	case form.Get("subject_token_type") == types+"jwt":
		if form.Get("audience") != "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/exeat" || form.Get("subject_token") != "the.web.identity" || form.Get("scope") != cloudPlatform {
			refuseGCP(rw, "invalid_grant")
			return
		}
		w.issue(rw, gcpToken{life: time.Hour}, map[string]any{"issued_token_type": types + "access_token"})
	default:
		root, ok := w.tokens[form.Get("subject_token")]
		if !ok || root.rules != nil || form.Get("subject_token_type") != types+"access_token" {
			refuseGCP(rw, "invalid_grant")
			return
		}
		err := json.Unmarshal([]byte(form.Get("options")), &options)
		rules := options.AccessBoundary.AccessBoundaryRules
		if err != nil || len(rules) == 0 || len(rules) > 10 {
			refuseGCP(rw, "invalid_request")
			return
		}
		w.issue(rw, gcpToken{life: root.life, rules: rules}, map[string]any{"issued_token_type": types + "access_token"})
	}
}

// rolesOf are the permissions of the roles that matter here.
var rolesOf = map[string][]string{
	"inRole:roles/storage.objectViewer":  {"GET", "LIST"},
	"inRole:roles/storage.objectCreator": {"PUT"},
	"inRole:roles/storage.objectUser":    {"GET", "LIST", "PUT", "DELETE"},
}

var condition = regexp.MustCompile(`^resource\.name == ("[^"]*")$|^resource\.name\.startsWith\(("[^"]*")\) \|\| api\.getAttribute\('storage\.googleapis\.com/objectListPrefix', ''\)\.startsWith\(("[^"]*")\)$`)

// storage answers Cloud Storage (its XML API): /bucket/object, or a list of a bucket.
func (w *gcpWorld) storage(rw http.ResponseWriter, r *http.Request, body string) {
	bucket, object, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	t, ok := w.bearer(r)
	does := r.Method
	if object == "" {
		does = "LIST"
	}
	allowed := slices.ContainsFunc(t.rules, func(rule gcpRule) bool {
		within := rule.AvailableResource == "//storage.googleapis.com/projects/_/buckets/"+bucket &&
			slices.ContainsFunc(rule.AvailablePermissions, func(p string) bool { return slices.Contains(rolesOf[p], does) })
		if !within || rule.AvailabilityCondition == nil {
			return within
		}
		m := condition.FindStringSubmatch(rule.AvailabilityCondition.Expression)
		if m == nil {
			return false
		}
		exact, _ := strconv.Unquote(m[1])
		begins, _ := strconv.Unquote(m[2])
		prefix, _ := strconv.Unquote(m[3])
		name := "projects/_/buckets/" + bucket + "/objects/" + object
		return exact == name || begins != "" && (object != "" && strings.HasPrefix(name, begins) || object == "" && strings.HasPrefix(r.URL.Query().Get("prefix"), prefix))
	})
	switch {
	case !ok:
		rw.WriteHeader(401)
	case t.rules != nil && !allowed:
		rw.WriteHeader(403)
	case r.Method == "PUT":
		w.objects[bucket+"/"+object] = body
	default:
		rw.Write([]byte(w.objects[bucket+"/"+object]))
	}
}
