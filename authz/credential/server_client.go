package credential

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/exeat/exeat/authz/dpop"
)

// notJSON is the error that an answer of success is not JSON, as RFC 6749 §5.1 wants.
type notJSON struct{ kind string }

func (e *notJSON) Error() string {
	return fmt.Sprintf("the authorization server answers with %s, and not JSON: check token_url", brief(e.kind))
}

// strict sends one token request, whose answer has to be JSON, with the proof of a
// key if the token is to be bound to it.
type strict struct {
	server *Server
	next   http.RoundTripper
	key    *dpop.Key // nil: it is not
}

func (s strict) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := s.send(r)
	if err != nil {
		return nil, err
	}
	if s.key != nil && s.wantsNonce(res) {
		res.Body.Close()
		again := r.Clone(r.Context())
		if again.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
		if res, err = s.send(again); err != nil {
			return nil, err
		}
	}
	if res.StatusCode != http.StatusOK {
		return res, nil
	}
	if kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		res.Body.Close()
		return nil, &notJSON{kind}
	}
	return res, nil
}

func (s strict) send(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Accept", "application/json")
	if s.key != nil {
		proof, err := s.key.Proof(r.Method, r.URL.String(), "", s.server.given.Nonce())
		if err != nil {
			return nil, err
		}
		r.Header.Set("DPoP", proof)
	}
	res, err := s.next.RoundTrip(r)
	if err == nil {
		s.server.given.Answered(res) // it spares the next call a request
	}
	return res, err
}

// wantsNonce reports whether the server asks for the same once more, with the nonce
// that it has just given (RFC 9449 §8). It reads the answer, and puts it back.
func (s strict) wantsNonce(res *http.Response) bool {
	if res.StatusCode != http.StatusBadRequest && res.StatusCode != http.StatusUnauthorized || res.Header.Get("DPoP-Nonce") == "" {
		return false
	}
	text, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	res.Body = struct {
		io.Reader
		io.Closer
	}{bytes.NewReader(text), res.Body}
	var answer struct {
		Code string `json:"error"`
	}
	return json.Unmarshal(text, &answer) == nil && answer.Code == "use_dpop_nonce"
}

// strictClient is a client for one token request.
func (s *Server) strictClient(key *dpop.Key) *http.Client {
	once := *s.client()
	if once.Transport == nil {
		once.Transport = direct.Transport
	}
	once.Transport = strict{s, once.Transport, key}
	return &once
}
