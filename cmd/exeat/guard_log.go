package main

import (
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/exeat/exeat/authz/tally"
	"github.com/exeat/exeat/authz/token"
	"github.com/exeat/exeat/mcpserver/edge"
)

// Refusals that are logged of each code a minute: whoever reaches the guard's port can
// be refused as often as they like.
const (
	refusalsLogged = 60
	moreNotLogged  = "more refusals of this code are not logged within this minute"
)

// guardLog is the log of the guard.
type guardLog struct {
	log      zerolog.Logger
	refusals tally.Counter
}

// decision writes of a request that was let through, or of one of few like it that
// were refused.
func (l *guardLog) decision(r *http.Request, c *token.Claims, refused *token.Refusal) {
	message := "guard"
	if refused != nil {
		switch n := l.refusals.Add(refused.Code, time.Now(), time.Minute); {
		case n > refusalsLogged:
			return
		case n == refusalsLogged:
			message += "; " + moreNotLogged
		}
	}
	l.write(message, r, c, refused)
}

// failure writes that the API did not answer. The request had a token, so nobody
// hides it in a flood, nor makes one of it.
func (l *guardLog) failure(r *http.Request, c *token.Claims, failed *token.Refusal) {
	l.write("upstream", r, c, failed)
}

// write tells of one request, without its query.
func (l *guardLog) write(message string, r *http.Request, c *token.Claims, refused *token.Refusal) {
	e := l.log.Info()
	if refused != nil {
		e = l.log.Warn().Str("code", refused.Code).Int("status", refused.Status).Str("detail", cutText(refused.Detail))
		if refused.Cause != nil {
			e = e.Str("cause", cutText(refused.Cause.Error()))
		}
	}
	switch {
	case c != nil:
		e = e.Str("txn", cutText(c.Txn)).Str("jti", cutText(c.ID)).Str("principal", cutText(c.Subject))
		if c.BodyUnseen {
			e = e.Str("body", "not seen")
		}
	case refused != nil && refused.Txn != "":
		e = e.Str("txn", cutText(refused.Txn))
	}
	if a, ok := edge.ArrivalOf(r); ok {
		e = e.Stringer("client", a.Client)
	}
	e.Str("method", cutText(r.Method)).Str("path", cutText(r.URL.EscapedPath())).Msg(message)
}
