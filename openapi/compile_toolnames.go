package openapi

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// shortNames are the names of operations by their ids, without what a framework
// has added to tell them apart: path and method, which the tool says anyway. A
// name that another operation has as well, short or whole, stays whole.
func shortNames(ops []*Operation) map[*Operation]string {
	names, users := map[*Operation]string{}, map[string]int{}
	for _, op := range ops {
		whole := snake(op.ID)
		names[op] = shortName(whole, op)
		users[whole]++
		if names[op] != whole {
			users[names[op]]++
		}
	}
	for _, op := range ops {
		if users[names[op]] > 1 || slices.Contains(reserved, names[op]) {
			names[op] = snake(op.ID)
		}
	}
	return names
}

// using is what springfox ends ids with: getPetUsingGET, getPetUsingGET_1.
var using = regexp.MustCompile(`_using_[a-z]+(_[0-9]+)?$`)

// shortName takes path and method from the end of a name: FastAPI makes
// delete_pet_pets__pet_id__delete of DELETE /pets/{pet_id}.
func shortName(name string, op *Operation) string {
	method := strings.ToLower(op.Method)
	if path := snake(op.Path); path != "" {
		if short, ok := strings.CutSuffix(name, "_"+path+"_"+method); ok {
			return short
		}
	}
	if i := using.FindStringIndex(name); i != nil && i[0] > 0 && strings.HasPrefix(name[i[0]:], "_using_"+method) {
		return name[:i[0]]
	}
	return name
}

// rename gives tools the names of Options.
func (c *compiler) rename(ops []*Operation) *Error {
	bad := func(format string, args ...any) *Error {
		return &Error{File: c.location, Message: fmt.Sprintf(format, args...)}
	}
	renamed := map[*Operation]string{}
	for _, key := range slices.Sorted(maps.Keys(c.opts.Rename)) {
		to := c.opts.Rename[key]
		if !legalAPIName.MatchString(to) || slices.Contains(reserved, to) {
			return bad("rename: the name %q for %q is not legal: use a small letter, then small letters, digits and _, at most 40 in all, and none of %s", to, key, strings.Join(reserved, ", "))
		}
		op, err := c.findOperation(key, "name", ops)
		if err != nil {
			return err
		}
		if other, twice := renamed[op]; twice {
			return bad("rename: %s %s gets two names, %q and %q", op.Method, op.wholePath(), other, to)
		}
		renamed[op] = to
	}
	for op, to := range renamed {
		op.Name = to
	}
	has := map[string]*Operation{}
	for _, op := range c.all { // those that are left out, too: they may not be, tomorrow
		if other := has[op.Name]; other != nil {
			return bad("rename: %s %s and %s %s would both be %q", other.Method, other.wholePath(), op.Method, op.wholePath(), op.Name)
		}
		has[op.Name] = op
	}
	return nil
}
