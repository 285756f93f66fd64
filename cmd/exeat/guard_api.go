package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/rs/zerolog"

	"github.com/exeat/exeat/authz/token"
)

// passing are the streams that the guard passes on.
func (o *guardOptions) passing() (token.Streams, error) {
	for _, effect := range o.effects {
		switch effect {
		case token.EffectRead, token.EffectWrite, token.EffectDelete:
		default:
			return token.Streams{}, fmt.Errorf("--effects %q: choose of read, write and delete", effect)
		}
	}
	s := token.Streams{Life: o.streamLife}
	if o.streamLife <= 0 {
		return s, fmt.Errorf("--stream-life %s: streams have to live for some time", o.streamLife)
	}
	for _, name := range o.streams {
		switch name {
		case "sse":
			s.Events = true
		case "websocket":
			s.WebSocket = true
		case "none":
			if len(o.streams) > 1 {
				return s, errors.New("--streams: none goes with no other")
			}
		default:
			return s, fmt.Errorf("--streams %q: choose of sse and websocket, or none", name)
		}
	}
	return s, nil
}

// apiTLS is what is special about TLS to the API.
func (o *guardOptions) apiTLS(log zerolog.Logger) (func() *tls.Config, error) {
	if o.api != (tlsFiles{}) && !strings.HasPrefix(strings.ToLower(o.upstream), "https://") {
		return nil, fmt.Errorf("--upstream-ca, --upstream-cert: requests go to %s, which has no TLS", o.upstream)
	}
	config, err := o.api.watch(func(err error) { log.Error().Err(err).Msg("TLS to the API") })
	if err != nil {
		return nil, fmt.Errorf("--upstream-ca, --upstream-cert, --upstream-key: %w", err)
	}
	return config, nil
}

// maxBodyLimit is the most that --body-limit may be in memory, and maxLargeBody where
// bodies are not there.
const (
	maxBodyLimit = 1 << 30
	maxLargeBody = 1 << 40
)

// bodyPlaces are the values of --bodies.
var bodyPlaces = map[string]token.Bodies{"memory": token.BodiesInMemory, "file": token.BodiesInFiles, "stream": token.BodiesStreamed}

// checkBodies refuses limits that mean nothing.
func (o *guardOptions) checkBodies() error {
	place, ok := bodyPlaces[o.bodies]
	switch {
	case !ok:
		return fmt.Errorf("--bodies %q: choose memory, file or stream", o.bodies)
	case place == token.BodiesInMemory && (o.bodyLimit < 0 || o.bodyLimit > maxBodyLimit):
		return fmt.Errorf("--body-limit %d: choose from 1 to %d bytes, all of which may be in memory for each request under way; or keep them elsewhere, with --bodies file", o.bodyLimit, maxBodyLimit)
	case place != token.BodiesInMemory && (o.bodyLimit <= 1<<20 || o.bodyLimit > maxLargeBody):
		return fmt.Errorf("--bodies %s is for bodies of more than 1 MiB: pass --body-limit, up to %d bytes", o.bodies, int64(maxLargeBody))
	}
	return nil
}

// injection is the API's own key and where it goes.
func (o *guardOptions) injection() (*token.Static, error) {
	source := secretSource{env: o.inject, file: o.injectFile}
	if source.isZero() {
		return nil, nil
	}
	secret, err := source.read("--inject-")
	if err != nil {
		return nil, err
	}
	place := token.Placement{In: "header"}
	kind, name, ok := strings.Cut(o.injectHeader, ":")
	switch {
	case ok && (kind == "query" || kind == "cookie") && name != "":
		place = token.Placement{In: kind, Name: name}
	case ok && kind != "":
		place.Name = kind
		if prefix := strings.TrimSpace(name); prefix != "" {
			place.Prefix = prefix + " "
		}
	default:
		return nil, fmt.Errorf("--inject-as %q: write it as \"X-Api-Key:\", \"Authorization: Bearer\", \"query:NAME\" or \"cookie:NAME\"", o.injectHeader)
	}
	return &token.Static{Placement: place, Secret: secret}, nil
}
