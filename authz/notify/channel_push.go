package notify

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// newNtfy: ntfy://[USER:PASSWORD@]HOST/TOPIC.
func newNtfy(a *address) (sender, error) {
	if a.Host == "" || len(a.parts()) == 0 {
		return nil, errLacks
	}
	to, head := a.web(a.Host, a.parts()...), header("Authorization", basic(a.User))
	for _, name := range []string{"priority", "tags", "icon", "click", "email", "delay", "cache", "firebase"} {
		if v := a.option(name); v != "" {
			head.Set(name, v)
		}
	}
	return func(ctx context.Context, c *http.Client, m Message) error {
		head := head.Clone()
		head.Set("Title", m.Title)
		_, err := postBody(ctx, c, to, head, "text/plain; charset=utf-8", []byte(m.body()))
		return err
	}, nil
}

// newGotify: gotify://HOST[/PATH]/TOKEN.
func newGotify(a *address) (sender, error) {
	parts := a.parts()
	if a.Host == "" || len(parts) == 0 {
		return nil, errLacks
	}
	last := len(parts) - 1
	head := header("X-Gotify-Key", parts[last])
	priority, err := a.number("priority")
	if err != nil {
		return nil, err
	}
	return sendJSON(a.web(a.Host, append(parts[:last:last], "message")...), head, func(m Message) any {
		return map[string]any{"title": m.Title, "message": m.body(), "priority": priority}
	}), nil
}

// number is an option that is a whole number; 0 if it is not there.
func (a *address) number(name string) (int, error) {
	v := a.option(name)
	if v == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		return 0, errLacks
	}
	return n, nil
}

// newPushover: pushover://shoutrrr:TOKEN@USER/?devices=A,B.
func newPushover(a *address) (sender, error) {
	if a.Host == "" || a.password() == "" {
		return nil, errLacks
	}
	form := url.Values{"user": {a.Host}, "token": {a.password()}}
	for key, option := range map[string]string{"device": a.option("devices"), "priority": a.option("priority")} {
		if option != "" {
			form.Set(key, option)
		}
	}
	return func(ctx context.Context, c *http.Client, m Message) error {
		form := url.Values(http.Header(form).Clone())
		form.Set("title", m.Title)
		form.Set("message", m.body())
		return postForm(ctx, c, "https://api.pushover.net/1/messages.json", nil, form)
	}, nil
}

// newPushbullet: pushbullet://TOKEN[/DEVICE or /MAIL or /#CHANNEL].
func newPushbullet(a *address) (sender, error) {
	target := ""
	if parts := a.parts(); len(parts) > 0 {
		target = parts[0]
	}
	if a.Host == "" {
		return nil, errLacks
	}
	key := "device_iden"
	switch {
	case a.Fragment != "":
		key, target = "channel_tag", a.Fragment
	case strings.Contains(target, "@"):
		key = "email"
	}
	return sendJSON("https://api.pushbullet.com/v2/pushes", header("Access-Token", a.Host), func(m Message) any {
		return fields("type", "note", "title", m.Title, "body", m.body(), key, target)
	}), nil
}

// newBark: bark://:KEY@HOST[/PATH].
func newBark(a *address) (sender, error) {
	if a.Host == "" || a.password() == "" {
		return nil, errLacks
	}
	sound, icon, group := a.option("sound"), a.option("icon"), a.option("group")
	return sendJSON(a.web(a.Host, append(a.parts(), "push")...), nil, func(m Message) any {
		return fields("device_key", a.password(), "title", m.Title, "body", m.body(), "sound", sound, "icon", icon, "group", group, "url", m.Link)
	}), nil
}

// newSignal: signal://[USER:PASSWORD@]HOST:PORT/SOURCE/RECIPIENT….
func newSignal(a *address) (sender, error) {
	parts := a.parts()
	if a.Host == "" || len(parts) < 2 {
		return nil, errLacks
	}
	auth := basic(a.User)
	if token := a.option("token", "apikey"); token != "" {
		auth = "Bearer " + token
	}
	return sendJSON(a.web(a.Host, "v2", "send"), header("Authorization", auth), func(m Message) any {
		return map[string]any{"number": parts[0], "recipients": parts[1:], "message": m.all()}
	}), nil
}

// newOpsgenie: opsgenie://[HOST]/KEY.
func newOpsgenie(a *address) (sender, error) {
	parts := a.parts()
	if len(parts) != 1 {
		return nil, errLacks
	}
	priority, tags := a.option("priority"), a.list("tags")
	return sendJSON(a.web(cmp.Or(a.Host, "api.opsgenie.com"), "v2", "alerts"), header("Authorization", "GenieKey "+parts[0]), func(m Message) any {
		alert := fields("message", m.Title, "description", m.body(), "alias", m.ID, "priority", priority)
		alert["tags"] = tags
		return alert
	}), nil
}

// newPagerDuty: pagerduty://[HOST]/KEY.
func newPagerDuty(a *address) (sender, error) {
	parts := a.parts()
	if len(parts) != 1 {
		return nil, errLacks
	}
	severity, source := cmp.Or(a.option("severity"), "error"), cmp.Or(a.option("source"), "exeat")
	return sendJSON(a.web(cmp.Or(a.Host, "events.pagerduty.com"), "v2", "enqueue"), nil, func(m Message) any {
		return map[string]any{"routing_key": parts[0], "event_action": "trigger", "dedup_key": m.ID,
			"payload": fields("summary", m.all(), "severity", severity, "source", source)}
	}), nil
}

// newGeneric: generic://HOST/PATH or generic+http://…; @NAME is a header, $NAME a
// field, template=json makes JSON of the message; other options stay in the URL.
func newGeneric(a *address) (sender, error) {
	if a.Host == "" {
		return nil, errLacks
	}
	head, extra, query := http.Header{}, map[string]any{}, url.Values{}
	for name, values := range a.Query() {
		switch lower := strings.ToLower(name); {
		case name[:min(1, len(name))] == "@":
			head.Set(name[1:], values[0])
		case name[:min(1, len(name))] == "$":
			extra[name[1:]] = values[0]
		case lower == "template" || lower == "contenttype" || lower == "disabletls" || lower == "titlekey" || lower == "messagekey" || lower == "title":
		default:
			query[name] = values
		}
		a.known[strings.ToLower(name)] = true
	}
	u := url.URL{Scheme: "https", Host: a.Host, Path: a.Path, RawQuery: query.Encode()}
	if a.Scheme == "generic+http" || a.yes("disabletls") {
		u.Scheme = "http"
	}
	switch template := strings.ToLower(a.option("template")); template {
	case "":
		return func(ctx context.Context, c *http.Client, m Message) error {
			_, err := postBody(ctx, c, u.String(), head, "text/plain; charset=utf-8", []byte(m.body()))
			return err
		}, nil
	case "json":
		title, text := cmp.Or(a.option("titlekey"), "title"), cmp.Or(a.option("messagekey"), "message")
		return sendJSON(u.String(), head, func(m Message) any {
			extra := cloneFields(extra)
			extra[title], extra[text] = m.Title, m.body()
			return extra
		}), nil
	}
	return nil, errLacks
}
