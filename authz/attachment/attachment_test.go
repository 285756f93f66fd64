package attachment

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"slices"
	"strings"
	"testing"
)

func archive(t testing.TB, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range names {
		name, content, _ := strings.Cut(name, "=")
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = w.Write([]byte(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func picture(w, h int) image.Image {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for x := range w {
		for y := range h {
			m.Set(x, y, color.NRGBA{uint8(x), uint8(y), 200, uint8(255 - x%2*100)})
		}
	}
	return m
}

func pngOf(t testing.TB, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, picture(w, h)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegOf(t testing.TB, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, picture(w, h), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gifOf(t testing.TB, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := gif.Encode(&b, picture(w, h), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const svg = `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`

// What bytes are, and what is said of a file with a name and a claim.
func TestCheck(t *testing.T) {
	exe := "MZ" + strings.Repeat("\x00\x90", 60)
	for name, tt := range map[string]struct {
		file, claimed, content string
		kind                   string
		warns                  string
	}{
		"a PDF":                  {"invoice.pdf", "application/pdf", "%PDF-1.7\n\xe2\xe3\x00", "application/pdf", ""},
		"no claim":               {"", "", "%PDF-1.7\n", "application/pdf", ""},
		"octets":                 {"invoice.pdf", "application/octet-stream", "%PDF-1.7\n", "application/pdf", ""},
		"a program as PDF":       {"invoice.pdf", "application/pdf", exe, windows, "type name program"},
		"a program by name":      {"invoice.pdf.exe", "application/octet-stream", exe, windows, "program"},
		"a text that runs":       {"run.bat", "text/plain", "del *", "text/plain", "program"},
		"a script":               {"notes.txt", "text/plain", "#!/bin/sh\nrm -rf /\n", script, "program"},
		"an ELF":                 {"", "image/png", "\x7fELF\x02\x01", linux, "type program"},
		"text":                   {"notes.txt", "text/plain; charset=utf-8", "hello\r\nworld\r\n", "text/plain", ""},
		"CSV":                    {"list.csv", "text/csv", "a,b\n1,2\n", "text/plain", ""},
		"markdown":               {"a.md", "text/markdown", "# A\n", "text/plain", ""},
		"HTML as text":           {"a.txt", "text/plain", "<html><script>", "text/html", ""},
		"HTML as a PDF":          {"a.pdf", "application/pdf", "<html><script>", "text/html", "type name"},
		"HTML as an image":       {"a.png", "image/png", "<html>", "text/html", "type name"},
		"text as an image":       {"a.png", "image/png", "hello", "text/plain", "type name"},
		"nothing":                {"a.txt", "text/plain", "", "text/plain", ""},
		"JSON":                   {"a.json", "application/json", `{"a":1}`, "application/json", ""},
		"a number as JSON":       {"a.json", "application/json", `1`, "text/plain", ""},
		"no JSON":                {"a.json", "application/json", `{"a":`, "text/plain", "type name"},
		"XML":                    {"a.xml", "text/xml", `<?xml version="1.0"?><a/>`, "application/xml", ""},
		"SVG":                    {"a.svg", "image/svg+xml", svg, "image/svg+xml", ""},
		"SVG behind a comment":   {"a.svg", "image/svg+xml", `<?xml version="1.0"?><!-- x -->` + svg, "image/svg+xml", ""},
		"SVG as a PNG":           {"a.png", "image/png", svg, "image/svg+xml", "type name"},
		"PNG":                    {"a.png", "image/png", string(pngOf(t, 2, 2)), "image/png", ""},
		"JPEG":                   {"a.JPG", "image/jpg", string(jpegOf(t, 2, 2)), "image/jpeg", ""},
		"JPEG as PNG":            {"a.png", "image/png", string(jpegOf(t, 2, 2)), "image/jpeg", "type name"},
		"any image":              {"a.png", "image/*", string(pngOf(t, 2, 2)), "image/png", ""},
		"ZIP":                    {"a.zip", "application/zip", string(archive(t, "a.txt=x")), "application/zip", ""},
		"a Word document":        {"a.docx", docx, string(archive(t, "[Content_Types].xml=x", "word/document.xml=x")), docx, ""},
		"a sheet":                {"a.xlsx", xlsx, string(archive(t, "[Content_Types].xml=x", "xl/workbook.xml=x")), xlsx, ""},
		"a sheet with macros":    {"a.xlsx", xlsx, string(archive(t, "[Content_Types].xml=x", "xl/workbook.xml=x", "xl/vbaProject.bin=x")), xlsx, "macros"},
		"a ZIP as a document":    {"a.docx", docx, string(archive(t, "a.txt=x")), "application/zip", "type name"},
		"a JAR as a ZIP":         {"a.zip", "application/zip", string(archive(t, "META-INF/MANIFEST.MF=x")), jar, "program"},
		"OpenDocument":           {"a.odt", odf + "text", string(archive(t, "mimetype="+odf+"text")), odf + "text", ""},
		"a ZIP that lies":        {"a.odt", "", string(archive(t, "mimetype=text/html")), "application/zip", ""},
		"an old sheet":           {"a.xls", "application/vnd.ms-excel", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", ole, ""},
		"a new sheet as old":     {"a.xls", "application/vnd.ms-excel", string(archive(t, "[Content_Types].xml=x", "xl/workbook.xml=x")), xlsx, ""},
		"PDF in JPEG":            {"a.jpg", "image/jpeg", string(jpegOf(t, 2, 2)[:20]) + "\n%PDF-1.4\n", "image/jpeg", "double"},
		"ZIP behind PNG":         {"a.png", "image/png", string(pngOf(t, 2, 2)) + string(archive(t, "a.txt=x")), "image/png", "double"},
		"a script in a GIF":      {"a.gif", "image/gif", "GIF89a/*\x00\x01<SCRIPT>alert(1)</script>", "image/gif", "double"},
		"unknown":                {"a.bin", "application/vnd.acme", "\x00\x01\x02\x03", Unknown, ""},
		"unknown as a PDF":       {"a.pdf", "application/pdf", "\x00\x01\x02\x03", Unknown, "type name"},
		"a PDF as something new": {"a.acme", "application/vnd.acme", "%PDF-1.7\n", "application/pdf", "type"},
		"JSON as something new":  {"", "application/vnd.acme+json", `{}`, "application/json", ""},
		"a text about MZ":        {"a.txt", "text/plain", "MZ is how programs begin, and this is a text that is long enough to be one of them.", "text/plain", ""},
		"a text of a BM":         {"a.txt", "text/plain", "BMW is a maker of cars", "text/plain", ""},
		"a photo of a phone":     {"a.heic", "image/heic", "\x00\x00\x00\x18ftypheic\x00\x00", "image/heic", ""},
	} {
		kind := Sniff([]byte(tt.content))
		var warns []string
		for _, w := range Check(tt.file, tt.claimed, kind, []byte(tt.content)) {
			warns = append(warns, string(w))
		}
		if got := strings.Join(warns, " "); kind != tt.kind || got != tt.warns {
			t.Errorf("%s: %s [%s], not %s [%s]", name, kind, got, tt.kind, tt.warns)
		}
	}
}

// bomb is a PNG that says it is of that size.
func bomb(w, h uint32) []byte {
	head := append([]byte("IHDR"), make([]byte, 13)...)
	binary.BigEndian.PutUint32(head[4:], w)
	binary.BigEndian.PutUint32(head[8:], h)
	head[12], head[13] = 8, 6
	out := append([]byte("\x89PNG\r\n\x1a\n"), 0, 0, 0, 13)
	return binary.BigEndian.AppendUint32(append(out, head...), crc32.ChecksumIEEE(head))
}

func TestDraw(t *testing.T) {
	for name, tt := range map[string]struct {
		content []byte
		w, h    int // 0 if it is not drawn
	}{
		"PNG":             {pngOf(t, 640, 100), 320, 50},
		"a tall one":      {pngOf(t, 10, 1000), 2, 240},
		"a line":          {pngOf(t, 4000, 1), 320, 1},
		"a point":         {pngOf(t, 1, 1), 1, 1},
		"JPEG":            {jpegOf(t, 300, 300), 240, 240},
		"GIF":             {gifOf(t, 40, 30), 40, 30},
		"a bomb":          {bomb(50_000, 50_000), 0, 0},
		"a long bomb":     {bomb(1<<31-1, 1), 0, 0},
		"just too large":  {bomb(4096, 3073), 0, 0},
		"cut off":         {pngOf(t, 640, 100)[:200], 0, 0},
		"a JPEG cut off":  {jpegOf(t, 300, 300)[:400], 0, 0},
		"only its head":   {[]byte("\x89PNG\r\n\x1a\n"), 0, 0},
		"SVG":             {[]byte(svg), 0, 0},
		"PDF":             {[]byte("%PDF-1.7"), 0, 0},
		"SVG after JPEG":  {append([]byte("\xff\xd8\xff\xe0"), svg...), 0, 0},
		"no frames":       {[]byte("GIF89a\x10\x00\x10\x00\x00\x00\x00;"), 0, 0},
		"PNG with script": {append(pngOf(t, 8, 8), "<script>"...), 8, 8},
	} {
		out, err := Draw(t.Context(), Sniff(tt.content), tt.content)
		if tt.w == 0 {
			if err == nil {
				t.Errorf("%s is drawn", name)
			}
			continue
		}
		m, decodeErr := png.DecodeConfig(bytes.NewReader(out))
		if err != nil || decodeErr != nil || m.Width != tt.w || m.Height != tt.h || bytes.Contains(out, []byte("<script")) {
			t.Errorf("%s: %d by %d: %v %v", name, m.Width, m.Height, err, decodeErr)
		}
	}
}

// A JPEG of very many scans is work without end: it stops in time.
func TestDrawEnds(t *testing.T) {
	b := jpegOf(t, 1000, 1000)
	if progressive(b) {
		t.Error("it is not progressive")
	}
	i := bytes.Index(b, []byte{0xff, 0xc0})
	b[i+1] = 0xc2
	if !progressive(b) {
		t.Error("it is progressive")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Draw(ctx, "image/png", pngOf(t, 100, 100)); err == nil {
		t.Error("it goes on")
	}
	if len(drawing) != 0 {
		t.Error("nobody else may draw")
	}
}

func TestFirstLines(t *testing.T) {
	long := strings.Repeat("ü", maxText)
	for _, tt := range []struct {
		kind, content, want string
		more                int
	}{
		{"text/plain", "a\r\nb\r\n", "a\nb", 0},
		{"text/plain", "", "", 0},
		{"text/plain", strings.Repeat("x\n", 20), strings.TrimSuffix(strings.Repeat("x\n", 12), "\n"), 16},
		{"application/json", `{"a":1}`, `{"a":1}`, 0},
		{"text/plain", "a" + long, "a" + strings.Repeat("ü", maxText/2-1), 2*maxText + 1 - (maxText - 1)},
		{"image/png", "\x89PNG", "", 0},
	} {
		if got, more := FirstLines(tt.kind, []byte(tt.content)); got != tt.want || more != tt.more {
			t.Errorf("%.20q: %q, %d", tt.content, got, more)
		}
	}
}

func TestFromBase64(t *testing.T) {
	b := []byte{0xfb, 0xff, 0xfe, 1}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if got, ok := FromBase64(e.EncodeToString(b)); !ok || !bytes.Equal(got, b) {
			t.Errorf("%s: %v", e.EncodeToString(b), got)
		}
	}
	for _, s := range []string{"a b", "AAA\nAAA=", "é", "A"} {
		if _, ok := FromBase64(s); ok {
			t.Errorf("%q is base64", s)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add("a.png", "image/png", pngOf(f, 3, 3))
	f.Add("a.jpg", "image/jpeg", jpegOf(f, 3, 3))
	f.Add("a.gif", "", gifOf(f, 3, 3))
	f.Add("a.docx", docx, archive(f, "[Content_Types].xml=x", "word/a=b"))
	f.Add("a.svg", "", []byte(svg))
	f.Fuzz(func(t *testing.T, name, claimed string, b []byte) {
		kind := Sniff(b)
		if strings.ContainsAny(kind, "<>\"; ") || kind == "" {
			t.Errorf("%q", kind)
		}
		list := Check(name, claimed, kind, b)
		if slices.Contains(list, WrongType) && claimed == "" {
			t.Error("nothing was claimed")
		}
		FirstLines(kind, b)
		if w, h, err := Measure(kind, b); err == nil && w*h < 1<<16 {
			if out, err := Draw(t.Context(), kind, b); err == nil && Sniff(out) != "image/png" {
				t.Error("no PNG")
			}
		}
	})
}
