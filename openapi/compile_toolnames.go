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

// What frameworks put into names.
var (
	// using is what springfox ends ids with: getPetUsingGET, getPetUsingGET_1.
	using = regexp.MustCompile(`_using_[a-z]+(_[0-9]+)?$`)
	// controller is the class in ids of NestJS and LoopBack, with the version of the
	// path: UsersController_findOne_v1, UserController.findById.
	controller = regexp.MustCompile(`^(\w+)Controller[_.](\w+?)(?:_(v[0-9]+))?$`)
	// general are parts of paths that tell no operations apart.
	general = regexp.MustCompile(`^(api|rest|v[0-9]+[a-z0-9]*)$`)
)

// shortName takes from a name what a framework has added of path and method.
func shortName(name string, op *Operation) string {
	method, path := strings.ToLower(op.Method), snake(op.Path)
	// FastAPI makes delete_pet_pets__pet_id__delete of DELETE /pets/{pet_id}.
	if short, ok := strings.CutSuffix(name, "_"+path+"_"+method); ok && path != "" {
		return short
	}
	if i := using.FindStringIndex(name); i != nil && i[0] > 0 && strings.HasPrefix(name[i[0]:], "_using_"+method) {
		return name[:i[0]]
	}
	if m := controller.FindStringSubmatch(op.ID); m != nil {
		if m[3] != "" && !slices.Contains(segmentsOf(op.Path), m[3]) {
			m[2] += "_" + m[3]
		}
		return snake(m[1] + "_" + m[2])
	}
	// Spring Data REST makes getItemResource-pet-get of GET /pets/{id}.
	if short, ok := strings.CutSuffix(strings.TrimRight(name, "_0123456789"), "_"+method); ok && strings.HasPrefix(short, method+"_") {
		return short
	}
	if len(name) > maxName {
		if short := withoutRepeats(name, op); len(short) <= maxName {
			return short
		}
	}
	return name
}

// withoutRepeats takes from a name that was made of a path what the path says twice:
// get_customers_customer_balance_transactions of
// /customers/{customer}/balance_transactions. What is as long without, keeps it, so
// that names change as little as can be.
func withoutRepeats(name string, op *Operation) string {
	name = "_" + name + "_"
	method := "_" + strings.ToLower(op.Method) + "_"
	before := ""
	for _, segment := range segmentsOf(op.Path) {
		words := snake(segment)
		if before == "" && general.MatchString(words) {
			if rest, ok := strings.CutPrefix(name, method+words+"_"); ok {
				name = method + rest
			}
			continue
		}
		if strings.HasPrefix(segment, "{") && isManyOf(before, words) {
			name = strings.Replace(name, "_"+before+"_"+words+"_", "_"+words+"_", 1)
		}
		before = words
	}
	return strings.Trim(name, "_")
}

// isManyOf reports whether a word is the plural of what others begin with: customers
// of customer, and of customer_id.
func isManyOf(many, one string) bool {
	for i := 0; i <= len(one); i++ {
		if i < len(one) && one[i] != '_' || i == 0 {
			continue
		}
		if s := one[:i]; many == s || many == s+"s" || many == s+"es" || strings.HasSuffix(s, "y") && many == s[:i-1]+"ies" {
			return true
		}
	}
	return false
}

func segmentsOf(path string) []string { return strings.Split(strings.Trim(path, "/"), "/") }

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
