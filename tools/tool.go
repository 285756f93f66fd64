package tools

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/exeat/exeat/openapi"
)

// Tool is an operation as an agent sees it.
type Tool struct {
	Name        string          `json:"name"`
	Title       string          `json:"title,omitempty"`
	Description string          `json:"description,omitempty"`
	InputSchema json.RawMessage `json:"inputSchema"`
	// OutputSchema admits every form of the envelope; the API's own answer is
	// unconstrained in it, because an API that strays from its document must
	// not make hosts throw the answer away.
	OutputSchema json.RawMessage `json:"outputSchema"`
	Annotations  Annotations     `json:"annotations"`
	// Cut is true if parts of Description or InputSchema are left out, for describe_tool to give.
	Cut bool `json:"-"`

	api     *API
	op      *openapi.Operation
	profile openapi.Profile
	origin  string   // of the API, where its credential may go
	scopes  []string // of a credential for the operation
}

// Offer says how schemas are offered; the zero value is the default.
type Offer struct {
	Profile openapi.Profile
	Budget  int // bytes of one schema; 0 means openapi.DefaultBudget
}

// Annotations are MCP's hints of what a tool does.
type Annotations struct {
	Title           string `json:"title,omitempty"`
	ReadOnlyHint    bool   `json:"readOnlyHint"`
	DestructiveHint bool   `json:"destructiveHint"`
	IdempotentHint  bool   `json:"idempotentHint"`
	OpenWorldHint   bool   `json:"openWorldHint"`
}

// maxName is the longest tool name that hosts accept once they have put their
// own prefix before it.
const maxName = 40

// FromAPIs makes the tools of all operations. A name that two documents share
// gets its API's name as prefix in each.
func FromAPIs(apis []*API, o Offer) []*Tool {
	count := map[string]int{}
	for _, api := range apis {
		for _, op := range api.Document.Operations {
			count[op.Name]++
		}
	}
	var tools []*Tool
	for _, api := range apis {
		for _, op := range api.Document.Operations {
			name := op.Name
			if count[name] > 1 || strings.HasPrefix(name, ownPrefix) {
				name = addPrefix(api.Document.Name, name)
			}
			tools = append(tools, newTool(name, api, op, o))
		}
	}
	slices.SortFunc(tools, func(a, b *Tool) int { return strings.Compare(a.Name, b.Name) })
	return tools
}

// addPrefix joins an API's name and a tool's within maxName.
func addPrefix(api, name string) string {
	full := api + "_" + name
	if len(full) <= maxName {
		return full
	}
	sum := sha256.Sum256([]byte(full))
	return full[:maxName-9] + "_" + hex.EncodeToString(sum[:4])
}

func newTool(name string, api *API, op *openapi.Operation, o Offer) *Tool {
	title := op.Summary
	if title == "" {
		title = op.Method + " " + op.Path
	}
	schema, cut := offerSchema(op, o)
	text, more := op.Brief()
	if more {
		text += "\n\n(shortened: describe the tool to read all of it)"
	}
	return &Tool{
		Name:         name,
		Title:        title,
		Description:  describe(op, text),
		InputSchema:  schema,
		Cut:          cut || more,
		OutputSchema: outputSchema,
		Annotations: Annotations{
			Title:           title,
			ReadOnlyHint:    op.Effect == openapi.Read,
			DestructiveHint: op.Effect == openapi.Delete || op.Effect == openapi.Write && op.Method == http.MethodPut,
			IdempotentHint:  idempotent(op.Method) || op.Effect == openapi.Read,
			OpenWorldHint:   true,
		},
		api:     api,
		op:      op,
		profile: o.Profile,
		origin:  origin(api.Document.BaseURL),
		scopes:  scopes(op),
	}
}

// Operation is what the tool calls.
func (t *Tool) Operation() *openapi.Operation { return t.op }

// idempotent reports whether a method may be repeated (RFC 9110 §9.2.2).
func idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete, "QUERY":
		return true
	}
	return false
}

// describe is what a model reads before it chooses a tool: what the document says of
// the operation, and how it is called.
func describe(op *openapi.Operation, text string) string {
	var b strings.Builder
	if text != "" {
		b.WriteString(text + "\n\n")
	}
	fmt.Fprintf(&b, "%s %s", op.Method, op.Path)
	if op.Deprecated {
		b.WriteString(" (deprecated)")
	}
	if op.Effect != openapi.Read {
		b.WriteString("\nA person may have to approve this call: if the answer is approval_pending, nothing was executed; tell the user, then call exeat_resume with the handle.")
	}
	return b.String()
}
