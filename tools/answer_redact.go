package tools

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/exeat/exeat/tools/jq"
)

// redact cuts the values at JSON Pointers (RFC 6901) out of a JSON value. Where
// a pointer meets an array at a step that is no index, it goes into every
// element, so that /ssn also works on a list of people.
func redact(body []byte, pointers []string) (json.RawMessage, error) {
	if len(pointers) == 0 {
		return body, nil
	}
	v, err := jq.Read(body)
	if err != nil {
		return nil, err
	}
	for _, p := range pointers {
		if p == "" {
			return json.RawMessage("null"), nil
		}
		steps := strings.Split(p, "/")[1:]
		for i, s := range steps {
			steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(s)
		}
		cutOut(v, steps)
	}
	return mustJSON(v), nil
}

func cutOut(v any, steps []string) {
	switch v := v.(type) {
	case map[string]any:
		if len(steps) == 1 {
			delete(v, steps[0])
			return
		}
		cutOut(v[steps[0]], steps[1:])
	case []any:
		for i, item := range v {
			if steps[0] != fmt.Sprint(i) {
				if !isIndex(steps[0]) {
					cutOut(item, steps)
				}
				continue
			}
			if len(steps) == 1 {
				v[i] = nil // an element keeps its place
				continue
			}
			cutOut(item, steps[1:])
		}
	}
}

func isIndex(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
