package edge

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/refresh"
)

// Files name the PEM files of a server's TLS.
type Files struct {
	Cert     string // with the chain
	Key      string
	ClientCA string // whose client certificates are taken; "" asks for none
}

// certificates are what the files held when they were last whole.
type certificates struct {
	files     Files
	protocols []string // by ALPN
	name      func(string) string
	kept      *refresh.Files[*tls.Config]
}

// newCertificates reads the files for the first time.
func newCertificates(c Config) (*certificates, error) {
	t := &certificates{files: c.TLS, name: c.Name, protocols: []string{"http/1.1"}}
	if c.HTTP2 {
		t.protocols = []string{"h2", "http/1.1"}
	}
	trouble := func(err error) {
		c.Trouble(fmt.Errorf("TLS: the new files cannot be used, so the certificate from before goes on: %w", err))
	}
	now, err := c.now, error(nil)
	if now == nil {
		now = time.Now
	}
	t.kept, err = refresh.NewFiles([]string{c.TLS.Cert, c.TLS.Key, c.TLS.ClientCA}, now, trouble, t.read)
	return t, err
}

// server is the TLS of a listener.
func (t *certificates) server() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return t.kept.Get(), nil
	}}
}

// read makes the configuration out of what the files hold now.
func (t *certificates) read() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(t.files.Cert, t.files.Key)
	if err != nil {
		return nil, fmt.Errorf("%s, %s: %w", t.name("tls.cert"), t.name("tls.key"), err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: t.protocols, Certificates: []tls.Certificate{pair}}
	if t.files.ClientCA == "" {
		return config, nil
	}
	pem, err := os.ReadFile(t.files.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.name("tls.client_ca"), err)
	}
	config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: %s holds no certificate", t.name("tls.client_ca"), t.files.ClientCA)
	}
	// A session that is resumed does not ask again whose certificates are taken.
	config.SessionTicketsDisabled = true
	return config, nil
}

// expiresSoon is how long before its end a certificate is spoken of.
const expiresSoon = 14 * 24 * time.Hour

// CheckCertificate says what clients of host will not like about a certificate,
// or will not for long.
func CheckCertificate(f Files, host string, now time.Time) error {
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return err
	}
	leaf, wrong := pair.Leaf, []string(nil)
	if host != "" {
		if err := leaf.VerifyHostname(host); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	day := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	switch left := leaf.NotAfter.Sub(now); {
	case left <= 0:
		wrong = append(wrong, "it ended on "+day(leaf.NotAfter))
	case now.Before(leaf.NotBefore):
		wrong = append(wrong, "it begins on "+day(leaf.NotBefore)+" only")
	case left < expiresSoon:
		wrong = append(wrong, fmt.Sprintf("it ends in %d days, on %s: renew it; a running exeat takes the new files by itself", int(left.Hours()/24), day(leaf.NotAfter)))
	}
	if len(wrong) == 0 {
		return nil
	}
	return errors.New(strings.Join(wrong, "; "))
}
