package credential

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// awsWorld is STS and S3, from their public documentation: it checks signatures over
// the bytes that came, and evaluates session policies. Its role may do all.
type awsWorld struct {
	*httptest.Server
	mu      sync.Mutex
	now     time.Time
	secrets map[string]string // by access key id
	tokens  map[string]string // session token by access key id
	policy  map[string]string // by access key id
	objects map[string]string
	asked   []url.Values // requests to STS
}

func newAWSWorld(t *testing.T) *awsWorld {
	w := &awsWorld{now: time.Now(), secrets: map[string]string{"AKIDSTANDING": "standing-secret"}, tokens: map[string]string{}, policy: map[string]string{}, objects: map[string]string{}}
	w.Server = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.Close)
	return w
}

// strategy is how a call to w gets its credential.
func (w *awsWorld) strategy() *AWS {
	return &AWS{Endpoint: w.URL, Role: "arn:aws:iam::123456789012:role/orders", Service: "s3", Region: "eu-central-1", Now: w.clock,
		Keys: func() (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDSTANDING", SecretAccessKey: "standing-secret"}, nil
		},
		Policy: []Statement{
			{Which: Which{Methods: []string{"PUT"}}, Actions: []string{"s3:PutObject"}, Resources: []string{"arn:aws:s3:::orders/{id}.json"}},
			{Which: Which{Effects: []string{"read"}}, Actions: []string{"s3:GetObject"}, Resources: []string{"arn:aws:s3:::orders/{id}.json"}},
		}}
}

func (w *awsWorld) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *awsWorld) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	if r.URL.Path == "/" {
		w.sts(rw, r, body)
		return
	}
	if code := w.unsigned(r, body, "s3"); code != "" {
		refuseAWS(rw, 403, code)
		return
	}
	key := strings.TrimPrefix(r.URL.Path, "/")
	action := map[string]string{"GET": "s3:GetObject", "PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}[r.Method]
	if !w.allows(w.policy[accessKey(r)], action, "arn:aws:s3:::"+key) {
		refuseAWS(rw, 403, "AccessDenied")
		return
	}
	if r.Method == "PUT" {
		w.objects[key] = string(body)
	}
	rw.Write([]byte(w.objects[key]))
}

// sts answers AssumeRole and AssumeRoleWithWebIdentity, which is not signed.
func (w *awsWorld) sts(rw http.ResponseWriter, r *http.Request, body []byte) {
	form, _ := url.ParseQuery(string(body))
	w.asked = append(w.asked, form)
	action := form.Get("Action")
	code := ""
	switch {
	case r.Method != "POST" || form.Get("Version") != "2011-06-15":
		code = "InvalidAction"
	case action == "AssumeRoleWithWebIdentity":
		if r.Header.Get("Authorization") != "" || form.Get("WebIdentityToken") != "the.web.identity" {
			code = "InvalidIdentityToken"
		}
	case action == "AssumeRole":
		code = w.unsigned(r, body, "sts")
	}
	switch policy := form.Get("Policy"); {
	case code != "":
	case form.Get("RoleArn") == "" || len(form.Get("RoleSessionName")) < 2 || form.Get("DurationSeconds") != "900":
		code = "ValidationError"
	case !json.Valid([]byte(policy)):
		code = "MalformedPolicyDocument"
	default:
		id := "ASIA" + rand.Text()
		w.secrets[id], w.tokens[id], w.policy[id] = rand.Text(), rand.Text()+"/+==", policy
		fmt.Fprintf(rw, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey>`+
			`<SessionToken>%s</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration></Credentials></%[1]sResult></%[1]sResponse>`, action, id, w.secrets[id], w.tokens[id])
		return
	}
	refuseAWS(rw, 403, code)
}

func refuseAWS(rw http.ResponseWriter, status int, code string) {
	rw.WriteHeader(status)
	fmt.Fprintf(rw, "<ErrorResponse><Error><Code>%s</Code><Message>canary-4711</Message></Error></ErrorResponse>", code)
}

func accessKey(r *http.Request) string {
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	id, _, _ := strings.Cut(rest, "/")
	return id
}

// unsigned is why a request is not signed (Signature Version 4); empty if it is.
func (w *awsWorld) unsigned(r *http.Request, body []byte, service string) string {
	id, date := accessKey(r), r.Header.Get("X-Amz-Date")
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	names, signature, _ := strings.Cut(rest, ", Signature=")
	at, err := time.Parse("20060102T150405Z", date)
	if w.secrets[id] == "" || err != nil || r.Header.Get("X-Amz-Security-Token") != w.tokens[id] {
		return "InvalidClientTokenId"
	}
	if at.Sub(w.now).Abs() > 15*time.Minute {
		return "RequestTimeTooSkewed"
	}
	path, query, _ := strings.Cut(r.RequestURI, "?")
	if service == "s3" {
		plain, _ := url.PathUnescape(path)
		path = plain
	}
	path = escapeAWS(path, true)
	pairs := strings.FieldsFunc(query, func(r rune) bool { return r == '&' })
	for i, p := range pairs {
		k, v, _ := strings.Cut(p, "=")
		k, _ = url.PathUnescape(k)
		v, _ = url.PathUnescape(v)
		pairs[i] = escapeAWS(k, false) + "=" + escapeAWS(v, false)
	}
	slices.Sort(pairs)
	sum := sha256.Sum256(body)
	canonical := r.Method + "\n" + path + "\n" + strings.Join(pairs, "&") + "\n"
	for _, n := range strings.Split(names, ";") {
		value := r.Header.Get(n)
		switch n {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		canonical += n + ":" + strings.TrimSpace(value) + "\n"
	}
	canonical += "\n" + names + "\n" + hex.EncodeToString(sum[:])
	for _, must := range []string{"host", "x-amz-date", "x-amz-content-sha256"} {
		if !slices.Contains(strings.Split(names, ";"), must) {
			return "AccessDenied"
		}
	}
	hashed := sha256.Sum256([]byte(canonical))
	scope := date[:8] + "/eu-central-1/" + service + "/aws4_request"
	key := []byte("AWS4" + w.secrets[id])
	for _, part := range []string{date[:8], "eu-central-1", service, "aws4_request"} {
		key = mac(key, part)
	}
	if hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256\n"+date+"\n"+scope+"\n"+hex.EncodeToString(hashed[:]))) != signature {
		return "SignatureDoesNotMatch"
	}
	return ""
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func escapeAWS(s string, slash bool) string {
	s = strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
	if slash {
		s = strings.ReplaceAll(s, "%2F", "/")
	}
	return strings.ReplaceAll(s, "%7E", "~")
}

// allows evaluates a session policy.
func (w *awsWorld) allows(policy, action, resource string) bool {
	var p struct {
		Version   string
		Statement []statement
	}
	if json.Unmarshal([]byte(policy), &p) != nil || p.Version != "2012-10-17" {
		return false
	}
	return slices.ContainsFunc(p.Statement, func(s statement) bool {
		until, err := time.Parse(time.RFC3339, s.Condition["DateLessThan"]["aws:CurrentTime"][0])
		return s.Effect == "Allow" && slices.Contains(s.Action, action) && slices.Contains(s.Resource, resource) && err == nil && w.now.Before(until)
	})
}
