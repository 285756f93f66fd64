package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/client"
)

// stolenUse is what came of using the token of a call for something else.
type stolenUse struct {
	what   string
	status string
	says   string
	good   bool // it was refused
}

// steal uses a copy of the token of a request, while that is still good, for all that
// it is not for. What comes of it is told later.
func (d *demo) steal(r *http.Request) {
	if r.Method == http.MethodGet {
		return
	}
	bearer := r.Header.Get("Authorization")
	for _, use := range []struct{ what, method, location string }{
		{"the same request at another API that Keycloak knows", r.Method, d.elsewhereURL + r.RequestURI},
		{"reading the pets", http.MethodGet, d.shopURL + "/pets"},
		{"adding a pet", http.MethodPost, d.shopURL + "/pets"},
		{"calling exeat", http.MethodPost, d.mcpURL},
	} {
		status, says, err := sendAs(r.Context(), bearer, use.method, use.location)
		if err != nil {
			says = err.Error()
		}
		d.tried = append(d.tried, stolenUse{use.what, status, says, strings.HasPrefix(status, "401") || strings.HasPrefix(status, "403")})
	}
}

func sendAs(ctx context.Context, bearer, method, location string) (status, says string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, location, nil)
	if err != nil {
		return "", "", err
	}
	req.Header.Set("Authorization", bearer)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 200))
	return resp.Status, string(bytes.TrimSpace(body)), err
}

// elsewhere shows that the token of the approved call was good for nothing else.
func (d *demo) elsewhere(ctx context.Context, _ *client.Client) error {
	r := d.seen.last()
	if r == nil || r.Method == http.MethodGet {
		return nil // it was denied
	}
	d.scene("5. A copy of that token is tried for other things, while it is good, and at last for the same")
	bad := len(d.tried) == 0
	for _, t := range d.tried {
		d.say("  %s → %s  %s", t.what, t.status, t.says)
		bad = bad || !t.good
	}
	d.gateway.runner.Wait() // exeat revokes the token once the call has its answer
	status, says, err := sendAs(ctx, r.Header.Get("Authorization"), r.Method, d.shopURL+r.RequestURI)
	if err != nil {
		return err
	}
	d.say("  the same request once more, after exeat had Keycloak revoke the token → %s  %s", status, says)
	d.say("  Keycloak cannot write into a token which pet it is for: until it was revoked, this one would have\n  deleted another. Where that matters, have exeat's own tokens checked by exeat guard (exeat demo).")
	if bad || !strings.HasPrefix(status, "401") {
		return fmt.Errorf("%w: the token was good for something else", errNotAsExpected)
	}
	return nil
}

// openJar sends Keycloak's Secure cookies over http to loopback, as browsers do.
type openJar struct{ http.CookieJar }

func (j openJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	for _, c := range cookies {
		c.Secure = c.Secure && u.Scheme == "https"
	}
	j.CookieJar.SetCookies(u, cookies)
}

var keycloakForm = regexp.MustCompile(`<form[^>]*id="kc-form-login"[^>]*action="([^"]+)"`)

// approveAsAlice does what a person does: opens the inbox, logs in at Keycloak, opens
// the page of the call, and presses approve.
func (d *demo) approveAsAlice(ctx context.Context, holdURL string) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	inbox := d.gateway.inbox.URL()
	person := &browser{client: &http.Client{Jar: openJar{jar}, Timeout: time.Minute}, origin: inbox}
	form, err := person.get(ctx, "/login/oidc?back=/")
	if err != nil {
		return err
	}
	m := keycloakForm.FindStringSubmatch(form)
	if m == nil {
		return errors.New("the Keycloak of the demo shows no form to log in")
	}
	at, err := url.Parse(html.UnescapeString(m[1]))
	if err != nil {
		return err
	}
	login := &browser{client: person.client, origin: at.Scheme + "://" + at.Host}
	if _, err := login.post(ctx, at.RequestURI(), url.Values{"username": {"alice"}, "password": {d.keycloak.secrets["ALICE-PASSWORD"]}}); err != nil {
		return err
	}
	return person.approve(ctx, holdURL)
}
