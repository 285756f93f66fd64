package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/openapi/reach"
)

// checkOptions are the flags of the door where a proxy asks.
type checkOptions struct {
	addr   string
	secret secretSource
	unseen []string
}

func (o *checkOptions) flags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&o.addr, "check", "", "answer a proxy that asks on `ADDR`, a loopback address or unix:PATH")
	fs.StringVar(&o.secret.env, "check-secret-env", "", "answer only who knows the secret in the environment variable `NAME`")
	fs.StringVar(&o.secret.file, "check-secret-file", "", "answer only who knows the secret in the `FILE`")
	fs.StringArrayVar(&o.unseen, "check-unseen-body", nil, "let `REQUEST` pass although the proxy does not show its body: \"POST /uploads\", or with all below \"POST /uploads/*\" (repeatable)")
}

// handler answers what the proxy asks.
func (o *checkOptions) handler(g *token.Guard) (http.Handler, error) {
	if o.secret.isZero() {
		return nil, errors.New("pass --check-secret-env or --check-secret-file: whoever may ask is told the API's key, and can spend tokens, so the proxy has to prove that it is the one")
	}
	secret, err := o.secret.read("--check-secret-")
	if err != nil {
		return nil, err
	}
	how := token.Checks{Secret: secret}
	for _, s := range o.unseen {
		u, err := token.ParseUnseenBody(s)
		if err != nil {
			return nil, fmt.Errorf("--check-unseen-body: %w", err)
		}
		how.Unseen = append(how.Unseen, u)
	}
	return g.CheckHandler(how)
}

// listen takes the address where the proxy asks. What is said there is for one
// machine, so no other can come: a certificate would say who answers, not who asks.
func (o *checkOptions) listen() (net.Listener, error) {
	if path, ok := strings.CutPrefix(o.addr, "unix:"); ok {
		return listenUnix(path)
	}
	host, _, err := net.SplitHostPort(o.addr)
	if ip := net.ParseIP(host); err != nil || !reach.IsLocalhost(host) && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("--check %s: a proxy asks on the guard's own machine: write 127.0.0.1:8431, or unix:PATH for a socket", o.addr)
	}
	return listen(o.addr)
}

// at is where the proxy asks.
func (o *checkOptions) at(l net.Listener) string {
	if strings.HasPrefix(o.addr, "unix:") {
		return o.addr
	}
	return l.Addr().String()
}

// listenUnix makes a socket that its user and group can use. A guard that was killed
// leaves its socket behind, which is replaced; one that answers is not.
func listenUnix(path string) (net.Listener, error) {
	said := func(err error) error { return fmt.Errorf("--check unix:%s: %w", path, err) }
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != os.ModeSocket {
			return nil, said(errors.New("there is something that is no socket"))
		}
		if conn, err := reach.Within(time.Second)(context.Background(), "unix", path); err == nil {
			conn.Close()
			return nil, said(errors.New("another program answers there"))
		}
	}
	// Nobody can use it before its mode is set: it is made in a folder of its own.
	private, err := os.MkdirTemp(filepath.Dir(path), ".guard-")
	if err != nil {
		return nil, said(err)
	}
	defer os.RemoveAll(private)
	made := filepath.Join(private, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, said(err)
	}
	l.SetUnlinkOnClose(false) // it has another name by then, and maybe another guard
	if err := errors.Join(os.Chmod(made, 0o660), os.Rename(made, path)); err != nil {
		l.Close()
		return nil, said(err)
	}
	return l, nil
}
