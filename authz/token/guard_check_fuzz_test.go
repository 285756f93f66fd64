package token

import (
	"bufio"
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzGuardCheck gives the check's door any bytes as a connection, with the secret where
// they say @S and a token where they say @T. Whatever passes must be about the one
// request that the token names, told in a way that the proxy means: at most once.
func FuzzGuardCheck(f *testing.F) {
	k := newChecked(f)
	want := newTestRequest()
	digest := contentDigest([]byte(want.body))
	head := "Host: x\r\nAuthorization: Bearer @T\r\nContent-Type: application/json\r\nIf-Match: \"v1\"\r\n"
	described := "GET /check HTTP/1.1\r\n" + head + "X-Exeat-Check: @S PUT " + digest + " " + want.target + "\r\n\r\n"
	traefik := "GET /forward-auth HTTP/1.1\r\n" + head + "X-Exeat-Check: @S\r\nX-Forwarded-Method: PUT\r\nX-Forwarded-Uri: " + want.target + "\r\nContent-Length: 14\r\n\r\n" + want.body
	envoy := "PUT /ext-authz" + want.target + " HTTP/1.1\r\n" + head + "X-Exeat-Check: @S\r\nX-Envoy-Auth-Partial-Body: false\r\nContent-Length: 14\r\n\r\n" + want.body
	for _, good := range []string{described, traefik, envoy} {
		f.Add([]byte(good))
		f.Add([]byte(good + good))
		for _, c := range [][2]string{
			{"@S", "@S "}, {"@S", ""}, {"PUT", "put"}, {"42", "43"}, {"/pets", "//pets"}, {"/pets", "/x/../pets"}, {"sha-256", "sha-512"}, {"14", "0"}, {"If-Match", "If_Match"},
			{"Host: x", "Host: x\r\nCookie: a=1"}, {"Bearer @T", "Bearer @T\r\nAuthorization: Bearer @T"}, {"GET /check", "PUT /ext-authz" + want.target}, {"GET", "HEAD"},
		} {
			f.Add([]byte(strings.Replace(good, c[0], c[1], 1)))
		}
	}
	compact := []byte(k.mint(want.call()))
	f.Fuzz(func(t *testing.T, text []byte) {
		clear(k.spent.until)
		text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("@S"), []byte(checkSecret)), []byte("@T"), compact)
		passed := 0
		for conn := bufio.NewReader(bytes.NewReader(text)); ; {
			r, err := http.ReadRequest(conn)
			if err != nil {
				break
			}
			uri, method, proof := r.RequestURI, r.Method, r.Header.Get(CheckHeader)
			forwarded := r.Header.Get("X-Forwarded-Method") + " " + r.Header.Get("X-Forwarded-Uri")
			rec := httptest.NewRecorder()
			k.door.ServeHTTP(rec, r)
			if rec.Code != http.StatusOK {
				if rec.Header().Get("Authorization") != "" {
					t.Fatal("a refusal gives the API's key away")
				}
				continue
			}
			passed++
			told := proof == checkSecret+" PUT "+digest+" "+want.target && uri == "/check" ||
				proof == checkSecret && uri == "/forward-auth" && forwarded == "PUT "+want.target ||
				proof == checkSecret && uri == "/ext-authz"+want.target && method == "PUT"
			if !told || rec.Header().Get("Authorization") != "Bearer real-key" {
				t.Fatalf("passed: %s %s, %s, %s", method, uri, proof, forwarded)
			}
		}
		if passed > 1 {
			t.Fatalf("one token passed %d times", passed)
		}
	})
}
