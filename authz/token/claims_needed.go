package token

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
)

// ClaimsError says that a credential can be had only of another token of the caller's:
// one that was asked for with these claims, by logging in again or in another way.
type ClaimsError struct {
	// Claims is a claims request, one JSON object (OpenID Connect Core §5.5).
	Claims json.RawMessage
}

func (e *ClaimsError) Error() string {
	return "the caller has to log in again, or in another way, and come with a token that was asked for with the claims that are wanted"
}

// maxClaims bounds a claims request, in bytes.
const maxClaims = 1500

// ParseClaims reads a claims request, of which it is not known what it is: a JSON object
// of printable ASCII.
func ParseClaims(text []byte) (json.RawMessage, error) {
	var object map[string]any
	var compact bytes.Buffer
	switch {
	case len(text) > maxClaims:
		return nil, errors.New("the claims that are wanted are too long")
	case json.Unmarshal(text, &object) != nil || object == nil || json.Compact(&compact, text) != nil:
		return nil, errors.New("the claims that are wanted are not one JSON object")
	case bytes.ContainsFunc(compact.Bytes(), func(r rune) bool { return r < ' ' || r > '~' }):
		return nil, errors.New("the claims that are wanted hold other characters than printable ASCII")
	}
	return compact.Bytes(), nil
}

// DecodeClaims reads a claims request as a challenge carries it: in base64, of either
// alphabet.
func DecodeClaims(text string) (json.RawMessage, error) {
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	raw, err := base64.RawStdEncoding.DecodeString(plain)
	if err != nil {
		return nil, errors.New("the claims that are wanted are not base64")
	}
	return ParseClaims(raw)
}
