package edge

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// Files name the PEM files of a server's TLS.
type Files struct {
	Cert     string // with the chain
	Key      string
	ClientCA string // whose client certificates are taken; "" asks for none
}

// lookEvery bounds how often the files are looked at.
const lookEvery = time.Second

// certificates are what the files held when they were last whole.
type certificates struct {
	files   Files
	name    func(string) string
	trouble func(error)
	now     func() time.Time

	mu     sync.Mutex
	config *tls.Config
	looked time.Time
	seen   []os.FileInfo
	failed string // why the files as they are now are not used
}

// newCertificates reads the files for the first time.
func newCertificates(c Config) (*certificates, error) {
	t := &certificates{files: c.TLS, name: c.Name, trouble: c.Trouble, now: time.Now}
	t.seen, _ = t.look()
	config, err := t.read()
	t.config, t.looked = config, t.now()
	return t, err
}

// server is the TLS of a listener.
func (t *certificates) server() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return t.current(), nil
	}}
}

// current is the configuration of a handshake that begins now. A pair that is
// broken leaves the one before in use, which is said once.
func (t *certificates) current() *tls.Config {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if now.Sub(t.looked) < lookEvery {
		return t.config
	}
	t.looked = now
	seen, err := t.look()
	if err == nil && t.failed == "" && sameFiles(seen, t.seen) {
		return t.config
	}
	var config *tls.Config
	if err == nil {
		config, err = t.read()
	}
	if err != nil {
		if text := err.Error(); text != t.failed {
			t.failed = text
			t.trouble(fmt.Errorf("TLS: the new files cannot be used, so the certificate from before goes on: %w", err))
		}
		return t.config
	}
	t.config, t.seen, t.failed = config, seen, ""
	return t.config
}

func (t *certificates) look() ([]os.FileInfo, error) {
	var seen []os.FileInfo
	for _, f := range []string{t.files.Cert, t.files.Key, t.files.ClientCA} {
		if f == "" {
			continue
		}
		info, err := os.Stat(f)
		if err != nil {
			return nil, err
		}
		seen = append(seen, info)
	}
	return seen, nil
}

func sameFiles(a, b []os.FileInfo) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !os.SameFile(a[i], b[i]) || a[i].Size() != b[i].Size() || !a[i].ModTime().Equal(b[i].ModTime()) {
			return false
		}
	}
	return true
}

// read makes the configuration out of what the files hold now.
func (t *certificates) read() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(t.files.Cert, t.files.Key)
	if err != nil {
		return nil, fmt.Errorf("%s, %s: %w", t.name("tls.cert"), t.name("tls.key"), err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, Certificates: []tls.Certificate{pair}}
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
