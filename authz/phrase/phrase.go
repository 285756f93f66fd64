// Package phrase is the one sentence that says what a held call does and to what: what
// it is made of, and how it is said in a language. Every piece of it knows who wrote it:
// exeat, the document, the agent or the API. No value can become a piece of exeat's.
package phrase

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"unicode/utf8"
)

// Verb is what a call does, as exeat says it.
type Verb string

// The verbs. Run is anything that only the document knows a word for.
const (
	Read   Verb = "read"
	Create Verb = "create"
	Change Verb = "change"
	Set    Verb = "set"
	Delete Verb = "delete"
	Upload Verb = "upload"
	Run    Verb = "run"
)

// Sentence says what a call does, in no language yet. It is made when the call is held,
// is part of what the hold's seal covers, and holds no hidden value.
type Sentence struct {
	Verb    Verb              `json:"verb"`
	Things  []Thing           `json:"things,omitempty"` // what it is done to, and what that is in
	Named   string            `json:"named,omitempty"`  // the document's own word for a Run
	Own     map[string]string `json:"own,omitempty"`    // the document's own sentence, by language, with {name}
	Values  map[string]Value  `json:"values,omitempty"` // of Own
	Field   string            `json:"field,omitempty"`  // the one member that changes
	Was     *Value            `json:"was,omitempty"`
	Is      *Value            `json:"is,omitempty"`
	Fields  []string          `json:"fields,omitempty"` // members that change beside it
	Dropped int               `json:"dropped,omitempty"`
	Nothing bool              `json:"nothing,omitempty"` // it changes nothing, as far as is known
	File    *File             `json:"file,omitempty"`
}

// Thing is one thing on the way to what a call is about.
type Thing struct {
	Noun  string  `json:"noun,omitempty"`  // the document's word
	ID    *Value  `json:"id,omitempty"`    // as the agent gave it
	Title *Value  `json:"title,omitempty"` // what it is called
	Facts []Value `json:"facts,omitempty"`
}

// File is one that is sent.
type File struct {
	Name *Value `json:"name,omitempty"`
	Type string `json:"type,omitempty"` // as its bytes look
	Size int    `json:"size"`
}

// Source is who wrote a piece.
type Source string

// The sources.
const (
	Ours     Source = "ours"     // words of exeat
	Document Source = "document" // words of the document
	Agent    Source = "agent"    // a value of the call's arguments
	API      Source = "api"      // a value that was read from the API
)

// Kind is what a value means.
type Kind string

// The kinds. Text is any that is shown in quotes.
const (
	Text   Kind = ""
	Number Kind = "number"
	Money  Kind = "money"
	Date   Kind = "date"
	Bool   Kind = "bool"
	Null   Kind = "null"
)

// Value is a value with its meaning.
type Value struct {
	From  Source `json:"from"`
	Kind  Kind   `json:"kind,omitempty"`
	Text  string `json:"text"`
	Unit  string `json:"unit,omitempty"`  // of money: a code of ISO 4217
	Exact bool   `json:"exact,omitempty"` // it is not known in which unit of the currency money is counted
	Title string `json:"title,omitempty"` // what the document calls it
	// A long text is cut: Tail is its end, Size its length in characters, and Sum tells
	// it from others that begin and end alike.
	Tail string `json:"tail,omitempty"`
	Size int    `json:"size,omitempty"`
	Sum  string `json:"sum,omitempty"`
}

// Bounds of texts within a sentence, in characters: longer ones are cut.
const (
	MaxText  = 80
	maxShort = 40 // in messages
)

// NewText is a text as a value.
func NewText(s string, from Source) Value { return cut(Value{From: from, Text: s}, s, MaxText) }

// cut leaves of a text that is longer than most its beginning and its end.
func cut(v Value, s string, most int) Value {
	r := []rune(s)
	if len(r) <= most {
		return v
	}
	tail := most / 3
	sum := sha256.Sum256([]byte(s))
	v.Text, v.Tail, v.Size, v.Sum = string(r[:most-tail]), string(r[len(r)-tail:]), len(r), hex.EncodeToString(sum[:6])
	return v
}

// shorten cuts a value further for a message. What was cut keeps its sum, which is that
// of the whole.
func (v Value) shorten() Value {
	if v.Kind != Text {
		return v
	}
	if v.Sum == "" {
		return cut(v, v.Text, maxShort)
	}
	head, tail := []rune(v.Text), []rune(v.Tail)
	v.Text, v.Tail = string(head[:min(len(head), 2*maxShort/3)]), string(tail[max(0, len(tail)-maxShort/3):])
	return v
}

// Parse reads a stored sentence; false is that there is none.
func Parse(raw []byte) (s Sentence, ok bool) {
	if len(raw) == 0 || !utf8.Valid(raw) || json.Unmarshal(raw, &s) != nil {
		return Sentence{}, false
	}
	return s, s.Verb != ""
}
