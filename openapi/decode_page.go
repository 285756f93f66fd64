package openapi

import "slices"

// QueryArgument is the argument that is written as a query parameter of that
// name, and its type. Those of other styles than a plain value are none.
func (op *Operation) QueryArgument(name string) (property, kind string, ok bool) {
	for _, p := range op.params {
		if p.In == "query" && p.Name == name && p.ContentType == "" && p.Type != "array" && p.Type != "object" {
			return p.Property, p.Type, true
		}
	}
	return "", "", false
}

// ArgumentNamed is the query argument with the first of the names, which are
// without marks and capitals, and its type.
func (op *Operation) ArgumentNamed(names []string) (property, kind string, ok bool) {
	for _, want := range names {
		i := slices.IndexFunc(op.params, func(p param) bool {
			return p.In == "query" && bare(p.Name) == want && p.ContentType == "" && p.Type != "array" && p.Type != "object"
		})
		if i >= 0 {
			return op.params[i].Property, op.params[i].Type, true
		}
	}
	return "", "", false
}
