package compare

import (
	"cmp"
	"slices"
)

// Bounds of what is done to find the fewest differences of one pair of values: edits
// of one sequence, whose trace is kept, and steps in all.
const (
	maxEdits = 1000
	maxSteps = 8 << 20
)

// pair is an element of each of two sequences: one that both have.
type pair struct{ a, b int }

// steps is the work that may still be done.
type steps int

// common pairs what two sequences have in common, in the order of both: as much of it
// as there is, or, where that would take too long, much of it.
func (left *steps) common(a, b []int) []pair {
	n, m := len(a), len(b)
	head := 0
	for head < n && head < m && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < n-head && tail < m-head && a[n-1-tail] == b[m-1-tail] {
		tail++
	}
	var out []pair
	for i := range head {
		out = append(out, pair{i, i})
	}
	mid, ok := left.fewest(a[head:n-tail], b[head:m-tail])
	if !ok {
		mid = inOrder(a[head:n-tail], b[head:m-tail])
	}
	for _, p := range mid {
		out = append(out, pair{p.a + head, p.b + head})
	}
	for i := tail; i > 0; i-- {
		out = append(out, pair{n - i, m - i})
	}
	return out
}

// fewest is the algorithm of Myers (An O(ND) Difference Algorithm, 1986). It gives up
// where the steps are used up.
func (left *steps) fewest(a, b []int) ([]pair, bool) {
	n, m := len(a), len(b)
	if n == 0 || m == 0 {
		return nil, true
	}
	most := min(n+m, maxEdits)
	far := make([]int, 2*most+3) // how far each diagonal got in a
	at := func(k int) *int { return &far[k+most+1] }
	var trace [][]int
	for e := 0; e <= most; e++ {
		trace = append(trace, slices.Clone(far[most+1-e:most+2+e]))
		for k := -e; k <= e; k += 2 {
			x := *at(k - 1) + 1
			if k == -e || k != e && *at(k - 1) < *at(k + 1) {
				x = *at(k + 1)
			}
			from := x
			for x < n && x-k < m && a[x] == b[x-k] {
				x++
			}
			if *left -= steps(1 + x - from); *left < 0 {
				return nil, false
			}
			if *at(k) = x; x >= n && x-k >= m {
				return retrace(trace, a, b), true
			}
		}
	}
	return nil, false
}

// retrace walks back from the end of both sequences.
func retrace(trace [][]int, a, b []int) []pair {
	var out []pair
	x, y := len(a), len(b)
	for e := len(trace) - 1; e > 0; e-- {
		before := trace[e] // of the diagonals -e to e, as they were after e-1 edits
		at := func(k int) int { return before[k+e] }
		k := x - y
		from := k - 1
		if k == -e || k != e && at(k-1) < at(k+1) {
			from = k + 1
		}
		px := at(from)
		py := px - from
		for x > px && y > py && x > 0 && y > 0 && a[x-1] == b[y-1] {
			x, y = x-1, y-1
			out = append(out, pair{x, y})
		}
		x, y = px, py
	}
	for x > 0 && y > 0 {
		x, y = x-1, y-1
		out = append(out, pair{x, y})
	}
	slices.Reverse(out)
	return out
}

// inOrder pairs equal elements by how often they came before, and keeps as many pairs
// as are in the order of both.
func inOrder(a, b []int) []pair {
	var pairs []pair
	places := map[int][]int{}
	for j, x := range b {
		places[x] = append(places[x], j)
	}
	for i, x := range a {
		if list := places[x]; len(list) > 0 {
			pairs, places[x] = append(pairs, pair{i, list[0]}), list[1:]
		}
	}
	return longest(pairs)
}

// longest is a longest part of pairs, which are in the order of a, that is in the order
// of b, too.
func longest(pairs []pair) []pair {
	var ends []int // of the best part of each length, by index
	back := make([]int, len(pairs))
	for i, p := range pairs {
		n, _ := slices.BinarySearchFunc(ends, p.b, func(end, b int) int { return cmp.Compare(pairs[end].b, b) })
		back[i] = -1
		if n > 0 {
			back[i] = ends[n-1]
		}
		if n == len(ends) {
			ends = append(ends, i)
		} else {
			ends[n] = i
		}
	}
	out := make([]pair, len(ends))
	if len(ends) == 0 {
		return nil
	}
	for i, at := len(ends)-1, ends[len(ends)-1]; i >= 0; i, at = i-1, back[at] {
		out[i] = pairs[at]
	}
	return out
}
