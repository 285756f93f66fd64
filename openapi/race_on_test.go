//go:build race

package openapi

// raceEnabled says that the race detector makes everything ten times slower.
const raceEnabled = true
