package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/credential"
	"github.com/exeat/exeat/authz/refresh"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/openapi/reach"
)

// proxy is how calls and token requests leave this network; nil is directly.
func (v *valueConfig) proxy() (reach.Proxy, error) {
	if v == nil || v.isText() && v.text == "none" {
		return nil, nil
	}
	if v.isText() && v.text == "environment" {
		return reach.EnvironmentProxy, nil
	}
	text, err := v.read()
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	u, err := reach.ParseProxy(text)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w, or environment, or none", err)
	}
	if v.isText() && u.User != nil {
		return nil, errors.New("proxy: its URL has a user or a password, which do not belong into this file: put the whole URL where secrets are, and write proxy: {env: NAME}, or file or command")
	}
	return reach.FixedProxy(u), nil
}

// proxied is the configuration as it is for one API.
func (a apiConfig) proxied(cfg config) config {
	if a.Proxy != nil {
		cfg.Proxy = a.Proxy
	}
	return cfg
}

// way is how the calls of a document reach their API. direct dials what needs no proxy.
func (a apiConfig) way(cfg config, doc *openapi.API, direct *reach.Dialer, trouble func(error)) (way reach.Way, err error) {
	proxy, err := a.proxied(cfg).Proxy.proxy()
	if err != nil {
		return way, err
	}
	if err := checkProxied(proxy, doc.BaseURL); err != nil {
		return way, err
	}
	if proxy != nil && direct != nil {
		way.Tunnel = reach.Through(proxy, direct.Check, direct.DialContext)
	}
	files, err := a.tlsFiles(doc)
	if err == nil {
		way.TLS, err = files.watch(trouble)
	}
	return way, err
}

// proxyOf is the proxy of a base URL; nil is none.
func proxyOf(proxy reach.Proxy, base *url.URL) (*url.URL, error) {
	port := base.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[base.Scheme]
	}
	via, err := proxy.Of(net.JoinHostPort(base.Hostname(), port))
	if err != nil {
		err = fmt.Errorf("proxy: %w", err)
	}
	return via, err
}

// checkProxied reports calls without TLS that would go by a proxy, which could read
// and change them, and what is no proxy.
func checkProxied(proxy reach.Proxy, base string) error {
	u, err := url.Parse(base)
	if err != nil {
		return nil
	}
	via, err := proxyOf(proxy, u)
	if err != nil || via == nil || u.Scheme == "https" {
		return err
	}
	return fmt.Errorf("proxy: calls go to %s without TLS, and the proxy %s could read and change them and their credentials: use https, or give this API proxy: none (with proxy: environment also NO_PROXY=%s)", base, via.Host, u.Hostname())
}

// client asks those who give out credentials, as the configuration says they are
// reached: it names them, so they may be inside this network.
func (use credentialUse) client() (*http.Client, error) {
	proxy, err := use.cfg.Proxy.proxy()
	if err != nil {
		return nil, err
	}
	var way reach.Way
	if proxy != nil {
		way.Tunnel = reach.Through(proxy, nil, reach.Within(10*time.Second))
	}
	if way.TLS, err = use.c.tlsFiles().watch(use.cfg.trouble); err != nil {
		return nil, err
	}
	if way.IsZero() {
		return nil, nil
	}
	return credential.NewClient(way), nil
}

// tlsFiles are the PEM files of TLS to somewhere; empty names are none.
type tlsFiles struct{ ca, cert, key string }

// tlsFiles are those of calls to an API.
func (a apiConfig) tlsFiles(doc *openapi.API) (tlsFiles, error) {
	f := tlsFiles{ca: a.CA}
	if c := a.Certificate; c != nil {
		if f.cert, f.key = c.Cert, c.Key; f.cert == "" && f.key == "" {
			return f, errors.New("client_certificate: give both files, cert and key, in PEM")
		}
	}
	switch plain := !strings.HasPrefix(doc.BaseURL, "https://"); {
	case plain && a.Certificate != nil:
		return f, fmt.Errorf("client_certificate: calls go to %s, which has no TLS to show it in", doc.BaseURL)
	case plain && a.CA != "":
		return f, fmt.Errorf("ca: calls go to %s, which has no TLS to believe anybody in", doc.BaseURL)
	}
	return f, nil
}

// watch returns the TLS of connections that begin now: the files are read again when
// they change. It is nil if there are none.
func (f tlsFiles) watch(trouble func(error)) (func() *tls.Config, error) {
	if f == (tlsFiles{}) {
		return nil, nil
	}
	told := func(err error) {
		if trouble != nil {
			trouble(fmt.Errorf("the new files cannot be used, so those from before go on: %w", err))
		}
	}
	kept, err := refresh.NewFiles([]string{f.ca, f.cert, f.key}, time.Now, told, f.read)
	if err != nil {
		return nil, err
	}
	return kept.Get, nil
}

// read makes TLS of what the files hold now.
func (f tlsFiles) read() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.ca != "" {
		list, err := readCertificates(f.ca)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		for _, c := range list {
			config.RootCAs.AddCert(c)
		}
	}
	if f.cert == "" && f.key == "" {
		return config, nil
	}
	if f.cert == "" || f.key == "" {
		return nil, errors.New("client_certificate: give both files, cert and key, in PEM")
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, fmt.Errorf("client_certificate: %w", err)
	}
	if now := time.Now(); now.After(pair.Leaf.NotAfter) || now.Before(pair.Leaf.NotBefore) {
		return nil, fmt.Errorf("client_certificate: %s is valid from %s to %s, and not now", f.cert, pair.Leaf.NotBefore.Format(time.DateOnly), pair.Leaf.NotAfter.Format(time.DateOnly))
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

// readCertificates reads all certificates of a PEM file.
func readCertificates(file string) (list []*x509.Certificate, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s holds a %s; only certificates belong there", file, strings.ToLower(block.Type))
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d: %w", file, len(list)+1, err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return list, nil
}
