package attachment

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"path"
	"strings"
)

// Warning is something about a file that a person has to see before they let it go.
type Warning string

// The warnings.
const (
	WrongType Warning = "type"    // the bytes are not of the type that was claimed
	WrongName Warning = "name"    // the bytes are not of the type that the name ends with
	Program   Warning = "program" // it can be run
	Macros    Warning = "macros"  // a document with programs in it
	Double    Warning = "double"  // it can be read as something else, too
)

// endings are the types that names end with.
var endings = map[string]string{"pdf": "application/pdf", "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "bmp": "image/bmp", "tif": "image/tiff",
	"tiff": "image/tiff", "webp": "image/webp", "heic": "image/heic", "avif": "image/avif", "svg": "image/svg+xml", "zip": "application/zip", "gz": "application/gzip",
	"docx": docx, "xlsx": xlsx, "pptx": pptx, "docm": docx, "xlsm": xlsx, "pptm": pptx, "doc": ole, "xls": ole, "ppt": ole, "rtf": "application/rtf", "json": "application/json",
	"xml": "application/xml", "txt": "text/plain", "md": "text/plain", "csv": "text/plain", "log": "text/plain", "html": "text/html", "htm": "text/html", "ics": "text/calendar",
	"mp3": "audio/mpeg", "mp4": "video/mp4", "mov": "video/quicktime", "tar": "application/x-tar", "7z": "application/x-7z-compressed", "rar": "application/vnd.rar", "jar": jar, "apk": apk}

// runs are endings of what a double click runs.
var runs = map[string]bool{"exe": true, "dll": true, "msi": true, "com": true, "scr": true, "bat": true, "cmd": true, "ps1": true, "vbs": true, "js": true, "hta": true, "lnk": true,
	"sh": true, "command": true, "app": true, "jar": true, "apk": true, "reg": true, "wsf": true, "pif": true}

// aliases are other names of types.
var aliases = map[string]string{"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png", "image/x-ms-bmp": "image/bmp", "application/x-pdf": "application/pdf",
	"application/x-zip-compressed": "application/zip", "application/x-gzip": "application/gzip", "text/xml": "application/xml", "text/json": "application/json", "audio/mp3": "audio/mpeg",
	"text/rtf": "application/rtf", "application/msword": ole, "application/vnd.ms-excel": ole, "application/vnd.ms-powerpoint": ole, "application/vnd.ms-outlook": ole,
	"application/vnd.ms-excel.sheet.macroenabled.12": xlsx, "application/vnd.ms-word.document.macroenabled.12": docx, "application/vnd.ms-powerpoint.presentation.macroenabled.12": pptx,
	"binary/octet-stream": Unknown, "application/x-msdownload": windows, "application/x-sh": script, "image/heif": "image/heic"}

// Check finds what is not as it was claimed of a file. claimed is a media type, or "";
// sniffed is what [Sniff] says.
func Check(name, claimed, sniffed string, b []byte) (list []Warning) {
	if claimed = essence(claimed); !agrees(claimed, sniffed, b) {
		list = append(list, WrongType)
	}
	ending := strings.ToLower(strings.TrimPrefix(path.Ext(strings.TrimRight(name, ". ")), "."))
	if kind := endings[ending]; !agrees(kind, sniffed, b) {
		list = append(list, WrongName)
	}
	switch sniffed {
	case windows, linux, macOrJava, script, jar, apk:
		list = append(list, Program)
	default:
		if runs[ending] {
			list = append(list, Program)
		}
	}
	if macros(sniffed, b) {
		list = append(list, Macros)
	}
	if double(sniffed, b) {
		list = append(list, Double)
	}
	return list
}

func essence(media string) string {
	media, _, _ = strings.Cut(strings.ToLower(media), ";")
	media = strings.TrimSpace(media)
	if alias := aliases[media]; alias != "" {
		return alias
	}
	return media
}

// agrees reports whether bytes that look like sniffed may be what was claimed.
func agrees(claimed, sniffed string, b []byte) bool {
	family, isRange := strings.CutSuffix(claimed, "*")
	switch {
	case claimed == "" || claimed == Unknown || claimed == essence(sniffed):
		return true
	case isRange:
		return family == "*/" || strings.HasPrefix(sniffed, family)
	case strings.HasSuffix(claimed, "json") && !strings.Contains(claimed, "ndjson"):
		return json.Valid(b)
	case strings.HasPrefix(claimed, "text/") && claimed != "text/html":
		return isText(sniffed) || len(b) == 0
	case strings.HasSuffix(claimed, "xml"):
		return sniffed == "application/xml" || sniffed == "text/html" || claimed == "application/xml" && sniffed == "image/svg+xml"
	case claimed == "application/zip": // which many documents are
		return bytes.HasPrefix(b, []byte("PK"))
	case claimed == ole:
		return sniffed == xlsx || sniffed == docx || sniffed == pptx || sniffed == "application/rtf"
	case known(claimed):
		return false
	}
	// Of a type that is not known here the bytes may be anything without a well known one.
	return isText(sniffed) || sniffed == Unknown || sniffed == "application/zip" || sniffed == ole || sniffed == "application/gzip"
}

// isText reports a type that is written as text.
func isText(kind string) bool {
	return strings.HasPrefix(kind, "text/") || kind == "application/json" || kind == "application/xml" || kind == "image/svg+xml" || kind == "application/x-pem-file"
}

// known reports a type that Sniff would have told.
func known(kind string) bool { return labels[kind] != "" }

// macros reports a document of Office with programs in it.
func macros(sniffed string, b []byte) bool {
	switch sniffed {
	case ole: // its directory has names in UTF-16
		return bytes.Contains(b, []byte("_\x00V\x00B\x00A\x00_\x00P\x00R\x00O\x00J\x00E\x00C\x00T\x00"))
	case docx, xlsx, pptx:
		return bytes.Contains(b, []byte("vbaProject.bin"))
	}
	return false
}

// double reports bytes that another program takes for something else: a PDF may begin
// later, a ZIP is read from its end, and browsers and servers look for markup.
func double(sniffed string, b []byte) bool {
	if isText(sniffed) {
		return false
	}
	if sniffed != "application/pdf" && bytes.Contains(b[:min(len(b), 1024)], []byte("%PDF-")) {
		return true
	}
	if !bytes.HasPrefix(b, []byte("PK")) && bytes.Contains(b[max(0, len(b)-(1<<16)-22):], []byte("PK\x05\x06")) {
		if files, err := zip.NewReader(bytes.NewReader(b), int64(len(b))); err == nil && len(files.File) > 0 {
			return true
		}
	}
	if strings.HasPrefix(sniffed, "image/") {
		lower := bytes.ToLower(b)
		for _, markup := range []string{"<script", "<html", "<?php"} {
			if bytes.Contains(lower, []byte(markup)) {
				return true
			}
		}
	}
	return false
}
