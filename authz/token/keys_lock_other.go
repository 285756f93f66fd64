//go:build !unix

package token

import (
	"errors"
	"fmt"
)

// lockDir refuses: a key directory needs file modes and locks of the Unix kind,
// and without them nobody could say who can read the keys.
func lockDir(dir string) (unlock func(), err error) {
	return nil, fmt.Errorf("cannot keep keys in %s: this system has no Unix file modes and locks: %w", dir, errors.ErrUnsupported)
}
