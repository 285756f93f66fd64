package openapi

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// maxKey bounds a name in a document, in bytes: places are made of names.
const maxKey = 4096

// unreadable says why a file is no text that could be JSON or YAML, and what to
// do, or "".
func unreadable(data []byte) (offset int, message, hint string) {
	switch {
	case bytes.HasPrefix(data, []byte("\x1f\x8b")), bytes.HasPrefix(data, []byte("PK\x03\x04")), bytes.HasPrefix(data, []byte("\x28\xb5\x2f\xfd")):
		return 0, "the file is compressed", "unpack it"
	case utf8.Valid(data):
		return 0, "", ""
	}
	for offset < len(data) {
		r, size := utf8.DecodeRune(data[offset:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		offset += size
	}
	return offset, "the file is not UTF-8", "save it as UTF-8"
}

// boundYAML counts what may begin a value, before the parser makes a node of 200
// bytes of each. Text counts too, so that this is more than there are.
func boundYAML(data []byte) (offset int, message string) {
	most, nodes := maxNodes, 0
	for i, c := range data {
		switch c {
		case ',', '[', '{', ':', '\n':
			nodes++
		case ' ':
			if i > 0 && (data[i-1] == '-' || data[i-1] == '?') {
				nodes++
			}
		}
		if nodes > most {
			return i, fmt.Sprintf("the file has more than %d values", most)
		}
	}
	return 0, ""
}

// repeats walks valid JSON for keys that come again.
type repeats struct {
	doc    *document
	finder *jsonFinder
	path   []string
}

func (w *repeats) value() {
	f := w.finder
	f.space()
	if f.i >= len(f.data) || f.data[f.i] != '{' && f.data[f.i] != '[' {
		f.skip()
		return
	}
	object := f.data[f.i] == '{'
	f.i++
	seen := map[string]bool{}
	for n := 0; ; n++ {
		f.space()
		if f.i >= len(f.data) || f.data[f.i] == '}' || f.data[f.i] == ']' {
			f.i++
			return
		}
		start, name := f.i, strconv.Itoa(n)
		if object {
			name = f.key()
			if seen[name] && len(w.doc.dupes) < maxFindings {
				line, column := f.lineColumn(start)
				w.doc.dupes = append(w.doc.dupes, duplicate{shorten(join(append(w.path, name)...), 2000), line, column})
			}
			seen[name] = true
		}
		w.path = append(w.path, name)
		w.value()
		w.path = w.path[:len(w.path)-1]
	}
}
