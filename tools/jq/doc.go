// Package jq runs jq programs of an agent over answers of an API. The program is
// foreign and the answer is foreign: either may try to make a run last for ever
// or grow, so a program is checked and rewritten before it runs, and what it
// reads, makes and gives is charged for.
//
//	jq.go         Parse, Run: a program, and what comes of it
//	rewrite.go    which programs are taken, and where a charge is put into them
//	suffix.go     the parts of the syntax tree that name: indexes, paths, objects
//	functions.go  which functions there are, and those that are not jq's own
//	meter.go      what a run costs, and when it has cost enough
//	value.go      answers as values: Read weighs before it decodes, encode bounds
//	shape.go      Shape: an answer by its types
package jq
