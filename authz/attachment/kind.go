package attachment

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Unknown is the kind of bytes that nothing is known of.
const Unknown = "application/octet-stream"

// magic are what files of a kind begin with.
var magic = []struct{ prefix, kind string }{
	{"%PDF-", "application/pdf"},
	{"\x89PNG\r\n\x1a\n", "image/png"}, {"\xff\xd8\xff", "image/jpeg"}, {"GIF87a", "image/gif"}, {"GIF89a", "image/gif"}, {"BM", "image/bmp"},
	{"II*\x00", "image/tiff"}, {"MM\x00*", "image/tiff"},
	{"PK\x03\x04", "application/zip"}, {"PK\x05\x06", "application/zip"},
	{"\x1f\x8b", "application/gzip"}, {"BZh", "application/x-bzip2"}, {"\xfd7zXZ\x00", "application/x-xz"}, {"\x28\xb5\x2f\xfd", "application/zstd"},
	{"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"}, {"Rar!\x1a\x07", "application/vnd.rar"},
	{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ole}, {"SQLite format 3\x00", "application/vnd.sqlite3"}, {"\x00asm", "application/wasm"},
	{"MZ", windows}, {"\x7fELF", linux}, {"\xca\xfe\xba\xbe", macOrJava}, {"\xcf\xfa\xed\xfe", macOrJava}, {"\xce\xfa\xed\xfe", macOrJava}, {"\xfe\xed\xfa", macOrJava},
	{"{\\rtf", "application/rtf"}, {"%!PS", "application/postscript"}, {"ID3", "audio/mpeg"}, {"OggS", "application/ogg"}, {"fLaC", "audio/flac"},
}

// Kinds of files that run, and the old one of Office.
const (
	windows   = "application/vnd.microsoft.portable-executable"
	linux     = "application/x-executable"
	macOrJava = "application/x-mach-binary"
	script    = "text/x-shellscript"
	jar       = "application/java-archive"
	apk       = "application/vnd.android.package-archive"
	ole       = "application/x-ole-storage"
	docx      = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
	xlsx      = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	pptx      = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
	odf       = "application/vnd.oasis.opendocument."
)

// brands are the kinds of ISO base media files, by their major brand.
var brands = map[string]string{"avif": "image/avif", "avis": "image/avif", "heic": "image/heic", "heix": "image/heic", "mif1": "image/heif", "qt  ": "video/quicktime",
	"M4A ": "audio/mp4", "isom": "video/mp4", "mp41": "video/mp4", "mp42": "video/mp4", "iso2": "video/mp4", "avc1": "video/mp4"}

// Sniff is the media type that bytes are of, without parameters, by what they begin
// with, and of a ZIP by what is in it. What it does not know it asks
// [http.DetectContentType].
func Sniff(b []byte) string {
	for _, m := range magic {
		if !bytes.HasPrefix(b, []byte(m.prefix)) || m.kind == "image/bmp" && !bitmap(b) || m.kind == windows && !program(b) {
			continue
		}
		if m.kind == "application/zip" {
			return zipKind(b)
		}
		return m.kind
	}
	if len(b) >= 12 && string(b[4:8]) == "ftyp" {
		if kind := brands[string(b[8:12])]; kind != "" {
			return kind
		}
	}
	if len(b) > 262 && string(b[257:262]) == "ustar" {
		return "application/x-tar"
	}
	if textual(b) {
		return textKind(b)
	}
	kind, _, _ := strings.Cut(http.DetectContentType(b), ";")
	return kind
}

// bitmap tells a bitmap from a text that begins with BM.
func bitmap(b []byte) bool { return len(b) > 14 && bytes.Equal(b[6:10], make([]byte, 4)) }

// program tells a Windows program from a text that begins with MZ.
func program(b []byte) bool { return len(b) >= 64 && !textual(b) }

// textual reports text: UTF-8 without the characters that texts do not have.
func textual(b []byte) bool {
	return utf8.Valid(b) && !bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\n\v\f\r\x1b", r) })
}

func textKind(b []byte) string {
	text := bytes.TrimSpace(bytes.TrimPrefix(b, []byte("\ufeff")))
	lower := bytes.ToLower(text[:min(len(text), 2048)])
	begins := func(s string) bool { return bytes.HasPrefix(lower, []byte(s)) }
	html, _, _ := strings.Cut(http.DetectContentType(b), ";")
	switch {
	case len(text) == 0:
		return "text/plain"
	case (text[0] == '{' || text[0] == '[') && json.Valid(text):
		return "application/json"
	case begins("#!"):
		return script
	case begins("<svg"), (begins("<?xml") || begins("<!")) && bytes.Contains(lower, []byte("<svg")):
		return "image/svg+xml"
	case begins("<!doctype html"), begins("<html"), html == "text/html":
		return "text/html"
	case begins("<?xml"):
		return "application/xml"
	case begins("-----begin "):
		return "application/x-pem-file"
	case begins("begin:vcalendar"):
		return "text/calendar"
	case begins("begin:vcard"):
		return "text/vcard"
	}
	return "text/plain"
}

// zipKind is the kind of a ZIP by the names of what is in it.
func zipKind(b []byte) string {
	files, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return "application/zip"
	}
	has := func(prefix string) bool {
		for _, f := range files.File {
			if strings.HasPrefix(f.Name, prefix) {
				return true
			}
		}
		return false
	}
	switch {
	case has("[Content_Types].xml") && has("word/"):
		return docx
	case has("[Content_Types].xml") && has("xl/"):
		return xlsx
	case has("[Content_Types].xml") && has("ppt/"):
		return pptx
	case has("AndroidManifest.xml"):
		return apk
	case has("META-INF/MANIFEST.MF"):
		return jar
	}
	return declared(files.File)
}

// declared is the kind that a ZIP says itself, as those of OpenDocument and EPUB do.
func declared(list []*zip.File) string {
	if len(list) > 0 && list[0].Name == "mimetype" && list[0].Method == zip.Store {
		if r, err := list[0].Open(); err == nil {
			defer r.Close()
			b, _ := io.ReadAll(io.LimitReader(r, 100))
			if kind := strings.TrimSpace(string(b)); kind == "application/epub+zip" || strings.HasPrefix(kind, odf) && !strings.ContainsAny(kind, " ;<>\"") {
				return kind
			}
		}
	}
	return "application/zip"
}

// labels are short names of kinds, which are the same in every language.
var labels = map[string]string{"application/pdf": "PDF", "image/png": "PNG", "image/jpeg": "JPEG", "image/gif": "GIF", "image/bmp": "BMP", "image/tiff": "TIFF", "image/webp": "WebP",
	"image/svg+xml": "SVG", "image/heic": "HEIC", "image/avif": "AVIF", "application/zip": "ZIP", "application/gzip": "gzip", docx: "Word", xlsx: "Excel", pptx: "PowerPoint",
	ole: "Office", windows: "EXE", linux: "ELF", macOrJava: "Mach-O", jar: "JAR", apk: "APK", script: "script", "application/json": "JSON", "application/xml": "XML", "text/html": "HTML",
	"application/rtf": "RTF", "application/vnd.sqlite3": "SQLite", "text/calendar": "iCalendar", "text/vcard": "vCard", "application/x-tar": "tar", "application/vnd.rar": "RAR",
	"application/x-7z-compressed": "7z", "video/mp4": "MP4", "audio/mpeg": "MP3", "application/epub+zip": "EPUB", "application/wasm": "Wasm"}

// Label is a short name of a kind that people know, or else the kind itself; "" if
// nothing is known of it, and of plain text.
func Label(kind string) string {
	if l := labels[kind]; l != "" {
		return l
	}
	if kind == Unknown || kind == "text/plain" {
		return ""
	}
	return kind
}
