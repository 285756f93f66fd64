package credential

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/exeat/exeat/authz/token"
)

// signedFields are those that a signature of AWS puts into a request.
var signedFields = []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256"}

// refuseSigned refuses a request that already has what a signature consists of, in its
// header or as a presigned query: the agent must not choose the credential.
func refuseSigned(r *http.Request) error {
	for _, field := range signedFields {
		if token.RemoveField(r.Header, field) {
			return fmt.Errorf("the request already has the header %s, where the signature of AWS goes; leave that parameter out of the document (an overlay can)", field)
		}
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return errors.New("the query of the request can be read in more than one way, so that a signature could miss a part of it")
	}
	for name := range query {
		if strings.HasPrefix(strings.ToLower(name), "x-amz-") {
			return fmt.Errorf("the request has the query parameter %s, which belongs to presigned requests", brief(name))
		}
	}
	return nil
}

// sign signs r, as it is and as it will be sent (Signature Version 4).
func (a *AWS) sign(ctx context.Context, keys aws.Credentials, r *http.Request) error {
	return signRequest(ctx, keys, r, a.Service, a.Region, a.now())
}

// signRequest adds a signature to r. The library signs a copy, since it writes the query
// anew: what leaves is what a person saw, byte for byte. What intermediaries change,
// such as Accept-Encoding, is left out of it.
func signRequest(ctx context.Context, keys aws.Credentials, r *http.Request, service, region string, now time.Time) error {
	hash, err := hashBody(r)
	if err != nil {
		return err
	}
	copied := r.Clone(ctx)
	copied.Body = nil
	for _, name := range []string{"Accept", "Accept-Encoding", "User-Agent"} {
		copied.Header.Del(name)
	}
	copied.Header.Set("X-Amz-Content-Sha256", hash)
	plain := service == "s3" || strings.HasPrefix(service, "s3-") || strings.HasPrefix(service, "s3express")
	if plain {
		copied.URL.Opaque = "//" + r.URL.Host + canonicalPath(r.URL.Path)
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = plain })
	if err := signer.SignHTTP(ctx, keys, copied, hash, service, region, now); err != nil {
		return fmt.Errorf("cannot sign the request: %w", err)
	}
	for _, name := range signedFields {
		if value := copied.Header.Get(name); value != "" {
			r.Header.Set(name, value)
		}
	}
	return nil
}

// canonicalPath writes the path of an object as S3 does: all but the letters, digits
// and -._~/ as percent and two hex digits. Other services sign the path as it is sent.
func canonicalPath(path string) string {
	var b strings.Builder
	for i := range len(path) {
		c := path[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~/", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// hashBody is SHA-256 over what r will send.
func hashBody(r *http.Request) (string, error) {
	sum := sha256.New()
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return "", fmt.Errorf("cannot read the body to sign it: %w", err)
		}
		defer body.Close()
		if _, err := io.Copy(sum, body); err != nil {
			return "", fmt.Errorf("cannot read the body to sign it: %w", err)
		}
	} else if r.Body != nil && r.Body != http.NoBody {
		return "", errors.New("the body cannot be read twice, to sign it and to send it")
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
