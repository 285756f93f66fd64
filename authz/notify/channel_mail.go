package notify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/mail"
	"net/smtp"
	"strings"
	"time"

	"github.com/exeat/exeat/openapi/reach"
)

// mailbox is a mail server and whom to write to.
type mailbox struct {
	host, port string
	user       string
	password   string
	auth       string // none, plain or crammd5
	implicit   bool   // TLS from the first byte
	start      bool   // STARTTLS if the server has it
	mustStart  bool   // and no mail without it
	client     string // what we call ourselves
	from       mail.Address
	to         []*mail.Address
}

// newMail: smtp://[USER:PASSWORD@]HOST[:PORT]/?from=A&to=B,C. The certificate is
// always checked.
func newMail(a *address) (sender, error) {
	b := &mailbox{host: a.Hostname(), port: cmp.Or(a.Port(), "25"), user: a.User.Username(), password: a.password(),
		client: cmp.Or(a.option("clienthost"), "localhost"), start: a.option("usestarttls", "starttls") == "" || a.yes("usestarttls", "starttls"),
		mustStart: a.yes("requirestarttls")}
	from, err := mail.ParseAddress(strings.ReplaceAll(a.option("from", "fromaddress"), " ", "+"))
	if err != nil || b.host == "" {
		return nil, errLacks
	}
	b.from = mail.Address{Name: a.option("fromname"), Address: from.Address}
	for _, to := range a.list("to", "toaddresses") {
		address, err := mail.ParseAddress(strings.ReplaceAll(to, " ", "+"))
		if err != nil {
			return nil, errLacks
		}
		b.to = append(b.to, address)
	}
	switch encryption := strings.ToLower(a.option("encryption")); encryption {
	case "", "auto":
		b.implicit = b.port == "465"
	case "implicittls":
		b.implicit = true
	case "none", "explicittls":
	default:
		return nil, errLacks
	}
	switch b.auth = strings.ToLower(a.option("auth")); b.auth {
	case "", "unknown":
		b.auth = "none"
		if b.user != "" {
			b.auth = "plain"
		}
	case "none", "plain", "crammd5":
	default:
		return nil, errLacks
	}
	if len(b.to) == 0 {
		return nil, errLacks
	}
	return b.send, nil
}

func (b *mailbox) send(ctx context.Context, _ *http.Client, m Message) error {
	conn, err := b.dial(ctx)
	if err != nil {
		return err
	}
	// Whatever net/smtp waits for, it ends with ctx.
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer conn.Close()
	if err := b.speak(conn, m); ctx.Err() != nil {
		return ctx.Err()
	} else if err != nil {
		return err
	}
	return nil
}

func (b *mailbox) dial(ctx context.Context) (net.Conn, error) {
	conn, err := reach.Within(10*time.Second)(ctx, "tcp", net.JoinHostPort(b.host, b.port))
	if err != nil || !b.implicit {
		return conn, err
	}
	within, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	secure := tls.Client(conn, b.tls())
	if err := secure.HandshakeContext(within); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

func (b *mailbox) tls() *tls.Config {
	return &tls.Config{ServerName: b.host, MinVersion: tls.VersionTLS12}
}

// speak says all that a mail server wants to hear. The errors of others hold what
// it answered and are not shown: explainSend sees to that.
func (b *mailbox) speak(conn net.Conn, m Message) error {
	c, err := smtp.NewClient(conn, b.host)
	if err != nil {
		return err
	}
	if err := c.Hello(b.client); err != nil {
		return err
	}
	if err := b.secure(c); err != nil {
		return err
	}
	switch b.auth {
	case "plain":
		err = c.Auth(smtp.PlainAuth("", b.user, b.password, b.host))
	case "crammd5":
		err = c.Auth(smtp.CRAMMD5Auth(b.user, b.password))
	}
	if err != nil {
		return err
	}
	for _, to := range b.to {
		if err := b.deliver(c, to, m); err != nil {
			return err
		}
	}
	_ = c.Quit() // the mail is taken already
	return nil
}

// secure begins TLS where it is wanted and not begun yet.
func (b *mailbox) secure(c *smtp.Client) error {
	if b.implicit || !b.start && !b.mustStart {
		return nil
	}
	if has, _ := c.Extension("STARTTLS"); has {
		return c.StartTLS(b.tls())
	}
	if b.mustStart {
		return errTLS
	}
	return nil
}

func (b *mailbox) deliver(c *smtp.Client, to *mail.Address, m Message) error {
	if err := c.Mail(b.from.Address); err != nil {
		return err
	}
	if err := c.Rcpt(to.Address); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(b.letter(to, m, time.Now())); err != nil {
		return err
	}
	return w.Close()
}

// letter is the message as RFC 5322 wants it.
func (b *mailbox) letter(to *mail.Address, m Message, at time.Time) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMIME-Version: 1.0\r\n", b.from.String(), to.String(),
		mime.QEncoding.Encode("utf-8", m.Title), at.Format(time.RFC1123Z))
	fmt.Fprint(&out, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
	text := quotedprintable.NewWriter(&out)
	fmt.Fprint(text, strings.ReplaceAll(m.body(), "\n", "\r\n")+"\r\n")
	text.Close()
	return out.Bytes()
}
