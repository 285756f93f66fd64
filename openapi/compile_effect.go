package openapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// severity orders the effects: what stands further behind is held more easily.
var severity = []Effect{Read, Write, Delete}

// effect is what the operation does, as far as its method and the document tell.
// A document can always make it stricter. Calling it harmless is another thing,
// since by default reads wait for nobody: that is for the operator to say, in an
// overlay or by Options.Effects. Only in a file, where he can read it, a method
// that HTTP leaves open may be called a read.
func (b *builder) effect() (Effect, error) {
	usual := methodEffect(b.op.Method)
	if usual == Read && strings.Contains(b.op.fragment, "=") {
		// As in AWS's /#Action=DeleteQueue: the method says nothing of what is done.
		usual = Write
	}
	x, ok := b.v["x-exeat-effect"]
	if !ok {
		return usual, nil
	}
	said := Effect(str(x))
	if !slices.Contains(severity, said) {
		return "", errors.New("x-exeat-effect is read, write or delete")
	}
	if slices.Index(severity, said) >= slices.Index(severity, usual) {
		return said, nil
	}
	at := b.at.to("x-exeat-effect")
	why := ""
	switch {
	case b.at.overlaid("x-exeat-effect", said):
		return said, nil
	case b.c.fromOutside() || b.at.doc.url != "" && b.at.doc != b.c.root: // or only this path was fetched
		why = "a document that was fetched"
	case slices.Contains([]string{http.MethodPut, http.MethodPatch, http.MethodDelete}, b.op.Method):
		why = "a document, for " + b.op.Method + ","
	}
	if why != "" {
		b.c.finding(at, b.name, false, fmt.Sprintf("it stays a %s: %s cannot make it a %s; if it is one, say so with effects in exeat.yaml, or in an overlay", usual, why, said))
		return usual, nil
	}
	b.c.finding(at, b.name, false, fmt.Sprintf("it counts as a %s although %s is a %s", said, b.op.Method, usual))
	return said, nil
}

// overlaid reports that an overlay, and not the document, gave the key of the
// object at p its value.
func (p place) overlaid(key string, value Effect) bool {
	if p.doc.original == nil {
		return false
	}
	before, ok := p.doc.original.at(p.to(key).pointer)
	return !ok || Effect(str(before)) != value
}

// methodEffect is what HTTP says about a method (RFC 9110 §9.2.1); what it does
// not know is a write.
func methodEffect(method string) Effect {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, "QUERY":
		return Read
	case http.MethodDelete:
		return Delete
	}
	return Write
}
