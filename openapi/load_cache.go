package openapi

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxCached bounds the documents that are kept, and maxValidator what is kept of
// a server's validators, in bytes.
const (
	maxCached    = 50
	maxValidator = 1000
)

// keptDocument is a document as it was fetched, with the validators that it came with
// (RFC 9110 §8.8).
type keptDocument struct {
	URL          string `json:"url"`
	Found        string `json:"found,omitempty"` // after redirects
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
	SHA256       string `json:"sha256"`
	data         []byte
}

// cacheFile is where the document of a URL is kept.
func cacheFile(dir, location string) string {
	sum := sha256.Sum256([]byte(location))
	return filepath.Join(dir, hex.EncodeToString(sum[:16]))
}

// recall returns what is kept of a URL, or nil. What was not written whole, or is
// of another URL, is nothing.
func recall(dir, location string) *keptDocument {
	if dir == "" {
		return nil
	}
	var k keptDocument
	meta, err := os.ReadFile(cacheFile(dir, location) + ".json")
	if err != nil || json.Unmarshal(meta, &k) != nil || k.URL != location {
		return nil
	}
	f, err := os.Open(cacheFile(dir, location) + ".doc")
	if err != nil {
		return nil
	}
	defer f.Close()
	k.data, err = io.ReadAll(io.LimitReader(f, maxBytes+1))
	if sum := sha256.Sum256(k.data); err != nil || hex.EncodeToString(sum[:]) != k.SHA256 {
		return nil
	}
	return &k
}

// ask adds the validators to a request.
func (k *keptDocument) ask(h http.Header) {
	if k == nil {
		return
	}
	if k.ETag != "" {
		h.Set("If-None-Match", k.ETag)
	}
	if k.LastModified != "" {
		h.Set("If-Modified-Since", k.LastModified)
	}
}

// keep writes what was fetched, if its server gave a validator. That it cannot
// be written is of no account: then it is fetched whole the next time.
func keep(dir, location, found string, h http.Header, data []byte) {
	k := keptDocument{URL: location, Found: found, ETag: h.Get("ETag"), LastModified: h.Get("Last-Modified")}
	if dir == "" || k.ETag == "" && k.LastModified == "" || len(k.ETag)+len(k.LastModified) > maxValidator || !visibleASCII(k.ETag+k.LastModified) {
		return
	}
	sum := sha256.Sum256(data)
	k.SHA256 = hex.EncodeToString(sum[:])
	meta, err := json.Marshal(k)
	if err != nil || os.MkdirAll(dir, 0o700) != nil {
		return
	}
	name := cacheFile(dir, location)
	// The body goes first: its hash in the other file says whether both fit.
	if replaceFile(name+".doc", data) == nil {
		_ = replaceFile(name+".json", meta)
	}
	forget(dir)
}

// replaceFile writes a file that only its owner can read, whole or not at all.
func replaceFile(name string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err = cmp.Or(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}

// forget deletes the documents that were written longest ago, beyond maxCached.
func forget(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	var docs []os.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), ".doc") {
			docs = append(docs, info)
		}
	}
	slices.SortFunc(docs, func(a, b os.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for _, old := range docs[min(len(docs), maxCached):] {
		base := filepath.Join(dir, strings.TrimSuffix(old.Name(), ".doc"))
		_ = os.Remove(base + ".json")
		_ = os.Remove(base + ".doc")
	}
}
