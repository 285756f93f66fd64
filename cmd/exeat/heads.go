package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/exeat/exeat/store"
)

// knownHead is how long the log of a database once was. It is kept beside the
// keys, since a log cannot tell by itself that its end was cut off, or that it is
// a copy without the newest entries.
type knownHead struct {
	DB    string `json:"db"`
	First string `json:"first"` // the hash of the first entry, which all copies share
	Seq   int64  `json:"seq"`
	Hash  string `json:"hash"`
}

func (k knownHead) head() store.Head { return store.Head{Seq: k.Seq, Hash: k.Hash} }

func headFile(keys, db string) string {
	return filepath.Join(keys, fmt.Sprintf("head-%.8x.json", sha256.Sum256([]byte(db))))
}

// rememberHead notes how long the log of the database is now. One that lacks what
// was noted before is only noted if it is the person's word that it may be shorter.
// Without a folder for keys nothing is.
func rememberHead(ctx context.Context, keys, db string, s *store.Store, shorter bool) error {
	db, err := filepath.Abs(db)
	if err != nil {
		return err
	}
	first, last, err := s.Ends(ctx)
	if err != nil || last.Seq == 0 {
		return err
	}
	path := headFile(keys, db)
	known, err := readHead(path)
	switch {
	case shorter || errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if err := s.Contains(ctx, known.head()); err != nil {
			return fmt.Errorf("%s is not the log that it was: %w (exeat audit verify says more)", db, err)
		}
	}
	b, err := json.Marshal(knownHead{DB: db, First: first.Hash, Seq: last.Seq, Hash: last.Hash})
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(keys, "head-*.part")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(b, '\n'))
	return errors.Join(err, f.Sync(), f.Close(), os.Rename(f.Name(), path))
}

func readHead(path string) (k knownHead, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return k, err
	}
	if err := json.Unmarshal(b, &k); err != nil || len(k.Hash) != 2*sha256.Size {
		return k, fmt.Errorf("%s, where exeat remembers the head of an audit log, is damaged: remove it if that was you", path)
	}
	return k, nil
}

// checkKnown reports, as an error if not, that the log holds every head that is
// remembered of this file, or of the log that it is a copy of.
func checkKnown(ctx context.Context, keys, db string, s *store.Store) error {
	db, err := filepath.Abs(db)
	if err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(keys, "head-*.json"))
	if err != nil {
		return err
	}
	first, last, err := s.Ends(ctx)
	if err != nil {
		return err
	}
	for _, path := range paths {
		k, err := readHead(path)
		if err != nil {
			return err
		}
		if k.DB != db && k.First != first.Hash {
			continue
		}
		if k.Seq > last.Seq {
			return fmt.Errorf(`it ends at entry %d, and exeat remembers %d in %s (head %d:%s). Its end was cut off, or this is an old copy, or one of a database in use that was made without "exeat backup". If it is an old copy on purpose, add --older`,
				last.Seq, k.Seq, k.DB, k.Seq, k.Hash)
		}
		if err := s.Contains(ctx, k.head()); err != nil {
			return err
		}
	}
	return nil
}

// rememberHeads notes how long the log is: now, every minute, and when ctx ends.
// What is wrong with it is said once.
func (g *gateway) rememberHeads(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	said := ""
	for {
		err := rememberHead(context.WithoutCancel(ctx), g.cfg.Keys, g.cfg.DB, g.store, false)
		if err != nil && err.Error() != said {
			said = err.Error()
			g.log.Error().Err(err).Msg("audit log")
		}
		if ctx.Err() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
