// Package plaintext makes text of others safe to show: nothing in it can hide,
// pose as something else, or become a link or a command. visible.go says how it
// is shown whole, on pages; words.go how it is shortened for messages, and how
// exeat itself says names and times.
package plaintext
