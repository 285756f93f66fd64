package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/exeat/exeat/store"
)

// patience is how long a person waits for a database without being told why.
var patience = 2 * time.Second

// tellWaiting tells a person who waits for a database why, until the returned
// function is called.
func tellWaiting(path string, errOut io.Writer) (stop func() bool) {
	return time.AfterFunc(patience, func() {
		fmt.Fprintf(errOut, "exeat: waiting for the database %s: another program may keep it locked; it has half a minute\n", path)
	}).Stop
}

// openStore opens a database.
func openStore(ctx context.Context, path string, errOut io.Writer) (*store.Store, error) {
	defer tellWaiting(path, errOut)()
	return store.Open(ctx, path)
}
