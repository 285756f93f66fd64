package petstore

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/openapi"
)

// client calls one server over HTTP.
type client struct {
	t   *testing.T
	url string
}

func start(t *testing.T, s *Server) client {
	if s.Now == nil {
		s.Now = func() time.Time { return time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC) }
	}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return client{t, srv.URL}
}

type reply struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request; headers are "Name: value" or empty. A body is JSON unless a header
// says otherwise.
func (c client) do(method, target, body string, headers ...string) reply {
	c.t.Helper()
	req, err := http.NewRequest(method, c.url+target, strings.NewReader(body))
	if err != nil {
		c.t.Error(err)
		return reply{}
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		if h == "" {
			continue
		}
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Error(err)
		return reply{}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Error(err)
		return reply{}
	}
	return reply{resp.StatusCode, resp.Header, b}
}

// ok is do for what must succeed, with the pet that comes back.
func (c client) ok(status int, method, target, body string, headers ...string) (pet, reply) {
	c.t.Helper()
	r := c.do(method, target, body, headers...)
	if r.status != status {
		c.t.Fatalf("%s %s: got %d, want %d: %s", method, target, r.status, status, r.body)
	}
	var p pet
	if len(r.body) > 0 && r.header.Get("Content-Type") == "application/json" {
		if err := json.Unmarshal(r.body, &p); err != nil {
			c.t.Fatal(err)
		}
	}
	return p, r
}

// ids are those of a page.
func (c client) ids(method, target, body string) (ids []int64, next string) {
	c.t.Helper()
	_, r := c.ok(200, method, target, body)
	var p page
	if err := json.Unmarshal(r.body, &p); err != nil {
		c.t.Fatal(err)
	}
	for _, x := range p.Pets {
		ids = append(ids, x.ID)
	}
	return ids, p.NextCursor
}

func TestChanges(t *testing.T) {
	c := start(t, &Server{})
	made, r := c.ok(201, "POST", "/pets", `{"name":"Ada","species":"cat","fee":70,"tags":["calm"],"note":"new"}`)
	want := pet{ID: 9, details: details{Name: "Ada", Species: "cat", Status: "available", Fee: 70, Tags: []string{"calm"}, Note: "new"},
		Created: made.Created, Updated: made.Created}
	if d := cmp.Diff(want, made, cmp.AllowUnexported(pet{})); d != "" {
		t.Errorf("created (-want +got):\n%s", d)
	}
	if r.header.Get("Location") != "/pets/9" || r.header.Get("ETag") != `"9-1"` {
		t.Errorf("Location %q, ETag %q", r.header.Get("Location"), r.header.Get("ETag"))
	}

	got, _ := c.ok(200, "PATCH", "/pets/9", `{"status":"reserved","note":null,"tags":["calm","clean"]}`, "Content-Type: application/merge-patch+json")
	want.Status, want.Note, want.Tags = "reserved", "", []string{"calm", "clean"}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(pet{})); d != "" {
		t.Errorf("patched (-want +got):\n%s", d)
	}
	got, r = c.ok(200, "PUT", "/pets/9", `{"name":"Ada Lovelace","species":"cat"}`)
	want.details = details{Name: "Ada Lovelace", Species: "cat", Status: "available", Tags: []string{}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(pet{})); d != "" {
		t.Errorf("replaced (-want +got):\n%s", d)
	}
	if r.header.Get("ETag") != `"9-3"` {
		t.Errorf("ETag %s after two changes", r.header.Get("ETag"))
	}
	again, _ := c.ok(200, "GET", "/pets/9", "")
	if d := cmp.Diff(got, again, cmp.AllowUnexported(pet{})); d != "" {
		t.Errorf("read back (-want +got):\n%s", d)
	}
	c.ok(204, "DELETE", "/pets/9", "")
	c.ok(404, "GET", "/pets/9", "")
	if p, _ := c.ok(201, "POST", "/pets", `{"name":"Bo","species":"dog"}`); p.ID != 10 {
		t.Errorf("id %d follows a deleted pet's; ids are not used again", p.ID)
	}
}

func TestPages(t *testing.T) {
	c := start(t, &Server{})
	var seen []int64
	next := ""
	for range 3 {
		var ids []int64
		ids, next = c.ids("GET", "/pets?limit=3&cursor="+next, "")
		seen = append(seen, ids...)
	}
	if d := cmp.Diff([]int64{1, 2, 3, 4, 5, 6, 7, 8}, seen); d != "" || next != "" {
		t.Errorf("pages (-want +got), next %q:\n%s", next, d)
	}
	for _, x := range []struct {
		method, target, body string
		want                 []int64
	}{
		{"GET", "/pets?species=cat,fish", "", []int64{1, 4, 8}},
		{"GET", "/pets?status=reserved", "", []int64{4}},
		{"GET", "/pets?species=dog&status=available&limit=1", "", []int64{2}},
		{"POST", "/pets/search", `{"text":"QUIET"}`, []int64{5, 8}},
		{"POST", "/pets/search", `{"text":"paw"}`, []int64{1}},
		{"POST", "/pets/search", `{"fee_max":0}`, []int64{7}},
		{"POST", "/pets/search", `{"species":["dog"],"fee_max":230,"status":"adopted"}`, []int64{6}},
		{"POST", "/pets/search", `{"text":"elephant"}`, nil},
		{"POST", "/pets/search", `{"limit":1}`, []int64{1}},
	} {
		if got, _ := c.ids(x.method, x.target, x.body); !cmp.Equal(got, x.want) {
			t.Errorf("%s %s %s: got %v, want %v", x.method, x.target, x.body, got, x.want)
		}
	}
}

func TestIfMatch(t *testing.T) {
	for _, x := range []struct {
		tag    string
		status int
	}{
		{`"1-1"`, 200}, {`"0-9", "1-1"`, 200}, {`*`, 200}, {`"1-2"`, 412}, {`W/"1-1"`, 412}, {`1-1`, 412},
	} {
		c := start(t, &Server{})
		c.ok(x.status, "PUT", "/pets/1", `{"name":"Mia","species":"cat"}`, "If-Match: "+x.tag)
		if x.status == 412 {
			c.ok(412, "DELETE", "/pets/1", "", "If-Match: "+x.tag)
			if p, _ := c.ok(200, "GET", "/pets/1", ""); p.Fee != 60 {
				t.Errorf("%s: refused, yet changed: %+v", x.tag, p)
			}
		}
	}
	c := start(t, &Server{})
	c.ok(412, "DELETE", "/pets/2", "", `If-Match: "1-1"`)
	c.ok(204, "DELETE", "/pets/1", "", `If-Match: "1-1"`)
}

func TestForce(t *testing.T) {
	c := start(t, &Server{})
	c.ok(409, "DELETE", "/pets/4", "")
	c.ok(409, "DELETE", "/pets/4?force=false", "")
	c.ok(204, "DELETE", "/pets/4?force=true", "")
	c.ok(404, "DELETE", "/pets/4?force=true", "")
}

func TestIdempotencyKey(t *testing.T) {
	c := start(t, &Server{})
	const body = `{"name":"Ada","species":"cat"}`
	var wg sync.WaitGroup
	replies := make([]reply, 20)
	for i := range replies {
		wg.Go(func() { replies[i] = c.do("POST", "/pets", body, "Idempotency-Key: one") })
	}
	wg.Wait()
	for _, r := range replies {
		if r.status != 201 || !bytes.Equal(r.body, replies[0].body) {
			t.Errorf("got %d %s, want 201 %s", r.status, r.body, replies[0].body)
		}
	}
	if ids, _ := c.ids("GET", "/pets?limit=100", ""); len(ids) != 9 {
		t.Errorf("%d pets after 20 equal requests, want 9", len(ids))
	}
	c.ok(422, "POST", "/pets", `{"name":"Eve","species":"cat"}`, "Idempotency-Key: one")
	if p, _ := c.ok(201, "POST", "/pets", body, "Idempotency-Key: two"); p.ID != 10 {
		t.Errorf("another key gave the pet %d, want 10", p.ID)
	}
}

func TestIdempotencyKeysAreBounded(t *testing.T) {
	s := &Server{}
	c := start(t, s)
	for i := range maxAdditions + 5 {
		c.ok(201, "POST", "/pets", `{"name":"Ant","species":"fish"}`, fmt.Sprintf("Idempotency-Key: k%d", i))
	}
	if len(s.made) != maxAdditions || len(s.keys) != maxAdditions {
		t.Errorf("%d additions and %d keys are remembered, want %d", len(s.made), len(s.keys), maxAdditions)
	}
}

func TestKey(t *testing.T) {
	c := start(t, &Server{Key: "s3cret"})
	for _, h := range []string{"", "Authorization: s3cret", "Authorization: Bearer s3cre", "Authorization: Bearer s3crett", "Authorization: Basic s3cret"} {
		r := c.do("GET", "/pets", "", h)
		if r.status != 401 || r.header.Get("WWW-Authenticate") == "" || strings.Contains(string(r.body), "s3cret") {
			t.Errorf("%q: got %d %s", h, r.status, r.body)
		}
		if r := c.do("GET", "/nowhere", "", h); r.status != 401 {
			t.Errorf("%q: unknown paths answer %d without the key", h, r.status)
		}
	}
	c.ok(200, "GET", "/pets", "", "Authorization: Bearer s3cret")
	c.ok(200, "GET", "/pets", "", "Authorization: bearer s3cret")
	if r := c.do("GET", "/openapi.yaml", ""); r.status != 200 || !bytes.Equal(r.body, Document) {
		t.Errorf("the document: %d, %d bytes", r.status, len(r.body))
	}
}

func TestRefusals(t *testing.T) {
	const patch = "Content-Type: application/merge-patch+json"
	for _, x := range []struct {
		method, target, body, header string
		status                       int
		detail                       string
	}{
		{"GET", "/pets/99", "", "", 404, "there is no pet 99"},
		{"GET", "/pets/0", "", "", 400, "whole number"},
		{"GET", "/pets/007", "", "", 400, "whole number"},
		{"GET", "/pets/mia", "", "", 400, "whole number"},
		{"GET", "/pets/2/photo", "", "", 404, "Bruno has no photo"},
		{"GET", "/nowhere", "", "", 404, "nothing here"},
		{"DELETE", "/pets", "", "", 405, "not possible"},
		{"GET", "/pets?limit=0", "", "", 400, "from 1 to 100"},
		{"GET", "/pets?limit=x", "", "", 400, "a number"},
		{"GET", "/pets?limit=1&limit=2", "", "", 400, "twice"},
		{"GET", "/pets?color=red", "", "", 400, "no query parameter"},
		{"GET", "/pets?cursor=abc", "", "", 400, "cursor"},
		{"GET", "/pets?species=cow", "", "", 400, "species"},
		{"GET", "/pets?status=lost", "", "", 400, "status"},
		{"GET", "/pets?%zz", "", "", 400, "query"},
		{"DELETE", "/pets/1?force=1", "", "", 400, "force"},
		{"POST", "/pets", `{"name":"A"}`, "", 422, "/species"},
		{"POST", "/pets", `{"name":" ","species":"cat"}`, "", 422, "/name"},
		{"POST", "/pets", `{"name":"A","species":"cat","fee":-1}`, "", 422, "/fee"},
		{"POST", "/pets", `{"name":"A","species":"cat","tags":["a","a"]}`, "", 422, "/tags/1"},
		{"POST", "/pets", `{"name":"A","species":"cat","id":3}`, "", 400, "unknown field"},
		{"POST", "/pets", `{"name":"A","species":"cat","fee":1.5}`, "", 400, "does not fit"},
		{"POST", "/pets", `{"name":"A","species":"cat"} x`, "", 400, "behind"},
		{"POST", "/pets", `[]`, "", 400, "JSON object"},
		{"POST", "/pets", `{"name":"A","species":"cat"}`, "Content-Type: text/plain", 415, "application/json"},
		{"POST", "/pets", `{"name":"A","species":"cat"}`, "Idempotency-Key: a b", 400, "Idempotency-Key"},
		{"POST", "/pets", `{"name":"` + strings.Repeat("a", maxJSON) + `"}`, "", 413, "larger"},
		{"PATCH", "/pets/1", `{"name":null}`, patch, 422, "/name"},
		{"PATCH", "/pets/1", `{}`, patch, 400, "changes nothing"},
		{"PATCH", "/pets/1", `{"fee":2}`, "", 415, "merge-patch"},
		{"POST", "/pets/1/photo", `{}`, "", 415, "multipart"},
		{"POST", "/pets/1/photo", `x`, "Content-Type: multipart/form-data", 400, "read"},
	} {
		c := start(t, &Server{})
		r := c.do(x.method, x.target, x.body, x.header)
		name := fmt.Sprintf("%s %s %.60s", x.method, x.target, x.body)
		if r.status != x.status || !strings.Contains(string(r.body), x.detail) {
			t.Errorf("%s: got %d %s, want %d with %q", name, r.status, r.body, x.status, x.detail)
		}
		var p problem
		if err := json.Unmarshal(r.body, &p); err != nil || p.Status != x.status || p.Title != http.StatusText(x.status) ||
			r.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: no problem details: %v %s", name, err, r.body)
		}
	}
}

// form is a multipart body with its media type.
func form(t *testing.T, caption string, files ...[]byte) (body, contentType string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range files {
		part, err := w.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {`form-data; name="file"; filename="a.png"`}, "Content-Type": {"image/png"}})
		if err != nil {
			t.Fatal(err)
		}
		part.Write(f)
	}
	if caption != "" {
		w.WriteField("caption", caption)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), "Content-Type: " + w.FormDataContentType()
}

func TestPhotos(t *testing.T) {
	s := &Server{}
	c := start(t, s)
	_, r := c.ok(200, "GET", "/pets/1/photo", "")
	img, err := png.Decode(bytes.NewReader(r.body))
	if err != nil || img.Bounds().Dx() != 64 || r.header.Get("Content-Type") != "image/png" {
		t.Fatalf("Mia's photo: %v, %v", err, r.header)
	}
	first := s.photos

	gif := append([]byte("GIF89a"), make([]byte, 100)...)
	body, media := form(t, "Bruno in the yard", gif)
	p, _ := c.ok(200, "POST", "/pets/2/photo", body, media)
	if want := (&photo{ContentType: "image/gif", Bytes: 106, Caption: "Bruno in the yard"}); !cmp.Equal(p.Photo, want, cmp.AllowUnexported(photo{})) {
		t.Errorf("uploaded: got %+v, want %+v", p.Photo, want)
	}
	if _, r := c.ok(200, "GET", "/pets/2/photo", ""); !bytes.Equal(r.body, gif) || r.header.Get("Content-Type") != "image/gif" {
		t.Errorf("the photo came back as %s, %d bytes", r.header.Get("Content-Type"), len(r.body))
	}
	c.ok(200, "PUT", "/pets/2", `{"name":"Bruno","species":"dog"}`)
	if _, r := c.ok(200, "GET", "/pets/2/photo", ""); len(r.body) != 106 {
		t.Errorf("a changed pet lost its photo: %d bytes", len(r.body))
	}
	c.ok(200, "POST", "/pets/2/photo", body, media)
	if s.photos != first+106 {
		t.Errorf("%d bytes of photos are counted, want %d", s.photos, first+106)
	}
	c.ok(204, "DELETE", "/pets/2", "")
	if s.photos != first {
		t.Errorf("%d bytes of photos are counted after a delete, want %d", s.photos, first)
	}

	for name, x := range map[string]struct {
		caption string
		files   [][]byte
		status  int
	}{
		"no file":      {"x", nil, 400},
		"two files":    {"", [][]byte{gif, gif}, 400},
		"no picture":   {"", [][]byte{[]byte("<html>")}, 415},
		"too large":    {"", [][]byte{append(gif, make([]byte, maxPhoto)...)}, 413},
		"far too much": {"", [][]byte{append(gif, make([]byte, maxUpload)...)}, 413},
		"long caption": {strings.Repeat("é", 201), [][]byte{gif}, 422},
	} {
		body, media := form(t, x.caption, x.files...)
		if r := c.do("POST", "/pets/3/photo", body, media); r.status != x.status {
			t.Errorf("%s: got %d %s, want %d", name, r.status, r.body, x.status)
		}
	}
	if s.photos != first {
		t.Errorf("refused photos are counted: %d, want %d", s.photos, first)
	}
}

// TestDocument calls every operation the way exeat does, so that document and
// API cannot drift apart.
func TestDocument(t *testing.T) {
	c := start(t, &Server{})
	api, err := openapi.Load(context.Background(), c.url+"/openapi.yaml", openapi.Options{BaseURL: c.url})
	if err != nil {
		t.Fatal(err)
	}
	// That its search reads although it is a POST is worth a word.
	if len(api.Findings) != 1 || api.Findings[0].Pointer != "/paths/~1pets~1search/post/x-exeat-effect" {
		t.Errorf("findings: %+v", api.Findings)
	}
	picture := base64.StdEncoding.EncodeToString(drawing())
	calls := map[string]struct {
		args   string
		status int
		effect openapi.Effect
	}{
		"list_pets":    {`{"limit": 2, "species": ["cat", "dog"], "status": "available"}`, 200, openapi.Read},
		"search_pets":  {`{"body": {"text": "quiet", "fee_max": 100}}`, 200, openapi.Read},
		"get_pet":      {`{"petId": 1}`, 200, openapi.Read},
		"get_photo":    {`{"petId": 1}`, 200, openapi.Read},
		"create_pet":   {`{"Idempotency-Key": "k", "body": {"name": "Ada", "species": "cat", "tags": ["x"]}}`, 201, openapi.Write},
		"update_pet":   {`{"petId": 2, "If-Match": "\"2-1\"", "body": {"name": "Bruno", "species": "dog"}}`, 200, openapi.Write},
		"patch_pet":    {`{"petId": 3, "body": {"fee": null, "status": "adopted"}}`, 200, openapi.Write},
		"delete_pet":   {`{"petId": 4, "force": true}`, 204, openapi.Delete},
		"upload_photo": {`{"petId": 5, "body": {"file": {"data": "` + picture + `", "filename": "otto.png"}, "caption": "Otto"}}`, 200, openapi.Write},
	}
	for _, op := range api.Operations {
		x, ok := calls[op.Name]
		if !ok {
			t.Errorf("no call for %s", op.Name)
			continue
		}
		delete(calls, op.Name)
		if op.Effect != x.effect || op.Summary == "" || len(op.Security) != 1 || len(op.Security[0][0].Scopes) != 1 {
			t.Errorf("%s: effect %s, summary %q, security %v", op.Name, op.Effect, op.Summary, op.Security)
		}
		args, err := op.Parse([]byte(x.args))
		if err != nil {
			t.Errorf("%s: %v", op.Name, err)
			continue
		}
		q, err := op.Encode(args)
		if err != nil {
			t.Errorf("%s: %v", op.Name, err)
			continue
		}
		headers := []string{"Content-Type: " + q.ContentType}
		for name := range q.Header {
			headers = append(headers, name+": "+q.Header.Get(name))
		}
		if r := c.do(q.Method, q.Target, string(q.Body), headers...); r.status != x.status {
			t.Errorf("%s: got %d %s, want %d", op.Name, r.status, r.body, x.status)
		}
	}
	for name := range calls {
		t.Errorf("the document has no %s", name)
	}
}
