package store

import (
	"fmt"
	"net/url"
	"strings"
)

// ThingOf is a path as paths are compared: its segments decoded and encoded again in
// one way, without an empty one at its end, as most servers tell them apart.
func ThingOf(path string) string {
	list := strings.Split(strings.TrimRight(path, "/"), "/")
	for i, s := range list {
		if decoded, err := url.PathUnescape(s); err == nil {
			list[i] = url.PathEscape(decoded)
		}
	}
	return strings.Join(list, "/")
}

// OpenNear lists the ids of an API's open holds, oldest first, that may be on the thing
// at a path, within it, or on what it is within.
func (tx *Tx) OpenNear(api, path string) ([]string, error) {
	thing := ThingOf(path)
	args := []any{api, thing + "/", thing + "0"} // "0" comes after "/": all that begins with thing/
	on := []string{"''"}
	for at := thing; at != ""; at = at[:max(0, strings.LastIndexByte(at, '/'))] {
		args = append(args, at)
		on = append(on, fmt.Sprintf("$%d", len(args)))
	}
	const open = "SELECT id, created FROM holds WHERE api = $1 AND state IN ('pending', 'approved', 'sending') AND thing "
	return tx.ids(open+"IN ("+strings.Join(on, ", ")+") UNION ALL "+open+">= $2 AND thing < $3 ORDER BY created, id", args...)
}
