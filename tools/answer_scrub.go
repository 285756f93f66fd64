package tools

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/store"
	"github.com/exeat/exeat/tools/scrub"
)

// removed stands where an API sent the credential of the call back.
const removed = "[credential removed by exeat]"

// noSecrets are headers that exeat adds and that hold no secret: an API may well answer
// with the digest of what it was sent.
var noSecrets = []string{"User-Agent", "Accept-Encoding", "Content-Type", "Content-Digest", "Signature-Input", "X-Amz-Date", "X-Amz-Content-Sha256"}

// credentials are the secrets that req carries beyond the request that was
// decided: what was put into headers, cookies or the query, as a whole and in the
// parts that an API may show.
func credentials(req *http.Request, q store.Request) []string {
	var out []string
	for name, values := range req.Header {
		for _, v := range values {
			if slices.Contains(noSecrets, name) || slices.Contains(q.Header[name], v) {
				continue
			}
			if name == "Cookie" {
				out = append(out, added(v, strings.Join(q.Header["Cookie"], "; "), ";")...)
				continue
			}
			out = append(out, v, v[strings.LastIndexByte(v, ' ')+1:])
			if _, signature, ok := strings.Cut(v, "Signature="); ok { // of AWS
				out = append(out, signature)
			}
			if pair, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(v, "Basic ")); err == nil {
				_, password, _ := strings.Cut(string(pair), ":")
				out = append(out, string(pair), password)
			}
		}
	}
	_, query, _ := strings.Cut(q.Target, "?")
	for _, v := range added(req.URL.RawQuery, query, "&") {
		out = append(out, v)
		if plain, err := url.QueryUnescape(v); err == nil {
			out = append(out, plain)
		}
	}
	return out
}

// added are the values of the pairs that stand in all behind those of before.
func added(all, before, separator string) (values []string) {
	for pair := range strings.SplitSeq(strings.TrimPrefix(all, before), separator) {
		if _, v, ok := strings.Cut(pair, "="); ok {
			values = append(values, v)
		}
	}
	return values
}

// learn remembers the credential of a request, for all that the call gets from
// now on: an API may show it in the answer to another one.
func (c *course) learn(req *http.Request) {
	c.secrets = append(c.secrets, credentials(req, c.request)...)
	c.scrubber = scrub.New(removed, c.secrets...)
}

// knows reports whether a request has no other credential than those before it.
func (c *course) knows(req *http.Request) bool {
	for _, secret := range credentials(req, c.request) {
		if !slices.Contains(c.secrets, secret) {
			return false
		}
	}
	return true
}

// What is for the operator.
var errSameCredential = errors.New("the API refuses the credential, and asked for anew it is the same")

var errEchoed = errors.New("the API sent the credential of this call back; it was cut from the answer")

// scrubSource cuts the credential out of all that the API sent, before anything is
// made of it. An API that shows its callers their requests must not show the agent
// what it never gets.
func (c *course) scrubSource(resp *http.Response, a *openapi.Response) {
	found := false
	cut := func(text string, how func(string) (string, bool)) string {
		clean, hit := how(text)
		found = found || hit
		return clean
	}
	if a.Note != "" { // the text may be cut off
		a.Text = cut(a.Text, c.scrubber.Cut)
	} else {
		a.Text = cut(a.Text, c.scrubber.Text)
	}
	a.Note, a.MediaType = cut(a.Note, c.scrubber.Text), cut(a.MediaType, c.scrubber.Text)
	if clean, hit := c.scrubber.JSON(a.JSON); hit {
		a.JSON, found = clean, true
	}
	if c.scrubber.Found(a.Binary) {
		a.Binary, found = nil, true
	}
	for _, values := range resp.Header {
		for i, v := range values {
			values[i] = cut(v, c.scrubber.Text)
		}
	}
	if found {
		a.Note = join("the API sent the credential of this call back; it was cut out", a.Note)
		c.fail(errEchoed)
	}
}

// scrubResult looks through a finished answer, whatever it has, before it is kept
// or given: nothing that was put together for it may hold the credential.
func (c *course) scrubResult(res Result) Result {
	text, err := res.Envelope.write()
	if err != nil {
		return res // JSON says that it cannot be given
	}
	clean, found := c.scrubber.JSON(text)
	if !found {
		return res
	}
	c.fail(errEchoed)
	var e Envelope
	if decodeExact(clean, &e) != nil || e.Status != res.Envelope.Status {
		return fail(Internal, "the answer holds the credential of this call and is withheld")
	}
	e.Page = nil // a hint that was cut leads nowhere
	return Result{Envelope: e, Disposition: res.Disposition}
}

// scrubbedError is an error without the credential in its text.
type scrubbedError struct {
	error
	text string
}

func (e scrubbedError) Error() string { return e.text }

func (e scrubbedError) Unwrap() error { return e.error }

// scrubError is an error as the operator's log may have it: the libraries quote
// what they could not read.
func (c *course) scrubError(err error) error {
	if text, found := c.scrubber.Text(err.Error()); found {
		return scrubbedError{err, text}
	}
	return err
}

// decodeExact is json.Unmarshal with every digit of numbers.
func decodeExact(data []byte, v any) error {
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.UseNumber()
	return dec.Decode(v)
}
