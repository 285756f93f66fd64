package tools

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/tools/jq"
	"github.com/exeat/exeat/tools/scrub"
)

// hiddenByPolicy stands where a text holds what a policy's @redact cut elsewhere.
const hiddenByPolicy = "[removed by policy]"

// redactor cuts the values at JSON Pointers (RFC 6901) out of JSON, and remembers
// them: what else is told of the answer must not hold them either.
type redactor struct {
	paths [][]string
	cut   []string // scalars that were cut, as texts
}

func newRedactor(pointers []string) *redactor {
	r := &redactor{}
	for _, p := range pointers {
		var steps []string
		if p != "" {
			steps = strings.Split(p, "/")[1:]
		}
		for i, s := range steps {
			steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(s)
		}
		r.paths = append(r.paths, steps)
	}
	return r
}

// redact cuts what the policies name out of an answer. Where a pointer meets an
// array at a step that is not an index, it goes into every element, so that /ssn
// also works on a list of people. ok is false if that cannot be done.
func (r *redactor) redact(a *openapi.Response) (body json.RawMessage, ok bool) {
	v, err := jq.Read(a.JSON)
	if err != nil {
		return nil, false
	}
	if a.MediaType == "text/event-stream" {
		r.events(v)
	}
	for _, path := range r.paths {
		if len(path) == 0 {
			r.remember(v)
			return json.RawMessage("null"), true
		}
		r.cutOut(v, path)
	}
	return mustJSON(v), true
}

// events cuts what the policies name out of the data of server-sent events, which
// stands beside their names and ids. Data that is a text has no fields, so all of
// it goes, and so does what was cut where it is a name or an id.
func (r *redactor) events(v any) {
	list, _ := v.([]any)
	for i, item := range list {
		event, ok := item.(map[string]any)
		if _, text := item.(string); text {
			list[i] = hiddenByPolicy
		}
		if !ok {
			continue
		}
		if _, text := event["data"].(string); text {
			event["data"] = hiddenByPolicy
		}
		for _, path := range r.paths {
			if len(path) > 0 {
				r.cutOut(event["data"], path)
			}
		}
	}
	values := r.scrubber()
	for _, item := range list {
		event, _ := item.(map[string]any)
		for _, name := range []string{"event", "id"} {
			if text, ok := event[name].(string); ok {
				if clean, found := values.Text(text); found || r.was(text) {
					event[name] = strings.Replace(clean, text, hiddenByPolicy, 1)
				}
			}
		}
	}
}

func (r *redactor) cutOut(v any, steps []string) {
	switch v := v.(type) {
	case map[string]any:
		if len(steps) == 1 {
			r.remember(v[steps[0]])
			delete(v, steps[0])
			return
		}
		r.cutOut(v[steps[0]], steps[1:])
	case []any:
		for i, item := range v {
			if steps[0] != fmt.Sprint(i) {
				if !isIndex(steps[0]) {
					r.cutOut(item, steps)
				}
				continue
			}
			if len(steps) == 1 {
				r.remember(item)
				v[i] = nil // an element keeps its place
				continue
			}
			r.cutOut(item, steps[1:])
		}
	}
}

func isIndex(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// maxRemembered bounds how many values are looked for elsewhere.
const maxRemembered = 200

// remember keeps the scalars within a value that is cut.
func (r *redactor) remember(v any) {
	if len(r.cut) >= maxRemembered {
		return
	}
	switch v := v.(type) {
	case string:
		r.cut = append(r.cut, v)
	case json.Number:
		r.cut = append(r.cut, v.String())
	case []any:
		for _, item := range v {
			r.remember(item)
		}
	case map[string]any:
		for _, item := range v {
			r.remember(item)
		}
	}
}

// was reports whether a text is what was cut.
func (r *redactor) was(text string) bool {
	for _, v := range r.cut {
		if v == text && v != "" {
			return true
		}
	}
	return false
}

func (r *redactor) scrubber() scrub.Scrubber { return scrub.New(hiddenByPolicy, r.cut...) }

// redacts reports whether a policy cuts fields from the answer.
func (c *course) redacts() bool { return len(c.decision.Obligations.Redact) > 0 }

// hideCut takes what was cut from an answer out of what is told beside it.
func (e *Envelope) hideCut(r *redactor) {
	values := r.scrubber()
	e.Note, _ = values.Text(e.Note)
	if e.Page == nil {
		return
	}
	for _, v := range e.Page.Next {
		if text := fmt.Sprint(v); values.Found([]byte(text)) || r.was(text) {
			e.Page = nil
			return
		}
	}
}
