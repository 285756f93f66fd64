package reach

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// Way is how somewhere is reached: what dials, and which TLS is spoken. The zero value
// dials directly, and believes whom the system believes.
type Way struct {
	Dial DialFunc // nil means [Within] ten seconds
	// Tunnel dials what TLS is spoken with, in place of Dial, such as [Through]: what
	// has no TLS is told to no proxy.
	Tunnel DialFunc
	TLS    func() *tls.Config // of a connection that begins now; nil means the system's
}

// IsZero reports whether there is nothing to say.
func (w Way) IsZero() bool { return w.Dial == nil && w.Tunnel == nil && w.TLS == nil }

// handshake bounds a TLS handshake.
const handshake = 10 * time.Second

// Dialer is for http.Transport.DialContext.
func (w Way) Dialer() DialFunc {
	if w.Dial == nil {
		return Within(10 * time.Second)
	}
	return w.Dial
}

// TLSDialer is for http.Transport.DialTLSContext, which is nil where there is nothing
// to say about TLS.
func (w Way) TLSDialer() DialFunc {
	if w.TLS == nil && w.Tunnel == nil {
		return nil
	}
	dial := w.Tunnel
	if dial == nil {
		dial = w.Dialer()
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		config := &tls.Config{MinVersion: tls.VersionTLS12}
		if w.TLS != nil {
			config = w.TLS().Clone()
		}
		config.ServerName, config.NextProtos = host, []string{"h2", "http/1.1"}
		ctx, cancel := context.WithTimeout(ctx, handshake)
		defer cancel()
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		return secured, nil
	}
}
