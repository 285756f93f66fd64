package petstore

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Bounds of what is kept and read.
const (
	maxPets      = 10_000
	maxAdditions = 1_000 // remembered Idempotency-Keys
	maxJSON      = 64 << 10
)

// query is what listPets and searchPets look for.
type query struct {
	Text    string   `json:"text"`
	Species []string `json:"species"`
	Status  string   `json:"status"`
	FeeMax  *int64   `json:"fee_max"`
	Limit   *int     `json:"limit"`
	Cursor  string   `json:"cursor"`
}

// page is one page of pets.
type page struct {
	Pets       []*pet `json:"pets"`
	NextCursor string `json:"next_cursor,omitempty"`
}

// addition is a pet that was added under an Idempotency-Key, and the digest of
// what was asked for.
type addition struct {
	asked [32]byte
	pet   *pet
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) error {
	v, err := params(r, "limit", "cursor", "status", "species")
	if err != nil {
		return err
	}
	q := query{Status: v.Get("status"), Cursor: v.Get("cursor")}
	if v.Has("species") {
		q.Species = strings.Split(v.Get("species"), ",")
	}
	if v.Has("limit") {
		n, err := strconv.Atoi(v.Get("limit"))
		if err != nil {
			return refuse(http.StatusBadRequest, "limit must be a number")
		}
		q.Limit = &n
	}
	return s.find(w, q)
}

func (s *Server) search(w http.ResponseWriter, r *http.Request) error {
	var q query
	if _, err := readJSON(w, r, "application/json", &q); err != nil {
		return err
	}
	return s.find(w, q)
}

// find answers with one page of the pets that fit.
func (s *Server) find(w http.ResponseWriter, q query) error {
	limit, after := 20, int64(0)
	if q.Limit != nil {
		limit = *q.Limit
	}
	switch {
	case limit < 1 || limit > 100:
		return refuse(http.StatusBadRequest, "limit must be from 1 to 100")
	case q.Status != "" && !slices.Contains(allStatuses, q.Status):
		return refuse(http.StatusBadRequest, "status must be one of %s", strings.Join(allStatuses, ", "))
	case slices.ContainsFunc(q.Species, func(x string) bool { return !slices.Contains(allSpecies, x) }):
		return refuse(http.StatusBadRequest, "species must be some of %s", strings.Join(allSpecies, ", "))
	}
	if q.Cursor != "" {
		var err error
		if after, err = parseCursor(q.Cursor); err != nil {
			return refuse(http.StatusBadRequest, "cursor is not one that an earlier page gave")
		}
	}
	found := []*pet{}
	s.mu.Lock()
	for id, p := range s.pets {
		if id > after && p.fits(q) {
			found = append(found, p)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(found, func(a, b *pet) int { return cmp.Compare(a.ID, b.ID) })
	out := page{Pets: found[:min(limit, len(found))]}
	if len(found) > limit {
		out.NextCursor = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "after:%d", found[limit-1].ID))
	}
	return writeJSON(w, http.StatusOK, out)
}

func parseCursor(s string) (int64, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return 0, err
	}
	id, ok := strings.CutPrefix(string(b), "after:")
	if !ok {
		return 0, errors.New("no cursor")
	}
	return strconv.ParseInt(id, 10, 64)
}

var idempotencyKey = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`)

func (s *Server) create(w http.ResponseWriter, r *http.Request) error {
	var d details
	body, err := readJSON(w, r, "application/json", &d)
	if err != nil {
		return err
	}
	if err := d.check(); err != nil {
		return err
	}
	key, asked := r.Header.Get("Idempotency-Key"), sha256.Sum256(body)
	if key != "" && !idempotencyKey.MatchString(key) {
		return refuse(http.StatusBadRequest, "the Idempotency-Key must be 1 to 128 letters, digits, dots, colons, dashes and underscores")
	}
	p, err := s.add(d, key, asked)
	if err != nil {
		return err
	}
	return writePet(w, http.StatusCreated, p)
}

// add adds a pet, or finds the one that was added under the key before.
func (s *Server) add(d details, key string, asked [32]byte) (*pet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before, ok := s.made[key]; ok {
		if before.asked != asked {
			return nil, refuse(http.StatusUnprocessableEntity, "this Idempotency-Key was used for another pet")
		}
		return before.pet, nil
	}
	if len(s.pets) >= maxPets {
		return nil, refuse(http.StatusInsufficientStorage, "the shelter is full")
	}
	s.lastID++
	now := s.now()
	p := &pet{ID: s.lastID, details: d, Created: now, Updated: now, version: 1}
	s.pets[p.ID] = p
	if key != "" {
		s.remember(key, addition{asked, p})
	}
	return p, nil
}

// remember keeps an addition and forgets the oldest if there are too many.
func (s *Server) remember(key string, a addition) {
	s.made[key] = a
	if s.keys = append(s.keys, key); len(s.keys) > maxAdditions {
		delete(s.made, s.keys[0])
		s.keys = s.keys[1:]
	}
}

func (s *Server) get(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	p, err := s.pet(r)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return writePet(w, http.StatusOK, p)
}

func (s *Server) replace(w http.ResponseWriter, r *http.Request) error {
	var d details
	if _, err := readJSON(w, r, "application/json", &d); err != nil {
		return err
	}
	return s.change(w, r, func(p *pet) error {
		p.details = d
		return p.check()
	})
}

func (s *Server) patch(w http.ResponseWriter, r *http.Request) error {
	var names map[string]json.RawMessage
	body, err := readJSON(w, r, "application/merge-patch+json", &names)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return refuse(http.StatusBadRequest, "the patch changes nothing")
	}
	return s.change(w, r, func(p *pet) error {
		// The members are flat, so merging (RFC 7396) is decoding over what is
		// there, with a null emptying it.
		for name, value := range names {
			if string(value) == "null" {
				p.clear(name)
			}
		}
		if err := decode(body, &p.details); err != nil {
			return err
		}
		return p.check()
	})
}

// clear empties a detail; check refuses what cannot be empty.
func (d *details) clear(name string) {
	switch name {
	case "name":
		d.Name = ""
	case "species":
		d.Species = ""
	case "status":
		d.Status = ""
	case "fee":
		d.Fee = 0
	case "tags":
		d.Tags = nil
	case "note":
		d.Note = ""
	}
}

// change answers with a pet that f has changed.
func (s *Server) change(w http.ResponseWriter, r *http.Request, f func(*pet) error) error {
	p, err := s.swap(r, f)
	if err != nil {
		return err
	}
	return writePet(w, http.StatusOK, p)
}

// swap replaces a pet by a changed copy, if its ETag is the one asked for.
func (s *Server) swap(r *http.Request, f func(*pet) error) (*pet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.petAsExpected(r)
	if err != nil {
		return nil, err
	}
	p := *old
	p.Tags = slices.Clone(old.Tags) // decoding would write into the old pet's
	if err := f(&p); err != nil {
		return nil, err
	}
	p.version++
	p.Updated = s.now()
	s.pets[p.ID] = &p
	return &p, nil
}

func (s *Server) remove(w http.ResponseWriter, r *http.Request) error {
	v, err := params(r, "force")
	if err != nil {
		return err
	}
	force := v.Get("force") == "true"
	if v.Has("force") && !force && v.Get("force") != "false" {
		return refuse(http.StatusBadRequest, "force must be true or false")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.petAsExpected(r)
	if err != nil {
		return err
	}
	if p.Status == "reserved" && !force {
		return refuse(http.StatusConflict, "%s is reserved; only force deletes a reserved pet", p.Name)
	}
	delete(s.pets, p.ID)
	if p.Photo != nil {
		s.photos -= p.Photo.Bytes
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// pet is the one that the path names.
func (s *Server) pet(r *http.Request) (*pet, error) {
	id, err := strconv.ParseInt(r.PathValue("petId"), 10, 64)
	if err != nil || id < 1 || strconv.FormatInt(id, 10) != r.PathValue("petId") {
		return nil, refuse(http.StatusBadRequest, "a pet's id is a whole number from 1")
	}
	p, ok := s.pets[id]
	if !ok {
		return nil, refuse(http.StatusNotFound, "there is no pet %d", id)
	}
	return p, nil
}

// petAsExpected is the pet, if it is still as If-Match says (RFC 9110 §13.1.1).
func (s *Server) petAsExpected(r *http.Request) (*pet, error) {
	p, err := s.pet(r)
	if err != nil {
		return nil, err
	}
	tags := strings.Join(r.Header.Values("If-Match"), ",")
	if tags == "" || strings.TrimSpace(tags) == "*" {
		return p, nil
	}
	for tag := range strings.SplitSeq(tags, ",") {
		if strings.TrimSpace(tag) == p.etag() {
			return p, nil
		}
	}
	return nil, refuse(http.StatusPreconditionFailed, "the pet has changed: its ETag is %s now", p.etag())
}

func writePet(w http.ResponseWriter, status int, p *pet) error {
	w.Header().Set("ETag", p.etag())
	if status == http.StatusCreated {
		w.Header().Set("Location", fmt.Sprintf("/pets/%d", p.ID))
	}
	return writeJSON(w, status, p)
}

// params reads the query: each name at most once, and none that is not known.
func params(r *http.Request, known ...string) (url.Values, error) {
	v, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the query cannot be read")
	}
	for name, values := range v {
		switch {
		case !slices.Contains(known, name):
			return nil, refuse(http.StatusBadRequest, "there is no query parameter %q; there are %s", name, strings.Join(known, ", "))
		case len(values) > 1:
			return nil, refuse(http.StatusBadRequest, "the query parameter %s is given twice", name)
		}
	}
	return v, nil
}

// readJSON reads a body of the media type into v and also returns it.
func readJSON(w http.ResponseWriter, r *http.Request, media string, v any) ([]byte, error) {
	if got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || got != media {
		return nil, refuse(http.StatusUnsupportedMediaType, "the body must be %s", media)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxJSON))
	if err != nil {
		return nil, unread(err, maxJSON)
	}
	return body, decode(body, v)
}

// unread is why a body could not be read.
func unread(err error, limit int) error {
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return refuse(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes", limit)
	}
	return refuse(http.StatusBadRequest, "the body could not be read to its end")
}

// decode reads one JSON object without unknown members.
func decode(body []byte, v any) error {
	if b := bytes.TrimSpace(body); len(b) == 0 || b[0] != '{' {
		return refuse(http.StatusBadRequest, "the body must be a JSON object")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return refuse(http.StatusBadRequest, "the body does not fit: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return refuse(http.StatusBadRequest, "there is something behind the JSON object")
	}
	return nil
}
