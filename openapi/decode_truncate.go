package openapi

import (
	"errors"
	"fmt"

	"github.com/exeat/exeat/openapi/strictjson"
)

// maxResponseDepth bounds the nesting of a response; a deeper one is not taken
// for JSON. Some parsers break at 1000 and put their answers into others.
const maxResponseDepth = 500

// deep reports whether valid JSON is nested deeper than maxResponseDepth.
func deep(data []byte) bool {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			for i++; data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			if depth++; depth > maxResponseDepth {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return false
}

// truncateJSON makes one valid JSON value of the beginning of another. Of the
// outermost array that the end runs through it keeps the whole items, and of
// the objects around that array the whole members; where says which value was
// cut. It fails if data is no JSON so far, or has no part that can be kept.
func truncateJSON(data []byte) (kept []byte, where string, ok bool) {
	t := truncater{data: data}
	err := t.value(strictjson.SkipSpace(data, 0))
	if err == nil && strictjson.SkipSpace(data, t.pos) == len(data) {
		return data[:t.pos], "only white space is missing", true
	}
	if !errors.Is(err, strictjson.ErrEnds) || len(t.open) == 0 {
		return nil, "", false
	}
	depth := t.cutDepth()
	last := t.open[depth]
	kept = append(make([]byte, 0, last.end+depth+1), data[:last.end]...)
	for i := depth; i >= 0; i-- {
		kept = append(kept, t.open[i].closer)
	}
	path := make([]string, 0, depth)
	for _, c := range t.open[1 : depth+1] {
		path = append(path, c.name)
	}
	at := "it"
	if len(path) > 0 {
		at = shorten(join(path...), 200)
	}
	what := "item"
	if last.closer == '}' {
		what = "member"
	}
	if last.count != 1 {
		what += "s"
	}
	return kept, fmt.Sprintf("%s keeps %d whole %s and the rest is missing", at, last.count, what), true
}

// container is an array or object that the scan is in.
type container struct {
	closer byte
	name   string // of the container in its parent: key or index
	end    int    // behind its last whole value, or its bracket
	count  int    // of its whole values
}

// truncater scans a JSON text. When the text ends, open is the way to its end.
type truncater struct {
	data []byte
	pos  int
	open []container
	name string // of the value to come
}

// cutDepth chooses the container to close: the outermost array with a whole
// item, else the innermost container.
func (t *truncater) cutDepth() int {
	for i, c := range t.open {
		if c.closer == ']' && c.count > 0 {
			return i
		}
	}
	return len(t.open) - 1
}

// value scans the value at i. Behind it, pos is its end. A scalar at the very
// end of the data may go on, so it counts as cut.
func (t *truncater) value(i int) error {
	if i >= len(t.data) {
		return strictjson.ErrEnds
	}
	var err error
	switch t.data[i] {
	case '{':
		return t.container(i, '}')
	case '[':
		return t.container(i, ']')
	}
	if t.pos, err = strictjson.ScanScalar(t.data, i); err == nil && t.pos == len(t.data) {
		return strictjson.ErrEnds
	}
	return err
}

// container scans an array or object up to its closer.
func (t *truncater) container(i int, closer byte) error {
	if len(t.open) >= maxResponseDepth {
		return strictjson.ErrSyntax
	}
	t.open = append(t.open, container{closer: closer, name: t.name, end: i + 1})
	self := len(t.open) - 1
	for first := true; ; first = false {
		i = strictjson.SkipSpace(t.data, i+1)
		if i >= len(t.data) {
			return strictjson.ErrEnds
		}
		if first && t.data[i] == closer {
			break
		}
		from, err := t.nameAt(i, self)
		if err != nil {
			return err
		}
		if err := t.value(from); err != nil {
			return err
		}
		t.open[self].end = t.pos
		t.open[self].count++
		if i = strictjson.SkipSpace(t.data, t.pos); i >= len(t.data) {
			return strictjson.ErrEnds
		}
		if t.data[i] == closer {
			break
		}
		if t.data[i] != ',' {
			return strictjson.ErrSyntax
		}
	}
	t.open = t.open[:self]
	t.pos = i + 1
	return nil
}

// nameAt notes the name of the value to come and returns where it begins. In an
// object it reads the key and colon before it.
func (t *truncater) nameAt(i, self int) (int, error) {
	if t.open[self].closer == ']' {
		t.name = fmt.Sprint(t.open[self].count)
		return i, nil
	}
	end, err := strictjson.ScanString(t.data, i)
	if err != nil {
		return i, err
	}
	t.name, _ = strictjson.Unquote(string(t.data[i+1 : end-1]))
	if i = strictjson.SkipSpace(t.data, end); i >= len(t.data) {
		return i, strictjson.ErrEnds
	}
	if t.data[i] != ':' {
		return i, strictjson.ErrSyntax
	}
	return strictjson.SkipSpace(t.data, i+1), nil
}

// Cut shortens valid JSON to about limit bytes, at the boundary of a value, and
// says what is left of it.
func Cut(data []byte, limit int64) (kept []byte, where string) {
	if int64(len(data)) <= limit {
		return data, "nothing is missing"
	}
	kept, where, ok := truncateJSON(data[:limit])
	if !ok {
		return []byte("null"), "it is one long value, and left out"
	}
	return kept, where
}
