// Package attachment says what the bytes of a file are, whatever was claimed of them,
// and draws a small picture of an image. Everything in a file is the agent's: nothing
// of it is run, opened or passed on, and what is read is bounded.
//
// kind.go tells kinds apart by what they begin with, claim.go finds what is not as it
// was claimed, picture.go draws, and text.go takes the first lines.
package attachment
