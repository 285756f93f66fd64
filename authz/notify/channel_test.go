package notify

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// recorder answers every request, and keeps it with its body.
type recorder struct{ got []string }

func (r *recorder) RoundTrip(q *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return nil, err
	}
	var head strings.Builder
	for _, name := range []string{"Authorization", "Access-Token", "X-Gotify-Key", "Title", "Priority", "X-Own"} {
		if v := q.Header.Get(name); v != "" {
			fmt.Fprintf(&head, " %s=%s", name, v)
		}
	}
	r.got = append(r.got, q.Method+" "+q.URL.String()+head.String()+" "+string(body))
	answer := `{"ok":true,"access_token":"T","room_id":"!r:h"}`
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: q}, nil
}

const office = "11111111-4444-4444-8444-cccccccccccc"

// TestServices sends one message over each service that has a URL, and looks at
// where it goes, as whom, and with what.
func TestServices(t *testing.T) {
	const token = "AAAAAAAAA-BBBBBBBBB-123456789123456789123456"
	for _, tt := range []struct {
		url  string
		want []string // what the requests say, one each
	}{
		{"bark://:K@bark.example/sub?sound=bell", []string{`POST https://bark.example/sub/push {"body":"x\nL","device_key":"K","sound":"bell","title":"T","url":"L"}`}},
		{"discord://TOK@123?thread_id=9", []string{`POST https://discord.com/api/webhooks/123/TOK?thread_id=9 {"allowed_mentions":{"parse":[]},"content":"T\nx\nL"}`}},
		{"generic://h.example/a?b=c", []string{`POST https://h.example/a?b=c x` + "\nL"}},
		{"generic://h.example/a?disabletls=yes&template=JSON&@X-Own=v&$team=ops&messagekey=text", []string{`POST http://h.example/a X-Own=v {"team":"ops","text":"x\nL","title":"T"}`}},
		{"googlechat://chat.googleapis.com/v1/spaces/S/messages?key=K&token=T", []string{`POST https://chat.googleapis.com/v1/spaces/S/messages?key=K&token=T {"text":"T\nx\nL"}`}},
		{"gotify://h.example:8080/sub/Atoken?priority=5&disabletls=yes", []string{`POST http://h.example:8080/sub/message X-Gotify-Key=Atoken {"message":"x\nL","priority":5,"title":"T"}`}},
		{"matrix://:tok@h.example/?rooms=!r:h,ops", []string{
			`POST https://h.example/_matrix/client/v3/join/%21r:h Authorization=Bearer tok {}`,
			`PUT https://h.example/_matrix/client/v3/rooms/%21r:h/send/m.room.message/msg_1 Authorization=Bearer tok {"body":"T\nx\nL","msgtype":"m.text"}`,
			`POST https://h.example/_matrix/client/v3/join/%23ops Authorization=Bearer tok {}`,
			`PUT https://h.example/_matrix/client/v3/rooms/%21r:h/send/m.room.message/msg_1 Authorization=Bearer tok {"body":"T\nx\nL","msgtype":"m.text"}`}},
		{"matrix://bot:pw@h.example/?rooms=!r:h", []string{
			`POST https://h.example/_matrix/client/v3/login {"identifier":{"type":"m.id.user","user":"bot"},"password":"pw","type":"m.login.password"}`,
			`POST https://h.example/_matrix/client/v3/join/%21r:h Authorization=Bearer T {}`,
			`PUT https://h.example/_matrix/client/v3/rooms/%21r:h/send/m.room.message/msg_1 Authorization=Bearer T {"body":"T\nx\nL","msgtype":"m.text"}`}},
		{"mattermost://bot@h.example/TOK/ops", []string{`POST https://h.example/hooks/TOK {"channel":"ops","text":"T\nx\nL","username":"bot"}`}},
		{"ntfy://u:p@ntfy.sh/topic?Priority=high", []string{`POST https://ntfy.sh/topic Authorization=Basic dTpw Title=T Priority=high x` + "\nL"}},
		{"opsgenie://api.eu.opsgenie.com/KEY", []string{`POST https://api.eu.opsgenie.com/v2/alerts Authorization=GenieKey KEY {"alias":"msg_1","description":"x\nL","message":"T","tags":[]}`}},
		{"pagerduty:///KEY?severity=warning", []string{`POST https://events.pagerduty.com/v2/enqueue {"dedup_key":"msg_1","event_action":"trigger","payload":{"severity":"warning","source":"exeat","summary":"T\nx\nL"},"routing_key":"KEY"}`}},
		{"pushbullet://TOK/a@b.example", []string{`POST https://api.pushbullet.com/v2/pushes Access-Token=TOK {"body":"x\nL","email":"a@b.example","title":"T","type":"note"}`}},
		{"pushbullet://TOK/#chan", []string{`POST https://api.pushbullet.com/v2/pushes Access-Token=TOK {"body":"x\nL","channel_tag":"chan","title":"T","type":"note"}`}},
		{"pushover://shoutrrr:TOK@USER/?devices=a,b", []string{`POST https://api.pushover.net/1/messages.json device=a%2Cb&message=x%0AL&title=T&token=TOK&user=USER`}},
		{"rocketchat://bot@h.example:3000/A/B/ops", []string{`POST https://h.example:3000/hooks/A/B {"channel":"#ops","text":"T\nx\nL","username":"bot"}`}},
		{"signal://localhost:8080/+491/+492?disabletls=yes&token=k", []string{`POST http://localhost:8080/v2/send Authorization=Bearer k {"message":"T\nx\nL","number":"+491","recipients":["+492"]}`}},
		{"slack://hook:" + token + "@webhook", []string{`POST https://hooks.slack.com/services/AAAAAAAAA/BBBBBBBBB/123456789123456789123456 {"mrkdwn":false,"text":"T\nx\nL","unfurl_links":false}`}},
		{"slack://bot@" + strings.ReplaceAll(token, "-", "/"), []string{`POST https://hooks.slack.com/services/AAAAAAAAA/BBBBBBBBB/123456789123456789123456 {"mrkdwn":false,"text":"T\nx\nL","unfurl_links":false,"username":"bot"}`}},
		{"slack://xoxb:" + token + "@C01", []string{`POST https://slack.com/api/chat.postMessage Authorization=Bearer xoxb-` + token + ` {"channel":"C01","mrkdwn":false,"text":"T\nx\nL","unfurl_links":false}`}},
		{"teams://" + office + "@T/A/O/V2x?host=acme.webhook.office.com", []string{`POST https://acme.webhook.office.com/webhookb2/` + office + `@T/IncomingWebhook/A/O/V2x ` +
			`{"@context":"https://schema.org/extensions","@type":"MessageCard","sections":[{"markdown":false,"text":"x\n\nL"}],"summary":"T","title":"T"}`}},
		{"telegram://1:AA@telegram?chats=7,-100:3&notification=no", []string{
			`POST https://api.telegram.org/bot1:AA/sendMessage {"chat_id":"7","disable_notification":true,"disable_web_page_preview":false,"text":"T\nx\nL"}`,
			`POST https://api.telegram.org/bot1:AA/sendMessage {"chat_id":"-100","disable_notification":true,"disable_web_page_preview":false,"message_thread_id":"3","text":"T\nx\nL"}`}},
		{"zulip://bot%40h.example:KEY@h.example/?stream=ops", []string{`POST https://h.example/api/v1/messages Authorization=Basic Ym90QGguZXhhbXBsZTpLRVk= content=T%0Ax%0AL&to=ops&topic=exeat&type=stream`}},
	} {
		r := &recorder{}
		c, err := newChannel("x", tt.url, newClient(r))
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		if err := c.Send(t.Context(), Message{ID: "msg_1", Title: "T", Text: "x", Link: "L"}); err != nil {
			t.Errorf("%s: %v", tt.url, err)
		}
		if got, want := strings.Join(r.got, "\n"), strings.Join(tt.want, "\n"); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.url, got, want)
		}
	}
}

// What some services say with status 200 is a no all the same.
func TestServicesSayNo(t *testing.T) {
	r := newReceiver(t)
	r.answers(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"ok":false,"error":"invalid_auth s3cr3t"}`)
	})
	for _, u := range []string{"telegram://1:AA@telegram?chats=7", "slack://xoxb:AAAAAAAAA-BBBBBBBBB-123456789123456789123456@C01", "matrix://bot:pw@h.example/?rooms=!r:h"} {
		c, err := newChannel("x", u, newClient(everywhere{r, map[string]bool{}}))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Send(t.Context(), Message{ID: "1", Title: "t", Text: "x"}); err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", u, err)
		}
	}
}

// FuzzNewChannel looks for URLs that crash, or come back in an error.
func FuzzNewChannel(f *testing.F) {
	for scheme := range services {
		f.Add(scheme+"://", "s3cr3t")
		f.Add(scheme+"://a:b@c/d?", "s3cr3t=1")
		f.Add(scheme+"://", "s3cr3t@s3cr3t/s3cr3t/s3cr3t?to=s3cr3t&from=s3cr3t&rooms=s3cr3t")
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		if _, err := NewChannel("x", before+after); err != nil && strings.Contains(after, "s3cr3t") && strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q: %v", before+after, err)
		}
	})
}
