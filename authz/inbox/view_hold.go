package inbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/phrase"
	"github.com/exeat/exeat/authz/plaintext"
	"github.com/exeat/exeat/authz/words"
	"github.com/exeat/exeat/store"
)

// HoldView is a hold as a person sees it, on a page or in a terminal. A list has
// outlines: without the arguments and the request. State is "tampered" in a list
// for what was changed in the database; only ID and Summary are set then, and
// Expires is when it was found.
type HoldView struct {
	ID          string              `json:"id"`
	State       string              `json:"state"`
	Effect      string              `json:"effect"` // read, write or delete
	Summary     string              `json:"summary"`
	Sentence    []phrase.Piece      `json:"sentence,omitempty"` // what it does and to what, in English; not of holds from before there were any
	Marks       []string            `json:"marks,omitempty"`    // what kind of danger there is, in words of the operator or the document
	API         string              `json:"api"`
	Tool        string              `json:"tool"`
	Method      string              `json:"method,omitempty"`
	URL         string              `json:"url,omitempty"`
	Origin      string              `json:"origin,omitempty"` // of URL: where it goes
	ContentType string              `json:"content_type,omitempty"`
	Header      map[string][]string `json:"header,omitempty"`
	Body        string              `json:"body,omitempty"`        // if it is text
	BodyBase64  string              `json:"body_base64,omitempty"` // if it is not
	BodySize    int                 `json:"body_size,omitempty"`   // in bytes
	Args        json.RawMessage     `json:"arguments,omitempty"`
	BodySHA256  string              `json:"body_sha256,omitempty"` // in hex
	Before      *BeforeView         `json:"before,omitempty"`      // what it changes
	Files       []FileView          `json:"files,omitempty"`       // that it sends
	MustSee     []string            `json:"must_see,omitempty"`    // why a person has to look at more before they approve it
	Says        string              `json:"agent_says,omitempty"`  // why, unchecked
	Others      []approval.Other    `json:"others,omitempty"`      // calls on the same thing
	Subject     string              `json:"subject"`               // in whose name the call is made
	Agent       string              `json:"agent"`                 // what the agent calls itself, unless verified
	Verified    bool                `json:"agent_verified"`
	Session     string              `json:"session,omitempty"`
	Policies    []string            `json:"policies"` // that held the call
	Reason      string              `json:"reason"`   // why they did
	Digest      string              `json:"digest"`
	Created     time.Time           `json:"created"`
	Expires     time.Time           `json:"expires"` // the hold, or after an approval that
	Decided     time.Time           `json:"decided,omitzero"`
	DecidedBy   string              `json:"decided_by,omitempty"`
	Denial      string              `json:"denial,omitempty"`      // what the person told the agent
	HTTPStatus  int                 `json:"http_status,omitempty"` // what the API answered
	Lookup      string              `json:"lookup,omitempty"`      // what a look showed, where no answer came
	Masked      bool                `json:"masked,omitempty"`      // some values are hidden
	Revealed    bool                `json:"-"`                     // what is hidden is shown
	Unseen      bool                `json:"unseen,omitempty"`      // and have to be looked at before it is approved
	Lacks       string              `json:"lacks,omitempty"`       // what has to be done before it can be approved, or sent
	ToAsk       string              `json:"to_ask,omitempty"`      // the argument whose value has to be typed to approve it, where something has
	ToType      string              `json:"to_type,omitempty"`     // that value; without to_ask the end of the path, or the tool
	MayDecide   bool                `json:"may_decide"`            // whether the policies let this person
	Approvals   []approval.Given    `json:"approvals,omitempty"`   // that it has, oldest first
	Approving   string              `json:"approving,omitempty"`   // what this person's approval would do: sends, waits, twice or no_help
	Why         string              `json:"approving_why,omitempty"`
	StepUp      string              `json:"step_up,omitempty"`   // what could let them, if not: login or passkey
	MayGrant    bool                `json:"may_grant,omitempty"` // and take a grant for calls like it

	Phrase phrase.Sentence `json:"-"` // Sentence, before it is in a language
}

// What is what it does and to what, as one line of English.
func (v HoldView) What() string {
	if len(v.Sentence) == 0 {
		return plaintext.Spell(v.Summary)
	}
	return phrase.Plain(v.Sentence)
}

// Marked says that whoever runs exeat, or the document, calls it dangerous.
func (v HoldView) Marked() bool { return len(v.Marks) > 0 }

// Stand is where it stands, in a word that changes with every approval.
func (v HoldView) Stand() string {
	if v.State == string(store.Pending) && len(v.Approvals) > 0 {
		return fmt.Sprintf("%s %d", v.State, len(v.Approvals))
	}
	return v.State
}

// Checked says that the call goes only if what it changes is as it was read.
func (v HoldView) Checked() bool { return v.Before != nil && v.Before.Checked }

// Overtaken says that another call on the same thing was sent since this one was
// read, so that it will not go as it stands.
func (v HoldView) Overtaken() bool {
	return v.Checked() && slices.ContainsFunc(v.Others, func(o approval.Other) bool { return o.Sent && o.Relation != approval.Below })
}

// Contended says that this one will not go as it stands once one of the others is sent.
func (v HoldView) Contended() bool {
	return v.Checked() && slices.ContainsFunc(v.Others, func(o approval.Other) bool { return o.Relation != approval.Below })
}

// outline is what a list shows of a hold.
func outline(h store.Hold) HoldView {
	who, _ := approval.PartiesOf(h) // shown as nobody if it cannot be read; it decides nothing here
	agent, session := who.Agent, who.Session
	v := HoldView{
		ID: h.ID, State: string(h.State), Effect: h.Effect, Summary: h.Summary, Marks: h.Marks, API: h.API, Tool: h.Tool,
		Subject: h.Subject, Agent: agent.ID, Verified: agent.Verified, Session: strings.TrimSpace(session.Transport + " " + session.ID),
		Policies: h.Policies, Reason: h.Reason, Digest: h.Digest, Created: h.Created, Expires: h.Expires,
		DecidedBy: h.DeniedBy, Denial: h.Denial,
	}
	if said, ok := phrase.Parse(h.Phrase); ok {
		v.Phrase, v.Sentence = said, said.Say(words.Language{})
	}
	v.HTTPStatus, v.Lookup = outcome(h.Result)
	if h.DeniedBy != "" {
		v.Decided = h.Changed
	}
	if a := h.Approval; a != nil {
		v.Decided, v.DecidedBy, v.Expires = a.At, a.ByName, a.Expires
	}
	return v
}

// full is everything that a person decides about.
func full(h store.Hold) HoldView {
	v := outline(h)
	q := h.Request
	v.Method, v.Origin, v.URL, v.ContentType, v.Header, v.BodySize = q.Method, q.Origin, q.Origin+q.Target, q.ContentType, q.Header, len(q.Body)
	asked := approval.QuestionOf(h)
	v.ToAsk, v.ToType = asked.Field, asked.Answer
	v.Args, v.Before, v.Says, v.Files = h.Args, beforeView(h), h.Says, filesOf(h)
	if len(q.Body) > 0 {
		sum := sha256.Sum256(q.Body)
		v.BodySHA256 = hex.EncodeToString(sum[:])
	}
	if textual(q) {
		v.Body = string(q.Body)
	} else {
		v.BodyBase64 = base64.StdEncoding.EncodeToString(q.Body)
	}
	return v
}

// textual reports whether a body can be read: an image is not text just because
// its bytes happen to be UTF-8.
func textual(r store.Request) bool {
	media, _ := mediaOf(r.ContentType)
	switch {
	case !utf8.Valid(r.Body):
		return false
	case media == "application/json", media == "application/x-www-form-urlencoded", media == "multipart/form-data", media == "":
		return true
	}
	return strings.HasPrefix(media, "text/") || strings.HasSuffix(media, "+json") || strings.HasSuffix(media, "+xml") || media == "application/xml"
}

// outcome is what the API answered, and what a look showed if it did not, as
// far as the kept result tells it.
func outcome(result []byte) (status int, lookup string) {
	var r struct {
		Envelope struct {
			HTTPStatus int `json:"http_status"`
			Lookup     struct {
				Found  string `json:"found"`
				Reason string `json:"reason"`
			} `json:"lookup"`
		} `json:"envelope"`
	}
	if json.Unmarshal(result, &r) != nil {
		return 0, ""
	}
	e := r.Envelope
	switch e.Lookup.Found {
	case "":
		return e.HTTPStatus, ""
	case "cannot_tell":
		return e.HTTPStatus, "It cannot be told whether it was: " + e.Lookup.Reason
	}
	return e.HTTPStatus, "exeat looked afterwards: " + e.Lookup.Reason
}

// arg is one row of the table of arguments.
type arg struct{ Name, Type, Value string }

// arguments lists every argument in full. Objects and arrays are opened as far
// as that stays readable; what is not opened is shown as JSON.
func arguments(raw json.RawMessage) []arg {
	var out []arg
	if raw = bytes.TrimSpace(raw); len(raw) > 0 && string(raw) != "{}" {
		flatten("", raw, 0, &out)
	}
	return out
}

// Bounds of opening, so that no agent can make the table much larger than its
// arguments.
const (
	maxDepth = 6
	maxName  = 200
	maxRows  = 1000
)

func flatten(name string, raw json.RawMessage, depth int, out *[]arg) {
	raw = bytes.TrimSpace(raw)
	kind := jsonType(raw)
	var names []string
	var values []json.RawMessage
	switch kind {
	case "object":
		var m map[string]json.RawMessage
		if json.Unmarshal(raw, &m) == nil {
			for _, k := range slices.Sorted(maps.Keys(m)) {
				names, values = append(names, child(name, k)), append(values, m[k])
			}
		}
	case "array":
		if json.Unmarshal(raw, &values) == nil {
			for i := range values {
				names = append(names, fmt.Sprintf("%s[%d]", name, i))
			}
		}
	case "text":
		var s string
		if json.Unmarshal(raw, &s) == nil && utf8.Valid(raw) {
			*out = append(*out, arg{name, kind, s})
			return
		}
	}
	crowded := len(*out)+len(names) > maxRows
	long := slices.ContainsFunc(names, func(n string) bool { return len(n) > maxName })
	if len(names) == 0 || crowded || depth > 0 && (depth >= maxDepth || long) {
		*out = append(*out, arg{name, kind, string(raw)})
		return
	}
	for i, v := range values {
		flatten(names[i], v, depth+1, out)
	}
}

// child is the name of a member; names that would read as something else are
// quoted.
func child(parent, name string) string {
	odd := name == "" || strings.ContainsFunc(name, func(r rune) bool { return strings.ContainsRune(".[]\" \t\n", r) })
	switch {
	case odd:
		return parent + "[" + fmt.Sprintf("%q", name) + "]"
	case parent == "":
		return name
	}
	return parent + "." + name
}

func jsonType(raw []byte) string {
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "text"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}
