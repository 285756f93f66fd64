package credential

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz/token"
)

// s3Call is a call about an order, and its request.
func s3Call(t testing.TB, base, method, effect, id, target, body string) (token.Call, *http.Request) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, base+target, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	if r.URL.RequestURI() != target {
		t.Fatalf("%s would be sent as %s", target, r.URL.RequestURI())
	}
	r.Header.Set("Accept-Encoding", "br, gzip")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	c := token.Call{Txn: "txn_ABC", Audience: base, Effect: effect, Template: "/orders/{id}.json", Path: map[string]string{"id": id},
		Details: token.Bind(base, method, target, r.Header.Get("Content-Type"), nil, []byte(body), "put_order", "")}
	return c, r
}

func send(t testing.TB, r *http.Request) (int, string) {
	t.Helper()
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(text)
}

// The credential of a call does this call, and nothing else.
func TestAWS(t *testing.T) {
	w := newAWSWorld(t)
	a := w.strategy()
	if err := a.Check(); err != nil {
		t.Fatal(err)
	}
	c, r := s3Call(t, w.URL, "PUT", "write", "42", "/orders/42.json?b=2&a=%20x%2By", `{"n":1}`)
	receipt, err := a.Attach(t.Context(), c, r)
	if err != nil {
		t.Fatal(err)
	}
	if r.URL.RequestURI() != "/orders/42.json?b=2&a=%20x%2By" {
		t.Errorf("the request became %s", r.URL.RequestURI())
	}
	host := strings.TrimPrefix(w.URL, "http://")
	want := token.Receipt{Strategy: "aws_sts", Issuer: host, Audience: "s3 in eu-central-1", Scope: "s3:PutObject arn:aws:s3:::orders/42.json", Expires: w.now.Add(time.Minute).Truncate(time.Second)}
	want.Narrowed = receipt.Narrowed
	if d := cmp.Diff(want, receipt, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); d != "" || !strings.Contains(receipt.Narrowed, "session policy") {
		t.Error(d, receipt.Narrowed)
	}
	first := r.Clone(t.Context())
	if status, text := send(t, r); status != 200 || w.objects["orders/42.json"] != `{"n":1}` {
		t.Fatalf("%d %s", status, text)
	}
	asked := w.asked[len(w.asked)-1]
	var policy map[string]any
	if err := json.Unmarshal([]byte(asked.Get("Policy")), &policy); err != nil || asked.Get("RoleSessionName") != "txn_ABC" || asked.Get("DurationSeconds") != "900" {
		t.Errorf("%v %v", asked, err)
	}
	again := func(change func(*http.Request)) int {
		r := first.Clone(t.Context())
		r.Body = io.NopCloser(strings.NewReader(`{"n":1}`))
		change(r)
		status, _ := send(t, r)
		return status
	}
	for name, change := range map[string]func(*http.Request){
		"another object": func(r *http.Request) { r.URL.Path = "/orders/43.json" },
		"another query":  func(r *http.Request) { r.URL.RawQuery = "b=3" },
		"another body":   func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{"n":2}`)) },
		"another method": func(r *http.Request) { r.Method = "DELETE" },
		"another type":   func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
	} {
		if status := again(change); status != 403 {
			t.Errorf("%s: %d", name, status)
		}
	}
	// The same keys, signed anew for another object: the policy refuses, not the signature.
	keys, err := a.assume(t.Context(), c, asked.Get("Policy"))
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]int{"/orders/42.json": 200, "/orders/43.json": 403, "/orders/42.json/x": 403} {
		_, r := s3Call(t, w.URL, "PUT", "write", "42", target, `{}`)
		if err := a.sign(t.Context(), keys, r); err != nil {
			t.Fatal(err)
		}
		if status, text := send(t, r); status != want {
			t.Errorf("%s: %d %s", target, status, text)
		}
	}
	w.mu.Lock()
	w.now = w.now.Add(61 * time.Second)
	w.mu.Unlock()
	if status := again(func(*http.Request) {}); status != 403 {
		t.Errorf("after its minute: %d", status)
	}
}

// What a person saw is what is signed and sent, whatever characters it has.
func TestAWSSignsWhatIsSent(t *testing.T) {
	w := newAWSWorld(t)
	for _, service := range []string{"s3", "execute-api"} {
		w.signsWhatIsSent(t, service)
	}
}

func (w *awsWorld) signsWhatIsSent(t *testing.T, service string) {
	a := w.strategy()
	a.Service = service
	for _, target := range []string{"/orders/a,b.json", "/orders/a%2Cb.json", "/orders/a%20b.json", "/orders/a@b!$&'()=;.json", "/orders/%C3%A4%7E~.json", "/orders//x.json", "/orders/a+b.json?x=%2F&x=a&y&z=", "/orders/1.json?list-type=2&prefix=%C3%A4"} {
		c, r := s3Call(t, w.URL, "GET", "read", "1", target, "")
		if _, err := a.Attach(t.Context(), c, r); err != nil {
			t.Fatal(err)
		}
		if r.URL.RequestURI() != target {
			t.Errorf("%s became %s", target, r.URL.RequestURI())
		}
		w.mu.Lock()
		why := w.unsigned(served(t, r), nil, service)
		w.mu.Unlock()
		if why != "" {
			t.Errorf("%s, %s: %s", service, target, why)
		}
	}
}

// served is a request as a server gets it.
func served(t *testing.T, r *http.Request) (got *http.Request) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Clone(context.Background()) }))
	defer s.Close()
	r = r.Clone(t.Context())
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	r.URL.Host = strings.TrimPrefix(s.URL, "http://")
	send(t, r)
	return got
}

// The examples of AWS's own documentation of S3.
func TestAWSExamples(t *testing.T) {
	keys := aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
	for _, c := range []struct {
		method, target, body, signature string
		header                          map[string]string
	}{
		{"GET", "/test.txt", "", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41", map[string]string{"Range": "bytes=0-9"}},
		{"PUT", "/test$file.text", "Welcome to Amazon S3.", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
			map[string]string{"Date": "Fri, 24 May 2013 00:00:00 GMT", "X-Amz-Storage-Class": "REDUCED_REDUNDANCY"}},
		{"GET", "/?lifecycle", "", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543", nil},
		{"GET", "/?max-keys=2&prefix=J", "", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7", nil},
	} {
		r, err := http.NewRequest(c.method, "https://examplebucket.s3.amazonaws.com"+c.target, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = -1 // the examples do not sign the length
		for k, v := range c.header {
			r.Header.Set(k, v)
		}
		if err := signRequest(t.Context(), keys, r, "s3", "us-east-1", time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)); err != nil {
			t.Fatal(err)
		}
		if _, got, _ := strings.Cut(r.Header.Get("Authorization"), "Signature="); got != c.signature {
			t.Errorf("%s %s: %s", c.method, c.target, r.Header.Get("Authorization"))
		}
	}
}

// What an agent gives cannot widen a policy.
func TestAWSPolicyRefuses(t *testing.T) {
	w := newAWSWorld(t)
	a := w.strategy()
	for id, want := range map[string]string{
		"*": "would mean something else", "4?": "would mean something else", "${aws:username}": "would mean something else", "a/b": "would mean something else",
		"a:b": "would mean something else", "": "is empty", "a\nb": "would mean something else", "\xff": "would mean something else", "a$": "would mean something else",
	} {
		c, r := s3Call(t, w.URL, "PUT", "write", id, "/orders/x.json", "{}")
		if _, err := a.Attach(t.Context(), c, r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if len(w.asked) > 0 {
		t.Error("STS was asked")
	}
	for id, want := range map[string]string{`a"],"b`: `arn:aws:s3:::orders/a\"],\"b.json`, "a b": "arn:aws:s3:::orders/a b.json", "ä{x}": "arn:aws:s3:::orders/ä{x}.json"} {
		c, r := s3Call(t, w.URL, "PUT", "write", id, "/orders/x.json", "{}")
		if _, err := a.Attach(t.Context(), c, r); err != nil || !strings.Contains(w.asked[len(w.asked)-1].Get("Policy"), want) {
			t.Errorf("%q: %v", id, err)
		}
	}
	a.Policy[0].Resources = []string{"arn:aws:s3:::orders/{id+}", "arn:aws:s3:::${aws:PrincipalTag/team}/x"}
	c, r := s3Call(t, w.URL, "PUT", "write", "2026/a:b", "/orders/x.json", "{}")
	if _, err := a.Attach(t.Context(), c, r); err != nil || !strings.Contains(w.asked[len(w.asked)-1].Get("Policy"), `"arn:aws:s3:::orders/2026/a:b","arn:aws:s3:::${aws:PrincipalTag/team}/x"`) {
		t.Error(err, w.asked[len(w.asked)-1])
	}
	for name, change := range map[string]func(*token.Call, *http.Request){
		"no statement":      func(c *token.Call, _ *http.Request) { c.Details.Actions = []string{"DELETE"} },
		"no parameter":      func(c *token.Call, _ *http.Request) { c.Path = nil },
		"characters":        func(c *token.Call, _ *http.Request) { c.Path = map[string]string{"id": strings.Repeat("x", 2000)} },
		"already has":       func(_ *token.Call, r *http.Request) { r.Header.Set("x-amz-security-token", "mine") },
		"presigned":         func(_ *token.Call, r *http.Request) { r.URL.RawQuery = "X-Amz-Credential=mine" },
		"more than one way": func(_ *token.Call, r *http.Request) { r.URL.RawQuery = "a=1;b=2" },
	} {
		c, r := s3Call(t, w.URL, "PUT", "write", "42", "/orders/42.json", "{}")
		change(&c, r)
		if _, err := a.Attach(t.Context(), c, r); err == nil || !strings.Contains(err.Error(), name) || r.Header.Get("Authorization") != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAWSWebIdentity(t *testing.T) {
	w := newAWSWorld(t)
	a := w.strategy()
	a.Keys, a.WebIdentity = nil, func() (string, error) { return "the.web.identity", nil }
	c, r := s3Call(t, w.URL, "PUT", "write", "42", "/orders/42.json", "{}")
	if _, err := a.Attach(t.Context(), c, r); err != nil {
		t.Fatal(err)
	}
	if status, text := send(t, r); status != 200 {
		t.Errorf("%d %s", status, text)
	}
	a.WebIdentity = func() (string, error) { return "another", nil }
	if _, err := a.Attach(t.Context(), c, outgoing(t)); err == nil || !strings.Contains(err.Error(), "InvalidIdentityToken (the issuer") {
		t.Error(err)
	}
}

func TestAWSFails(t *testing.T) {
	const canary = "canary-4711"
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		want   string
	}{
		"refused":   {func(w http.ResponseWriter) { refuseAWS(w, 403, "AccessDenied") }, "refuses: AccessDenied (the trust policy"},
		"packed":    {func(w http.ResponseWriter) { refuseAWS(w, 400, "PackedPolicyTooLarge") }, "as AWS packs it"},
		"clock":     {func(w http.ResponseWriter) { refuseAWS(w, 403, "RequestExpired") }, "the clock of this machine"},
		"odd code":  {func(w http.ResponseWriter) { refuseAWS(w, 403, canary) }, "answered 403"},
		"HTML":      {func(w http.ResponseWriter) { w.Write([]byte("<html><p>" + canary)) }, "answered 200, and nothing"},
		"empty":     {func(w http.ResponseWriter) { w.WriteHeader(500) }, "answered 500"},
		"other XML": {func(w http.ResponseWriter) { w.Write([]byte("<a>" + canary + "</a>")) }, "holds no keys"},
		"standing keys": {func(w http.ResponseWriter) {
			w.Write([]byte("<R><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>" + canary + "</SecretAccessKey></Credentials></AssumeRoleResult></R>"))
		}, "holds no keys"},
		"hangs up": {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "cannot be reached"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.answer(w) }))
		a := newAWSWorld(t).strategy()
		a.Endpoint = s.URL
		call, r := s3Call(t, s.URL, "PUT", "write", "42", "/orders/42.json", "{}")
		_, err := a.Attach(t.Context(), call, r)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), canary) || r.Header.Get("Authorization") != "" {
			t.Errorf("%s: %v", name, err)
		}
		s.Close()
	}
	w := newAWSWorld(t)
	for name, change := range map[string]func(*AWS){
		"https":               func(a *AWS) { a.Endpoint = "http://sts.example.com" },
		"service":             func(a *AWS) { a.Service = "" },
		"the region":          func(a *AWS) { a.Region = "evil.example/x" },
		"not an ARN":          func(a *AWS) { a.Role = "orders" },
		"either":              func(a *AWS) { a.Keys = nil },
		"no policy":           func(a *AWS) { a.Policy = nil },
		"up to":               func(a *AWS) { a.Lasts = time.Hour },
		"actions":             func(a *AWS) { a.Policy[0].Actions = nil },
		"not an action":       func(a *AWS) { a.Policy[0].Actions = []string{"PutObject"} },
		"is not an ARN; name": func(a *AWS) { a.Policy[0].Resources = []string{"orders"} },
		"no effect":           func(a *AWS) { a.Policy[0].Effects = []string{"change"} },
		"no method":           func(a *AWS) { a.Policy[0].Methods = []string{"put"} },
		"set by exeat": func(a *AWS) {
			a.Policy[0].Conditions = map[string]map[string][]string{"DateLessThan": {"aws:CurrentTime": {"2030-01-01T00:00:00Z"}}}
		},
		"no keys here": func(a *AWS) {
			a.Keys = func() (aws.Credentials, error) { return aws.Credentials{}, errors.New("no keys here") }
		},
	} {
		a := w.strategy()
		change(a)
		if err := a.Check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// One round trip, on a connection that is used again.
func BenchmarkAWS(b *testing.B) {
	w := &awsWorld{now: time.Now(), secrets: map[string]string{"AKIDSTANDING": "standing-secret"}, tokens: map[string]string{}, policy: map[string]string{}, objects: map[string]string{}}
	w.Server = httptest.NewServer(http.HandlerFunc(w.serve))
	defer w.Close()
	a := w.strategy()
	for b.Loop() {
		c, r := s3Call(b, w.URL, "PUT", "write", "42", "/orders/42.json", "{}")
		if _, err := a.Attach(b.Context(), c, r); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(w.asked))/float64(b.N), "requests/op")
}
