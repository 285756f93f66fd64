package oauth

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/authz/claims"
	"github.com/exeat/exeat/tools"
)

// maxChain is how many others an agent may act through.
const maxChain = 8

// callerOf is whom a token describes, in the terms of policies. What of it cannot
// be taken whole refuses the token.
func (s *Server) callerOf(g *grant) (tools.Caller, error) {
	if g.from.SPIFFE != nil {
		return workload(g)
	}
	agent, client, err := s.agent(g)
	if err != nil {
		return tools.Caller{}, err
	}
	details, err := details(g)
	if err != nil {
		return tools.Caller{}, err
	}
	who, err := s.principal(g, client)
	return tools.Caller{Principal: who, Agent: agent, Details: details}, err
}

// maxDetails bounds the authorization_details of one token.
const maxDetails = 20

// details are what a token is for, in the form of RFC 9396.
func details(g *grant) ([]json.RawMessage, error) {
	raw, err := g.claims.Find("authorization_details")
	if err != nil || raw == nil {
		return nil, err
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || len(list) > maxDetails {
		return nil, invalid("the authorization_details of the token are no list of at most %d", maxDetails)
	}
	return list, nil
}

func (s *Server) principal(g *grant, client string) (authz.Principal, error) {
	who := authz.Principal{Type: "User", Issuer: g.from.URL}
	var errs [7]error
	who.ID, errs[0] = g.claims.Text(g.from.Subject)
	who.ACR, errs[1] = g.claims.Text("acr")
	who.AuthTime, errs[2] = g.claims.Time("auth_time")
	who.Groups, errs[3] = g.texts(g.from.Groups)
	who.Roles, errs[4] = g.texts(g.from.Roles)
	who.Scopes, errs[5] = scopes(g.claims)
	email, err := g.claims.Text("email")
	errs[6] = err
	if err := errors.Join(errs[:]...); err != nil {
		return who, invalid("%v", err)
	}
	if g.claims.True("email_verified") {
		who.Email = email
	}
	switch subject, err := g.claims.Text("sub"); {
	case err != nil || subject == "":
		return who, invalid("the token does not say whose it is (sub)")
	case who.ID == "":
		return who, invalid("the token has no claim %q, which was to name the person", g.from.Subject)
	case g.from.Subject == "email" && who.Email == "":
		return who, invalid("the mail address in the token, which was to name the person, is not verified")
	case subject == client:
		who.Type = "Workload"
	}
	if w := g.from.Workload; w.Claim != "" {
		value, err := g.claims.Find(w.Claim)
		if err != nil {
			return who, invalid("%v", err)
		}
		if strings.Trim(string(value), `"`) == w.Value {
			who.Type = "Workload"
		}
	}
	who.ID, err = s.named(g, who.ID)
	return who, err
}

// named is the id of somebody of an issuer, here: unlike any of another issuer.
func (s *Server) named(g *grant, id string) (string, error) {
	if g.from.Prefix != "" {
		return g.from.Prefix + id, nil
	}
	for _, p := range append(slices.Clone(s.prefixes), authz.BySPIFFE) {
		if p != "" && strings.HasPrefix(id, p) {
			return "", invalid("the token names somebody whose id begins with %q, as those of another issuer do", p)
		}
	}
	return id, nil
}

// agent is the client that the token was given to, and its id as the issuer knows
// it.
func (s *Server) agent(g *grant) (agent authz.Agent, client string, err error) {
	names := []string{"azp", "client_id"}
	if g.from.Agent != "" {
		names = []string{g.from.Agent}
	}
	for _, name := range names {
		if client, err = g.claims.Text(name); client != "" || err != nil {
			break
		}
	}
	switch {
	case err != nil:
		return agent, "", invalid("%v", err)
	case client == "":
		return agent, "", invalid("the token does not say which client it was given to (%s)", strings.Join(names, " or "))
	}
	id, err := s.named(g, client)
	if err != nil {
		return agent, "", err
	}
	agent = authz.Agent{ID: authz.ByClient + id, Verified: true, Issuer: g.from.URL}
	agent.Chain, err = s.chain(g)
	return agent, client, err
}

// chain are those whom the client acts through, the nearest first (RFC 8693,
// section 4.1).
func (s *Server) chain(g *grant) ([]string, error) {
	var out []string
	for set := g.claims; set.Has("act"); {
		act, err := claims.Parse(set["act"])
		if err != nil {
			return nil, invalid("the claim act cannot be read: %v", err)
		}
		actor, err := act.Text("sub")
		if err == nil && actor == "" {
			actor, err = act.Text("client_id")
		}
		if err != nil || actor == "" {
			return nil, invalid("an actor in the claim act has no name (sub)")
		}
		if iss, err := act.Text("iss"); err != nil || iss != "" && iss != g.from.URL {
			return nil, invalid("an actor in the claim act is of another issuer, which cannot be checked")
		}
		if actor, err = s.named(g, actor); err != nil {
			return nil, err
		}
		if out = append(out, actor); len(out) > maxChain {
			return nil, invalid("the claim act is nested deeper than %d", maxChain)
		}
		set = act
	}
	return out, nil
}

// texts are the texts of several claims. Where an issuer left groups out because
// they are too many, what it says is not enough to go by.
func (g *grant) texts(where []string) ([]string, error) {
	var out []string
	left, err := g.claims.Find("_claim_names")
	if err != nil {
		return nil, err
	}
	var elsewhere claims.Set
	if left != nil {
		if elsewhere, err = claims.Parse(left); err != nil {
			return nil, errors.New("the claim _claim_names cannot be read")
		}
	}
	for _, w := range where {
		if elsewhere.Has(claims.Top(w)) || g.claims.True("hasgroups") && w == "groups" {
			return nil, errors.New("the issuer left out the claim " + w + ", because it is too long: have it send only the groups that are given to this application")
		}
		list, err := g.claims.Texts(w)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	slices.Sort(out)
	if out = slices.Compact(out); len(out) > claims.MaxList {
		return nil, errors.New("the token names too many groups")
	}
	return out, nil
}

// scopes are those of the token: one text with spaces, or a list (scp).
func scopes(set claims.Set) ([]string, error) {
	var all []string
	for _, name := range []string{"scope", "scp"} {
		if !set.Has(name) {
			continue
		}
		list, err := set.Words(name)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}
