package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gowebpki/jcs"
)

// Claims are the verified claims of a signed token.
type Claims struct {
	Issuer   string
	Subject  string
	Agent    string // for which the client acts; "" if the token does not say
	ClientID string
	Audience string
	ID       string // jti
	Txn      string
	IssuedAt time.Time
	Expires  time.Time
	Scope    string
	Details  Details
	Confirm  Confirm // zero if the token is bound to no key
	Approval *ApprovalClaim
	Effect   string         // of the call as it was decided; "" if the token does not say
	Raw      map[string]any // all of them; numbers are json.Number
	// BodyUnseen says that the request's content was not held against the token,
	// as the configuration of a guard allows for it.
	BodyUnseen bool
}

// claimNames are the claims that exeat gives a meaning, under their folded
// names. Others are passed over (RFC 7519 §4), unless they look like these.
var claimNames = map[string]string{}

func init() {
	for _, name := range []string{
		"iss", "aud", "sub", "client_id", "act", "iat", "exp", "nbf", "jti", "txn", "scope", "auth_time", "acr", "amr",
		"authorization_details", "cnf", "urn:exeat:approval", "urn:exeat:decision",
	} {
		claimNames[fold(name)] = name
	}
}

// maxName bounds the strings that name something: they become keys of a store.
const maxName = 512

// lastYear is the end of 9999 in Unix seconds, the last that time formats.
const lastYear = 253402300799

// claimSet is the payload of a token before its claims are believed.
type claimSet map[string]json.RawMessage

// parseClaims reads an object that can be read in only one way: UTF-8, no two
// names that are equal or differ only in case (decoders disagree on which of
// them counts), and none that differs from a known claim in case. What is
// nested is read by exact, which is stricter.
func parseClaims(payload []byte) (claimSet, error) {
	errNotObject := errors.New("the claims are not one JSON object")
	if !utf8.Valid(payload) {
		return nil, errors.New("the claims are not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(payload))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errNotObject
	}
	set, seen := claimSet{}, map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errNotObject
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, errNotObject
		}
		folded := fold(name)
		if seen[folded] {
			return nil, fmt.Errorf("the claim %s is there twice, or in two spellings", brief(name))
		}
		if known, ok := claimNames[folded]; ok && name != known {
			return nil, fmt.Errorf("the claim %s is not spelled %q", brief(name), known)
		}
		set[name], seen[folded] = value, true
	}
	if _, err := dec.Token(); err != nil {
		return nil, errNotObject
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errNotObject
	}
	return set, nil
}

// fold maps names that a decoder could take for each other to one. Upper before
// lower, for the long s and the Kelvin sign.
func fold(name string) string {
	plain := func(r rune) bool { return 'a' <= r && r <= 'z' || r == '_' || r == ':' }
	if !strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
		return name
	}
	return strings.ToLower(strings.ToUpper(name))
}

// text is the string claim called name. Empty ones count as absent.
func (s claimSet) text(name string) (string, bool) {
	raw := s[name]
	var v string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &v) != nil {
		return "", false
	}
	return v, v != "" && len(v) <= maxName
}

// seconds is the NumericDate called name, which must be a whole number.
func (s claimSet) seconds(name string) (time.Time, bool) {
	n, err := strconv.ParseInt(string(s[name]), 10, 64)
	if err != nil || n < 0 || n > lastYear {
		return time.Time{}, false
	}
	return time.Unix(n, 0).UTC(), true
}

// agent is the subject of the claim act, or "" if it is absent.
func (s claimSet) agent() (string, error) {
	raw, there := s["act"]
	if !there {
		return "", nil
	}
	var a actor
	if !exact(raw, &a) || a.Subject == "" || len(a.Subject) > maxName {
		return "", errors.New("the claim act is not a sub and a sub_profile")
	}
	return a.Subject, nil
}

// details are the one authorization_details object.
func (s claimSet) details(audience string) (Details, error) {
	var list []json.RawMessage
	if json.Unmarshal(s["authorization_details"], &list) != nil || len(list) != 1 {
		return Details{}, errors.New("the token does not have exactly one authorization_details object")
	}
	var d Details
	if !exact(list[0], &d) {
		return Details{}, errors.New("the authorization_details object has members that this verifier does not know")
	}
	return d, d.check(audience)
}

// confirm is the claim cnf. A binding that is not known cannot be checked, so it is
// an error.
func (s claimSet) confirm() (c Confirm, err error) {
	raw, there := s["cnf"]
	if there && (!exact(raw, &c) || c == (Confirm{}) || c.KeyID != "" && !kidSyntax.MatchString(c.KeyID)) {
		return c, errors.New("the token is bound to a key in a way that this verifier does not know (cnf)")
	}
	return c, nil
}

// approval is the claim urn:exeat:approval, or nil if it is absent.
func (s claimSet) approval() (*ApprovalClaim, error) {
	raw, there := s["urn:exeat:approval"]
	if !there {
		return nil, nil
	}
	a := new(ApprovalClaim)
	if !exact(raw, a) {
		return nil, errors.New("the approval claim has members that this verifier does not know")
	}
	if a.Until < 0 || a.Until > lastYear {
		return nil, errors.New("the approval claim does not end in a year of four digits")
	}
	return a, nil
}

// effect is what the decision claim says of the call, or "" if there is none.
func (s claimSet) effect() (string, error) {
	raw, there := s["urn:exeat:decision"]
	if !there {
		return "", nil
	}
	var d decisionClaim
	if !exact(raw, &d) || d.Effect != "" && !slices.Contains(effects, d.Effect) {
		return "", errors.New("the decision claim has members or an effect that this verifier does not know")
	}
	return d.Effect, nil
}

// exact decodes raw into v and reports whether v holds all of it: the same RFC
// 8785 form, so no member was passed over, missing or misspelled.
func exact(raw json.RawMessage, v any) bool {
	if json.Unmarshal(raw, v) != nil {
		return false
	}
	want, err := jcs.Transform(raw)
	if err != nil {
		return false
	}
	got, err := canonical(v)
	return err == nil && bytes.Equal(got, want)
}
