package signals

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// bodyWithin is how long a token may take to arrive.
const bodyWithin = 10 * time.Second

// ServeHTTP takes a token that a transmitter pushes (RFC 8935): 202 is that it was
// taken, whether it was new or not, 400 that it never will be, 503 that it should
// come again.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		answer(w, http.StatusMethodNotAllowed, badRequest, "a security event token is sent with POST")
		return
	}
	sent, bearer := bearerOf(req)
	if !bearer && r.wantsBearer() {
		challenge(w)
		return
	}
	if media, _, err := mime.ParseMediaType(req.Header.Get("Content-Type")); err != nil || media != "application/secevent+jwt" {
		answer(w, http.StatusBadRequest, badRequest, "the Content-Type is not application/secevent+jwt")
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyWithin)) // where it cannot be set, the server's own holds
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxSET))
	switch large := (*http.MaxBytesError)(nil); {
	case errors.As(err, &large):
		answer(w, http.StatusRequestEntityTooLarge, badRequest, "the security event token is larger than 64 KiB")
		return
	case err != nil:
		answer(w, http.StatusBadRequest, badRequest, "the body did not arrive whole")
		return
	}
	_, err = r.accept(req.Context(), string(body), func(from *Issuer) error { return from.admits(sent) })
	refused := (*refusal)(nil)
	switch {
	case err == nil:
		w.WriteHeader(http.StatusAccepted)
	case errors.As(err, &refused) && refused.code == notYou:
		challenge(w)
	case errors.As(err, &refused):
		answer(w, http.StatusBadRequest, refused.code, refused.text)
	default:
		w.Header().Set("Retry-After", "10")
		answer(w, http.StatusServiceUnavailable, "temporarily_unavailable", "it cannot be acted on now: send it again")
	}
}

// bearerOf is the token of a request's one Authorization header.
func bearerOf(req *http.Request) (token string, ok bool) {
	lines := req.Header.Values("Authorization")
	if len(lines) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(lines[0], " ")
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != ""
}

// wantsBearer reports whether no transmitter pushes without a bearer token, so that
// nothing has to be read of who has none.
func (r *Receiver) wantsBearer() bool {
	for _, i := range r.issuers {
		if i.Push != nil && i.Push.Token == nil {
			return false
		}
	}
	return true
}

// admits checks that an issuer may push, with the bearer token that was sent.
func (i *Issuer) admits(sent string) error {
	switch {
	case i.Push == nil:
		return refuse(notAllowed, "its signals are fetched from its issuer, and not taken here")
	case i.Push.Token == nil:
		return nil
	}
	want := i.Push.Token()
	a, b := sha256.Sum256([]byte(sent)), sha256.Sum256([]byte(want))
	if want == "" || subtle.ConstantTimeCompare(a[:], b[:]) != 1 {
		return refuse(notYou, "the bearer token is not that of this transmitter")
	}
	return nil
}

func challenge(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", "Bearer")
	answer(w, http.StatusUnauthorized, notYou, "send the bearer token that was agreed on for signals")
}

// answer is an error in the form of RFC 8935, section 2.3.
func answer(w http.ResponseWriter, status int, code, text string) {
	b, err := json.Marshal(map[string]string{"err": code, "description": text})
	if err != nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Language", "en")
	w.WriteHeader(status)
	_, _ = w.Write(b) // who has gone needs no answer
}
