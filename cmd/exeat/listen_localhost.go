package main

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// localhostIPs are the two addresses that the name localhost leads to.
var localhostIPs = []string{"127.0.0.1", "::1"}

// listenTries bounds how often a free port is looked for at both addresses.
const listenTries = 16

// listenLocalhost listens at port of host, and at the other address of localhost,
// so that no other user of the machine can be who is called localhost. If the
// other address cannot be had, that is an error where named is set, since people
// are led to it, and otherwise it is left alone.
func listenLocalhost(host, port string, named bool) (net.Listener, error) {
	var failed error
	for range listenTries {
		l, err := net.Listen("tcp", net.JoinHostPort(host, port))
		if err != nil {
			return nil, err
		}
		_, got, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		other, err := net.Listen("tcp", net.JoinHostPort(otherLocalhost(host), got))
		switch {
		case err == nil:
			return join(l, other), nil
		case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EAFNOSUPPORT): // then nobody can be there
			return &joined{Listener: l, whole: true}, nil
		case !named:
			return l, nil
		}
		failed = fmt.Errorf("localhost is 127.0.0.1 and [::1], and whoever has %s would be called localhost, too (%w)", net.JoinHostPort(otherLocalhost(host), got), err)
		l.Close()
		if port != "0" {
			break
		}
	}
	return nil, failed
}

func otherLocalhost(host string) string {
	if host == localhostIPs[0] {
		return localhostIPs[1]
	}
	return localhostIPs[0]
}

// isWhole reports whether a listener has all addresses of localhost.
func isWhole(l net.Listener) bool {
	j, ok := l.(*joined)
	return ok && j.whole
}

// joined is one listener out of one or two.
type joined struct {
	net.Listener // the first; its address is the joined one's
	other        net.Listener
	whole        bool // all of localhost
	accepted     chan accepted
	closed       chan struct{}
	close        func() error
}

type accepted struct {
	conn net.Conn
	err  error
}

func join(l, other net.Listener) *joined {
	j := &joined{Listener: l, other: other, whole: true, accepted: make(chan accepted), closed: make(chan struct{})}
	j.close = sync.OnceValue(func() error {
		close(j.closed)
		return errors.Join(l.Close(), other.Close())
	})
	for _, each := range []net.Listener{l, other} {
		go j.accept(each)
	}
	return j
}

// accept hands on what one listener takes until the joined one is closed.
func (j *joined) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		select {
		case j.accepted <- accepted{conn, err}:
		case <-j.closed:
			if err == nil {
				conn.Close()
			}
			return
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// Accept returns the next connection to either address.
func (j *joined) Accept() (net.Conn, error) {
	if j.other == nil {
		return j.Listener.Accept()
	}
	select {
	case a := <-j.accepted:
		return a.conn, a.err
	case <-j.closed:
		return nil, net.ErrClosed
	}
}

// Close frees both addresses.
func (j *joined) Close() error {
	if j.other == nil {
		return j.Listener.Close()
	}
	return j.close()
}
