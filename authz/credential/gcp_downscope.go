package credential

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google/downscope"

	"github.com/exeat/exeat/authz/token"
)

// GCP makes of Google's token for a service account one that a Credential Access
// Boundary keeps to what the call is about. Only Cloud Storage looks at boundaries.
// The token of the service account is kept while it lives: it goes to Google's token
// service alone, and asking for it again would be one round trip more for each call.
type GCP struct {
	Source oauth2.TokenSource
	// Impersonate, if not empty, is the service account whose token is cut down, for
	// each call anew and good for Lasts: the shortest life that there is.
	Impersonate string
	Lasts       time.Duration
	Rules       []BoundaryRule
	Universe    string       // empty means googleapis.com
	Client      *http.Client // nil means one that follows no redirects and uses no proxy
}

// BoundaryRule says what calls may do with which objects of a bucket.
type BoundaryRule struct {
	Which
	Bucket      string   // a name, filled from the path
	Object      string   // one object, or
	Prefix      string   // all whose names begin so; neither: the whole bucket
	Permissions []string // inRole:roles/…; none: those of the call's effect
}

// permissionsFor are Google's roles that are enough for an effect, and little more.
var permissionsFor = map[string][]string{
	"read":   {"inRole:roles/storage.objectViewer"},
	"write":  {"inRole:roles/storage.objectCreator"},
	"delete": {"inRole:roles/storage.objectUser"},
}

// bucketName is the syntax of the name of a bucket.
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$`)

// serviceAccount is the syntax of the name of a service account.
var serviceAccount = regexp.MustCompile(`^[a-z0-9.-]+@[a-z0-9.-]+$`)

// domain is that of a cloud of Google's.
var domain = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)

// Check reports what cannot work, so that a wrong configuration does not start.
func (g *GCP) Check() error {
	switch {
	case g.Source == nil:
		return errors.New("there is no token to cut down")
	case len(g.Rules) == 0 || len(g.Rules) > 10:
		return fmt.Errorf("there are %d rules; a boundary has one to ten", len(g.Rules))
	case g.Universe != "" && !domain.MatchString(g.Universe):
		return fmt.Errorf("%s is not a domain", brief(g.Universe))
	case g.Impersonate != "" && !serviceAccount.MatchString(g.Impersonate):
		return fmt.Errorf("%s is not the e-mail address of a service account", brief(g.Impersonate))
	case g.Impersonate == "" && g.Lasts != 0:
		return errors.New("lasts is for the token of another service account (service_account): other tokens of Google live for an hour")
	case g.Lasts < 0 || g.Lasts > time.Hour:
		return errors.New("lasts can be up to 1h")
	}
	for i, r := range g.Rules {
		if err := r.check(); err != nil {
			return fmt.Errorf("rules[%d]: %w", i, err)
		}
	}
	return nil
}

func (r BoundaryRule) check() error {
	switch {
	case r.Bucket == "":
		return errors.New("name the bucket, such as orders or {bucket}")
	case r.Object != "" && r.Prefix != "":
		return errors.New("both object and prefix are given; keep one")
	}
	for _, p := range r.Permissions {
		if !strings.HasPrefix(p, "inRole:") {
			return fmt.Errorf("%s is not a permission of a boundary, such as inRole:roles/storage.objectViewer", brief(p))
		}
	}
	return r.Which.check()
}

// root is the token that is cut down. No call waits for it longer than one request to
// Google may take, however many wait before it.
func (g *GCP) root(ctx context.Context) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	type answer struct {
		token *oauth2.Token
		err   error
	}
	got := make(chan answer, 1)
	go func() {
		t, err := g.Source.Token()
		got <- answer{t, err}
	}()
	select {
	case a := <-got:
		return a.token, a.err
	case <-ctx.Done():
		return nil, errors.New("no token of Google came in time")
	}
}

// Attach gets a token for c and sets it on r.
func (g *GCP) Attach(ctx context.Context, c token.Call, r *http.Request) (token.Receipt, error) {
	if err := token.FreeAuthorization(r); err != nil {
		return token.Receipt{}, err
	}
	rules, receipt, err := g.render(c)
	if err != nil {
		return token.Receipt{}, err
	}
	root, err := g.root(ctx)
	if err != nil {
		return token.Receipt{}, fmt.Errorf("cannot get the token of the service account: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if g.Impersonate != "" {
		if root, err = g.impersonate(ctx, root); err != nil {
			return token.Receipt{}, fmt.Errorf("cannot get a token of %s: %w", g.Impersonate, err)
		}
	}
	t, err := g.narrow(ctx, root, rules)
	if err != nil {
		return token.Receipt{}, fmt.Errorf("cannot have the token cut down: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+t.AccessToken)
	receipt.Strategy, receipt.Issuer, receipt.Expires = "gcp_downscope", "sts."+g.universe(), t.Expiry
	return receipt, nil
}

func (g *GCP) universe() string {
	if g.Universe == "" {
		return "googleapis.com"
	}
	return g.Universe
}

// render makes the boundary of c, and says in words what it is.
func (g *GCP) render(c token.Call) (rules []downscope.AccessBoundaryRule, receipt token.Receipt, err error) {
	var scope []string
	for _, r := range g.Rules {
		if !r.fits(c) {
			continue
		}
		bucket, err := fill(r.Bucket, c.Path, "")
		if err == nil && !bucketName.MatchString(bucket) {
			err = fmt.Errorf("%s is not the name of a bucket", brief(bucket))
		}
		if err != nil {
			return nil, receipt, err
		}
		permissions := r.Permissions
		if len(permissions) == 0 {
			permissions = permissionsFor[c.Effect]
		}
		one := downscope.AccessBoundaryRule{AvailableResource: "//storage.googleapis.com/projects/_/buckets/" + bucket, AvailablePermissions: permissions}
		what := bucket
		object, err := fill(r.Object+r.Prefix, c.Path, "")
		switch name := "projects/_/buckets/" + bucket + "/objects/" + object; {
		case err != nil:
			return nil, receipt, err
		case r.Object != "":
			one.Condition = &downscope.AvailabilityCondition{Title: c.Txn, Expression: "resource.name == " + strconv.QuoteToASCII(name)}
			what += "/" + object
		case r.Prefix != "":
			one.Condition = &downscope.AvailabilityCondition{Title: c.Txn, Expression: "resource.name.startsWith(" + strconv.QuoteToASCII(name) +
				") || api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith(" + strconv.QuoteToASCII(object) + ")"}
			what += "/" + object + "…"
			receipt.Wider = "all objects whose names begin so"
		default:
			receipt.Wider = "the whole bucket"
		}
		rules, scope = append(rules, one), append(scope, strings.Join(permissions, " ")+" "+what)
	}
	if len(rules) == 0 {
		return nil, receipt, fmt.Errorf("no rule is for a %s that is a %s", strings.Join(c.Details.Actions, " "), c.Effect)
	}
	receipt.Audience, receipt.Narrowed, receipt.Scope = "storage.googleapis.com", "a Credential Access Boundary", strings.Join(scope, "; ")
	return rules, receipt, nil
}

// narrow has Google's token service cut a token down.
func (g *GCP) narrow(ctx context.Context, root *oauth2.Token, rules []downscope.AccessBoundaryRule) (*oauth2.Token, error) {
	client, heard := listen(ctx, g.Client)
	source, err := downscope.NewTokenSource(context.WithValue(ctx, oauth2.HTTPClient, client),
		downscope.DownscopingConfig{RootSource: oauth2.StaticTokenSource(root), Rules: rules, UniverseDomain: g.Universe})
	if err != nil {
		return nil, err // of our own making, and checked before
	}
	t, err := source.Token()
	if err != nil {
		return nil, heard.explain()
	}
	if err := checkIssued(t, nil, nil); err != nil {
		return nil, fmt.Errorf("cannot use the token: %w", err)
	}
	return t, nil
}

// impersonate gets a token of another service account that lives no longer than it is
// asked to (projects.serviceAccounts.generateAccessToken).
func (g *GCP) impersonate(ctx context.Context, root *oauth2.Token) (*oauth2.Token, error) {
	lasts := g.Lasts
	if lasts == 0 {
		lasts = time.Minute
	}
	body := fmt.Sprintf(`{"scope":[%q],"lifetime":"%ds"}`, cloudPlatform, int(lasts.Seconds()))
	client, heard := listen(ctx, g.Client)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost,
		"https://iamcredentials."+g.universe()+"/v1/projects/-/serviceAccounts/"+url.PathEscape(g.Impersonate)+":generateAccessToken", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+root.AccessToken)
	var answer struct {
		AccessToken string    `json:"accessToken"`
		Expires     time.Time `json:"expireTime"`
	}
	if err := fetchJSON(client, r, &answer); err != nil || answer.AccessToken == "" {
		return nil, heard.explain()
	}
	return &oauth2.Token{AccessToken: answer.AccessToken, TokenType: "Bearer", Expiry: answer.Expires}, nil
}
