package inbox

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// BeforeView is what a call changes, as a person sees it.
type BeforeView struct {
	At      time.Time `json:"at"`
	Tool    string    `json:"tool,omitempty"`    // that read it
	Why     string    `json:"why,omitempty"`     // it could not be read, or not be compared
	Absent  bool      `json:"absent,omitempty"`  // there is no such thing
	Checked bool      `json:"checked,omitempty"` // the call goes only if this is still so
	Hidden  []string  `json:"hidden,omitempty"`  // JSON Pointers of what the policies hide
	Large   int       `json:"large,omitempty"`   // bytes, if it is too large to be shown
	// Changes are the fields that would not be as they are; Same are the others.
	// Guess says that the API may do something else with the body.
	Changes []FieldChange `json:"changes,omitempty"`
	Same    []FieldChange `json:"same,omitempty"`
	Guess   bool          `json:"guess,omitempty"`
	// Since are the fields that had changed when the call was to be sent, for
	// which it was not; Lost says that they could not be read any more.
	Since []FieldChange `json:"since,omitempty"`
	Lost  string        `json:"lost,omitempty"`
}

// FieldChange is one field before and after.
type FieldChange struct {
	Name string  `json:"name"` // "" is the whole
	Was  *string `json:"was,omitempty"`
	Is   *string `json:"is,omitempty"`
}

// beforeView compares what a call changes with what it asks for.
func beforeView(h store.Hold) *BeforeView {
	b := h.Before
	if b == nil {
		return nil
	}
	v := &BeforeView{At: b.At, Tool: b.Tool, Why: b.Why, Checked: b.Checked, Hidden: b.Hidden,
		Absent: b.Status == http.StatusNotFound || b.Status == http.StatusGone}
	if b.Value == nil && b.Digest != "" && !v.Absent {
		v.Large = b.Size
	}
	if len(b.Value) > 0 {
		v.compare(h)
	}
	hide(v.Changes, b.Hidden)
	if a := h.After; a != nil {
		v.Lost = a.Why
		v.Since, _ = changes(fields(b.Value), fields(a.Value))
	}
	return v
}

// compare fills in the fields, so far as the body tells what becomes of them.
func (v *BeforeView) compare(h store.Hold) {
	now := fields(h.Before.Value)
	media, _, _ := strings.Cut(strings.ToLower(h.Request.ContentType), ";")
	media = strings.TrimSpace(media)
	whole := media == "application/json" || strings.HasSuffix(media, "+json")
	switch {
	case h.Request.Method == http.MethodDelete:
		v.Changes, _ = changes(now, nil)
	case media == "application/json-patch+json":
		if v.Changes = listPatch(h.Before.Value, h.Request.Body); v.Changes == nil {
			v.Same = listUnchanged(now)
		}
	case h.Request.Method == http.MethodPatch && whole && alike(h.Before.Value, h.Request.Body):
		v.Changes, v.Same = changes(now, fields(mergePatch(h.Before.Value, h.Request.Body)))
		v.Guess = media != "application/merge-patch+json"
	case h.Request.Method == http.MethodPut && whole && alike(h.Before.Value, h.Request.Body):
		v.Changes, v.Same = changes(now, fields(h.Request.Body))
	default: // nothing says what becomes of it
		v.Same = listUnchanged(now)
	}
}

// hide says of what the policies hide that it is hidden: it only looks new.
func hide(list []FieldChange, pointers []string) {
	for _, p := range pointers {
		name := strings.ReplaceAll(strings.TrimPrefix(p, "/"), "/", ".")
		for i, f := range list {
			if f.Was == nil && (f.Name == name || strings.HasPrefix(f.Name, name+".") || strings.HasPrefix(f.Name, name+"[")) {
				hidden := "hidden by a policy"
				list[i].Was = &hidden
			}
		}
	}
}

// texts are all foreign texts of the view.
func (v *BeforeView) texts() (out []*string) {
	if v == nil {
		return nil
	}
	out = append(out, &v.Why, &v.Lost, &v.Tool)
	for _, list := range [][]FieldChange{v.Changes, v.Same, v.Since} {
		for i := range list {
			out = append(out, &list[i].Name)
			for _, s := range []*string{list[i].Was, list[i].Is} {
				if s != nil {
					out = append(out, s)
				}
			}
		}
	}
	return out
}

// fields are the fields of a JSON value, as arguments are listed.
func fields(raw json.RawMessage) (out []arg) {
	if raw = bytes.TrimSpace(raw); len(raw) > 0 && json.Valid(raw) {
		flatten("", raw, 0, &out)
	}
	return out
}

// changes pairs fields by name: those that are not the same, in the order of
// their names, and those that are.
func changes(was, is []arg) (changed, same []FieldChange) {
	value := map[string]*FieldChange{}
	kinds := map[string]string{}
	var names []string
	at := func(name string) *FieldChange {
		if value[name] == nil {
			value[name] = &FieldChange{Name: name}
			names = append(names, name)
		}
		return value[name]
	}
	for _, a := range was {
		at(a.Name).Was, kinds[a.Name] = &a.Value, a.Type
	}
	for _, a := range is {
		f := at(a.Name)
		f.Is = &a.Value
		if f.Was != nil && *f.Was == a.Value && kinds[a.Name] == a.Type {
			continue
		}
		kinds[a.Name] = "changed"
	}
	slices.Sort(names)
	for _, name := range names {
		if f := *value[name]; f.Was != nil && f.Is != nil && kinds[name] != "changed" {
			same = append(same, f)
		} else {
			changed = append(changed, f)
		}
	}
	return changed, same
}

func listUnchanged(now []arg) (same []FieldChange) {
	for _, a := range now {
		same = append(same, FieldChange{Name: a.Name, Was: &a.Value})
	}
	return same
}

// alike reports whether two objects have a member in common: else the one is
// wrapped in something, and comparing them field by field would mislead.
func alike(a, b []byte) bool {
	var x, y map[string]json.RawMessage
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	for name := range y {
		if _, ok := x[name]; ok {
			return true
		}
	}
	return false
}

// mergePatch returns a document with a merge patch applied to it (RFC 7396 §2).
func mergePatch(doc, patch json.RawMessage) json.RawMessage {
	var members, with map[string]json.RawMessage
	if json.Unmarshal(patch, &with) != nil || with == nil {
		return patch
	}
	if json.Unmarshal(doc, &members) != nil || members == nil {
		members = map[string]json.RawMessage{}
	}
	for name, v := range with {
		if bytes.Equal(bytes.TrimSpace(v), []byte("null")) {
			delete(members, name)
			continue
		}
		members[name] = mergePatch(members[name], v)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if enc.Encode(members) != nil {
		return doc
	}
	return out.Bytes()
}

// maxWas bounds what is shown of a document beside the operations of a patch, in
// bytes: each of a thousand operations can name the whole.
const maxWas = 1 << 20

// listPatch lists the operations of a JSON Patch (RFC 6902) with what stands at
// their places now; nil if it is none.
func listPatch(doc, patch []byte) (out []FieldChange) {
	var ops []struct {
		Op    string          `json:"op"`
		Path  string          `json:"path"`
		From  string          `json:"from"`
		Value json.RawMessage `json:"value"`
	}
	if json.Unmarshal(patch, &ops) != nil {
		return nil
	}
	left := maxWas
	for _, o := range ops[:min(len(ops), maxRows)] {
		f := FieldChange{Name: o.Op + " " + o.Path}
		if left > 0 { // each looks through the document
			left -= len(doc) / 16
			if v, ok := approval.ValueAt(doc, o.Path); ok {
				left -= len(v)
				f.Was = text(v)
			}
		}
		if left <= 0 {
			f.Was = text([]byte("left out: the operations of this patch name too much of the document"))
		}
		switch {
		case o.Value != nil:
			f.Is = text(o.Value)
		case o.From != "":
			from := "what is at " + o.From
			f.Is = &from
		}
		out = append(out, f)
	}
	return out
}

// text is a JSON value as a person reads it.
func text(raw []byte) *string {
	s := string(raw)
	var plain string
	if json.Unmarshal(raw, &plain) == nil && len(raw) > 0 && raw[0] == '"' {
		s = plain
	}
	return &s
}
