// Package scrub finds secrets in foreign text and cuts them out, however the text
// writes them: as they are or in another case, with percent signs, HTML entities
// or JSON escapes, also of what is encoded already, in base64 wherever they begin
// in it, and in hex. Whoever wants to tell a secret can always write it in another
// way: what is found here is what servers do by themselves.
//
//	scrub.go   New, Text, JSON, Found: what is looked for, and cut
//	view.go    a text as others would read it, with where each byte comes from
package scrub

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"sync"
)

// Shortest is the length below which a secret is not looked for, in bytes: cutting
// shorter ones out would damage answers and protect nobody.
const Shortest = 8

// Scrubber looks for some secrets. The zero value finds nothing. It is cheap to make:
// most texts are too short for a secret, or hold not even the beginning of one, and
// only for others it is written out in all its forms.
type Scrubber struct {
	mark     string
	shortest int           // length of the shortest secret; 0 if there is none
	heads    func() []form // how the forms begin
	forms    func() []form
}

// form is one way to write a secret, in small letters.
type form struct {
	text   string
	packed bool // base64 or hex, which lines may break
}

// head is how much of a secret is looked for first, in bytes.
const head = 12

// New returns a scrubber that puts mark where it finds one of the secrets.
func New(mark string, secrets ...string) Scrubber {
	s := Scrubber{mark: mark}
	kept := make([]string, 0, len(secrets))
	for _, secret := range secrets {
		if n := len(secret); n >= Shortest {
			kept = append(kept, secret)
			if s.shortest == 0 || n < s.shortest {
				s.shortest = n
			}
		}
	}
	s.heads = sync.OnceValue(func() []form {
		heads := make([]string, len(kept))
		for i, secret := range kept {
			heads[i] = secret[:min(head, len(secret))]
		}
		return formsOf(heads)
	})
	s.forms = sync.OnceValue(func() []form { return formsOf(kept) })
	return s
}

// formsOf are the ways to write texts, longest first. That of the beginning of a text
// is the beginning of that of the text.
func formsOf(texts []string) []form {
	forms := make([]form, 0, 5*len(texts))
	for _, text := range texts {
		forms = append(forms, form{lower(text), false}, form{hex.EncodeToString([]byte(text)), true})
		for before := range 3 {
			forms = append(forms, form{lower(base64Within(text, before)), true})
		}
	}
	slices.SortFunc(forms, func(a, b form) int {
		return cmp.Or(cmp.Compare(len(b.text), len(a.text)), cmp.Compare(a.text, b.text))
	})
	return slices.Compact(forms)
}

// base64Within is what stands of a secret in base64 for sure, in the alphabet of
// URLs, if so many bytes modulo 3 come before it.
func base64Within(secret string, before int) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + secret))
	return text[(8*before+5)/6 : 8*(before+len(secret))/6]
}

// Found reports whether a text holds a secret.
func (s Scrubber) Found(text []byte) bool {
	if s.spares(len(text)) {
		return false
	}
	read := views(text, false)
	return hold(read, s.heads()) && hold(read, s.forms())
}

// spares reports whether a text of so many bytes is too short for a secret.
func (s Scrubber) spares(n int) bool { return s.shortest == 0 || widest*n < s.shortest }

// hold reports whether one of the views holds one of the forms.
func hold(read []view, forms []form) bool {
	for _, v := range read {
		for _, f := range forms {
			if v.packed == f.packed && bytes.Contains(v.text, []byte(f.text)) {
				return true
			}
		}
	}
	return false
}

// Text is a text without the secrets in it, and whether there were any.
func (s Scrubber) Text(text string) (string, bool) {
	if s.spares(len(text)) {
		return text, false
	}
	places := s.places([]byte(text))
	if len(places) == 0 {
		return text, false
	}
	var out strings.Builder
	last := 0
	for _, p := range places {
		if p.begin >= last {
			out.WriteString(text[last:p.begin] + s.mark)
		}
		last = max(last, p.end)
	}
	return out.String() + text[last:], true
}

// Cut is Text for a text that was cut off at its end: the beginning of a secret
// there goes too.
func (s Scrubber) Cut(text string) (string, bool) {
	clean, found := s.Text(text)
	if s.shortest == 0 {
		return clean, found
	}
	forms := s.forms()
	end := lower(clean[max(0, len(clean)-len(forms[0].text)):])
	for _, f := range forms {
		for n := min(len(f.text)-1, len(end)); n >= Shortest; n-- {
			if strings.HasSuffix(end, f.text[:n]) {
				return clean[:len(clean)-n] + s.mark, true
			}
		}
	}
	return clean, found
}

// JSON is a JSON text without the secrets in its strings, names and numbers, and
// whether there were any.
func (s Scrubber) JSON(data []byte) ([]byte, bool) {
	if !s.Found(data) {
		return data, false
	}
	var out []byte
	last := 0
	for i := 0; i < len(data); i++ {
		begin := i
		switch c := data[i]; {
		case c == '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case c == '-' || c >= '0' && c <= '9':
			for i+1 < len(data) && strings.IndexByte("0123456789+-.eE", data[i+1]) >= 0 {
				i++
			}
		default:
			continue
		}
		end := min(i+1, len(data))
		text := string(data[begin:end])
		if data[begin] == '"' && json.Unmarshal(data[begin:end], &text) != nil {
			continue // a JSON text has no such strings
		}
		if clean, found := s.Text(text); found {
			if data[begin] != '"' {
				clean = s.mark // a part of a number is another number
			}
			out = append(append(out, data[last:begin]...), quote(clean)...)
			last = end
		}
	}
	if last == 0 {
		return data, false
	}
	return append(out, data[last:]...), true
}

func quote(text string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(text) // a string can always be encoded
	return bytes.TrimSpace(b.Bytes())
}

// place is where a secret stands in a text.
type place struct{ begin, end int }

// places are all of them in order; they may overlap.
func (s Scrubber) places(text []byte) []place {
	if !s.Found(text) {
		return nil
	}
	var out []place
	for _, v := range views(text, true) {
		for _, f := range s.forms() {
			if v.packed == f.packed {
				out = v.find(f, out)
			}
		}
	}
	slices.SortFunc(out, func(a, b place) int { return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(b.end, a.end)) })
	return out
}
