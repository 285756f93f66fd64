package scrub

import (
	"bytes"
	"html"
	"strconv"
	"unicode/utf8"
)

// view is a text as somebody would read it, in small letters, with where in the
// original each byte comes from.
type view struct {
	text   []byte
	from   []int32 // of each byte, and of the end; nil if traced is not wanted
	traced bool
	packed bool // without the breaks of lines, and in base64's alphabet for URLs
}

// decoding is what a reader takes for an encoding.
type decoding int

// The decodings, of which a reader may apply several at once.
const (
	percent  decoding = 1 << iota // %41
	entities                      // &amp; &#65; &#x41;
	escapes                       // \u0041 \n
)

// rounds is how often a text is decoded: what is in JSON in a URL in a page.
const rounds = 4

// widest bounds how many times longer a text becomes by decoding: an entity of five
// bytes can stand for six, which are no mark of another encoding.
const widest = 2

// views are the text as it is, and in its decodings: all of them at once, and
// each alone, since a secret may itself look like something encoded. Where bytes
// come from is only noted if it is asked for: it takes most of the time.
func views(text []byte, traced bool) []view {
	plain := view{text: bytes.Clone(text), traced: traced}
	lowerAll(plain.text)
	if traced {
		plain.from = make([]int32, len(text)+1)
		for i := range plain.from {
			plain.from[i] = int32(i)
		}
	}
	out := []view{plain, plain.pack()}
	for _, kinds := range plain.decodings() {
		v := plain
		for range rounds {
			next, changed := v.decode(kinds)
			if !changed {
				break
			}
			v = next
			out = append(out, v, v.pack())
		}
	}
	return out
}

// marks are the bytes that encodings begin with.
var marks = map[decoding]string{percent: "%", entities: "&", escapes: "\\"}

// decodings are those worth trying: with one kind of mark alone, all at once is
// the same.
func (v view) decodings() []decoding {
	var there []decoding
	all := decoding(0)
	for _, kind := range []decoding{percent, entities, escapes} {
		if bytes.Contains(v.text, []byte(marks[kind])) {
			there, all = append(there, kind), all|kind
		}
	}
	if len(there) < 2 {
		if all == 0 {
			return nil
		}
		return []decoding{percent | entities | escapes}
	}
	return append(there, percent|entities|escapes)
}

// lower is the text with small ASCII letters, byte for byte.
func lower(s string) string {
	b := []byte(s)
	lowerAll(b)
	return string(b)
}

func lowerAll(b []byte) {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
}

// decode applies some decodings once, and reports whether there was anything to
// decode.
func (v view) decode(kinds decoding) (view, bool) {
	begins := ""
	for kind, mark := range marks {
		if kinds&kind != 0 {
			begins += mark
		}
	}
	var out view
	last := 0 // what comes before is in out
	for i := 0; i < len(v.text); i++ {
		next := bytes.IndexAny(v.text[i:], begins)
		if next < 0 {
			break
		}
		i += next
		decoded, n := decodeAt(v.text[i:], kinds)
		if n == 0 {
			continue
		}
		if out.text == nil {
			out = view{text: make([]byte, 0, len(v.text)), traced: v.traced}
		}
		out = v.copyTo(out, last, i)
		out.text = append(out.text, lower(string(decoded))...)
		for range decoded {
			if v.traced {
				out.from = append(out.from, v.from[i])
			}
		}
		last = i + n
		i = last - 1
	}
	if last == 0 {
		return v, false
	}
	out = v.copyTo(out, last, len(v.text))
	if v.traced {
		out.from = append(out.from, v.from[len(v.text)])
	}
	return out, true
}

// copyTo appends what stands between two places.
func (v view) copyTo(out view, begin, end int) view {
	out.text = append(out.text, v.text[begin:end]...)
	if v.traced {
		out.from = append(out.from, v.from[begin:end]...)
	}
	return out
}

// decodeAt decodes what begins the text, and says how many bytes it took; none if
// nothing is encoded there.
func decodeAt(text []byte, kinds decoding) (decoded []byte, n int) {
	switch c := text[0]; {
	case c == '%' && kinds&percent != 0:
		if r, ok := hexNumber(text, 1, 2); ok {
			return []byte{byte(r)}, 3
		}
	case c == '&' && kinds&entities != 0:
		return entityAt(text)
	case c == '\\' && kinds&escapes != 0 && len(text) > 1:
		return escapeAt(text)
	}
	return nil, 0
}

func hexNumber(text []byte, from, digits int) (rune, bool) {
	if len(text) < from+digits {
		return 0, false
	}
	r, err := strconv.ParseUint(string(text[from:from+digits]), 16, 32)
	return rune(r), err == nil
}

// maxEntity bounds what is taken for an entity, in bytes.
const maxEntity = 12

func entityAt(text []byte) (decoded []byte, n int) {
	end := bytes.IndexByte(text[:min(len(text), maxEntity)], ';')
	if end < 0 {
		return nil, 0
	}
	entity := string(text[:end+1])
	if s := html.UnescapeString(entity); s != entity {
		return []byte(s), end + 1
	}
	return nil, 0
}

func escapeAt(text []byte) (decoded []byte, n int) {
	switch text[1] {
	case 'u':
		if r, ok := hexNumber(text, 2, 4); ok {
			return utf8.AppendRune(nil, r), 6
		}
	case 'x':
		if r, ok := hexNumber(text, 2, 2); ok {
			return []byte{byte(r)}, 4
		}
	case 'n':
		return []byte{'\n'}, 2
	case 'r':
		return []byte{'\r'}, 2
	case 't':
		return []byte{'\t'}, 2
	case '"', '\\', '/', '\'':
		return text[1:2], 2
	}
	return nil, 0
}

// pack is the view as base64 and hex are read in it.
func (v view) pack() view {
	out := view{text: make([]byte, 0, len(v.text)), traced: v.traced, packed: true}
	for i, c := range v.text {
		switch c {
		case '\r', '\n':
			continue
		case '+':
			c = '-'
		case '/':
			c = '_'
		}
		out.text = append(out.text, c)
		if v.traced {
			out.from = append(out.from, v.from[i])
		}
	}
	if v.traced {
		out.from = append(out.from, v.from[len(v.text)])
	}
	return out
}

// find appends where a form stands.
func (v view) find(f form, out []place) []place {
	for at := 0; ; at++ {
		i := bytes.Index(v.text[at:], []byte(f.text))
		if i < 0 {
			return out
		}
		at += i
		// The last byte may have been written with several.
		out = append(out, place{int(v.from[at]), int(v.from[at+len(f.text)])})
	}
}
