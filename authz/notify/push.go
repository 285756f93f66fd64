package notify

import (
	"context"
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	webpush "github.com/SherClockHolmes/webpush-go"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// Push tells browsers of held calls by Web Push (RFC 8030), with payloads that
// only the browser can read (RFC 8291) and with a key of exeat's own (RFC 8292).
type Push struct {
	// Contact is a mail address or https URL at which the push service can reach
	// who runs this exeat (RFC 8292 §2.1).
	Contact string

	client          *http.Client
	private, public string // keys, in base64url
}

// pushLife is how long a push service keeps what it cannot deliver, at most.
const pushLife = time.Hour

// NewPush makes Web Push with the P-256 key that follows from a secret of 32
// bytes. A nil transport means one that connects to public addresses only.
func NewPush(secret []byte, contact string, t http.RoundTripper) (*Push, error) {
	contact = strings.TrimPrefix(contact, "mailto:")
	if !strings.HasPrefix(contact, "https://") && !strings.Contains(contact, "@") {
		return nil, errors.New("inbox.push: name a mail address or an https URL at which push services can reach you")
	}
	if t == nil {
		t = publicOnly()
	}
	for i := byte(0); i < 16; i++ { // one in 2^32 is no key
		d := sha256.Sum256(append(append([]byte("exeat vapid "), secret...), i))
		if k, err := ecdh.P256().NewPrivateKey(d[:]); err == nil {
			return &Push{Contact: contact, client: newClient(t), private: base64.RawURLEncoding.EncodeToString(d[:]),
				public: base64.RawURLEncoding.EncodeToString(k.PublicKey().Bytes())}, nil
		}
	}
	return nil, errors.New("inbox.push: no key follows from the secret")
}

// Key is exeat's public key, in base64url, for browsers.
func (p *Push) Key() string { return p.public }

// publicOnly connects to no address of this machine or its network: the
// addresses of push services come from browsers.
func publicOnly() *http.Transport {
	t := direct()
	t.Proxy = nil
	t.DialContext = (&net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(address)
		if err != nil || !public(a.Addr().Unmap()) {
			return errNoHost
		}
		return nil
	}}).DialContext
	return t
}

func public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !netip.MustParsePrefix("100.64.0.0/10").Contains(a) && !netip.MustParsePrefix("64:ff9b::/96").Contains(a)
}

// ValidSubscription reports whether a browser can have sent this.
func ValidSubscription(s store.Subscription) bool {
	u, err := url.Parse(s.Endpoint)
	if err != nil || len(s.Endpoint) > 2048 || u.Scheme != "https" || u.User != nil || u.Port() != "" || u.Fragment != "" {
		return false
	}
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") || strings.HasSuffix(host, ".local") || strings.HasSuffix(host, ".internal") {
		return false
	}
	point, err := base64.RawURLEncoding.DecodeString(s.P256dh)
	if err != nil {
		return false
	}
	auth, err := base64.RawURLEncoding.DecodeString(s.Auth)
	if err != nil || len(auth) != 16 {
		return false
	}
	_, err = ecdh.P256().NewPublicKey(point)
	return err == nil
}

// channel is the browser of one subscription. It sees the holds of its person,
// and those that the policies let the person decide.
func (p *Push) channel(n *Notifier, id string) *Channel {
	var sub store.Subscription
	find := func(ctx context.Context) error {
		return n.c.Store.View(ctx, func(tx *store.Tx) (err error) {
			sub, err = tx.Subscription(id)
			return err
		})
	}
	_ = find(context.Background()) // sends nothing if that fails
	to := &approval.Addressee{Name: sub.Person, Since: sub.Created}
	_ = json.Unmarshal(sub.Principal, &to.Principal)
	return &Channel{Name: approval.PushChannel(id), People: true, to: to,
		send: func(ctx context.Context, m Message) error {
			err := find(ctx)
			if errors.Is(err, store.ErrNotFound) {
				return errGone
			}
			if err != nil {
				return err
			}
			return p.send(ctx, sub, m)
		}}
}

// payload is what the service worker gets.
type payload struct {
	Title string `json:"title"`
	Text  string `json:"text"`
	Path  string `json:"path"` // of the page that a click opens
	Tag   string `json:"tag"`  // a later message with the same one replaces it
}

func (p *Push) send(ctx context.Context, sub store.Subscription, m Message) error {
	link, err := url.Parse(m.Link)
	if err != nil {
		return errOther
	}
	body, err := json.Marshal(payload{m.Title, m.Text, link.Path, m.ID})
	if err != nil {
		return errOther
	}
	if most := 3000; len(body) > most { // of 4096 with the encryption
		return errOther
	}
	resp, err := webpush.SendNotificationWithContext(ctx, body, &webpush.Subscription{Endpoint: sub.Endpoint, Keys: webpush.Keys{Auth: sub.Auth, P256dh: sub.P256dh}},
		&webpush.Options{HTTPClient: p.client, Subscriber: p.Contact, TTL: int(pushLife.Seconds()), Urgency: webpush.UrgencyHigh,
			VAPIDPublicKey: p.public, VAPIDPrivateKey: p.private})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone:
		return errGone // RFC 8030 §7.3
	case 300 <= resp.StatusCode && resp.StatusCode < 400:
		return errRedirect
	case resp.StatusCode >= 400:
		return statusError(resp.StatusCode)
	}
	return nil
}

// forget drops a browser that is not there any more, and what waits for it.
func (p *Push) forget(tx *store.Tx, channel string) error {
	if err := tx.DropSubscription(strings.TrimPrefix(channel, approval.PushPrefix)); err != nil {
		return err
	}
	return tx.DropNotices(channel)
}
