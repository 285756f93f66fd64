package credential

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/exeat/exeat/authz/token"
)

// AWS signs each request with keys that AWS STS makes for this call: of a role, cut
// down by a policy that names what the call may do with what, and until when. Only
// the signature leaves. Nothing can revoke such keys; the policy ends them.
type AWS struct {
	Endpoint   string // of STS: https, or http on a loopback address
	Role       string // its ARN; empty for servers whose AssumeRole has no role
	ExternalID string
	Service    string // that signatures are for, as AWS names it: s3, dynamodb
	Region     string
	Policy     []Statement
	Lasts      time.Duration // how long the policy lets a call be; 0 means a minute
	// Keys are the standing keys that STS is asked with. WebIdentity, in their place,
	// is a JWT of an issuer that the role trusts.
	Keys        func() (aws.Credentials, error)
	WebIdentity func() (string, error)
	Client      *http.Client     // nil means one that follows no redirects and uses no proxy
	Now         func() time.Time // nil means time.Now
}

// shortestKeys is how long STS lets keys live at least.
const shortestKeys = 15 * time.Minute

// Check reports what cannot work, so that a wrong configuration does not start.
func (a *AWS) Check() error {
	if _, err := token.ParseLocation(a.Endpoint); err != nil {
		return fmt.Errorf("the endpoint of STS: %w", err)
	}
	switch {
	case !awsName.MatchString(a.Service) || !awsName.MatchString(a.Region):
		return errors.New("name the service and the region that requests are signed for, such as s3 and eu-central-1")
	case a.Role != "" && !strings.HasPrefix(a.Role, "arn:"):
		return fmt.Errorf("the role %s is not an ARN", brief(a.Role))
	case (a.Keys == nil) == (a.WebIdentity == nil):
		return errors.New("give either standing keys or a web identity")
	case len(a.Policy) == 0:
		return errors.New("there is no policy: without one, the keys of a call could do all that the role can")
	case a.Lasts < 0 || a.Lasts > shortestKeys:
		return fmt.Errorf("a call can last up to %s", shortestKeys)
	}
	for i, s := range a.Policy {
		if err := s.check(); err != nil {
			return fmt.Errorf("policy[%d]: %w", i, err)
		}
	}
	if a.Keys != nil {
		_, err := a.Keys()
		return err
	}
	_, err := a.WebIdentity()
	return err
}

// Attach gets keys for c and signs r with them.
func (a *AWS) Attach(ctx context.Context, c token.Call, r *http.Request) (token.Receipt, error) {
	if err := refuseSigned(r); err != nil {
		return token.Receipt{}, err
	}
	lasts := a.Lasts
	if lasts == 0 {
		lasts = time.Minute
	}
	end := a.now().Add(lasts).Truncate(time.Second)
	policy, err := renderPolicy(a.Policy, c, end)
	if err != nil {
		return token.Receipt{}, err
	}
	keys, err := a.assume(ctx, c, policy.text)
	if err != nil {
		return token.Receipt{}, fmt.Errorf("cannot get keys of AWS STS: %w", err)
	}
	if err := a.sign(ctx, keys, r); err != nil {
		return token.Receipt{}, err
	}
	u, _ := url.Parse(a.Endpoint) // checked
	return token.Receipt{Strategy: "aws_sts", Issuer: u.Host, Audience: a.Service + " in " + a.Region, Scope: policy.scope, Expires: end, Wider: policy.wider,
		Narrowed: "a session policy that ends then, and a signature over this one request; the keys themselves stay here"}, nil
}

func (a *AWS) now() time.Time { return timeOf(a.Now) }

// assumed is what STS answers: keys, or an error.
type assumed struct {
	ByKeys issuedKeys `xml:"AssumeRoleResult>Credentials"`
	ByWeb  issuedKeys `xml:"AssumeRoleWithWebIdentityResult>Credentials"`
	Code   string     `xml:"Error>Code"`
}

type issuedKeys struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
}

// assume asks STS for keys that may do what policy says.
func (a *AWS) assume(ctx context.Context, c token.Call, policy string) (aws.Credentials, error) {
	form := url.Values{"Version": {"2011-06-15"}, "RoleSessionName": {c.Txn}, "DurationSeconds": {fmt.Sprint(int(shortestKeys.Seconds()))}, "Policy": {policy}}
	set := func(name, value string) {
		if value != "" {
			form.Set(name, value)
		}
	}
	set("RoleArn", a.Role)
	set("ExternalId", a.ExternalID)
	form.Set("Action", "AssumeRole")
	var signer aws.Credentials
	var err error
	if a.WebIdentity != nil {
		var jwt string
		if jwt, err = a.WebIdentity(); err == nil {
			form.Set("Action", "AssumeRoleWithWebIdentity")
			form.Set("WebIdentityToken", jwt)
		}
	} else {
		signer, err = a.Keys()
	}
	if err != nil {
		return aws.Credentials{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.Endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return aws.Credentials{}, errors.New("its endpoint is not a URL")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if a.WebIdentity == nil {
		if err := signRequest(ctx, signer, r, "sts", a.Region, a.now()); err != nil {
			return aws.Credentials{}, err
		}
	}
	return a.ask(r)
}

// ask sends a request to STS and reads the keys in its answer.
func (a *AWS) ask(r *http.Request) (aws.Credentials, error) {
	client := a.Client
	if client == nil {
		client = direct
	}
	res, err := client.Do(r)
	if err != nil {
		return aws.Credentials{}, safeError(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return aws.Credentials{}, errors.New("it broke off its answer")
	}
	var answer assumed
	broken := xml.Unmarshal(text, &answer) != nil
	switch {
	case !broken && awsCode.MatchString(answer.Code):
		return aws.Credentials{}, fmt.Errorf("it refuses: %s%s", answer.Code, awsHints[answer.Code])
	case broken || res.StatusCode != http.StatusOK:
		return aws.Credentials{}, fmt.Errorf("it answered %d, and nothing that can be used; check sts_url", res.StatusCode)
	}
	keys := answer.ByKeys
	if a.WebIdentity != nil {
		keys = answer.ByWeb
	}
	if !keyID.MatchString(keys.AccessKeyID) || keys.SecretAccessKey == "" || !accessToken.MatchString(keys.SessionToken) {
		return aws.Credentials{}, errors.New("its answer holds no keys that are for a time")
	}
	return aws.Credentials{AccessKeyID: keys.AccessKeyID, SecretAccessKey: keys.SecretAccessKey, SessionToken: keys.SessionToken}, nil
}

// awsName is the syntax of the names of services and regions.
var awsName = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

// keyID is the syntax of an access key id.
var keyID = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)

// awsCode is what an error code of AWS looks like.
var awsCode = regexp.MustCompile(`^[A-Za-z.]{1,64}$`)

// awsHints say what an error code of STS is often about.
var awsHints = map[string]string{
	"AccessDenied":            " (the trust policy of the role must name who asks; with a web identity its aud and sub)",
	"InvalidClientTokenId":    " (the standing keys are not known there)",
	"SignatureDoesNotMatch":   " (the secret of the standing keys is wrong, or the clock of this machine)",
	"RequestExpired":          " (the clock of this machine is wrong)",
	"MalformedPolicyDocument": " (policy says something that IAM does not know)",
	"PackedPolicyTooLarge":    " (the policy is short enough as text, but not as AWS packs it: say less in it)",
	"RegionDisabledException": " (STS is not active in that region: sts_url)",
	"InvalidIdentityToken":    " (the issuer of the web identity must be an identity provider in IAM, and its keys readable)",
	"ExpiredTokenException":   " (the web identity is too old, or the clock of this machine wrong)",
	"IDPCommunicationError":   " (AWS cannot read the keys of the web identity's issuer)",
	"IDPRejectedClaim":        " (AWS does not take the claims of the web identity)",
	"InvalidParameterValue":   " (the policy may be too long, or the role is not one)",
	"ValidationError":         " (the role is not one, or takes no keys for so short)",
	"ExpiredToken":            " (the standing keys are for a time, and over)",
}
