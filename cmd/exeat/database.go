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

// openStore opens a database, and tells a person who waits for it why.
func openStore(ctx context.Context, path string, errOut io.Writer) (*store.Store, error) {
	waits := time.AfterFunc(patience, func() {
		fmt.Fprintf(errOut, "exeat: waiting for the database %s: another program may keep it locked; it has half a minute\n", path)
	})
	defer waits.Stop()
	return store.Open(ctx, path)
}
