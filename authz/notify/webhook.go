package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// NewWebhook is a channel for machines: every hold is posted to the URL as JSON,
// signed as Standard Webhooks 1.0 says (webhook-id, webhook-timestamp,
// webhook-signature v1). The secret is "whsec_" and base64 of 24 to 64 bytes.
// The URL is https, or http to this machine. Errors repeat neither.
func NewWebhook(name, rawURL, secret string) (*Channel, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !onThisMachine(u.Hostname())) {
		return nil, fmt.Errorf("notify: %s: the URL of a signed webhook must be https://host/path (http only on this machine)", name)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) < 24 || len(key) > 64 {
		return nil, fmt.Errorf("notify: %s: the secret must be whsec_ and base64 of 24 to 64 bytes: make one with  echo whsec_$(openssl rand -base64 32)", name)
	}
	client := newClient(direct())
	return &Channel{Name: name, send: func(ctx context.Context, m Message) error {
		body, err := webhookBody(m)
		if err != nil {
			return err
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, rawURL, bytes.NewReader(body))
		if err != nil {
			return errOther
		}
		sign(r.Header, key, m.ID, m.at, body)
		_, err = post(client, r)
		return err
	}}, nil
}

func onThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// webhookBody is the JSON that machines get.
func webhookBody(m Message) ([]byte, error) {
	kind := "hold.opened"
	switch {
	case m.event == nil:
		kind = "test"
	case m.event.Approvals > 0:
		kind = "hold.waits"
	}
	return json.Marshal(struct {
		Type string    `json:"type"`
		At   time.Time `json:"timestamp"`
		Data *event    `json:"data"`
	}{kind, m.at, m.event})
}

// sign sets the headers of Standard Webhooks. The time is that of the try.
func sign(h http.Header, key []byte, id string, at time.Time, body []byte) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
	h.Set("Content-Type", "application/json")
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", stamp)
	h.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}
