package mcpserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/tools"
)

// What list remembers. Tools and policies stay as long as a process lives, so what
// a caller may see does too.
const (
	mostViews  = 256 // callers
	mostBodies = 8   // sets of tools, each as bytes
)

// list answers tools/list.
type list struct {
	server *Server
	tools  []*served                      // by name, without those that are found by search
	bytes  func() [][]byte                // the same, as they are written
	ends   [2]struct{ head, tail []byte } // around them, by era

	mu     sync.Mutex
	views  map[string]view
	bodies map[string][]byte // by what is shown: a byte for each tool
}

// view is what a caller sees.
type view struct {
	principal authz.Principal
	agent     authz.Agent
	session   authz.Session
	body      []byte
}

// sees reports whether the view is the caller's: policies ask about all of these.
func (v view) sees(c tools.Caller) bool {
	return reflect.DeepEqual(v.principal, c.Principal) && reflect.DeepEqual(v.agent, c.Agent) && reflect.DeepEqual(v.session, c.Session)
}

func newList(s *Server) (*list, error) {
	l := &list{server: s, views: map[string]view{}, bodies: map[string][]byte{}}
	for _, t := range s.tools {
		if !t.hidden {
			l.tools = append(l.tools, t)
		}
	}
	slices.SortFunc(l.tools, func(a, b *served) int { return strings.Compare(a.tool.Name, b.tool.Name) })
	l.bytes = sync.OnceValue(l.encode)
	for era := range l.ends {
		empty := mcp.ListToolsResult{Tools: []mcp.Tool{}}
		if era == 1 {
			empty.SetResultType(mcp.ResultTypeComplete)
			empty.EnsureResultMeta().SetServerInfo(mcp.Implementation{Name: "exeat", Version: s.Version})
			empty.SetCacheHints(listTTL, mcp.CacheScopePrivate)
		}
		b, err := json.Marshal(empty)
		if err != nil {
			return nil, err
		}
		head, tail, _ := bytes.Cut(b, []byte(`"tools":[]`))
		l.ends[era].head, l.ends[era].tail = append(head, `"tools":[`...), appendEnd(append([]byte("]"), tail...))
	}
	return l, nil
}

// listed is a tool as it is written: in the order of mcp-go, which writes each
// through a map.
type listed struct {
	Annotations  mcp.ToolAnnotation `json:"annotations"`
	Description  string             `json:"description,omitempty"`
	InputSchema  json.RawMessage    `json:"inputSchema"`
	Name         string             `json:"name"`
	OutputSchema json.RawMessage    `json:"outputSchema,omitempty"`
	Title        string             `json:"title,omitempty"`
}

// encode writes each tool once.
func (l *list) encode() [][]byte {
	out := make([][]byte, len(l.tools))
	for i, t := range l.tools {
		b, err := json.Marshal(listed{t.tool.Annotations, t.tool.Description, t.tool.RawInputSchema, t.tool.Name, t.tool.RawOutputSchema, t.tool.Title})
		if err != nil {
			panic(fmt.Sprintf("the tool %s cannot be listed: %v", t.tool.Name, err)) // its schemas were made by exeat
		}
		out[i] = b
	}
	return out
}

// answer is the response to a tools/list.
func (l *list) answer(m *message, caller tools.Caller) reply {
	ends := &l.ends[0]
	if m.modern {
		ends = &l.ends[1]
	}
	return reply{append(appendHead(nil, m.id), ends.head...), l.body(caller), ends.tail}
}

// body is the tools that the caller could ever use, as they are written.
func (l *list) body(c tools.Caller) []byte {
	key := c.Subject() + "\x00" + c.Agent.ID + "\x00" + c.Session.ID
	l.mu.Lock()
	v, ok := l.views[key]
	l.mu.Unlock()
	if ok && v.sees(c) {
		return v.body
	}
	shown := make([]byte, len(l.tools))
	for i, t := range l.tools {
		if l.server.visible(c, t) {
			shown[i] = 1
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	body, ok := l.bodies[string(shown)]
	if !ok {
		if body = l.join(shown); len(l.bodies) == mostBodies {
			clear(l.bodies)
			clear(l.views)
		}
		l.bodies[string(shown)] = body
	}
	if len(l.views) == mostViews {
		clear(l.views)
	}
	p, a, session := c.Principal, c.Agent, c.Session
	p.Groups, p.Roles, p.Scopes = slices.Clone(p.Groups), slices.Clone(p.Roles), slices.Clone(p.Scopes)
	a.Chain, session.Labels = slices.Clone(a.Chain), slices.Clone(session.Labels)
	l.views[key] = view{principal: p, agent: a, session: session, body: body}
	return body
}

func (l *list) join(shown []byte) []byte {
	var out [][]byte
	for i, b := range l.bytes() {
		if shown[i] == 1 {
			out = append(out, b)
		}
	}
	return bytes.Join(out, []byte(","))
}
