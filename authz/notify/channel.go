package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A sender sends one message to a service.
type sender func(ctx context.Context, c *http.Client, m Message) error

// services make senders of URLs, by the scheme. The URLs are those of shoutrrr,
// which people have already; errors do not repeat them.
var services = map[string]func(*address) (sender, error){
	"bark": newBark, "discord": newDiscord, "generic": newGeneric, "googlechat": newGoogleChat, "gotify": newGotify, "matrix": newMatrix,
	"mattermost": newMattermost, "ntfy": newNtfy, "opsgenie": newOpsgenie, "pagerduty": newPagerDuty, "pushbullet": newPushbullet,
	"pushover": newPushover, "rocketchat": newRocketChat, "signal": newSignal, "slack": newSlack, "smtp": newMail, "teams": newTeams,
	"telegram": newTelegram, "zulip": newZulip,
}

// NewChannel is a channel for people, by a URL that begins with the service, such
// as ntfy://ntfy.sh/topic. Errors do not repeat the URL.
func NewChannel(name, rawURL string) (*Channel, error) {
	return newChannel(name, rawURL, newClient(direct()))
}

func newChannel(name, rawURL string, client *http.Client) (*Channel, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("notify: %s: its URL cannot be read; write it as ntfy://host/topic", name)
	}
	scheme, _, _ := strings.Cut(u.Scheme, "+")
	a := newAddress(u)
	switch mode := a.option("parsemode"); {
	case scheme == "http" || scheme == "https":
		return nil, fmt.Errorf("notify: %s: a plain %s URL is for a signed webhook, which needs secret_env or secret_file; for others the URL begins with the service, like ntfy:// or slack://", name, scheme)
	case scheme == "logger":
		return nil, fmt.Errorf("notify: %s: the log is not a channel", name)
	case mode != "" && !strings.EqualFold(mode, "none"):
		return nil, fmt.Errorf("notify: %s: take parsemode out of its URL: messages are plain text", name)
	case services[scheme] == nil:
		return nil, fmt.Errorf("notify: %s: the URL does not name a service that exeat knows: %s", name, strings.Join(slices.Sorted(maps.Keys(services)), ", "))
	}
	send, err := services[scheme](a)
	if err != nil {
		return nil, fmt.Errorf("notify: %s: %w", name, err)
	}
	if err := a.unknown(); err != nil {
		return nil, fmt.Errorf("notify: %s: %w", name, err)
	}
	return &Channel{Name: name, People: true, send: func(ctx context.Context, m Message) error { return send(ctx, client, m) }}, nil
}

// errLacks is what is wrong with most addresses.
var errLacks = errors.New("its URL lacks a part: docs/notifications.md has the form of each service")

// address is a channel's URL as it is taken apart. Names of options are found
// in any case.
type address struct {
	*url.URL
	options map[string]string
	known   map[string]bool // names that somebody asked for
}

func newAddress(u *url.URL) *address {
	a := &address{URL: u, options: map[string]string{}, known: map[string]bool{}}
	for k, v := range u.Query() {
		a.options[strings.ToLower(k)] = v[0]
	}
	return a
}

// option is the first option with one of the names.
func (a *address) option(names ...string) (value string) {
	for _, name := range names {
		a.known[name] = true
		if value == "" {
			value = a.options[name]
		}
	}
	return value
}

// yes reports whether an option says so.
func (a *address) yes(names ...string) bool {
	switch strings.ToLower(a.option(names...)) {
	case "yes", "true", "1", "on":
		return true
	}
	return false
}

// list is an option with several values.
func (a *address) list(names ...string) []string {
	return strings.FieldsFunc(a.option(names...), func(r rune) bool { return r == ',' })
}

// unknown is an error if there is an option that the service does not have. It
// does not repeat the name: who mistypes a URL may have put a secret there.
func (a *address) unknown() error {
	a.known["title"] = true // ours
	for k := range a.options {
		if !a.known[k] {
			return fmt.Errorf("its URL has an option that this service does not have; it has %s", strings.Join(slices.Sorted(maps.Keys(a.known)), ", "))
		}
	}
	return nil
}

// parts are the segments of the path that are not empty.
func (a *address) parts() []string {
	return slices.DeleteFunc(strings.Split(a.Path, "/"), func(s string) bool { return s == "" })
}

func (a *address) password() string {
	p, _ := a.User.Password()
	return p
}

// web is a URL on a host, with the scheme that the options say.
func (a *address) web(host string, segments ...string) string {
	scheme := "https"
	if a.yes("disabletls") || a.option("scheme") == "http" {
		scheme = "http"
	}
	return join(scheme+"://"+host, segments...)
}

// join appends segments to a URL, each escaped.
func join(base string, segments ...string) string {
	for _, s := range segments {
		base += "/" + url.PathEscape(s)
	}
	return base
}

// postJSON posts a value as JSON.
func postJSON(ctx context.Context, c *http.Client, to string, head http.Header, value any) ([]byte, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return postBody(ctx, c, to, head, "application/json", body)
}

func postForm(ctx context.Context, c *http.Client, to string, head http.Header, form url.Values) error {
	_, err := postBody(ctx, c, to, head, "application/x-www-form-urlencoded", []byte(form.Encode()))
	return err
}

func postBody(ctx context.Context, c *http.Client, to string, head http.Header, kind string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return nil, errOther
	}
	if head != nil {
		r.Header = head.Clone()
	}
	r.Header.Set("Content-Type", kind)
	return post(c, r)
}

// sendJSON is a sender that posts what body makes of a message to one place.
func sendJSON(to string, head http.Header, body func(Message) any) sender {
	return func(ctx context.Context, c *http.Client, m Message) error {
		_, err := postJSON(ctx, c, to, head, body(m))
		return err
	}
}

// header makes a header of names and values, without those that are empty.
func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			h.Set(pairs[i], pairs[i+1])
		}
	}
	return h
}

// fields makes a JSON object of names and values, without those that are empty.
func fields(pairs ...string) map[string]any {
	o := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			o[pairs[i]] = pairs[i+1]
		}
	}
	return o
}

// body is what services show under their own title; all of it is for the others.
func (m Message) body() string { return m.Text + "\n" + m.Link }
func (m Message) all() string  { return m.Title + "\n" + m.body() }
