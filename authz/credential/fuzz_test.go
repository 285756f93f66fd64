package credential

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/exeat/exeat/authz/token"
)

// Whatever an agent gives, a policy is JSON with the resource that the template has, its
// value as one segment, and nothing that means more.
func FuzzPolicy(f *testing.F) {
	for _, seed := range []string{"42", "*", "${aws:x}", `a"],"b`, "a/b", "a:b", "\xff", "\u2028", "$", "{id}", "+"} {
		f.Add(seed)
	}
	statements := []Statement{{Actions: []string{"s3:PutObject"}, Resources: []string{"arn:aws:s3:::orders/{id}.json"}, Conditions: map[string]map[string][]string{"StringEquals": {"s3:prefix": {"{id}"}}}}}
	f.Fuzz(func(t *testing.T, id string) {
		p, err := renderPolicy(statements, token.Call{Path: map[string]string{"id": id}}, time.Unix(0, 0))
		if err != nil {
			return
		}
		var read struct{ Statement []statement }
		if err := json.Unmarshal([]byte(p.text), &read); err != nil || len(read.Statement) != 1 || len([]rune(p.text)) > maxPolicy {
			t.Fatalf("%v: %s", err, p.text)
		}
		one := read.Statement[0]
		if !slices.Equal(one.Resource, []string{"arn:aws:s3:::orders/" + id + ".json"}) || !slices.Equal(one.Action, []string{"s3:PutObject"}) || one.Condition["StringEquals"]["s3:prefix"][0] != id {
			t.Errorf("%q became %+v", id, one)
		}
		if id == "" || strings.ContainsAny(id, "*?$/:") {
			t.Errorf("%q was taken", id)
		}
	})
}
