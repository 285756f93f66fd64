package compare

import "slices"

// Op is what becomes of a value.
type Op string

// What can become of a value. Changed is also what has a change within it.
const (
	Same    Op = "same"
	Changed Op = "changed"
	Added   Op = "added"
	Removed Op = "removed"
	Moved   Op = "moved" // an item of a list, which is otherwise as it was
)

// Change is what becomes of one value.
type Change struct {
	Op   Op
	Name string // of a member
	// Item is true of a list's item; From and To are where it was and will be,
	// counted from 0, or -1. Elsewhere says that it also moves among the others.
	Item      bool
	From, To  int
	Elsewhere bool
	Was, Is   *Value // nil if it is not there
	// Within is what becomes of the members or items, if both are objects, or both
	// lists, and not the same. Members stand in the order changed, added, removed,
	// same; items in the order of the lists.
	Within []Change
}

// Compare tells what becomes of a value.
func Compare(was, is *Value) Change {
	was.seal()
	is.seal()
	left := steps(maxSteps)
	c := Change{From: -1, To: -1, Was: was, Is: is}
	left.compare(&c)
	return c
}

// compare fills in what becomes of a value that was there and will be.
func (left *steps) compare(c *Change) {
	switch {
	case c.Was.sum == c.Is.sum:
		c.Op = Same
		if c.Elsewhere {
			c.Op = Moved
		}
		return
	case c.Was.Kind == Object && c.Is.Kind == Object:
		c.Within = left.members(c.Was, c.Is)
	case c.Was.Kind == List && c.Is.Kind == List:
		c.Within = left.items(c.Was.Items, c.Is.Items)
	}
	c.Op = Changed
}

func (left *steps) members(was, is *Value) []Change {
	before, after := named(was), named(is)
	var changed, added, removed, same []Change
	for _, m := range was.Members {
		c := Change{Name: m.Name, From: -1, To: -1, Was: m.Value, Is: after[m.Name]}
		if c.Is == nil {
			c.Op = Removed
			removed = append(removed, c)
			continue
		}
		if left.compare(&c); c.Op == Same {
			same = append(same, c)
		} else {
			changed = append(changed, c)
		}
	}
	for _, m := range is.Members {
		if before[m.Name] == nil {
			added = append(added, Change{Op: Added, Name: m.Name, From: -1, To: -1, Is: m.Value})
		}
	}
	return slices.Concat(changed, added, removed, same)
}

func named(v *Value) map[string]*Value {
	out := make(map[string]*Value, len(v.Members))
	for _, m := range v.Members {
		out[m.Name] = m.Value
	}
	return out
}

// items pairs the items of two lists: those that are in both in their order, those that
// moved, and, where as many come as go, those in the same place.
func (left *steps) items(was, is []*Value) []Change {
	a, b := identify(was, is)
	kept := left.common(a, b)
	partner, moved := map[int]int{}, map[int]bool{} // of was by the index in is
	held := make([]bool, len(was))
	for _, p := range kept {
		partner[p.b], held[p.a] = p.a, true
	}
	elsewhere := map[int][]int{}
	for i, x := range a {
		if !held[i] {
			elsewhere[x] = append(elsewhere[x], i)
		}
	}
	for j, x := range b {
		if _, paired := partner[j]; !paired && len(elsewhere[x]) > 0 {
			i := elsewhere[x][0]
			elsewhere[x], partner[j], moved[j], held[i] = elsewhere[x][1:], i, true, true
		}
	}
	var out []Change
	i, j := 0, 0
	for _, p := range append(kept, pair{len(was), len(is)}) {
		out = append(out, left.gap(was, is, i, p.a, j, p.b, held, partner, moved)...)
		if p.a < len(was) {
			out = append(out, left.item(was, is, p.a, p.b, false))
		}
		i, j = p.a+1, p.b+1
	}
	return out
}

// gap tells what becomes of the items between two that are in both lists.
func (left *steps) gap(was, is []*Value, i, iEnd, j, jEnd int, held []bool, partner map[int]int, moved map[int]bool) (out []Change) {
	var gone, come []int
	for ; i < iEnd; i++ {
		if !held[i] {
			gone = append(gone, i)
		}
	}
	for k := j; k < jEnd; k++ {
		if !moved[k] {
			come = append(come, k)
		}
	}
	inPlace := len(gone) == len(come)
	for n, at := range gone {
		if !inPlace || was[at].Kind != is[come[n]].Kind {
			out = append(out, Change{Op: Removed, Item: true, From: at, To: -1, Was: was[at]})
		}
	}
	for n := 0; j < jEnd; j++ {
		switch {
		case moved[j]:
			out = append(out, left.item(was, is, partner[j], j, true))
			continue
		case inPlace && was[gone[n]].Kind == is[j].Kind:
			out = append(out, left.item(was, is, gone[n], j, false))
		default:
			out = append(out, Change{Op: Added, Item: true, From: -1, To: j, Is: is[j]})
		}
		n++
	}
	return out
}

func (left *steps) item(was, is []*Value, from, to int, elsewhere bool) Change {
	c := Change{Item: true, From: from, To: to, Elsewhere: elsewhere, Was: was[from], Is: is[to]}
	left.compare(&c)
	return c
}

// identity are members that tell things of one list apart, where all have them.
var identity = []string{"id", "uuid", "key", "sku", "code", "name"}

// identify numbers the items of two lists, so that the same thing has the same number:
// by a member that tells them apart, or else by all that they say.
func identify(was, is []*Value) (a, b []int) {
	by := ""
	for _, name := range identity {
		if tellsApart(was, name) && tellsApart(is, name) {
			by = name
			break
		}
	}
	numbers := map[[32]byte]int{}
	number := func(list []*Value) (out []int) {
		for _, v := range list {
			if by != "" {
				v = v.Member(by)
			}
			if numbers[v.sum] == 0 {
				numbers[v.sum] = len(numbers) + 1
			}
			out = append(out, numbers[v.sum])
		}
		return out
	}
	return number(was), number(is)
}

func tellsApart(list []*Value, name string) bool {
	seen := map[[32]byte]bool{}
	for _, v := range list {
		if v.Kind != Object {
			return false
		}
		x := v.Member(name)
		if x == nil || x.Kind != Text && x.Kind != Number || seen[x.sum] {
			return false
		}
		seen[x.sum] = true
	}
	return true
}
