// Package compare finds what is different between two JSON values, as people tell it:
// members of objects by their names, items of lists as added, removed, moved or
// changed, long texts by their words. Numbers are what is written: nothing goes through
// a float. It is bounded in time and memory by counting its steps, so that the same
// input always gives the same answer; where the bound is met, the answer is still
// right, but may name more than is needed.
//
// value.go reads JSON, tree.go compares it, common.go finds what two sequences have in
// common, words.go compares texts, and patch.go applies what a request says.
package compare
