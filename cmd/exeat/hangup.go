package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/rs/zerolog"
)

// ignoreHangup keeps a server alive whose terminal closes, and says so to who
// sent the signal to make it read its configuration again: exeat decides by the
// policies that it was started with, so that no half of a change is ever in force.
// It is as before once the returned function was called.
func ignoreHangup(log zerolog.Logger) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-hangups:
				log.Info().Msg("SIGHUP: exeat goes on as it was started; to read files again, stop it (SIGTERM) and start it, and clients go on")
			case <-done:
				return
			}
		}
	}()
	return func() { signal.Stop(hangups); close(done) }
}
