package approval

import (
	"context"
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	webpush "github.com/SherClockHolmes/webpush-go"

	"github.com/exeat/exeat/authz"
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

// pushPrefix begins the names of channels that are browsers.
const pushPrefix = "push:"

func pushChannel(id string) string { return pushPrefix + id }

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
			return &Push{Contact: contact, client: webhookClient(t), private: base64.RawURLEncoding.EncodeToString(d[:]),
				public: base64.RawURLEncoding.EncodeToString(k.PublicKey().Bytes())}, nil
		}
	}
	return nil, errors.New("inbox.push: no key follows from the secret")
}

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

// checkSubscription reports whether a browser can have sent this.
func checkSubscription(s store.Subscription) bool {
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
		return n.Service.Store.View(ctx, func(tx *store.Tx) (err error) {
			sub, err = tx.Subscription(id)
			return err
		})
	}
	var who authz.Principal
	_ = find(context.Background()) // sends nothing if that fails
	_ = json.Unmarshal(sub.Principal, &who)
	return &Channel{Name: pushChannel(id), People: true,
		sees: func(h store.Hold) bool {
			return h.Subject == sub.Person || n.Service.mayDecide(h, Person{Principal: who}, n.Service.now()).Outcome == authz.Allow
		},
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
	if err := tx.DropSubscription(strings.TrimPrefix(channel, pushPrefix)); err != nil {
		return err
	}
	return tx.DropNotices(channel)
}

// pushRoutes adds the page where a person switches messages to this browser on.
func (in *Inbox) pushRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /push", in.page(in.pushPage))
	mux.HandleFunc("POST /push", in.page(in.subscribe))
	mux.HandleFunc("POST /push/{id}/remove", in.page(in.unsubscribe))
	mux.HandleFunc("GET /push/page.js", serve("push/page.js", "text/javascript"))
	// A worker at /push/ controls nothing but that folder.
	mux.HandleFunc("GET /push/worker.js", serve("push/worker.js", "text/javascript"))
}

type pushPageData struct {
	frame
	Key      string // of exeat, for the browser; "" if there is no Web Push
	Browsers []browser
}

// browser is a subscription as its person sees it: without what it takes to send
// to it.
type browser struct {
	ID, Service string
	Since       time.Time
}

func (in *Inbox) pushPage(w http.ResponseWriter, r *http.Request, s session) error {
	p := pushPageData{frame: framed("Messages to this browser", s)}
	if in.Push != nil {
		p.Key = in.Push.public
	}
	var subs []store.Subscription
	if err := in.Service.Store.View(r.Context(), func(tx *store.Tx) (err error) {
		subs, err = tx.Subscriptions(s.person.name())
		return err
	}); err != nil {
		return err
	}
	for _, sub := range subs {
		b := browser{ID: sub.ID, Since: sub.Created}
		if u, err := url.Parse(sub.Endpoint); err == nil {
			b.Service = u.Hostname()
		}
		p.Browsers = append(p.Browsers, b)
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; worker-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	return render(w, http.StatusOK, "push.html", p)
}

func (in *Inbox) subscribe(w http.ResponseWriter, r *http.Request, s session) error {
	if in.Push == nil {
		return ErrNotFound
	}
	principal, err := json.Marshal(s.person.Principal)
	if err != nil {
		return err
	}
	sub := store.Subscription{ID: randomText(16), Person: s.person.name(), Principal: principal, Endpoint: r.PostForm.Get("endpoint"),
		P256dh: r.PostForm.Get("p256dh"), Auth: r.PostForm.Get("auth"), Created: in.now()}
	if !checkSubscription(sub) {
		return errRequest
	}
	err = in.Service.update(r.Context(), func(tx *store.Tx) error {
		if err := tx.Subscribe(sub); err != nil {
			return err
		}
		return tx.Append(store.Entry{Kind: "push", Time: sub.Created, Principal: sub.Person, By: sub.Person, Note: "a browser gets messages from now on"})
	})
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/push", http.StatusSeeOther)
	return nil
}

func (in *Inbox) unsubscribe(w http.ResponseWriter, r *http.Request, s session) error {
	id := r.PathValue("id")
	err := in.Service.update(r.Context(), func(tx *store.Tx) error {
		if err := tx.Unsubscribe(s.person.name(), id); err != nil {
			return err
		}
		return tx.DropNotices(pushChannel(id))
	})
	if errors.Is(err, store.ErrNotFound) {
		err = ErrNotFound
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/push", http.StatusSeeOther)
	return nil
}

// down says which channels do not work, by their names.
func (in *Inbox) down(ctx context.Context) []string {
	if in.Notifier == nil {
		return nil
	}
	list, err := in.Notifier.Health(ctx)
	if err != nil {
		return nil // the page says so by itself
	}
	var out []string
	for _, h := range list {
		if h.Problem != "" {
			text := fmt.Sprintf("The channel %s %s", h.Name, h.Problem)
			if h.Failed > 0 {
				text += fmt.Sprintf("; %d messages were given up", h.Failed)
			}
			out = append(out, text+".")
		}
	}
	return out
}
