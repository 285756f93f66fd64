// Package statictoken knows callers by tokens that somebody gave them: for a
// few people, or programs, where no authorization server gives any.
package statictoken

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/mcpserver"
	"github.com/exeat/exeat/tools"
)

// File is the name of the list of tokens in a key folder.
const File = "tokens.json"

// Prefix begins every token, so that people and scanners know one when they see it.
const Prefix = "exeat_"

// Most is how many tokens a list can have.
const Most = 100

// Token is what is kept of a token: all but itself.
type Token struct {
	Name      string          `json:"name"`
	SHA256    string          `json:"sha256"` // of the token, in hex
	Principal authz.Principal `json:"principal"`
	Created   time.Time       `json:"created"`
	Expires   time.Time       `json:"expires"`
}

// Agent is who has the token: the token is the proof.
func (t Token) Agent() authz.Agent { return authz.Agent{ID: authz.ByToken + t.Name, Verified: true} }

var names = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,59}$`)

// ErrNoToken is a name that no token has.
var ErrNoToken = errors.New("there is no token of that name")

// Parse reads a list; nothing is the empty one.
func Parse(text []byte) ([]Token, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var list []Token
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&list); err != nil {
		return nil, fmt.Errorf("%s: %v", File, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("%s: there is something behind the list", File)
	}
	for i, t := range list {
		sum, err := hex.DecodeString(t.SHA256)
		switch {
		case err != nil || len(sum) != sha256.Size:
			return nil, fmt.Errorf("%s: /%d/sha256 is no SHA-256 in hex", File, i)
		case !names.MatchString(t.Name):
			return nil, fmt.Errorf("%s: /%d/name %q: use small letters, digits, . _ and -", File, i, t.Name)
		case slices.ContainsFunc(list[:i], func(u Token) bool { return u.Name == t.Name || u.SHA256 == t.SHA256 }):
			return nil, fmt.Errorf("%s: /%d is there twice", File, i)
		case t.Principal.ID == "" || t.Principal.Type != "User" && t.Principal.Type != "Workload":
			return nil, fmt.Errorf("%s: /%d/principal is neither a User nor a Workload", File, i)
		case slices.ContainsFunc(list[:i], func(u Token) bool {
			return u.Principal.Name() == t.Principal.Name() && !reflect.DeepEqual(u.Principal, t.Principal)
		}):
			return nil, fmt.Errorf("%s: /%d/principal: %s has other groups or another email in another token; revoke that one first, a person is the same in all", File, i, t.Principal.Name())
		case t.Expires.IsZero():
			return nil, fmt.Errorf("%s: /%d/expires is missing", File, i)
		}
	}
	return list, nil
}

// Add puts a new token into a list. The secret is what the caller has to send; it
// is kept nowhere.
func Add(text []byte, t Token) (changed []byte, secret string, err error) {
	list, err := Parse(text)
	if err != nil {
		return nil, "", err
	}
	if slices.ContainsFunc(list, func(u Token) bool { return u.Name == t.Name }) {
		return nil, "", fmt.Errorf("there is a token %q: revoke it first, or choose another name", t.Name)
	}
	if len(list) >= Most {
		return nil, "", fmt.Errorf("there are %d tokens: revoke some, or let an authorization server give them (oauth in exeat.yaml)", Most)
	}
	random := make([]byte, 32)
	rand.Read(random)
	secret = Prefix + base64.RawURLEncoding.EncodeToString(random)
	sum := sha256.Sum256([]byte(secret))
	t.SHA256 = hex.EncodeToString(sum[:])
	changed, err = format(append(list, t))
	return changed, secret, err
}

// Revoke takes a token out of a list; [ErrNoToken] if it is not in it.
func Revoke(text []byte, name string) ([]byte, error) {
	list, err := Parse(text)
	if err != nil {
		return nil, err
	}
	rest := slices.DeleteFunc(slices.Clone(list), func(t Token) bool { return t.Name == name })
	if len(rest) == len(list) {
		return nil, ErrNoToken
	}
	return format(rest)
}

func format(list []Token) ([]byte, error) {
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return nil, err
	}
	if _, err := Parse(text); err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}

// Authenticator knows callers by a list that can change while it runs.
type Authenticator struct {
	read func() ([]byte, error)
	now  func() time.Time
	next mcpserver.Authenticator

	mu   sync.Mutex
	text []byte
	list map[string]Token // by SHA-256
}

// New returns an authenticator of the list that read returns at the moment. What
// sends no token of this kind is for next.
func New(read func() ([]byte, error), now func() time.Time, next mcpserver.Authenticator) *Authenticator {
	return &Authenticator{read: read, now: now, next: next}
}

// Authenticate finds the request's token by its digest, which tells nothing of
// other tokens however long it takes.
func (a *Authenticator) Authenticate(r *http.Request) (tools.Caller, error) {
	h := r.Header.Values("Authorization")
	if len(h) != 1 {
		return a.next.Authenticate(r)
	}
	scheme, secret, _ := strings.Cut(h[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || !strings.HasPrefix(secret, Prefix) {
		return a.next.Authenticate(r)
	}
	list, err := a.current()
	if err != nil {
		return tools.Caller{}, err
	}
	sum := sha256.Sum256([]byte(secret))
	t, ok := list[hex.EncodeToString(sum[:])]
	switch {
	case !ok:
		return tools.Caller{}, &mcpserver.Challenge{Code: "invalid_token", Help: "exeat does not know this token, or not any more: ask who runs it for another (exeat tokens add)"}
	case !a.now().Before(t.Expires):
		return tools.Caller{}, &mcpserver.Challenge{Code: "invalid_token", Help: "this token has expired: ask who runs exeat for another (exeat tokens add)"}
	}
	return tools.Caller{Principal: t.Principal, Agent: t.Agent(), Issued: t.Created}, nil
}

// current is the list as it is now.
func (a *Authenticator) current() (map[string]Token, error) {
	text, err := a.read()
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.list != nil && bytes.Equal(text, a.text) {
		return a.list, nil
	}
	tokens, err := Parse(text)
	if err != nil {
		return nil, err
	}
	list := make(map[string]Token, len(tokens))
	for _, t := range tokens {
		list[t.SHA256] = t
	}
	a.text, a.list = text, list
	return list, nil
}
