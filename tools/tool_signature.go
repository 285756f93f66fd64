package tools

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// argument is what a signature tells of a schema.
type argument struct {
	Ref        string              `json:"$ref"`
	Type       json.RawMessage     `json:"type"`
	Enum       []json.RawMessage   `json:"enum"`
	Required   []string            `json:"required"`
	Properties map[string]argument `json:"properties"`
	Items      *argument           `json:"items"`
	Defs       map[string]argument `json:"$defs"`
}

func argumentsOf(schema json.RawMessage) argument {
	var a argument
	_ = json.Unmarshal(schema, &a) // a schema of another form has no signature
	return a
}

// signature is an input schema in a line: petId*: integer, body: {name*, tag}.
func signature(schema json.RawMessage) string {
	const most = 12
	root := argumentsOf(schema)
	resolve := func(a argument) argument {
		if to, ok := root.Defs[strings.TrimPrefix(a.Ref, "#/$defs/")]; ok {
			return to
		}
		return a
	}
	rank := func(a argument, name string) int {
		if slices.Contains(a.Required, name) {
			return 0
		}
		return 1
	}
	var list func(a argument, kinds bool) string
	list = func(a argument, kinds bool) string {
		names := make([]string, 0, len(a.Properties))
		for name := range a.Properties {
			names = append(names, name)
		}
		slices.SortFunc(names, func(p, q string) int {
			return cmp.Or(cmp.Compare(rank(a, p), rank(a, q)), cmp.Compare(p, q))
		})
		var parts []string
		for i, name := range names {
			if i == most {
				parts = append(parts, fmt.Sprintf("… %d more", len(names)-most))
				break
			}
			part := name
			if slices.Contains(a.Required, name) {
				part += "*"
			}
			if kinds {
				p := resolve(a.Properties[name])
				if len(p.Properties) > 0 {
					part += ": {" + list(p, false) + "}"
				} else {
					part += ": " + kindOf(p)
				}
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, ", ")
	}
	return list(root, true)
}

// kindOf is the type of a schema, or its few values.
func kindOf(a argument) string {
	const most = 6
	if n := len(a.Enum); n > 0 && n <= most {
		values := make([]string, n)
		for i, v := range a.Enum {
			values[i] = string(v)
		}
		return strings.Join(values, "|")
	}
	var one string
	var several []string
	switch {
	case json.Unmarshal(a.Type, &one) == nil:
	case json.Unmarshal(a.Type, &several) == nil:
		one = strings.Join(several, "|")
	default:
		one = "any"
	}
	return one
}
