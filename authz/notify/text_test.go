package notify

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/plaintext"
	"github.com/exeat/exeat/store"
)

func noticeOf(id string) store.Notice { return store.Notice{ID: id} }

func TestClean(t *testing.T) {
	tests := []struct{ in, want string }{
		{"claude-desktop", "claude-desktop"},
		{"Claude Desktop 1.2", "Claude Desktop 1·2"},
		{"<!channel>", "channel"},
		{"<@U123|boss> & <#C1>", "U123 boss C1"},
		{"[click](http://evil.example/a?b=c)", "click http evil·example/a?b c"},
		{"@everyone @here", "everyone here"},
		{"*bold* _it_ ~no~ `code` ||x||", "bold it no code x"},
		{"https://evil.example", "https evil·example"},
		{"www.evil.example", "www·evil·example"},
		{"/start now", "start now"},
		{":skull: evil", "skull: evil"},
		{"one\ntwo\r\nSubject: three", "one two Subject: three"},
		{"a\u202eb\u200bc\u2066d", "a b c d"},
		{"\u05e9\u05dc\u05d5\u05dd x", "???? x"},
		{"evil\u3002example", "evil example"},
		{"ｅｖｉｌ．ｃｏｍ", ""},
		{"- item", "item"},
		{"pet_id {pet_id}", "pet_id {pet_id}"},
		{"Größe ändern", "Größe ändern"},
		{"ペットを消す", "ペットを消す"},
		{"<a href='x'>y</a><script>", "a href 'x' y a script"},
		{"", ""},
		{strings.Repeat("x", 200), strings.Repeat("x", 59) + "…"},
	}
	for _, tt := range tests {
		if got := plaintext.Clean(tt.in, maxAgent); got != tt.want {
			t.Errorf("clean(%q) = %q, want %q", tt.in, got, tt.want)
		}
		harmless(t, plaintext.Clean(tt.in, maxAgent), maxAgent)
	}
}

// linked finds what some channel would make a link, mention, emoji or command.
var linked = regexp.MustCompile(`[<>&@#*~\x60\[\]()|\\$"^=+!]|[\pL\d]\.[\pL\d]|://|//|:[\pL\d]|[\pL\d]:[\pL\d]|(^|\s)[/_]|[/_](\s|$)|^-|\pC`)

func harmless(t *testing.T, s string, most int) {
	t.Helper()
	if found := linked.FindString(s); found != "" {
		t.Errorf("%q holds %q", s, found)
	}
	if utf8.RuneCountInString(s) > most || !utf8.ValidString(s) {
		t.Errorf("%q is too long, or no text", s)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			t.Errorf("%q holds %U", s, r)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"<!channel>", "[click](http://evil.example)", "a.b", "_/x", "..//::", "\u202e.x", "x\xff.y", "{.}", "}/{", "é.é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { harmless(t, plaintext.Clean(s, maxAgent), maxAgent) })
}

// everywhere sends what libraries send anywhere to one server.
type everywhere struct {
	to    *receiver
	hosts map[string]bool
}

func (e everywhere) RoundTrip(r *http.Request) (*http.Response, error) {
	e.hosts[r.URL.Host] = true
	own := r.Clone(r.Context())
	own.URL.Scheme, own.URL.Host = "http", e.to.Listener.Addr().String()
	return direct().RoundTrip(own)
}

const evilAgent = "<!channel> [click](http://evil.example) @everyone *now* <b>\u202e"

// What an agent calls itself arrives as plain text, whatever the service makes
// of text.
func TestServicesGetPlainText(t *testing.T) {
	w, r := newWorld(t), newReceiver(t)
	hosts := map[string]bool{}
	client := newClient(everywhere{r, hosts})
	h := call(alice, "k1")
	h.Agent, _ = json.Marshal(authz.Agent{ID: evilAgent})
	n := w.notifier()
	n.c.Describe = func(string, string) (string, string, string) {
		return "DELETE", "/pets/{id}", "Delete [all](http://evil.example) <!here> pets"
	}
	m := n.machine(noticeOf("msg_1"), h, noon)
	for _, c := range []struct{ url, answer string }{
		{"slack://hook:AAAAAAAAA-BBBBBBBBB-123456789123456789123456@webhook", "ok"},
		{"generic://team.example/hook?template=json", ""},
		{"telegram://110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw@telegram?chats=1", `{"ok":true,"result":{}}`},
		{"discord://token@123456789", ""},
		{"teams://11111111-4444-4444-8444-cccccccccccc@22222222-4444-4444-8444-cccccccccccc/33333333012222222222333333333344/44444444-4444-4444-8444-cccccccccccc/V2ESyij_gAljSoUQHvZoZYzlpAoAXExyOl26dlf1xHEx05?host=acme.webhook.office.com", ""},
	} {
		r.answers(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, c.answer) })
		ch, err := newChannel("x", c.url, client)
		if err != nil {
			t.Fatal(err)
		}
		if err := ch.Send(t.Context(), m); err != nil {
			t.Errorf("%s: %v", c.url, err)
		}
		got, _ := r.taken()
		if len(got) != 1 {
			t.Fatalf("%s: %d messages", c.url, len(got))
		}
		plain(t, got[0])
	}
	for _, host := range []string{"hooks.slack.com", "team.example", "api.telegram.org", "discord.com", "acme.webhook.office.com"} {
		if !hosts[host] {
			t.Errorf("nothing for %s, but for %v", host, hosts)
		}
	}
}

// plain fails unless a message as a service got it is only text and our link.
func plain(t *testing.T, body string) {
	t.Helper()
	for _, bad := range []string{"<!", "u003c!", "](", "@everyone", "evil.example", "*now*", "\u202e", "u202e", "<b>"} {
		if strings.Contains(body, bad) {
			t.Errorf("%q in %s", bad, body)
		}
	}
	for _, good := range []string{"DELETE petstore/pets/{id}", "evil·example", "/h/"} {
		if !strings.Contains(body, good) {
			t.Errorf("no %q in %s", good, body)
		}
	}
	for _, secret := range []string{"force=true", "/pets/42", `"id":42`} {
		if strings.Contains(body, secret) {
			t.Errorf("an argument: %q in %s", secret, body)
		}
	}
}

func TestMail(t *testing.T) {
	w := newWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	mail := make(chan string, 1)
	go serveMail(l, mail)
	c, err := NewChannel("mail", "smtp://"+l.Addr().String()+"/?from=exeat@example.com&to=alice@example.com&auth=none&encryption=none&usestarttls=no")
	if err != nil {
		t.Fatal(err)
	}
	h := call(alice, "k1")
	h.Agent, _ = json.Marshal(authz.Agent{ID: evilAgent + "\r\nBcc: all@example.com\r\n\r\n"})
	if err := c.Send(t.Context(), w.notifier().machine(noticeOf("msg_1"), h, noon)); err != nil {
		t.Fatal(err)
	}
	got := <-mail
	head, body, _ := strings.Cut(got, "\r\n\r\n")
	head += "\r\n"
	if !strings.Contains(head, "Subject: exeat: a call waits for you\r\n") || strings.Contains(head, "Bcc") || strings.Contains(head, "evil") {
		t.Error(head)
	}
	plain(t, strings.ReplaceAll(strings.ReplaceAll(body, "=\r\n", ""), "=C2=B7", "·"))
}

// A mail server that never says a word is left when the time is over.
func TestMailServerHangs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	left := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		conn, err := l.Accept()
		if cancel(); err == nil {
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		left <- err
	}()
	c, err := NewChannel("mail", "smtp://"+l.Addr().String()+"/?from=exeat@example.com&to=alice@example.com&auth=none&encryption=none&usestarttls=no")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send(ctx, Message{Title: "t", Text: "x"}); err == nil {
		t.Error("a server that says nothing took a message")
	}
	if err := <-left; !errors.Is(err, io.EOF) {
		t.Errorf("the connection is not closed: %v", err)
	}
}

// serveMail takes one message as a mail server does.
func serveMail(l net.Listener, mail chan<- string) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "220 mail.example ESMTP\r\n")
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		switch {
		case err != nil:
			return
		case strings.HasPrefix(line, "DATA"):
			fmt.Fprint(conn, "354 go on\r\n")
			var b strings.Builder
			for line != ".\r\n" && err == nil {
				line, err = in.ReadString('\n')
				b.WriteString(line)
			}
			mail <- b.String()
			fmt.Fprint(conn, "250 taken\r\n")
		case strings.HasPrefix(line, "QUIT"):
			fmt.Fprint(conn, "221 bye\r\n")
			return
		default:
			fmt.Fprint(conn, "250 mail.example\r\n")
		}
	}
}

func TestNewChannel(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"https://s3cr3t.example/x", "secret_env"},
		{"nowhere://s3cr3t", "does not name a service"},
		{"logger://", "not a channel"},
		{"ntfy://s3cr3t.example", "lacks a part"},
		{"telegram://110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw@telegram?chats=1&ParseMode=HTML", "parsemode"},
		{"://s3cr3t", "cannot be read"},
		{"slack://s3cr3t\x00", "cannot be read"},
		{"", "does not name a service"},
	} {
		_, err := NewChannel("team", tt.url)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "team") || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q: %v, want it to say %q", tt.url, err, tt.want)
		}
	}
	for _, tt := range []struct{ url, secret, want string }{
		{"http://hooks.example/s3cr3t", hookSecret, "must be https"},
		{"ftp://127.0.0.1/s3cr3t", hookSecret, "must be https"},
		{"https://hooks.example/s3cr3t", "s3cr3t", "openssl rand"},
		{"https://hooks.example/s3cr3t", "whsec_c2hvcnQ=", "openssl rand"},
	} {
		_, err := NewWebhook("siem", tt.url, tt.secret)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q: %v, want it to say %q", tt.url, err, tt.want)
		}
	}
}
