package inbox

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/compare"
	"github.com/exeat/exeat/store"
)

// BeforeView is what a call changes, as a person sees it.
type BeforeView struct {
	At      time.Time `json:"at,omitzero"`       // when it was read; the zero time if it was not
	Tool    string    `json:"tool,omitempty"`    // that read it
	Why     string    `json:"why,omitempty"`     // it could not be read, or not be compared
	Absent  bool      `json:"absent,omitempty"`  // there is no such thing
	Checked bool      `json:"checked,omitempty"` // the call goes only if this is still so
	Hidden  []string  `json:"hidden,omitempty"`  // JSON Pointers of what the policies hide
	Fixed   []string  `json:"fixed,omitempty"`   // JSON Pointers of what the request cannot set
	Large   int       `json:"large,omitempty"`   // bytes, if it is too large to be shown
	// Changes are the lines of what would not be as it is, and Same of all else. Guess
	// says that the API may do something else with the body; Nothing, that all stays as it
	// is; Refused, why the API will refuse it.
	Changes []DiffLine `json:"changes,omitempty"`
	Same    []DiffLine `json:"same,omitempty"`
	Guess   bool       `json:"guess,omitempty"`
	Nothing bool       `json:"nothing,omitempty"`
	Refused string     `json:"refused,omitempty"`
	// Sent are the lines of the arguments that no other line tells of.
	Sent []DiffLine `json:"sent,omitempty"`
	// Since are the lines of what had changed when the call was to be sent, for which it
	// was not; Lost says that it could not be read any more.
	Since []DiffLine `json:"since,omitempty"`
	Lost  string     `json:"lost,omitempty"`

	root *compare.Change // of Changes and Same, until they are made
	had  *compare.Change // of Since
}

// beforeView compares what a call changes with what it asks for. Its lines are made by
// finish.
func beforeView(h store.Hold) *BeforeView {
	b := h.Before
	if b == nil {
		return &BeforeView{}
	}
	v := &BeforeView{At: b.At, Tool: b.Tool, Why: b.Why, Checked: b.Checked, Hidden: b.Hidden,
		Absent: b.Status == http.StatusNotFound || b.Status == http.StatusGone}
	now, err := compare.Parse(b.Value)
	if b.Value == nil && b.Digest != "" && !v.Absent || err != nil && len(b.Value) > 0 {
		v.Large = b.Size
	}
	if err == nil {
		v.compare(h, now)
	}
	if a := h.After; a != nil {
		v.Lost = a.Why
		was, err := compare.Parse(b.Value)
		if is, afterErr := compare.Parse(a.Value); err == nil && afterErr == nil {
			c := compare.Compare(was, is)
			v.had = &c
		}
	}
	return v
}

// mediaOf is a media type without its parameters, and whether a body of it is JSON.
func mediaOf(contentType string) (media string, isJSON bool) {
	media, _, _ = strings.Cut(strings.ToLower(contentType), ";")
	media = strings.TrimSpace(media)
	return media, media == "application/json" || strings.HasSuffix(media, "+json")
}

// compare finds what becomes of what is there now, so far as the body tells.
func (v *BeforeView) compare(h store.Hold, now *compare.Value) {
	media, isJSON := mediaOf(h.Request.ContentType)
	body, err := compare.Parse(h.Request.Body)
	for _, p := range h.Before.Hidden {
		addHidden(now, p)
	}
	fits := isJSON && err == nil && alike(now, body)
	c := compare.Change{Op: compare.Same, From: -1, To: -1, Was: now, Is: now} // nothing says what becomes of it
	switch {
	case h.Request.Method == http.MethodDelete:
		c = compare.Change{Op: compare.Removed, From: -1, To: -1, Was: now}
	case media == "application/json-patch+json" && h.Request.Method == http.MethodPatch:
		c = v.patch(h, now, c)
	case h.Request.Method == http.MethodPatch && fits:
		c = compare.Compare(now, compare.Merge(now, body))
		v.Guess, v.Nothing = media != "application/merge-patch+json", c.Op == compare.Same
	case h.Request.Method == http.MethodPut && fits:
		v.Fixed = dropFixed(now, body, h.Before.Fixed)
		c = compare.Compare(now, body)
		v.Nothing = c.Op == compare.Same
	}
	v.root = &c
}

// patch applies the operations of a JSON Patch; where they cannot be, it lists them.
func (v *BeforeView) patch(h store.Hold, now *compare.Value, stays compare.Change) compare.Change {
	var list []compare.Operation
	if json.Unmarshal(h.Request.Body, &list) != nil {
		return stays
	}
	is, err := compare.Patch(now, list)
	if err == nil {
		c := compare.Compare(now, is)
		v.Nothing = c.Op == compare.Same
		return c
	}
	v.Refused = err.Error()
	v.Changes = patchLines(h.Before.Value, list)
	return stays
}

// maxWas bounds what is shown of a document beside the operations of a patch, in
// bytes: each of a thousand operations can name the whole.
const maxWas = 1 << 20

// patchLines lists the operations of a JSON Patch (RFC 6902) with what stands at their
// places now.
func patchLines(doc []byte, list []compare.Operation) (out []DiffLine) {
	left := maxWas
	for _, o := range list {
		line := DiffLine{Op: opStep, Path: []string{o.Op, o.Path}}
		if left > 0 { // each looks through the document
			left -= len(doc) / 16
			if v, ok := approval.ValueAt(doc, o.Path); ok {
				left -= len(v)
				line.Was = text(v)
			}
		}
		switch {
		case o.Value != nil:
			line.Is = text(o.Value)
		case o.From != "":
			line.Path = append(line.Path, o.From)
		}
		out = append(out, line)
	}
	return out
}

// addHidden puts a value that the policies hide where it would be, so that it is not
// taken for one that is not there.
func addHidden(v *compare.Value, pointer string) {
	steps := strings.Split(pointer, "/")[1:]
	for i, s := range steps {
		name := strings.ReplaceAll(strings.ReplaceAll(s, "~1", "/"), "~0", "~")
		next := v.Member(name)
		switch {
		case v.Kind != compare.Object:
			return
		case next != nil:
			v = next
		case i < len(steps)-1:
			return
		default:
			v.Members = append(v.Members, compare.Member{Name: name, Value: &compare.Value{Kind: compare.Hidden, Text: "hidden by a policy"}})
		}
	}
}

// dropFixed takes what a request cannot set out of what is there, where the request does
// not set it all the same, and says what that was.
func dropFixed(now, body *compare.Value, pointers []string) (dropped []string) {
	for _, p := range pointers {
		steps := strings.Split(p, "/")[1:]
		was, is := now, body
		for i, s := range steps {
			name := strings.ReplaceAll(strings.ReplaceAll(s, "~1", "/"), "~0", "~")
			if i == len(steps)-1 && was.Member(name) != nil && is.Member(name) == nil {
				was.Members = slices.DeleteFunc(was.Members, func(m compare.Member) bool { return m.Name == name })
				dropped = append(dropped, p)
			}
			if was, is = was.Member(name), is.Member(name); was == nil || is == nil {
				break
			}
		}
	}
	return dropped
}

// alike reports whether two objects have a member in common: else the one is
// wrapped in something, and comparing them field by field would mislead.
func alike(a, b *compare.Value) bool {
	return slices.ContainsFunc(b.Members, func(m compare.Member) bool { return a.Member(m.Name) != nil })
}

// finish makes the lines, once what must not be seen is hidden. args are the arguments
// as they are shown.
func (v *BeforeView) finish(args json.RawMessage, files []FileView) {
	if v.root != nil {
		if changes, same := diffLines(*v.root); v.Refused == "" {
			v.Changes, v.Same = changes, same
		} else {
			v.Same = same
		}
	}
	if v.had != nil {
		v.Since, _ = diffLines(*v.had)
	}
	v.root, v.had = nil, nil
	v.Sent = sentLines(withoutBytes(args, files), files, len(v.Changes) > 0 || v.Nothing)
	findWords(v.Changes)
	findWords(v.Since)
}

// sentLines are the arguments, the members of the body last and without a line for the
// body itself. What a line tells already, or is shown as a file, is left out.
func sentLines(args json.RawMessage, files []FileView, told bool) []DiffLine {
	all, err := compare.Parse(args)
	if err != nil {
		return nil
	}
	out := &compare.Value{Kind: compare.Object}
	var body *compare.Value
	for _, m := range all.Members {
		if m.Name == "body" {
			body = m.Value
		} else {
			out.Members = append(out.Members, m)
		}
	}
	switch {
	case body == nil || told:
	case body.Kind == compare.Object:
		out.Members = append(out.Members, slices.DeleteFunc(body.Members, func(m compare.Member) bool { return isFile(m.Name, files) })...)
	case !slices.ContainsFunc(files, func(f FileView) bool { return f.Field == "/body" }):
		out.Members = append(out.Members, compare.Member{Name: "body", Value: body})
	}
	if len(out.Members) == 0 {
		return nil
	}
	_, lines := diffLines(compare.Change{Op: compare.Same, From: -1, To: -1, Was: out, Is: out})
	return lines
}

// texts are all foreign texts of the view.
func (v *BeforeView) texts() (out []*string) {
	if v == nil {
		return nil
	}
	out = append(out, &v.Why, &v.Lost, &v.Tool, &v.Refused)
	for _, list := range [][]DiffLine{v.Changes, v.Same, v.Since, v.Sent} {
		for i := range list {
			for j := range list[i].Path {
				out = append(out, &list[i].Path[j])
			}
			for _, s := range []*string{list[i].Was, list[i].Is} {
				if s != nil {
					out = append(out, s)
				}
			}
		}
	}
	return out
}

// unweave has lines show their values whole, where these are written in another way.
func (v *BeforeView) unweave() {
	if v == nil {
		return
	}
	for _, list := range [][]DiffLine{v.Changes, v.Since} {
		for i := range list {
			list[i].Words = nil
		}
	}
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
