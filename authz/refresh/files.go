package refresh

import (
	"os"
	"sync"
	"time"
)

// lookEvery bounds how often files are looked at.
const lookEvery = time.Second

// Files is a value that is made of files, such as certificates, and is made anew when
// they change. Files that are broken leave the value from before in use. It is safe for
// concurrent use.
type Files[T any] struct {
	names   []string
	make    func() (T, error)
	trouble func(error)
	now     func() time.Time

	mu     sync.Mutex
	value  T
	looked time.Time
	seen   []os.FileInfo
	failed string // why the files as they are now are not used
}

// NewFiles makes a value of the files of these names for the first time; empty names
// are none. What goes wrong with them later is told to trouble, once.
func NewFiles[T any](names []string, now func() time.Time, trouble func(error), make func() (T, error)) (*Files[T], error) {
	f := &Files[T]{names: names, make: make, trouble: trouble, now: now}
	f.seen, _ = f.look()
	value, err := make()
	f.value, f.looked = value, now()
	return f, err
}

// Get returns the value of the files as they are now, or were when they were last
// whole.
func (f *Files[T]) Get() T {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if now.Sub(f.looked) < lookEvery {
		return f.value
	}
	f.looked = now
	seen, err := f.look()
	if err == nil && f.failed == "" && sameFiles(seen, f.seen) {
		return f.value
	}
	var value T
	if err == nil {
		value, err = f.make()
	}
	if err != nil {
		if text := err.Error(); text != f.failed {
			f.failed = text
			f.trouble(err)
		}
		return f.value
	}
	f.value, f.seen, f.failed = value, seen, ""
	return f.value
}

func (f *Files[T]) look() ([]os.FileInfo, error) {
	var seen []os.FileInfo
	for _, name := range f.names {
		if name == "" {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		seen = append(seen, info)
	}
	return seen, nil
}

func sameFiles(a, b []os.FileInfo) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !os.SameFile(a[i], b[i]) || a[i].Size() != b[i].Size() || !a[i].ModTime().Equal(b[i].ModTime()) {
			return false
		}
	}
	return true
}
