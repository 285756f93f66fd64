package openapi

import (
	"encoding/json"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// scalar reads a YAML scalar as JSON would have it. What JSON cannot say
// (dates, infinities) stays text.
func scalar(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		var b bool
		if n.Decode(&b) == nil {
			return b
		}
	case "!!int", "!!float":
		if jsonNumber.MatchString(n.Value) {
			return json.Number(n.Value)
		}
		var i int64
		if n.Decode(&i) == nil {
			return json.Number(strconv.FormatInt(i, 10))
		}
		var f float64
		if n.Decode(&f) == nil {
			if s := strconv.FormatFloat(f, 'g', -1, 64); jsonNumber.MatchString(s) {
				return json.Number(s)
			}
		}
	}
	return n.Value
}

// ownTexts makes the values that a schema of type string allows the texts that they are
// written as: 007, 1.10 and yes are no numbers and no boolean there.
func ownTexts(m map[string]any, n *yaml.Node) {
	text := func(v any, n *yaml.Node) any {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		switch v.(type) {
		case json.Number, bool:
			if n.Kind == yaml.ScalarNode {
				return n.Value
			}
		}
		return v
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, node := n.Content[i].Value, n.Content[i+1]
		switch list, isList := m[key].([]any); {
		case key == "const" || key == "default":
			m[key] = text(m[key], node)
		case key == "enum" && isList && node.Kind == yaml.SequenceNode && len(list) == len(node.Content):
			for i := range list {
				list[i] = text(list[i], node.Content[i])
			}
		}
	}
}
