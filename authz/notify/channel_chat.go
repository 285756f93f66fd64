package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// accepted is an error unless an answer says {"ok": true}: some services say no
// with status 200.
func accepted(answer []byte, err error) error {
	var said struct {
		OK bool `json:"ok"`
	}
	if err != nil {
		return err
	}
	if json.Unmarshal(answer, &said) != nil || !said.OK {
		return errOther
	}
	return nil
}

var slackToken = regexp.MustCompile(`^(?:(xox.|hook)[-:])?([A-Z0-9]{9,})[-/,]([A-Z0-9]{9,})[-/,]([A-Za-z0-9]{24,})$`)

// newSlack: slack://hook:A-B-C@webhook, slack://xoxb:A-B-C@CHANNEL, slack://A/B/C.
func newSlack(a *address) (sender, error) {
	token, channel := strings.TrimSuffix(a.User.Username()+":"+a.password(), ":"), a.Hostname()
	bot := a.option("botname", "username")
	if len(a.parts()) > 0 {
		token, channel, bot = a.Hostname()+a.Path, "webhook", cmp.Or(bot, a.User.Username())
	}
	t := slackToken.FindStringSubmatch(token)
	if t == nil {
		return nil, errLacks
	}
	extra := fields("username", bot, "thread_ts", a.option("thread_ts"))
	icon := a.option("icon", "icon_emoji", "icon_url")
	if strings.Contains(icon, "://") {
		extra["icon_url"] = icon
	} else if icon != "" {
		extra["icon_emoji"] = icon
	}
	say := func(m Message) any {
		extra := cloneFields(extra)
		extra["text"], extra["mrkdwn"], extra["unfurl_links"] = m.all(), false, false
		return extra
	}
	if kind := t[1]; kind != "" && kind != "hook" {
		extra["channel"] = channel
		head := header("Authorization", "Bearer "+kind+"-"+strings.Join(t[2:], "-"))
		return func(ctx context.Context, c *http.Client, m Message) error {
			return accepted(postJSON(ctx, c, "https://slack.com/api/chat.postMessage", head, say(m)))
		}, nil
	}
	return sendJSON("https://hooks.slack.com/services/"+strings.Join(t[2:], "/"), nil, say), nil
}

func cloneFields(from map[string]any) map[string]any {
	to := make(map[string]any, len(from)+3)
	for k, v := range from {
		to[k] = v
	}
	return to
}

// newDiscord: discord://TOKEN@WEBHOOK.
func newDiscord(a *address) (sender, error) {
	if a.Host == "" || a.User.Username() == "" || len(a.parts()) > 0 {
		return nil, errLacks
	}
	to := a.web("discord.com", "api", "webhooks", a.Host, a.User.Username())
	if thread := a.option("thread_id"); thread != "" {
		to += "?" + url.Values{"thread_id": {thread}}.Encode()
	}
	extra := fields("username", a.option("username"), "avatar_url", a.option("avatar", "avatarurl"))
	return sendJSON(to, nil, func(m Message) any {
		extra := cloneFields(extra)
		extra["content"], extra["allowed_mentions"] = m.all(), map[string]any{"parse": []string{}}
		return extra
	}), nil
}

// newTelegram: telegram://TOKEN@telegram?chats=ID,@channel,ID:THREAD.
func newTelegram(a *address) (sender, error) {
	chats := a.list("chats", "channels")
	if a.User.Username() == "" || a.password() == "" || len(chats) == 0 {
		return nil, errLacks
	}
	to := a.web("api.telegram.org", "bot"+a.User.Username()+":"+a.password(), "sendMessage")
	silent, plain := a.option("notification") != "" && !a.yes("notification"), a.option("preview") != "" && !a.yes("preview")
	return func(ctx context.Context, c *http.Client, m Message) error {
		for _, chat := range chats {
			id, thread, _ := strings.Cut(chat, ":")
			say := fields("chat_id", id, "message_thread_id", thread, "text", m.all())
			say["disable_notification"], say["disable_web_page_preview"] = silent, plain
			if err := accepted(postJSON(ctx, c, to, nil, say)); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// newTeams: teams://GROUP@TENANT/ALT/OWNER[/EXTRA]?host=NAME.webhook.office.com.
func newTeams(a *address) (sender, error) {
	parts, host := a.parts(), a.option("host")
	if a.User.Username() == "" || a.Host == "" || len(parts) < 2 || host == "" {
		return nil, errLacks
	}
	to := a.web(host, append([]string{"webhookb2", a.User.Username() + "@" + a.Host, "IncomingWebhook"}, parts...)...)
	color := a.option("color")
	return sendJSON(to, nil, func(m Message) any {
		card := fields("@type", "MessageCard", "@context", "https://schema.org/extensions", "summary", m.Title, "title", m.Title, "themeColor", color)
		// One line break is none in a card.
		card["sections"] = []any{map[string]any{"text": strings.ReplaceAll(m.body(), "\n", "\n\n"), "markdown": false}}
		return card
	}), nil
}

// newGoogleChat: googlechat://chat.googleapis.com/v1/spaces/S/messages?key=K&token=T.
func newGoogleChat(a *address) (sender, error) {
	key, token := a.option("key"), a.option("token")
	if a.Host == "" || len(a.parts()) == 0 || key == "" || token == "" {
		return nil, errLacks
	}
	to := a.web(a.Host, a.parts()...) + "?" + url.Values{"key": {key}, "token": {token}}.Encode()
	return sendJSON(to, nil, func(m Message) any { return fields("text", m.all()) }), nil
}

// newMattermost: mattermost://[USER@]HOST/TOKEN[/CHANNEL].
func newMattermost(a *address) (sender, error) {
	parts := append(a.parts(), "", "")
	if a.Host == "" || parts[0] == "" {
		return nil, errLacks
	}
	icon, emoji := a.option("icon", "icon_emoji", "icon_url"), ""
	if !strings.Contains(icon, "://") {
		icon, emoji = "", icon
	}
	return sendJSON(a.web(a.Host, "hooks", parts[0]), nil, func(m Message) any {
		return fields("text", m.all(), "username", a.User.Username(), "channel", parts[1], "icon_url", icon, "icon_emoji", emoji)
	}), nil
}

// newRocketChat: rocketchat://[USER@]HOST/A/B[/CHANNEL or /@PERSON].
func newRocketChat(a *address) (sender, error) {
	parts := append(a.parts(), "", "", "")
	channel := cmp.Or(parts[2], a.Fragment)
	if a.Host == "" || parts[0] == "" || parts[1] == "" {
		return nil, errLacks
	}
	if channel != "" && channel[0] != '@' {
		channel = "#" + strings.TrimPrefix(channel, "#")
	}
	return sendJSON(a.web(a.Host, "hooks", parts[0], parts[1]), nil, func(m Message) any {
		return fields("text", m.all(), "username", a.User.Username(), "channel", channel)
	}), nil
}

// newZulip: zulip://BOT-MAIL:KEY@HOST/?stream=S&topic=T.
func newZulip(a *address) (sender, error) {
	stream, topic := a.option("stream"), a.option("topic")
	if a.Host == "" || a.User.Username() == "" || a.password() == "" || stream == "" {
		return nil, errLacks
	}
	to, head := a.web(a.Host, "api", "v1", "messages"), header("Authorization", basic(a.User))
	return func(ctx context.Context, c *http.Client, m Message) error {
		return postForm(ctx, c, to, head, url.Values{"type": {"stream"}, "to": {stream}, "topic": {cmp.Or(topic, "exeat")}, "content": {m.all()}})
	}, nil
}

// basic is an Authorization header of a URL's user.
func basic(u *url.Userinfo) string {
	if u.Username() == "" {
		return ""
	}
	r := http.Request{Header: http.Header{}}
	password, _ := u.Password()
	r.SetBasicAuth(u.Username(), password)
	return r.Header.Get("Authorization")
}
