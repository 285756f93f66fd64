// Package petstore is a small REST API with state, for the demo and for tests:
// the animals of a shelter, kept in memory. It checks what it is sent, answers
// errors as problem details (RFC 9457), knows ETag and If-Match, pages, takes
// an Idempotency-Key, and can ask for a key, so that only what holds the key (a
// guard) can call it. Its document is openapi.yaml.
package petstore

import (
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Document is the OpenAPI 3.1 document of the API, which it also serves, to
// anybody, at /openapi.yaml.
//
//go:embed openapi.yaml
var Document []byte

// Server is the API. Its zero value is ready to use and holds eight pets.
type Server struct {
	// Key, if not empty, must come as a bearer token with every request. It
	// must not change once the server is in use.
	Key string
	// Now tells the time; nil means time.Now. It must not change either.
	Now func() time.Time

	once sync.Once
	mux  *http.ServeMux

	mu     sync.Mutex // guards what follows
	pets   map[int64]*pet
	lastID int64
	photos int // bytes of all photos
	made   map[string]addition
	keys   []string // of made, oldest first
}

// New returns a server that asks for no key.
func New() http.Handler { return &Server{} }

// handler answers a request or returns why it does not; a *problem is told to
// the client as it is.
type handler func(http.ResponseWriter, *http.Request) error

func (s *Server) init() {
	s.pets, s.made = map[int64]*pet{}, map[string]addition{}
	s.seed()
	s.mux = http.NewServeMux()
	for path, methods := range map[string]map[string]handler{
		"/pets":               {"GET": s.list, "POST": s.create},
		"/pets/search":        {"POST": s.search},
		"/pets/{petId}":       {"GET": s.get, "PUT": s.replace, "PATCH": s.patch, "DELETE": s.remove},
		"/pets/{petId}/photo": {"GET": s.photo, "POST": s.upload},
	} {
		s.mux.Handle(path, s.authorized(dispatch(methods)))
	}
	s.mux.Handle("/", s.authorized(func(http.ResponseWriter, *http.Request) error {
		return refuse(http.StatusNotFound, "there is nothing here; /openapi.yaml says what there is")
	}))
	s.mux.Handle("/openapi.yaml", answer(dispatch(map[string]handler{"GET": func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "application/yaml")
		w.Write(Document)
		return nil
	}})))
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.once.Do(s.init)
	s.mux.ServeHTTP(w, r)
}

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now().UTC()
	}
	return time.Now().UTC()
}

// dispatch chooses by method.
func dispatch(methods map[string]handler) handler {
	var allow []string
	for m := range methods {
		allow = append(allow, m)
	}
	slices.Sort(allow)
	return func(w http.ResponseWriter, r *http.Request) error {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet // net/http leaves the body out
		}
		h, ok := methods[method]
		if !ok {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			return refuse(http.StatusMethodNotAllowed, "%s is not possible here", r.Method)
		}
		return h(w, r)
	}
}

// authorized asks for the key, if there is one.
func (s *Server) authorized(h handler) http.Handler {
	return answer(func(w http.ResponseWriter, r *http.Request) error {
		if s.Key == "" {
			return h(w, r)
		}
		scheme, key, _ := strings.Cut(strings.Join(r.Header.Values("Authorization"), ","), " ")
		got, want := sha256.Sum256([]byte(key)), sha256.Sum256([]byte(s.Key))
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="petstore"`)
			return refuse(http.StatusUnauthorized, "the petstore's key is needed, as a bearer token")
		}
		return h(w, r)
	})
}

// answer writes what a handler returns.
func answer(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		err := h(w, r)
		if err == nil {
			return
		}
		p := &problem{Status: http.StatusInternalServerError}
		errors.As(err, &p)
		p.Title = http.StatusText(p.Status)
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(p.Status)
		json.NewEncoder(w).Encode(p)
	})
}

// problem is a refusal as RFC 9457 writes it; its type is about:blank.
type problem struct {
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail,omitempty"`
	Errors []fault `json:"errors,omitempty"`
}

// fault is one thing wrong with a body.
type fault struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

func (p *problem) Error() string { return fmt.Sprintf("%d: %s", p.Status, p.Detail) }

func refuse(status int, format string, args ...any) error {
	return &problem{Status: status, Detail: fmt.Sprintf(format, args...)}
}

// writeJSON answers with a value.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
	return nil
}
