package devissuer

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"github.com/exeat/exeat/store"
)

// Bounds of registrations: anybody who reaches exeat can make one.
const (
	maxClients       = 500
	maxRegistrations = 60        // a minute
	maxOfAddress     = 20        // a minute, from one address
	unusedLife       = time.Hour // of a client that nobody lets do anything
)

// registration is what RFC 7591 lets a client say that counts here, and what it is
// told.
type registration struct {
	ID string `json:"client_id,omitempty"`
	client
	Issued        int64            `json:"client_id_issued_at,omitempty"`
	AuthMethod    string           `json:"token_endpoint_auth_method,omitempty"`
	GrantTypes    []oidc.GrantType `json:"grant_types,omitempty"`
	ResponseTypes []string         `json:"response_types,omitempty"`
}

// register takes a client that registers itself. It is told how it may ask, which
// can be less than it wanted (RFC 7591 §3.2.1): it gets no secret.
func (i *Issuer) register(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	now := i.now()
	from, _, _ := net.SplitHostPort(r.RemoteAddr)
	if i.registers.Add("from "+from, now, time.Minute) > maxOfAddress || i.registers.Add("", now, time.Minute) > maxRegistrations {
		w.Header().Set("Retry-After", "60")
		writeProblem(w, http.StatusTooManyRequests, "temporarily_unavailable", "too many clients register at once; try again in a minute")
		return
	}
	var asked registration
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		writeProblem(w, http.StatusBadRequest, "invalid_client_metadata", "the body has to be application/json")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		err = json.Unmarshal(body, &asked)
	}
	if err != nil {
		writeProblem(w, http.StatusBadRequest, "invalid_client_metadata", "the body is not a JSON object of client metadata of at most 16 KiB")
		return
	}
	if len(asked.GrantTypes) > 0 && !slices.Contains(asked.GrantTypes, oidc.GrantTypeCode) {
		writeProblem(w, http.StatusBadRequest, "invalid_client_metadata", "the only way to a token is authorization_code, with PKCE")
		return
	}
	c := asked.client
	if err := c.check(); err != nil {
		writeProblem(w, http.StatusBadRequest, "invalid_redirect_uri", err.Error())
		return
	}
	c.ID, c.Registered = "client_"+strings.ToLower(rand.Text()), now
	if err := i.keep(r, &c); err != nil {
		i.trouble(err)
		w.Header().Set("Retry-After", "60")
		writeProblem(w, http.StatusServiceUnavailable, "temporarily_unavailable", "the client could not be kept now; try again in a minute")
		return
	}
	writeJSON(w, http.StatusCreated, registration{ID: c.ID, client: c, Issued: now.Unix(), AuthMethod: string(oidc.AuthMethodNone), GrantTypes: grantTypes,
		ResponseTypes: []string{string(oidc.ResponseTypeCode)}})
}

// keep stores a client, for which one that nobody uses makes room.
func (i *Issuer) keep(r *http.Request, c *client) error {
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return i.c.Store.Update(r.Context(), func(tx *store.Tx) error {
		left, err := tx.TrimClients(c.Registered, maxClients)
		if err != nil {
			return err
		}
		if left >= maxClients {
			return errFull
		}
		return tx.InsertClient(store.Client{ID: c.ID, Body: body, Created: c.Registered, Ends: c.Registered.Add(unusedLife)})
	})
}

// writeProblem answers as RFC 6749 §5.2 and RFC 7591 §3.2.2 do.
func writeProblem(w http.ResponseWriter, status int, code, text string) {
	writeJSON(w, status, map[string]string{"error": code, "error_description": text})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a reader that has gone needs no answer
}
