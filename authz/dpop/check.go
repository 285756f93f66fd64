package dpop

import (
	"context"
	"crypto/subtle"
	"net/http"
	"time"
)

// Problem is why a proof is not taken. Code is an error of RFC 9449, section 7.1, or
// of RFC 6750; Help, a sentence, may be sent to the client.
type Problem struct {
	Code, Help string
	Nonce      string // for DPoP-Nonce, with the code use_dpop_nonce
}

func (p *Problem) Error() string { return p.Code + ": " + p.Help }

// invalidProof is about what is wrong with a proof.
func invalidProof(help string) error { return &Problem{Code: "invalid_dpop_proof", Help: help} }

// Checker checks the proofs that a server is sent.
type Checker struct {
	Skew   time.Duration // how old a proof may be, and how far the clocks may differ
	Nonces *Nonces       // nil: none are asked for
	// Spend uses up the proof that a key made under an id, once; false means that it
	// was used before. An error refuses the proof. It is remembered until then.
	Spend func(ctx context.Context, thumbprint, id string, until time.Time) (fresh bool, err error)
}

// Request is what a proof has to be for.
type Request struct {
	Method, URL string
	Token       string // that comes with the proof
	Thumbprint  string // of the key that the token is bound to
}

// Check checks the proof in the header of a request, in the order of RFC 9449,
// section 4.3. Last it spends the proof. The error is a *Problem, or that of Spend.
func (c *Checker) Check(ctx context.Context, h http.Header, want Request, now time.Time) error {
	p, err := c.weigh(h, want, now)
	if err != nil {
		return err
	}
	fresh, err := c.Spend(ctx, p.thumbprint, p.id, now.Add(2*c.Skew+time.Second)) // longer than it can be used
	if err == nil && !fresh {
		err = invalidProof("the proof was used before (jti): make one for each request")
	}
	return err
}

func (c *Checker) weigh(h http.Header, want Request, now time.Time) (*proof, error) {
	lines := h.Values("DPoP")
	if len(lines) != 1 {
		return nil, invalidProof("there has to be exactly one header DPoP with a proof")
	}
	p, err := parseProof(lines[0])
	switch {
	case err != nil:
		return nil, err
	case !same(p.thumbprint, want.Thumbprint):
		return nil, &Problem{Code: "invalid_token", Help: "the token is bound to another key than the proof is signed with"}
	case p.method != want.Method:
		return nil, invalidProof("the proof is for another method (htm)")
	case !sameURL(p.url, want.URL):
		return nil, invalidProof("the proof is for another URL (htu): this one is " + want.URL)
	case !same(p.tokenHash, hash(want.Token)):
		return nil, invalidProof("the proof is for another token (ath)")
	case c.Nonces != nil && !c.Nonces.isGood(p.nonce, now, c.Skew):
		return nil, &Problem{Code: "use_dpop_nonce", Nonce: c.Nonces.New(now),
			Help: "the proof has to hold the nonce that this answer names in the header DPoP-Nonce: make a new proof with it"}
	case p.issued.Before(now.Add(-c.Skew)) || p.issued.After(now.Add(c.Skew)):
		return nil, invalidProof("the proof was made too long ago, or in the future (iat): make one for each request, and compare the clocks")
	}
	return p, nil
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
