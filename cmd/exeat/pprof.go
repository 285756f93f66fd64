package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
)

// profiles adds the flag for whoever looks where the time goes.
func (f *flags) profiles(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.pprof, "pprof", "", "serve CPU, memory and block profiles of this process on the loopback `ADDR`, to every user of this machine")
}

// blockRate is how many nanoseconds of waiting make one sample of the block profile,
// and mutexRate one in how many contentions is a sample: little enough to go unnoticed.
const (
	blockRate = 10_000
	mutexRate = 100
)

// serveProfiles serves runtime profiles on addr until ctx ends, if there is an addr.
// They say nothing of what calls hold, and whoever asks costs time: so it is loopback
// only, and by an address, since a page in a browser could reach it by a name of its own.
func serveProfiles(ctx context.Context, addr string, log zerolog.Logger) error {
	if addr == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("--pprof %s: profiles are served on loopback only: write 127.0.0.1 and a port", addr)
	}
	l, err := listen(addr)
	if err != nil {
		return fmt.Errorf("--pprof: %w", err)
	}
	runtime.SetBlockProfileRate(blockRate)
	runtime.SetMutexProfileFraction(mutexRate)
	log.Info().Str("address", "http://"+l.Addr().String()+"/debug/pprof/").Msg("profiles are served")
	srv := newHTTPServer(profilesHandler(), log)
	srv.WriteTimeout = 0 // a CPU profile takes as long as it is asked to
	go func() {
		if err := serveWith(ctx, l, srv); err != nil {
			log.Error().Err(err).Msg("profiles are not served any more")
		}
	}()
	return nil
}

func profilesHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index) // and each profile by its name
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			http.Error(w, "profiles are served to a loopback address only", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}
