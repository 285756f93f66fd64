package openapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Error is a document that could not be loaded.
type Error struct {
	File    string
	Line    int
	Column  int
	Pointer string
	Message string // what is wrong
	Hint    string // what to do next
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	b.WriteString(": " + oneLine(e.Message, 1000))
	if e.Pointer != "" {
		fmt.Fprintf(&b, " (%s)", oneLine(e.Pointer, 1000))
	}
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// Load reads and compiles the document at location: a file, a folder that
// holds one, or an https URL (http only for loopback hosts). An operation that
// cannot be served is left out and named in Findings; a document that cannot be
// read at all is an *Error, and so is one that takes longer than two minutes.
func Load(ctx context.Context, location string, opts Options) (*API, error) {
	ctx, cancel := context.WithTimeout(ctx, maxLoadTime)
	defer cancel()
	return load(ctx, location, opts)
}

// maxLoadTime bounds the loading of a document with all its files; the largest
// of the corpus takes seconds.
const maxLoadTime = 2 * time.Minute

func load(ctx context.Context, location string, opts Options) (*API, error) {
	if err := legalRefs(opts.Refs); err != nil {
		return nil, &Error{File: location, Message: "references: " + err.Error()}
	}
	l := &loader{ctx: ctx, docs: map[string]loaded{}, sum: sha256.New(), pin: opts.SHA256, refs: opts.Refs, client: opts.Client, cache: opts.Cache}
	defer func() {
		if l.dir != nil {
			l.dir.Close() // only read from
		}
	}()
	root, err := l.open(ctx, location, opts)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, endError(ctx, location)
	}
	var notes []Finding
	if len(opts.Overlays) > 0 {
		var bad *Error
		if root, notes, bad = l.applyOverlays(root, opts.Overlays); bad != nil {
			return nil, bad
		}
	}
	l.root = root
	if top, ok := root.root.(map[string]any); ok {
		l.self = str(top["$self"])
	}
	c := &compiler{ctx: ctx, loader: l, root: root, opts: opts, location: location}
	api, bad := c.compile()
	if ctx.Err() != nil {
		return nil, endError(ctx, location) // what was left out for it is no finding
	}
	if bad != nil {
		return nil, bad
	}
	api.Findings = slices.Concat(l.notes, notes, api.Findings)
	api.Digest = "sha-256=:" + base64.StdEncoding.EncodeToString(l.sum.Sum(nil)) + ":"
	return api, nil
}

// endError is what Load says when its context ends.
func endError(ctx context.Context, location string) *Error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &Error{File: location, Message: "reading it took too long, with all its files; two minutes are the most", Hint: "try again, or make it smaller"}
	}
	return &Error{File: location, Message: "reading it was stopped"}
}

// loaded is a file that was read, or why it could not be.
type loaded struct {
	doc *document
	bad *Error
}

// loader reads the files of one document.
type loader struct {
	ctx    context.Context
	dir    *os.Root // the folder that references must stay in; nil for a URL
	docs   map[string]loaded
	refs   []string // beginnings of URLs that references may lead to
	root   *document
	self   string // what the root document calls itself
	cache  string // folder of fetched documents, or ""
	notes  []Finding
	bytes  int
	client *http.Client
	pin    string // SHA-256 in hex that the next file read must have, or ""
	sum    interface {
		io.Writer
		Sum([]byte) []byte
	}
}

func (l *loader) open(ctx context.Context, location string, opts Options) (*document, error) {
	if strings.Contains(location, "://") {
		return l.fetch(ctx, location, opts.Client, 5)
	}
	info, err := os.Stat(location)
	if err != nil {
		hint := "check the path"
		if errors.Is(err, fs.ErrPermission) {
			hint = "check its permissions"
		}
		return nil, &Error{File: location, Message: reason(err), Hint: hint}
	}
	file := location
	if info.IsDir() {
		if file, err = findDocument(location); err != nil {
			return nil, err
		}
	}
	if l.dir, err = os.OpenRoot(filepath.Dir(file)); err != nil {
		return nil, &Error{File: location, Message: reason(err)}
	}
	d, bad := l.file(filepath.Base(file), file)
	if bad != nil {
		return nil, bad
	}
	return d, nil
}

// reason is what an operating system error says, without the path.
func reason(err error) string {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err
	}
	return err.Error()
}

// findDocument finds the one OpenAPI document in a folder.
func findDocument(dir string) (string, error) {
	var found []string
	for _, base := range []string{"openapi", "swagger"} {
		for _, ext := range []string{".yaml", ".yml", ".json"} {
			if info, err := os.Stat(filepath.Join(dir, base+ext)); err == nil && info.Mode().IsRegular() {
				return filepath.Join(dir, base+ext), nil
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", &Error{File: dir, Message: reason(err)}
	}
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(dir, e.Name()))
		if !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(e.Name())) || err != nil || !info.Mode().IsRegular() {
			continue
		}
		if head, err := readHead(filepath.Join(dir, e.Name())); err == nil && looksLikeOpenAPI(head) {
			found = append(found, filepath.Join(dir, e.Name()))
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", &Error{File: dir, Message: "the folder holds no OpenAPI document", Hint: "name the file"}
	}
	return "", &Error{File: dir, Message: fmt.Sprintf("the folder holds %d OpenAPI documents", len(found)), Hint: "name one: " + strings.Join(found, ", ")}
}

func readHead(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return head[:n], nil
}

func looksLikeOpenAPI(head []byte) bool {
	for line := range bytes.Lines(head) {
		line = bytes.TrimLeft(line, " \t{")
		for _, key := range []string{`openapi:`, `"openapi"`, `swagger:`, `"swagger"`} {
			if bytes.HasPrefix(line, []byte(key)) {
				return true
			}
		}
	}
	return false
}

// file reads a file below the root folder, once.
func (l *loader) file(name, shown string) (*document, *Error) {
	x, ok := l.docs[name]
	if !ok && len(l.docs) >= maxFiles {
		return nil, &Error{File: shown, Message: fmt.Sprintf("the document has more than %d files", maxFiles)}
	}
	if !ok && l.ctx.Err() != nil {
		return nil, endError(l.ctx, shown)
	}
	if !ok {
		x.doc, x.bad = l.read(name, shown)
		l.docs[name] = x
	}
	return x.doc, x.bad
}

// maxFiles bounds the files of a document; DigitalOcean's has 2,900.
const maxFiles = 20_000

func (l *loader) read(name, shown string) (*document, *Error) {
	// A pipe would block whoever opens it.
	info, err := l.dir.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		return nil, &Error{File: shown, Message: "it is no regular file", Hint: "name a file"}
	}
	f, err := l.dir.Open(name)
	if err != nil {
		return nil, &Error{File: shown, Message: reason(err), Hint: "check the path; references cannot leave the document's folder"}
	}
	defer f.Close()
	most := int64(max(0, maxBytes-l.bytes) + 1)
	var data bytes.Buffer
	if info != nil {
		data.Grow(int(min(info.Size(), most)) + bytes.MinRead) // and not by copies of what was read
	}
	if _, err := data.ReadFrom(io.LimitReader(f, most)); err != nil {
		return nil, &Error{File: shown, Message: reason(err)}
	}
	d, bad := l.add(shown, data.Bytes())
	if bad != nil {
		return nil, bad
	}
	d.file = name
	return d, nil
}

func (l *loader) add(name string, data []byte) (*document, *Error) {
	if l.bytes += len(data); l.bytes > maxBytes {
		return nil, &Error{File: name, Message: "the document is larger than 64 MiB", Hint: "split it, or serve less of it"}
	}
	if l.pin != "" {
		got := sha256.Sum256(data)
		if pin := strings.ToLower(l.pin); hex.EncodeToString(got[:]) != pin {
			return nil, &Error{File: name, Message: fmt.Sprintf("it is not the document that was pinned: its SHA-256 is %x, the pin is %s", got, shorten(pin, 64)),
				Hint: "look at what changed, then pin the new one"}
		}
		l.pin = "" // it is of the root document only
	}
	l.sum.Write(data)
	return parseDocument(name, data)
}

// place is a value in a document.
type place struct {
	doc     *document
	pointer string
}

func (p place) to(steps ...string) place {
	for _, s := range steps {
		p.pointer += "/" + escape(s)
	}
	return p
}

// Bounds on references: how many in a chain, and bytes of one.
const (
	maxRefs = 50
	maxRef  = 4096
)

// resolve follows a reference from one place to another. References may lead
// into files below the root document's folder, never elsewhere.
func (l *loader) resolve(from place, ref string) (place, any, error) {
	if len(ref) > maxRef {
		return place{}, nil, fmt.Errorf("a reference is longer than %d bytes", maxRef)
	}
	file, fragment, _ := strings.Cut(ref, "#")
	target := place{doc: from.doc}
	if file != "" {
		if from.doc.url != "" || strings.Contains(file, "://") || strings.HasPrefix(file, "//") || strings.HasPrefix(file, "file:") {
			d, err := l.remote(from.doc, file)
			if err != nil {
				return place{}, nil, err
			}
			target.doc = d
		} else {
			d, err := l.beside(from.doc, ref, file)
			if err != nil {
				return place{}, nil, err
			}
			target.doc = d
		}
	}
	pointer, err := url.PathUnescape(fragment)
	if err != nil || pointer != "" && !strings.HasPrefix(pointer, "/") {
		return place{}, nil, fmt.Errorf("the reference %q is malformed", ref)
	}
	target.pointer = pointer
	v, ok := target.doc.at(pointer)
	if !ok {
		return place{}, nil, fmt.Errorf("the reference %q leads nowhere", ref)
	}
	return target, v, nil
}

// beside is the file that a reference leads to, below the root document's folder.
func (l *loader) beside(from *document, ref, file string) (*document, error) {
	name, err := url.PathUnescape(file)
	if err != nil {
		return nil, fmt.Errorf("the reference %q is malformed", ref)
	}
	name = path.Join(path.Dir(from.file), name)
	d, bad := l.file(name, filepath.Join(filepath.Dir(l.shown()), name))
	if bad != nil {
		return nil, fmt.Errorf("the reference %q cannot be read: %s", ref, bad.Message)
	}
	return d, nil
}

// shown is the root document's path as it was given.
func (l *loader) shown() string { return filepath.Join(l.dir.Name(), "x") }

// follow returns the object at p after references, and where it stands.
func (l *loader) follow(p place, v any) (place, map[string]any, error) {
	for range maxRefs {
		m, ok := v.(map[string]any)
		if !ok {
			return p, nil, errors.New("an object is expected here")
		}
		ref, ok := m["$ref"].(string)
		if !ok {
			return p, m, nil
		}
		var err error
		if p, v, err = l.resolve(p, ref); err != nil {
			return p, nil, err
		}
	}
	return p, nil, errors.New("the references go in a circle")
}
