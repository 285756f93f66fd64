package inbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/exeat/exeat/authz/attachment"
	"github.com/exeat/exeat/authz/compare"
	"github.com/exeat/exeat/store"
)

// FileView is a file that a call sends, as a person sees it. Its bytes are at
// /h/HOLD/file/NUMBER, to be saved and never to be shown.
type FileView struct {
	Number  int    `json:"number"` // counted from 1
	Field   string `json:"field"`  // JSON Pointer into the arguments
	Hidden  bool   `json:"hidden,omitempty"`
	Name    string `json:"name,omitempty"`    // as the agent has it
	Claimed string `json:"claimed,omitempty"` // the type that is sent with it
	Sniffed string `json:"sniffed,omitempty"` // the type that its bytes are of
	Label   string `json:"label,omitempty"`   // the same, as people call it
	Size    int    `json:"size"`              // in bytes
	SHA256  string `json:"sha256,omitempty"`  // in hex
	Text    string `json:"text,omitempty"`    // its first lines, and how many bytes More there are
	More    int    `json:"more,omitempty"`
	// Width and Height are of the picture that is drawn of it; 0 if none is.
	Width    int                  `json:"width,omitempty"`
	Height   int                  `json:"height,omitempty"`
	Warnings []attachment.Warning `json:"warnings,omitempty"`

	content []byte
}

// Bounds of files in one call, and how long a text in JSON is that may be the bytes of
// one: shorter ones can be read.
const (
	maxFiles    = 50
	minEncoded  = 200
	largestName = 255
)

// filesOf are the files that a call sends: the parts of a form with a name of a file, a
// body that is not text, and long base64 in JSON.
func filesOf(h store.Hold) (list []FileView) {
	media, isJSON := mediaOf(h.Request.ContentType)
	switch {
	case media == "multipart/form-data":
		list = partsOf(h.Request)
	case isJSON:
		if v, err := compare.Parse(h.Request.Body); err == nil {
			encodedIn(v, "/body", &list)
		}
	case len(h.Request.Body) > 0 && !textual(h.Request):
		list = []FileView{{Field: "/body", Name: nameIn(h.Request.Path), Claimed: h.Request.ContentType, content: h.Request.Body}}
	}
	for i := range list {
		list[i].Number = i + 1
		list[i].inspect()
	}
	return list
}

// nameIn is the name of a file that a path ends with, or "".
func nameIn(p string) string {
	if name := path.Base(p); path.Ext(name) != "" && len(name) <= largestName {
		return name
	}
	return ""
}

// partsOf are the files of a form as it is sent. What cannot be read as one is a file
// itself.
func partsOf(q store.Request) (list []FileView) {
	_, params, err := mime.ParseMediaType(q.ContentType)
	whole := []FileView{{Field: "/body", Claimed: q.ContentType, content: q.Body}}
	if err != nil {
		return whole
	}
	form, times := multipart.NewReader(bytes.NewReader(q.Body), params["boundary"]), map[string]int{}
	for {
		part, err := form.NextRawPart()
		if err == io.EOF {
			return list
		}
		if err != nil || len(list) == maxFiles {
			return append(list, whole...)
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return append(list, whole...)
		}
		if part.FileName() == "" {
			continue
		}
		name := part.FormName()
		times[name]++
		_, disposition, _ := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
		list = append(list, FileView{Field: "/body/" + escapePointer(name), Name: disposition["filename"], Claimed: part.Header.Get("Content-Type"), content: content})
	}
}

func escapePointer(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// encodedIn adds the texts in a value that are the base64 of bytes, with the type that a
// data: URL says.
func encodedIn(v *compare.Value, at string, list *[]FileView) {
	if len(*list) >= maxFiles {
		return
	}
	for _, m := range v.Members {
		encodedIn(m.Value, at+"/"+escapePointer(m.Name), list)
	}
	for i, x := range v.Items {
		encodedIn(x, at+"/"+strconv.Itoa(i), list)
	}
	if v.Kind != compare.Text || len(v.Text) < minEncoded {
		return
	}
	text, claimed := v.Text, ""
	if rest, ok := strings.CutPrefix(text, "data:"); ok {
		if media, data, ok := strings.Cut(rest, ";base64,"); ok {
			text, claimed = data, media
		}
	}
	if content, ok := attachment.FromBase64(text); ok {
		*list = append(*list, FileView{Field: at, Claimed: claimed, content: content})
	}
}

// inspect finds out what the bytes of a file are.
func (f *FileView) inspect() {
	b := f.content
	sum := sha256.Sum256(b)
	f.Size, f.SHA256, f.Sniffed = len(b), hex.EncodeToString(sum[:]), attachment.Sniff(b)
	f.Label = attachment.Label(f.Sniffed)
	f.Warnings = attachment.Check(f.Name, f.Claimed, f.Sniffed, b)
	f.Text, f.More = attachment.FirstLines(f.Sniffed, b)
	if w, h, err := attachment.Measure(f.Sniffed, b); err == nil {
		f.Width, f.Height = attachment.Fit(w, h)
	}
}

// hideFiles hides the files that hold a value which is not shown unasked.
func hideFiles(list []FileView, pointers []string) {
	for i, f := range list {
		if slices.ContainsFunc(pointers, func(p string) bool { return within(p, f.Field) || within(f.Field, p) }) {
			list[i] = FileView{Number: f.Number, Field: f.Field, Hidden: true, Size: f.Size}
		}
	}
}

// within reports whether a JSON Pointer is another or leads into it.
func within(p, other string) bool { return p == other || strings.HasPrefix(p, other+"/") }

// Brief is what stands for the bytes of a file where the arguments are listed.
func (f FileView) Brief() string {
	parts := []string{fmt.Sprintf("%d bytes", f.Size)}
	if f.Label != "" {
		parts = append([]string{f.Label}, parts...)
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

// withoutBytes are arguments with something short in the place of a file's bytes, which
// are shown as a file.
func withoutBytes(args json.RawMessage, files []FileView) json.RawMessage {
	v, err := compare.Parse(args)
	if err != nil || len(files) == 0 {
		return args
	}
	for _, f := range files {
		if !f.Hidden {
			shorten(v, strings.Split(f.Field, "/")[1:], f)
		}
	}
	return json.RawMessage(v.JSON())
}

// shorten puts something short in the place of the bytes at a pointer. A part of a form
// may be given as an object with its data, and several as a list.
func shorten(v *compare.Value, steps []string, f FileView) {
	switch {
	case len(steps) > 0 && v.Kind == compare.Object:
		if x := v.Member(strings.ReplaceAll(strings.ReplaceAll(steps[0], "~1", "/"), "~0", "~")); x != nil {
			shorten(x, steps[1:], f)
		}
	case len(steps) > 0 && v.Kind == compare.List:
		if i, err := strconv.Atoi(steps[0]); err == nil && i >= 0 && i < len(v.Items) {
			shorten(v.Items[i], steps[1:], f)
		}
	case len(steps) > 0:
	case v.Kind == compare.Text:
		if b, ok := bytesOf(v.Text); ok && bytes.Equal(b, f.content) || v.Text == string(f.content) {
			*v = compare.Value{Kind: compare.Text, Text: f.Brief()}
		}
	case v.Kind == compare.Object:
		if data := v.Member("data"); data != nil {
			shorten(data, nil, f)
		}
	default:
		for _, x := range v.Items {
			shorten(x, nil, f)
		}
	}
}

// bytesOf are the bytes of base64 text, or of a data: URL.
func bytesOf(s string) ([]byte, bool) {
	if rest, ok := strings.CutPrefix(s, "data:"); ok {
		if _, data, ok := strings.Cut(rest, ";base64,"); ok {
			s = data
		}
	}
	return attachment.FromBase64(s)
}

// isFile reports whether a member of the body is shown as files alone.
func isFile(name string, files []FileView) bool {
	return slices.ContainsFunc(files, func(f FileView) bool { return f.Field == "/body/"+escapePointer(name) })
}
