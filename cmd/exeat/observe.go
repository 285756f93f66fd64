package main

import (
	"io"

	"github.com/rs/zerolog"

	"github.com/exeat/exeat/tools"
)

// newLogger logs to w, which is stderr: stdout belongs to the protocol. No line is
// long, whoever chose what is in it.
func newLogger(format string, w io.Writer) zerolog.Logger {
	if format == "console" {
		w = consoleLines{w}
	}
	return zerolog.New(cutLines{w}).With().Timestamp().Logger()
}

// observe writes the one wide line of a call.
func (g *gateway) observe(e tools.Event) {
	level := zerolog.InfoLevel
	hint := g.hintRefused(e.API, e.HTTP)
	if e.Err != nil || hint != "" {
		level = zerolog.WarnLevel
	}
	l := g.log.WithLevel(level).Str("status", string(e.Status))
	for _, f := range []struct{ key, value string }{
		{"tool", e.Tool}, {"api", e.API}, {"principal", e.Subject}, {"agent", e.Agent}, {"decision", string(e.Decision)},
		{"code", string(e.Code)}, {"hold", e.Handle}, {"txn", e.Txn}, {"api_asks", e.Asks},
	} {
		if f.value != "" {
			l = l.Str(f.key, f.value)
		}
	}
	if len(e.Policies) > 0 {
		l = l.Strs("policies", e.Policies)
	}
	if e.HTTP != 0 {
		l = l.Int("http_status", e.HTTP)
	}
	if hint != "" {
		l = l.Str("hint", hint)
	}
	if e.Duration > 0 {
		l = l.Dur("ms", e.Duration)
	}
	l.Err(e.Err).Msg("call")
}
