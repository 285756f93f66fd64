package inbox

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"mime/multipart"
	"net/textproto"
	"strings"
	"testing"

	"github.com/exeat/exeat/store"
)

// painted is a PNG of some colours.
func painted(t testing.TB, w, h int) []byte {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for x := range w {
		for y := range h {
			m.Set(x, y, color.NRGBA{uint8(x), uint8(y), 160, 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// sendFile is a call that sends a form with one file and a text.
func sendFile(t testing.TB, name, claimed string, content []byte) store.Hold {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	header := textproto.MIMEHeader{"Content-Disposition": {`form-data; name="receipt"; filename="` + name + `"`}, "Content-Type": {claimed}}
	w, err := form.CreatePart(header)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = form.WriteField("note", "for Mia")
	}
	if err != nil || form.Close() != nil {
		t.Fatal(err)
	}
	h := call(alice, rand.Text())
	h.Effect, h.Tool, h.Summary = "write", "add_receipt", "POST /expenses/10/receipt: Add a receipt"
	args, _ := json.Marshal(map[string]any{"id": 10, "body": map[string]any{"note": "for Mia", "receipt": map[string]any{"filename": name, "content_type": claimed, "data": base64.StdEncoding.EncodeToString(content)}}})
	h.Args = args
	h.Request = store.Request{Method: "POST", Origin: "https://api.example.com", Target: "/expenses/10/receipt", Path: "/expenses/10/receipt", ContentType: form.FormDataContentType(), Body: b.Bytes()}
	return h
}

// An ordinary upload is a picture, a name, a type and a size: no base64, no warning
// for the line ends of the form; its bytes can only be saved.
func TestUploadOnThePage(t *testing.T) {
	s := newSite(t).login()
	content := painted(t, 400, 300)
	h := s.open(sendFile(t, "receipt.png", "image/png", content))
	a := s.get("/h/" + h.ID)
	for _, want := range []string{"receipt.png", "<strong>PNG</strong>", fmt.Sprintf("%d bytes", len(content)), "for Mia", `src="/h/` + h.ID + `/file/1/picture" width="320" height="240"`} {
		s.want(a, 200, want)
	}
	if strings.Contains(a.body, "characters that are invisible") || strings.Contains(a.body, base64.StdEncoding.EncodeToString(content)[:100]) || len(a.body) > 60_000 {
		t.Errorf("the page of %d bytes shows the bytes, or warns", len(a.body))
	}
	if csp := a.header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-src 'self'") || strings.Contains(csp, "img-src") {
		t.Errorf("the page may %q", csp)
	}
	saved := s.get("/h/" + h.ID + "/file/1")
	if saved.status != 200 || saved.body != string(content) || saved.header.Get("Content-Type") != "application/octet-stream" || saved.header.Get("Content-Disposition") != "attachment; filename=receipt.png" {
		t.Errorf("%d %v", saved.status, saved.header)
	}
	whole := s.get("/h/" + h.ID + "/body")
	if whole.body != string(h.Request.Body) || !strings.HasPrefix(whole.header.Get("Content-Disposition"), "attachment;") {
		t.Errorf("%d %v", whole.status, whole.header)
	}
	drawn := s.get("/h/" + h.ID + "/file/1/picture")
	if m, err := png.DecodeConfig(strings.NewReader(drawn.body)); err != nil || m.Width != 320 || drawn.header.Get("Content-Type") != "image/png" || drawn.header.Get("X-Frame-Options") != "SAMEORIGIN" {
		t.Errorf("%v %v", err, drawn.header)
	}
	for _, x := range []answer{saved, whole, drawn} {
		if csp := x.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "sandbox; default-src 'none';") || x.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("a file may %q", csp)
		}
	}
	for _, path := range []string{"/file/0", "/file/2", "/file/x", "/file/-1/picture", "/file/2/picture"} {
		s.want(s.get("/h/"+h.ID+path), 404, "")
	}
}

// Nobody gets the bytes of a call who may not see it.
func TestFilesAreForWhoMaySee(t *testing.T) {
	s := newSite(t).login()
	h, whose := sendFile(t, "receipt.png", "image/png", painted(t, 40, 30)), call(bob, "k")
	h.Subject, h.Principal = whose.Subject, whose.Principal
	h = s.open(h)
	for _, path := range []string{"", "/body", "/file/1", "/file/1/picture"} {
		if a := s.get("/h/" + h.ID + path); a.status != 404 || a.header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	mine := s.open(sendFile(t, "receipt.png", "image/png", painted(t, 40, 30)))
	s.post("/logout", map[string][]string{"csrf": {s.csrf}})
	for _, path := range []string{"/body", "/file/1", "/file/1/picture"} {
		if a := s.get("/h/" + mine.ID + path); a.status != 401 {
			t.Errorf("logged out, %s: %d", path, a.status)
		}
	}
}

// What is not as it was claimed has to be seen, and an SVG or a bomb is not drawn.
func TestFileWarnings(t *testing.T) {
	s := newSite(t).login()
	for name, tt := range map[string]struct {
		file, claimed string
		content       string
		want          string
		must          bool
	}{
		"a program":         {"invoice.pdf", "application/pdf", "MZ" + strings.Repeat("\x00\x90", 60), "It is a program", true},
		"HTML":              {"photo.png", "image/png", "<html><script>fetch('/pwned')</script>", "It is not what its name says", true},
		"an SVG":            {"logo.svg", "image/svg+xml", `<svg xmlns="http://www.w3.org/2000/svg" onload="fetch('/pwned')"></svg>`, "<svg xmlns", false},
		"a text":            {"notes.txt", "text/plain", "first line\r\nsecond line\r\n", "first line", false},
		"a PDF":             {"a.pdf", "application/pdf", "%PDF-1.7\n\x00\x01", "<strong>PDF</strong>", false},
		"a polyglot":        {"a.pdf", "application/pdf", "\xff\xd8\xff\xe0\n%PDF-1.7\n\x00\x01", "It can be read as something else", true},
		"a hidden ending":   {"cod.\u202etxt.exe", "application/octet-stream", "MZ" + strings.Repeat("\x00\x90", 60), "⟨U+202E⟩", true},
		"markup for a name": {"<img src=x onerror=alert(1)>.png", "image/png", string(painted(t, 3, 3)), "<img src=x", false},
		"a truncated image": {"a.png", "image/png", string(painted(t, 90, 90)[:90]), "<strong>PNG</strong>", false},
	} {
		h := s.open(sendFile(t, tt.file, tt.claimed, []byte(tt.content)))
		a := s.get("/h/" + h.ID)
		s.want(a, 200, tt.want)
		if got := strings.Contains(a.body, `id="must-files"`); got != tt.must {
			t.Errorf("%s: it has to be seen: %v", name, got)
		}
		if found := foreign(a.body); len(found) > 0 {
			t.Errorf("%s: the page holds %q", name, found)
		}
		if strings.HasPrefix(tt.content, "<") {
			if a := s.get("/h/" + h.ID + "/file/1/picture"); a.status != 404 {
				t.Errorf("%s: it is drawn", name)
			}
		}
		if d := s.get("/h/" + h.ID + "/file/1").header.Get("Content-Disposition"); strings.ContainsAny(d, "<>\u202e\r\n") || !strings.HasPrefix(d, "attachment; filename=") {
			t.Errorf("%s: %q", name, d)
		}
	}
}

// Files stand wherever bytes are sent: as a body, in a form, in JSON.
func TestFilesOf(t *testing.T) {
	picture := painted(t, 200, 150)
	encoded := base64.StdEncoding.EncodeToString(picture)
	for name, tt := range map[string]struct {
		q    store.Request
		want string
	}{
		"a body":        {store.Request{Path: "/files/a.png", ContentType: "image/png", Body: picture}, "/body a.png image/png PNG"},
		"octets":        {store.Request{Path: "/files", ContentType: "application/octet-stream", Body: picture}, "/body  application/octet-stream PNG"},
		"in JSON":       {store.Request{ContentType: "application/json", Body: []byte(`{"doc":{"content":"` + encoded + `"}}`)}, "/body/doc/content   PNG"},
		"in a data URL": {store.Request{ContentType: "application/json", Body: []byte(`{"a/b":["data:image/jpeg;base64,` + encoded + `"]}`)}, "/body/a~1b/0  image/jpeg PNG type"},
		"no file":       {store.Request{ContentType: "application/json", Body: []byte(`{"sum":"` + strings.Repeat("ab", 32) + `","text":"` + strings.Repeat("a b ", 100) + `"}`)}, ""},
		"text":          {store.Request{ContentType: "text/plain", Body: []byte("hello")}, ""},
		"no form":       {store.Request{ContentType: "multipart/form-data; boundary=x", Body: []byte("hello")}, "/body  multipart/form-data; boundary=x "},
		"nothing":       {store.Request{}, ""},
	} {
		var got []string
		for _, f := range filesOf(store.Hold{Request: tt.q}) {
			text := fmt.Sprintf("%s %s %s %s", f.Field, f.Name, f.Claimed, f.Label)
			for _, w := range f.Warnings {
				text += " " + string(w)
			}
			got = append(got, text)
		}
		if strings.Join(got, "; ") != tt.want {
			t.Errorf("%s: %q, not %q", name, got, tt.want)
		}
	}
}

// A hidden file shows nothing of what it holds, and is not given away.
func TestHiddenFile(t *testing.T) {
	s := newSite(t).login()
	content := painted(t, 40, 30)
	h := sendFile(t, "secret.png", "image/png", content)
	h.Masked = []string{"/body/receipt"}
	h = s.open(h)
	a := s.get("/h/" + h.ID)
	s.want(a, 200, "Hidden, ")
	if strings.Contains(a.body, "secret.png") || strings.Contains(a.body, "/picture") {
		t.Error("it is shown")
	}
	for _, path := range []string{"/body", "/file/1", "/file/1/picture"} {
		s.want(s.get("/h/"+h.ID+path), 404, "")
	}
	shown := s.get("/h/" + h.ID + "?reveal=1")
	s.want(shown, 200, "secret.png")
	s.want(shown, 200, "/file/1?reveal=1")
	if a := s.get("/h/" + h.ID + "/file/1?reveal=1"); a.body != string(content) {
		t.Errorf("%d", a.status)
	}
}
