package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Metadata is what of an issuer's metadata is needed here (RFC 8414, section 2;
// OpenID Connect Discovery 1.0, section 3).
type Metadata struct {
	Issuer               string   `json:"issuer"`
	JWKS                 string   `json:"jwks_uri"`
	Introspection        string   `json:"introspection_endpoint"`
	IntrospectionMethods []string `json:"introspection_endpoint_auth_methods_supported"`
}

// Discover reads the metadata of an issuer, wherever it has it. The error joins
// what was wrong with each place.
func Discover(ctx context.Context, client *http.Client, issuer string) (Metadata, error) {
	u, err := ParseURL(issuer)
	if err != nil {
		return Metadata{}, err
	}
	var failed []error
	for _, place := range places(u) {
		b, err := get(ctx, client, place)
		if err == nil {
			var m Metadata
			if m, err = parseMetadata(b, issuer); err == nil {
				return m, nil
			}
			err = fmt.Errorf("what %s answers is not the metadata of %s: %w", place, issuer, err)
		}
		if failed = append(failed, err); ctx.Err() != nil {
			break
		}
	}
	return Metadata{}, errors.Join(failed...)
}

// places are the URLs where an issuer's metadata can be: RFC 8414 puts
// the well-known part before the path, OpenID behind it.
func places(issuer *url.URL) []string {
	root, path := issuer.Scheme+"://"+issuer.Host, strings.TrimSuffix(issuer.EscapedPath(), "/")
	out := []string{root + "/.well-known/oauth-authorization-server" + path, root + path + "/.well-known/openid-configuration"}
	if path != "" {
		out = append(out, root+"/.well-known/openid-configuration"+path)
	}
	return out
}

// parseMetadata reads metadata that must be of this very issuer: whoever could
// answer for two could mix them up (RFC 8414, section 3.3).
func parseMetadata(b []byte, issuer string) (Metadata, error) {
	var m Metadata
	if err := json.Unmarshal(b, &m); err != nil {
		return m, errors.New("it is not a JSON object of that kind")
	}
	if m.Issuer != issuer {
		return m, errors.New("it names another issuer")
	}
	for name, endpoint := range map[string]string{"jwks_uri": m.JWKS, "introspection_endpoint": m.Introspection} {
		if endpoint == "" {
			continue
		}
		if u, err := ParseURL(endpoint); err != nil || u.Scheme != "https" && strings.HasPrefix(issuer, "https:") {
			return m, fmt.Errorf("its %s is not an https URL", name)
		}
	}
	return m, nil
}
