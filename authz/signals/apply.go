package signals

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/claims"
	"github.com/exeat/exeat/store"
)

// effect is what an event does.
type effect int

const (
	tells  effect = iota // nothing, but to be noted
	ends                 // what the name carries ends
	stops                // it ends, and nothing goes until the user is started
	starts               // a stop of this issuer's is lifted
)

// The beginnings of the URIs of events: CAEP 1.0, RISC 1.0, Shared Signals 1.0.
const (
	caep = "https://schemas.openid.net/secevent/caep/event-type/"
	risc = "https://schemas.openid.net/secevent/risc/event-type/"
	ssf  = "https://schemas.openid.net/secevent/ssf/event-type/"
)

// effects are the events that are known. Others are taken and do nothing.
var effects = map[string]effect{
	caep + "session-revoked":       ends,
	caep + "credential-change":     ends,
	caep + "token-claims-change":   ends, // what is in tokens, logins and waiting calls is not right any more
	risc + "sessions-revoked":      ends,
	risc + "credential-compromise": ends,
	risc + "account-disabled":      stops,
	risc + "account-purged":        stops,
	risc + "account-enabled":       starts,
	ssf + "verification":           tells,
	ssf + "stream-updated":         tells,
}

// accept opens a token and does what it says. fresh says that it was not here before.
// A *refusal says that it is not to be sent again; any other error, that it is.
func (r *Receiver) accept(ctx context.Context, raw string, allow func(*Issuer) error) (fresh bool, err error) {
	s, err := r.open(ctx, raw)
	if err == nil {
		err = allow(s.from)
	}
	if err != nil {
		return false, r.note(s, err)
	}
	// It is spent when it is done: one that fails on the way comes again, and what it
	// does can be done twice.
	key := "signals " + s.from.URL
	if known, err := r.c.Store.IsSpent(ctx, key, s.jti); err != nil || known {
		return false, err
	}
	for _, uri := range slices.Sorted(maps.Keys(s.events)) {
		if err := r.apply(ctx, s, uri); err != nil {
			return false, r.note(s, err)
		}
	}
	_, err = r.c.Store.Spend(ctx, key, s.jti, s.issued.Add(maxAge+skew))
	return true, err
}

// apply does what one event of a token says.
func (r *Receiver) apply(ctx context.Context, s *set, uri string) error {
	told := Event{Issuer: s.from.URL, JTI: s.jti, Kind: lastPart(uri)}
	does, known := effects[uri]
	if !known {
		told.Unknown = true
		told.Text = "nothing is known of this event, so nothing was done"
		r.c.Observe(told)
		return nil
	}
	event, err := claims.Parse(s.events[uri])
	if err != nil {
		return refuse(badRequest, "its event %s is no object", told.Kind)
	}
	at, err := event.Time("event_timestamp")
	if err != nil || at.IsZero() { // drafts had milliseconds; what happened was before it was told
		at = s.at
	}
	if does == tells {
		if told.Text = "the stream of signals is verified"; uri != ssf+"verification" {
			status, _ := event.Text("status")
			told.Text = fmt.Sprintf("the stream of signals is %q now", status)
			if status != "enabled" {
				told.Err = errors.New("its issuer does not send signals any more")
			}
		}
		r.c.Observe(told)
		return nil
	}
	id, err := s.subject()
	if err != nil {
		return err
	}
	for _, kind := range []string{"User", "Workload"} { // which of them, only a token says
		text, err := r.affect(ctx, does, approval.End{Subject: kind + "::" + id, By: approval.Issuer(s.from.URL), Cause: told.Kind, JTI: s.jti, Before: at})
		if err != nil {
			return err
		}
		told.Text += text
	}
	if told.Text == "" {
		told.Text = "nothing had to be done"
	}
	r.c.Observe(told)
	return nil
}

// affect does something to one principal, and says what.
func (r *Receiver) affect(ctx context.Context, does effect, e approval.End) (string, error) {
	if does == starts {
		started, err := r.c.Holds.StartUser(ctx, e)
		if err != nil || !started {
			return "", err
		}
		return e.Subject + " may call again; ", nil
	}
	e.Stop = does == stops
	ended, err := r.c.Holds.EndUser(ctx, e)
	return fmt.Sprintf("%s: ended %d grants and %d calls; ", e.Subject, ended.Grants, ended.Holds), err
}

// refusedNoted bounds the entries and log lines a minute about refused signals.
const refusedNoted = 10

// note records that a signal was refused, or that it could not be told, and returns
// why.
func (r *Receiver) note(s *set, why error) error {
	now := r.c.Now()
	n := r.counts.Add("", now, time.Minute)
	if n > refusedNoted {
		return why
	}
	told := Event{Text: "it was not taken", Err: why}
	e := store.Entry{Kind: store.KindDenied, Time: now, Code: "signal_refused", Note: why.Error()}
	if s != nil {
		told.Issuer, told.JTI, e.By, e.JTI = s.from.URL, s.jti, approval.Issuer(s.from.URL).Name(), s.jti
	}
	if n == refusedNoted {
		e.Note += "; more of this minute are not recorded"
	}
	r.c.Observe(told)
	if refused := (*refusal)(nil); errors.As(why, &refused) {
		return errors.Join(why, r.c.Store.Log(e)())
	}
	return why
}
