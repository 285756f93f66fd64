package openapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// compiler turns one document into an API.
type compiler struct {
	loader   *loader
	root     *document
	opts     Options
	location string
	doc      map[string]any
	swagger2 bool
	api      *API
	home     site // the document's server, which a base URL may stand for
	schemas  map[place]*compiled
	ctx      context.Context
	all      []*Operation // also those left out
	siblings bool         // of references count: since 3.1
	remarks  remarks      // on the schemas of the current operation
	inputs   int          // bytes of all input schemas
	work     int          // so far, see spend
	needs    [][]SecurityNeed
	builders map[*Operation]builder // for what is compiled twice
	declared map[string]SecurityScheme
	children map[place][]place // see family
	used     map[string]bool   // of Options.Parameters
	within   map[string]bool   // see collections
	things   map[place]*Thing  // see thing
}

// remarks count what was changed in schemas, or looks odd in them.
type remarks struct {
	patterns int      // that RE2 does not know, dropped
	dropped  int      // other keywords
	long     int      // descriptions that are too long to offer
	unseen   int      // values with characters that cannot be seen
	orders   int      // texts that read like instructions to an agent
	odd      []string // names of properties that hosts refuse
	clashes  []string // what no value could satisfy
}

func (r *remarks) add(x remarks) {
	r.patterns += x.patterns
	r.dropped += x.dropped
	r.long += x.long
	r.unseen += x.unseen
	r.orders += x.orders
	r.odd = append(r.odd, x.odd...)
	r.clashes = append(r.clashes, x.clashes...)
}

// maxCompileWork bounds what is looked at while a document is compiled, in values: by
// references, a small document can ask for any number. Stripe's needs 35,000.
const maxCompileWork = 2 << 20

// spend counts n values that are looked at.
func (c *compiler) spend(n int) error {
	if c.work += n; c.work > maxCompileWork {
		return errors.New("the document's references multiply its schemas beyond all bounds")
	}
	return nil
}

// Bounds on what is kept of a document.
const (
	maxFindings = 10_000
)

var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace", "query"}

func (c *compiler) fail(p place, message, hint string) *Error {
	line, column := p.doc.position(p.pointer)
	return &Error{File: p.doc.name, Line: line, Column: column, Pointer: p.pointer, Message: message, Hint: hint}
}

func (c *compiler) compile() (*API, *Error) {
	top := place{doc: c.root}
	var ok bool
	if c.doc, ok = c.root.root.(map[string]any); !ok {
		return nil, c.fail(top, "it is no OpenAPI document: an object is expected", "name an OpenAPI or Swagger file")
	}
	if bad := c.version(top); bad != nil {
		return nil, bad
	}
	if bad := c.begin(top); bad != nil {
		return nil, bad
	}
	ops, bad := c.operations(top)
	if bad != nil {
		return nil, bad
	}
	ops = c.toldApart(ops)
	// Of all, also those left out: what is wrong with one renames no other.
	nameOperations(c.all)
	if bad := c.parameterUses(); bad != nil {
		return nil, bad
	}
	if bad := c.rename(ops); bad != nil {
		return nil, bad
	}
	slices.SortFunc(ops, func(a, b *Operation) int { return strings.Compare(a.Name, b.Name) })
	if bad := c.contentTypes(ops); bad != nil {
		return nil, bad
	}
	if bad := c.marks(ops); bad != nil {
		return nil, bad
	}
	if bad := c.effects(ops); bad != nil {
		return nil, bad
	}
	var err error
	if c.api.Operations, err = filter(ops, c.opts.Include, c.opts.Exclude); err != nil {
		return nil, &Error{File: c.location, Message: err.Error()}
	}
	c.settle()
	return c.api, nil
}

// begin compiles what the document says of the API as a whole.
func (c *compiler) begin(top place) *Error {
	c.schemas, c.builders = map[place]*compiled{}, map[*Operation]builder{}
	c.used = map[string]bool{}
	info, _ := c.doc["info"].(map[string]any)
	c.api = &API{Location: c.location, Zone: c.opts.Zone, Title: oneLine(str(info["title"]), 200), Version: oneLine(str(info["version"]), 100),
		Description: clean(str(info["description"]), 4096)}
	c.declared = c.securitySchemes()
	c.api.Security = maps.Clone(c.declared)
	c.needs = needs(c.doc["security"])
	c.api.Secured = c.doc["security"] != nil
	var err error
	if c.api.Name, err = nameAPI(c.opts.Name, c.api.Title, c.location); err != nil {
		return &Error{File: c.location, Message: err.Error()}
	}
	if c.api.headers, err = c.fixedHeaders(); err != nil {
		return &Error{File: c.location, Message: err.Error()}
	}
	return c.baseURL(top)
}

// settle adds what was found in the files as a whole, and orders the findings.
func (c *compiler) settle() {
	for _, name := range slices.Sorted(maps.Keys(c.loader.docs)) {
		if d := c.loader.docs[name].doc; d != nil {
			c.duplicates(d)
		}
	}
	if len(c.loader.docs) == 0 {
		c.duplicates(c.root)
	}
	slices.SortStableFunc(c.api.Findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column)
	})
}

func (c *compiler) duplicates(d *document) {
	counts := "first"
	if d.yaml == nil {
		counts = "last"
	}
	for _, x := range d.dupes {
		if len(c.api.Findings) < maxFindings {
			c.api.Findings = append(c.api.Findings, Finding{File: d.name, Line: x.line, Column: x.column, Pointer: oneLine(x.pointer, 2000),
				Message: "the key stands here for the second time; the " + counts + " one counts"})
		}
	}
}

var version3 = regexp.MustCompile(`^3\.[0-2](\.|$)`)

func (c *compiler) version(top place) *Error {
	text := func(v any) string {
		if n, ok := v.(json.Number); ok {
			return n.String()
		}
		return str(v)
	}
	v3, v2 := text(c.doc["openapi"]), text(c.doc["swagger"])
	switch {
	case version3.MatchString(v3):
		c.siblings = !strings.HasPrefix(v3, "3.0")
		return nil
	case v3 == "" && v2 == "2.0" || v2 == "2":
		c.swagger2 = true
		return nil
	case v3 == "" && v2 == "":
		return c.fail(top, "it is no OpenAPI document: it has neither openapi nor swagger at its top", "name an OpenAPI or Swagger file")
	}
	return c.fail(top, fmt.Sprintf("its version %q is not known", v3+v2), "OpenAPI 3.0, 3.1, 3.2 and Swagger 2.0 are read")
}

func str(v any) string {
	s, _ := v.(string)
	return s
}

// finding notes something about the operation op, or the document if op is "".
func (c *compiler) finding(p place, op string, leftOut bool, message string) {
	if len(c.api.Findings) >= maxFindings {
		return
	}
	line, column := p.doc.position(p.pointer)
	// What a document wrote ends on somebody's terminal.
	c.api.Findings = append(c.api.Findings, Finding{File: p.doc.name, Line: line, Column: column, Pointer: oneLine(p.pointer, 2000),
		Operation: oneLine(op, 2000), LeftOut: leftOut, Message: oneLine(message, 1000)})
}

// operations compiles every path item. What is wrong with one stays with it.
func (c *compiler) operations(top place) ([]*Operation, *Error) {
	paths, ok := c.doc["paths"].(map[string]any)
	if !ok {
		if c.doc["paths"] == nil && (c.doc["webhooks"] != nil || c.doc["components"] != nil) {
			return nil, nil // 3.1 allows documents without paths
		}
		return nil, c.fail(top, "it has no paths", "name the document that describes the operations")
	}
	var ops []*Operation
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if strings.HasPrefix(path, "x-") {
			continue
		}
		if c.ctx.Err() != nil {
			return nil, endError(c.ctx, c.location)
		}
		at, item, err := c.loader.follow(top.to("paths", path), paths[path])
		refused := legalPath(path)
		if err == nil {
			ops = append(ops, c.pathItem(at, path, item, refused != nil)...)
		}
		if refused = cmp.Or(refused, err); refused != nil {
			c.finding(top.to("paths", path), path, true, refused.Error())
		}
	}
	return ops, nil
}

// pathItem compiles the operations of one path. Those of a path that is refused
// are only noted, for their names.
func (c *compiler) pathItem(at place, path string, item map[string]any, refused bool) []*Operation {
	type entry struct {
		method string
		at     place
		value  any
	}
	var entries []entry
	for _, m := range methods {
		if v, ok := item[m]; ok {
			entries = append(entries, entry{strings.ToUpper(m), at.to(m), v})
		}
	}
	own := len(entries)
	more, _ := item["additionalOperations"].(map[string]any)
	for _, m := range slices.Sorted(maps.Keys(more)) {
		entries = append(entries, entry{m, at.to("additionalOperations", m), more[m]})
	}
	var ops []*Operation
	for i, e := range entries {
		name := e.method + " " + path
		op := &Operation{API: c.api, Method: e.method, ID: oneLine(name, 200)}
		op.split(path)
		c.all = append(c.all, op)
		if err := legalMethod(e.method, i >= own); err != nil {
			c.finding(e.at, name, true, err.Error())
			continue
		}
		where, v, err := c.loader.follow(e.at, e.value)
		if err != nil {
			c.finding(e.at, name, true, err.Error())
			continue
		}
		if id := oneLine(str(v["operationId"]), 200); id != "" {
			op.ID = id
		}
		if refused {
			continue
		}
		b := builder{c: c, name: name, at: where, itemAt: at, item: item, v: v, op: op}
		if err := b.build(); err != nil {
			p := where
			if pe := (*placedError)(nil); errors.As(err, &pe) {
				p = pe.at
			}
			c.finding(p, name, true, err.Error())
			continue
		}
		ops = append(ops, b.op)
		if len(c.opts.ContentTypes) > 0 {
			c.builders[op] = b
		}
	}
	return ops
}

// legalMethod refuses methods that answer with the request, credential and all,
// or that HTTP treats as no request for a path; and among the additional ones
// those that have a place of their own.
func legalMethod(method string, additional bool) error {
	switch {
	case !methodToken.MatchString(method):
		return errors.New("the method is no HTTP token in capitals")
	case method == "TRACE" || method == "TRACK":
		return fmt.Errorf("%s would show the credential in its answer", method)
	case method == "CONNECT":
		return errors.New("CONNECT is no request for a path")
	case additional && slices.Contains(methods, strings.ToLower(method)):
		return fmt.Errorf("%s is no additional operation: the path has a key of its own for it", method)
	}
	return nil
}

var methodToken = regexp.MustCompile(`^[A-Z][A-Z0-9-]{0,31}$`)

// placedError is an error at another place than where it is noticed.
type placedError struct {
	at  place
	err error
}

func (e *placedError) Error() string { return e.err.Error() }

// effects applies the overrides of Options.
func (c *compiler) effects(ops []*Operation) *Error {
	for _, key := range slices.Sorted(maps.Keys(c.opts.Effects)) {
		effect := c.opts.Effects[key]
		if effect != Read && effect != Write && effect != Delete {
			return &Error{File: c.location, Message: fmt.Sprintf("the effect for %q is %q; it can be read, write or delete", key, effect)}
		}
		op, bad := c.findOperation(key, "effect", ops)
		if bad != nil {
			return bad
		}
		op.Effect = effect
	}
	return nil
}
