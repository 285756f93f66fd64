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

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// knownHead is how long the log of a database once was, and what it said of passkeys
// and rules. It is kept beside the keys, since a log cannot tell by itself that its
// end was cut off, or that it is a copy without the newest entries. Who can write
// there can take the keys, too: so it has no seal.
type knownHead struct {
	DB    string         `json:"db"`
	First string         `json:"first"` // the hash of the first entry, which all copies share
	Seq   int64          `json:"seq"`
	Hash  string         `json:"hash"`
	Said  *approval.Said `json:"said,omitempty"` // an older exeat did not write it
}

func (k knownHead) head() store.Head { return store.Head{Seq: k.Seq, Hash: k.Hash} }

// anchor is where the head of a database's log is kept.
type anchor struct{ keys, db string }

func newAnchor(keys, db string) (anchor, error) {
	db, err := filepath.Abs(db)
	return anchor{keys, db}, err
}

func (a anchor) path() string { return headFile(a.keys, a.db) }

func headFile(keys, db string) string {
	return filepath.Join(keys, fmt.Sprintf("head-%.8x.json", sha256.Sum256([]byte(db))))
}

// known is the head that is remembered of the database: under its own path or, if that
// was never seen, the newest of the log that it is a copy of. fs.ErrNotExist if there
// is none.
func (a anchor) known(first string) (knownHead, error) {
	k, err := readHead(a.path())
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	paths, err := filepath.Glob(filepath.Join(a.keys, "head-*.json"))
	found := errors.Join(err, fs.ErrNotExist)
	for _, path := range paths {
		other, err := readHead(path)
		if err != nil {
			return other, err
		}
		if first != "" && other.First == first && other.Seq >= k.Seq {
			k, found = other, nil
		}
	}
	return k, found
}

func readHead(path string) (k knownHead, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return k, err
	}
	if err := json.Unmarshal(b, &k); err != nil || len(k.Hash) != 2*sha256.Size || k.Said != nil && k.Said.Head != k.head() {
		return k, fmt.Errorf("%s, where exeat remembers the head of an audit log, is damaged: put a copy of it back, or remove it and run exeat audit accept", path)
	}
	return k, nil
}

// check reports, as an error if not, that the log holds what is remembered of it.
func (a anchor) check(ctx context.Context, s *store.Store) (knownHead, error) {
	first, last, err := s.Ends(ctx)
	if err != nil {
		return knownHead{}, err
	}
	k, err := a.known(first.Hash)
	switch {
	case err != nil:
		return k, err
	case k.Seq > last.Seq:
		return k, fmt.Errorf(`it ends at entry %d, and exeat remembers %d in %s (head %d:%s). Its end was cut off, or this is an old copy, or one of a database in use that was made without "exeat backup"`,
			last.Seq, k.Seq, k.DB, k.Seq, k.Hash)
	}
	return k, s.Contains(ctx, k.head())
}

// write puts what the log says into the file, so that a crash leaves the old or the
// new one.
func (a anchor) write(said *approval.Said, first string) error {
	sealed := *said
	sealed.Sealed = true // what comes after this is
	b, err := json.Marshal(knownHead{DB: a.db, First: first, Seq: said.Head.Seq, Hash: said.Head.Hash, Said: &sealed})
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(a.keys, "head-*.part")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(b, '\n'))
	return errors.Join(err, f.Sync(), f.Close(), os.Rename(f.Name(), a.path()), syncFolder(a.keys))
}

// syncFolder makes a new name in a folder outlive a power cut.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// keep notes how long the log is now. One that lacks what was noted before is an
// error, and is not noted.
func (a anchor) keep(ctx context.Context, s *store.Store, holds *approval.Service) error {
	first, _, err := s.Ends(ctx)
	if err != nil {
		return err
	}
	return holds.Keep(ctx, func(said *approval.Said, stale bool) error {
		own, err := readHead(a.path())
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case stale && own.Seq >= said.Head.Seq:
			return nil
		case stale:
			first.Hash = own.First
		default:
			if err := s.Contains(ctx, own.head()); err != nil {
				return fmt.Errorf("%s is not the log that it was: %w (exeat audit verify says more)", a.db, err)
			}
		}
		return a.write(said, first.Hash)
	})
}

// openKept makes the service of a database whose log is what is remembered of it. It is
// an error if it is not: nothing can be said then of who may do what.
func openKept(ctx context.Context, keys, db string, c approval.Config, trouble func(error)) (*approval.Service, error) {
	a, err := newAnchor(keys, db)
	if err != nil {
		return nil, err
	}
	refuse := func(err error) error {
		return fmt.Errorf(`%s is not the database that exeat knows: %w. Nothing is served from it. If that is on purpose (a backup was put back, or you begin anew), this shows what is lost and asks: exeat audit accept --db %s --keys %s`, a.db, err, a.db, a.keys)
	}
	k, err := a.check(ctx, c.Store)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return nil, refuse(err)
	}
	var holds *approval.Service
	c.Known = k.Said
	c.Remember = func(ctx context.Context) {
		if err := a.keep(ctx, c.Store, holds); err != nil {
			trouble(err)
		}
	}
	if holds, err = approval.New(c); err != nil {
		return nil, err
	}
	said, err := holds.Said(ctx)
	switch {
	case errors.Is(err, approval.ErrStale):
		return nil, refuse(err)
	case err != nil:
		return nil, err
	case missing && said.Sealed:
		return nil, refuse(errors.New("its log tells of passkeys or rules, and the file beside the keys is missing that says how long it was"))
	}
	if c.Known == nil { // from here on, all is sealed
		known := *said
		known.Sealed, c.Known = true, &known
		if holds, err = approval.New(c); err != nil {
			return nil, err
		}
	}
	if err := a.keep(ctx, c.Store, holds); err != nil {
		return nil, fmt.Errorf("exeat cannot note beside its keys how long its log is, so a log that is cut off would not be found: %w", err)
	}
	return holds, nil
}

// rememberHead notes how long the log is.
func (g *gateway) rememberHead(ctx context.Context) error {
	a, err := newAnchor(g.cfg.Keys, g.cfg.DB)
	if err != nil {
		return err
	}
	return a.keep(context.WithoutCancel(ctx), g.store, g.holds)
}

// rememberHeads notes how long the log is: every minute, and when ctx ends. What is
// wrong with it is said once.
func (g *gateway) rememberHeads(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	said := ""
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		if err := g.rememberHead(ctx); err != nil && err.Error() != said {
			said = err.Error()
			g.log.Error().Err(err).Msg("audit log")
		}
	}
}
