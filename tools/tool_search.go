package tools

import (
	"cmp"
	"context"
)

// Found is one tool that a search found, short enough to read many of.
type Found struct {
	Name      string `json:"name"`
	Summary   string `json:"summary,omitempty"`
	Effect    string `json:"effect"`
	Arguments string `json:"arguments"` // a signature; * marks what is required
}

// maxQuery bounds what is read of a query, in bytes.
const maxQuery = 1000

// MaxFound is the most tools that one search gives.
const MaxFound = 50

// Searchable begins to make Find ready, which otherwise happens at its first use.
func (r *Runner) Searchable() { go r.index() }

// Find gives the tools that fit a query best, best first, among those that the
// caller could ever use. An empty query gives all, by name. At most limit, or 10.
func (r *Runner) Find(ctx context.Context, caller Caller, query string, limit int) Result {
	if res, refused := r.refuseAgent(ctx, caller); refused {
		return res
	}
	limit = min(cmp.Or(limit, 10), MaxFound)
	query = query[:min(len(query), maxQuery)]
	found, more := []Found{}, false
	for _, t := range r.index().rank(query) {
		if !r.Visible(caller, t) {
			continue
		}
		if more = len(found) == limit; more {
			break // how many more there are is not for everybody
		}
		found = append(found, Found{Name: t.Name, Summary: t.Title, Effect: string(t.op.Effect), Arguments: signature(t.InputSchema)})
	}
	e := Envelope{Status: Done, Response: mustJSON(map[string]any{"tools": found}),
		Next: "Read the one that fits with describe_tool, then call it with call_tool."}
	switch {
	case len(found) == 0:
		e.Next = "Nothing fits. Use other words: what the API calls the thing, and what is to be done with it."
	case more:
		e.Note = "there are more that fit less; say more of what is to be done, or ask for more with limit"
	}
	return Result{Envelope: e}
}
