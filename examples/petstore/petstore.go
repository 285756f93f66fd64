// Package petstore is a small REST API with real state: what exeat's demo and
// tests call. openapi.yaml describes it.
package petstore

import (
	"crypto/subtle"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Document is openapi.yaml.
//
//go:embed openapi.yaml
var Document []byte

// Bounds on what the shop takes.
const (
	maxBody   = 1 << 20
	maxPets   = 10_000
	maxPhotos = 100
)

// Pet is an animal of the shop.
type Pet struct {
	ID      int64   `json:"id"`
	Name    string  `json:"name"`
	Species string  `json:"species"`
	Price   float64 `json:"price,omitempty"`
	Status  string  `json:"status"`
	Born    string  `json:"born,omitempty"`

	version int
}

// Page is a part of a list.
type Page struct {
	Pets []Pet `json:"pets"`
	Next int64 `json:"next,omitempty"`
}

// Shop is the API. Key, if not empty, is the bearer token that every request
// must carry, so that only who holds it gets in.
type Shop struct {
	Key string

	mu     sync.Mutex // guards the rest
	pets   map[int64]*Pet
	photos map[int64][]byte
	last   int64
	writes int
}

// New returns a shop with a few animals.
func New(key string) *Shop {
	s := &Shop{Key: key, pets: map[int64]*Pet{}, photos: map[int64][]byte{}}
	for _, p := range []Pet{
		{Name: "Minka", Species: "cat", Price: 120}, {Name: "Rex", Species: "dog", Price: 350}, {Name: "Hoppel", Species: "rabbit", Price: 35},
		{Name: "Coco", Species: "parrot", Price: 900}, {Name: "Tiger", Species: "cat", Price: 95, Status: "sold"}, {Name: "Bella", Species: "dog", Price: 410},
		{Name: "Schnuppe", Species: "cat", Price: 80}, {Name: "Polly", Species: "parrot", Price: 640},
	} {
		if p.Status == "" {
			p.Status = "available"
		}
		s.last++
		p.ID = s.last
		s.pets[p.ID] = &p
	}
	return s
}

// Writes is how many requests have changed something.
func (s *Shop) Writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// Handler is the API over HTTP.
func (s *Shop) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /pets", s.list)
	mux.HandleFunc("POST /pets", s.create)
	mux.HandleFunc("POST /pets/search", s.search)
	mux.HandleFunc("GET /pets/{id}", s.withPet(s.get))
	mux.HandleFunc("PUT /pets/{id}", s.withPet(s.update))
	mux.HandleFunc("DELETE /pets/{id}", s.withPet(s.remove))
	mux.HandleFunc("GET /pets/{id}/photo", s.withPet(s.photo))
	mux.HandleFunc("POST /pets/{id}/photo", s.withPet(s.upload))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want := "Bearer " + s.Key
		if s.Key != "" && subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(want)) != 1 {
			problem(w, http.StatusUnauthorized, "the shop's key is missing or wrong")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		s.mu.Lock()
		defer s.mu.Unlock()
		mux.ServeHTTP(w, r)
	})
}

func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": detail})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// etag names a version of a pet.
func (p *Pet) etag() string { return fmt.Sprintf(`"%d-%d"`, p.ID, p.version) }

// withPet finds the pet of the path and minds If-Match.
func (s *Shop) withPet(f func(http.ResponseWriter, *http.Request, *Pet)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
		p := s.pets[id]
		if err != nil || p == nil {
			problem(w, http.StatusNotFound, "there is no such pet")
			return
		}
		if m := r.Header.Get("If-Match"); m != "" && m != "*" && m != p.etag() {
			problem(w, http.StatusPreconditionFailed, "the pet has changed since")
			return
		}
		f(w, r, p)
	}
}

func (s *Shop) sorted() []Pet {
	var all []Pet
	for _, p := range s.pets {
		all = append(all, *p)
	}
	slices.SortFunc(all, func(a, b Pet) int { return int(a.ID - b.ID) })
	return all
}

func (s *Shop) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, cursor := 20, int64(0)
	var err error
	if v := q.Get("limit"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > 100 {
			problem(w, http.StatusUnprocessableEntity, "limit is a number from 1 to 100")
			return
		}
	}
	if v := q.Get("cursor"); v != "" {
		if cursor, err = strconv.ParseInt(v, 10, 64); err != nil {
			problem(w, http.StatusUnprocessableEntity, "cursor is a number")
			return
		}
	}
	kinds := strings.FieldsFunc(q.Get("species"), func(r rune) bool { return r == ',' })
	page := Page{Pets: []Pet{}}
	for _, p := range s.sorted() {
		if p.ID <= cursor || len(kinds) > 0 && !slices.Contains(kinds, p.Species) {
			continue
		}
		if len(page.Pets) == limit {
			page.Next = page.Pets[limit-1].ID
			break
		}
		page.Pets = append(page.Pets, p)
	}
	answer(w, http.StatusOK, page)
}

func (s *Shop) search(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Text     string   `json:"text"`
		MaxPrice *float64 `json:"max_price"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Text == "" {
		problem(w, http.StatusUnprocessableEntity, "text is needed")
		return
	}
	page := Page{Pets: []Pet{}}
	for _, p := range s.sorted() {
		if strings.Contains(strings.ToLower(p.Name), strings.ToLower(q.Text)) && (q.MaxPrice == nil || p.Price <= *q.MaxPrice) {
			page.Pets = append(page.Pets, p)
		}
	}
	answer(w, http.StatusOK, page)
}

// read decodes a pet and checks it.
func read(w http.ResponseWriter, r *http.Request) (Pet, bool) {
	var p Pet
	if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
		problem(w, http.StatusUnprocessableEntity, "the body is no pet: "+err.Error())
		return p, false
	}
	if p.Name == "" || !slices.Contains([]string{"cat", "dog", "rabbit", "parrot"}, p.Species) {
		problem(w, http.StatusUnprocessableEntity, "a pet needs a name and a species of the shop")
		return p, false
	}
	if p.Status == "" {
		p.Status = "available"
	}
	return p, true
}

func (s *Shop) create(w http.ResponseWriter, r *http.Request) {
	p, ok := read(w, r)
	if !ok {
		return
	}
	if len(s.pets) >= maxPets {
		problem(w, http.StatusInsufficientStorage, "the shop is full")
		return
	}
	s.last++
	s.writes++
	p.ID = s.last
	s.pets[p.ID] = &p
	w.Header().Set("ETag", p.etag())
	w.Header().Set("Location", fmt.Sprintf("/pets/%d", p.ID))
	answer(w, http.StatusCreated, p)
}

func (s *Shop) get(w http.ResponseWriter, _ *http.Request, p *Pet) {
	w.Header().Set("ETag", p.etag())
	answer(w, http.StatusOK, p)
}

func (s *Shop) update(w http.ResponseWriter, r *http.Request, p *Pet) {
	next, ok := read(w, r)
	if !ok {
		return
	}
	next.ID, next.version = p.ID, p.version+1
	*p = next
	s.writes++
	s.get(w, r, p)
}

func (s *Shop) remove(w http.ResponseWriter, r *http.Request, p *Pet) {
	if p.Status == "sold" && r.URL.Query().Get("force") != "true" {
		problem(w, http.StatusConflict, "the pet is sold; delete it with force")
		return
	}
	delete(s.pets, p.ID)
	delete(s.photos, p.ID)
	s.writes++
	w.WriteHeader(http.StatusNoContent)
}

func (s *Shop) photo(w http.ResponseWriter, _ *http.Request, p *Pet) {
	b, ok := s.photos[p.ID]
	if !ok {
		problem(w, http.StatusNotFound, "there is no photo of this pet")
		return
	}
	w.Header().Set("Content-Type", "image/png")
	w.Write(b)
}

func (s *Shop) upload(w http.ResponseWriter, r *http.Request, p *Pet) {
	f, _, err := r.FormFile("file")
	if err != nil {
		problem(w, http.StatusUnprocessableEntity, "a file is needed, of at most 1 MiB")
		return
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil || len(s.photos) >= maxPhotos {
		problem(w, http.StatusInsufficientStorage, "there is no room for the photo")
		return
	}
	s.photos[p.ID] = b
	s.writes++
	answer(w, http.StatusCreated, map[string]any{"bytes": len(b), "caption": r.FormValue("caption")})
}
