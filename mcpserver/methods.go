package mcpserver

// eras are versions of the protocol: the old one begins with initialize, the new
// one names its version in every message.
type eras int

const (
	oldEra eras = 1 << iota
	newEra
)

// direction says who sends a method and whether it is answered.
type direction int

const (
	asks  direction = iota + 1 // the client, who gets an answer
	tells                      // the client, who gets none
	told                       // exeat, who gets none
)

// handler is who acts on a method.
type handler int

const (
	byServer    handler = iota + 1 // exeat's Server, or mcp-go where there is something to refuse
	byProtocol                     // mcp-go
	byTransport                    // the loop of stdio or the front of HTTP
)

// method is what exeat lets through of one method of the protocol.
type method struct {
	eras   eras
	way    direction
	by     handler
	params []param // those that mcp-go gets to see, and _meta as the last
	needs  string  // the parameter that it cannot do without
}

// mostParams is how many parameters a method has at most.
const mostParams = 4

var (
	meta     = param{"_meta", anObject}
	metaOnly = []param{meta}
)

// methods are all that there are. A capability that comes gets its line here. A
// request of exeat to a client is not among them: exeat never asks a client for
// anything, and no answer of a client can approve a call. Nor is
// subscriptions/listen: there is nothing to listen to.
var methods = map[string]method{
	"initialize":                {oldEra, asks, byProtocol, []param{{"protocolVersion", aText}, {"capabilities", anObject}, {"clientInfo", anObject}, meta}, "protocolVersion"},
	"server/discover":           {oldEra | newEra, asks, byProtocol, metaOnly, ""}, // the old era is told which version it needs
	"ping":                      {oldEra | newEra, asks, byServer, metaOnly, ""},
	"tools/list":                {oldEra | newEra, asks, byServer, metaOnly, ""}, // and no cursor: the list is one page
	"tools/call":                {oldEra | newEra, asks, byServer, []param{{"name", aText}, {"arguments", anObject}, meta}, "name"},
	"notifications/initialized": {oldEra | newEra, tells, byProtocol, metaOnly, ""},
	"notifications/cancelled":   {oldEra | newEra, tells, byTransport, []param{{"requestId", anID}, meta}, "requestId"},
	"notifications/progress":    {oldEra | newEra, told, byProtocol, metaOnly, ""},
}

// serves reports whether a client may send m: by its era and its form. What is
// answered has an id, and what is not has none.
func (spec method) serves(m *message) bool {
	era, way := oldEra, asks
	if m.modern {
		era = newEra
	}
	if m.id == nil {
		way = tells
	}
	return spec.eras&era != 0 && spec.way == way
}
