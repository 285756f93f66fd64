package openapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/exeat/exeat/openapi/strictjson"
)

// appendCanonical writes a value from strictjson.Parse in the form of RFC 8785: no
// white space, keys in the order of their UTF-16 code units, shortest strings.
// Its numbers are in their canonical form already.
func appendCanonical(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return strictjson.AppendQuoted(b, v)
	case json.Number:
		return append(b, v...)
	case []any:
		b = append(b, '[')
		for i, x := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendCanonical(b, x)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		for i, k := range canonicalKeys(v) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(strictjson.AppendQuoted(b, k), ':')
			b = appendCanonical(b, v[k])
		}
		return append(b, '}')
	}
	panic(fmt.Sprintf("openapi: %T is not a decoded JSON value", v))
}

// canonicalKeys lists the keys of an object in the order of RFC 8785 §3.2.3.
func canonicalKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, strictjson.CompareUTF16)
	return keys
}
