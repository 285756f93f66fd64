package main

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/mcpserver"
	"github.com/exeat/exeat/mcpserver/oauth"
	"github.com/exeat/exeat/mcpserver/statictoken"
	"github.com/exeat/exeat/tools"
)

// authenticator says who calls over HTTP: with a token that somebody was given,
// and else with an access token, or the one of the key folder where no issuer is
// configured.
func (g *gateway) authenticator() mcpserver.Authenticator {
	var rest mcpserver.Authenticator = &bearer{keys: g.keys, principal: principal(g.cfg), whence: bearerCommand(g.cfg.Keys) + " prints the token"}
	if g.oauth != nil {
		rest = g.oauth
	}
	if g.issuer != nil {
		rest = &ownPeople{g, rest}
	}
	return &ended{g, statictoken.New(g.readTokens, g.runner.Now, rest)}
}

// ended refuses tokens from before somebody's logins were ended.
type ended struct {
	g    *gateway
	next mcpserver.Authenticator
}

// Authenticate is never silent: who runs exeat reads what keeps it from being checked
// who calls, and the client that it is not its token.
func (e *ended) Authenticate(r *http.Request) (tools.Caller, error) {
	caller, err := e.authenticate(r)
	if told := new(mcpserver.Challenge); err != nil && !errors.As(err, &told) {
		e.g.troubled("who calls")(err)
		err = &mcpserver.Challenge{Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", RetryAfter: 10 * time.Second,
			Help: "it cannot be checked now who calls: try again, and ask who runs exeat to look at its log"}
	}
	return caller, err
}

func (e *ended) authenticate(r *http.Request) (tools.Caller, error) {
	caller, err := e.next.Authenticate(r)
	if err != nil || caller.Issued.IsZero() {
		return caller, err // one of no date is the user's own, whom a stop ends
	}
	before, err := e.g.holds.RevokedBefore(r.Context(), caller.Subject())
	switch {
	case err != nil:
		return tools.Caller{}, err
	case caller.Issued.Before(before):
		err := &mcpserver.Challenge{Code: "invalid_token", Help: "the logins of this user were ended after this token was issued: log in again"}
		if e.g.oauth != nil {
			return tools.Caller{}, e.g.oauth.Complete(err)
		}
		return tools.Caller{}, err
	}
	return caller, nil
}

// newOAuth is the resource server that the configuration wants, or nil.
func (g *gateway) newOAuth() (err error) {
	if len(g.cfg.OAuth.Issuers) == 0 {
		return nil
	}
	nonces, err := g.keys.Secret("nonces")
	if err != nil {
		return err
	}
	g.oauth, err = g.cfg.OAuth.server(g.cfg.publicURL()+"/mcp", oauth.Config{NonceKey: nonces, Now: g.cfg.now,
		Report: func(err error) { g.log.Error().Err(err).Msg("oauth") }})
	return err
}

// openPaths are what anybody may read beside MCP.
func (g *gateway) openPaths() map[string]http.Handler {
	paths := map[string]http.Handler{}
	if g.oauth != nil {
		for _, path := range g.oauth.MetadataPaths() {
			paths[strings.TrimPrefix(path, g.mcpEdge.URL().Path())] = g.oauth.Metadata() // the edge takes the prefix off
		}
	}
	if g.signals != nil {
		paths[signalsPath] = g.signals
	}
	if g.issuer != nil {
		maps.Copy(paths, g.issuer.Paths())
	}
	return paths
}

// challenge says what access token a call needs, where there are any.
func (g *gateway) challenge() func(authz.Stronger) *mcpserver.Challenge {
	if g.oauth == nil {
		return nil
	}
	return g.oauth.Insufficient
}

// whoMayCall says at the start what lets a client in.
func (g *gateway) whoMayCall() string {
	if g.oauth == nil {
		return fmt.Sprintf("with a bearer token, kept in %s; %q prints it", filepath.Join(g.cfg.Keys, "bearer.secret"), bearerCommand(g.cfg.Keys))
	}
	var names []string
	for _, i := range g.cfg.OAuth.Issuers {
		if i.SPIFFE != nil {
			names = append(names, i.SPIFFE.id())
		} else {
			names = append(names, i.Issuer)
		}
	}
	return "with access tokens of " + strings.Join(names, " and ")
}

func (g *gateway) readTokens() ([]byte, error) { return g.keys.ReadFile(statictoken.File) }

// errNobody is who could not call any more.
var errNobody = errors.New("nobody could call so any more")

// current is the principal of a call that waited, as it is now; false if its agent
// could not call as it any more.
func (g *gateway) current(who approval.Parties) (authz.Principal, bool) {
	now, err := g.lookUp(who)
	return now, err == nil
}

func (g *gateway) lookUp(who approval.Parties) (authz.Principal, error) {
	p := who.Principal
	same := func(q authz.Principal) bool { return p.Type == q.Type && p.ID == q.ID && p.Issuer == q.Issuer }
	if name, by := strings.CutPrefix(who.Agent.ID, authz.ByToken); by && who.Agent.Verified {
		return g.lookUpToken(name, who.Asked, same)
	}
	own := localPeople(g.cfg)
	if i := slices.IndexFunc(own, same); i >= 0 {
		return asCalled(own[i], p), nil
	}
	if p.Issuer == "" {
		return p, errNobody
	}
	return g.lookUpIssued(p)
}

// asCalled is who somebody is now, with what was of the token that a call was made
// with: another agent's says nothing of that.
func asCalled(now, called authz.Principal) authz.Principal {
	now.Scopes, now.ACR, now.AuthTime = called.Scopes, called.ACR, called.AuthTime
	return now
}

// lookUpToken is the principal of the token that an agent called with: not of
// another one, nor of a newer one that has its name.
func (g *gateway) lookUpToken(name string, asked time.Time, same func(authz.Principal) bool) (p authz.Principal, err error) {
	text, err := g.readTokens()
	if err != nil {
		return p, err
	}
	list, err := statictoken.Parse(text)
	if err != nil {
		return p, err
	}
	i := slices.IndexFunc(list, func(t statictoken.Token) bool {
		return t.Name == name && same(t.Principal) && g.runner.Now().Before(t.Expires) && !asked.Before(t.Created)
	})
	if i < 0 {
		return p, errNobody
	}
	return list[i].Principal, nil
}

// lookUpIssued is a principal as the newest token says that was seen of it. Another
// process may have seen a newer one; without any it is as it was when it asked.
func (g *gateway) lookUpIssued(p authz.Principal) (authz.Principal, error) {
	known := func(c issuerConfig) bool { return c.Issuer == p.Issuer || c.SPIFFE != nil && c.SPIFFE.id() == p.Issuer }
	if !slices.ContainsFunc(g.cfg.OAuth.Issuers, known) {
		return p, errNobody
	}
	if g.oauth != nil {
		if now, ok := g.oauth.Latest(p.Name()); ok && now.Issuer == p.Issuer {
			return asCalled(now, p), nil
		}
	}
	return p, nil
}
