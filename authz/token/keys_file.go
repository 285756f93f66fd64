package token

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxKeyFile bounds what is read from a key directory or a JWK Set.
const maxKeyFile = 64 << 10

// checkDir refuses a key directory that others can enter, or that a symbolic
// link could move elsewhere.
func checkDir(dir string) error {
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return fmt.Errorf("cannot open the key directory: %w", err)
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("the key directory %s is a symbolic link; name the directory itself", dir)
	case !info.IsDir():
		return fmt.Errorf("the key directory %s is not a directory", dir)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("the key directory %s is open to other users (mode %04o); run: chmod 0700 %s", dir, info.Mode().Perm(), dir)
	}
	return nil
}

// checkFile refuses a private file that others can read, or that a symbolic
// link could move elsewhere.
func checkFile(path string, info fs.FileInfo) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("the key file %s is a symbolic link; put the file itself there", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("the key file %s is not a regular file", path)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("the key file %s is open to other users (mode %04o); run: chmod 0600 %s", path, info.Mode().Perm(), path)
	}
	return nil
}

// readPrivate reads a file that only its owner may read. The info is that of
// the bytes returned.
func readPrivate(path string) ([]byte, fs.FileInfo, error) {
	named, err := os.Lstat(path)
	if err != nil {
		return nil, nil, err
	}
	if err := checkFile(path, named); err != nil {
		return nil, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if err := checkFile(path, info); err != nil {
		return nil, nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, nil, err
	}
	if len(b) > maxKeyFile {
		return nil, nil, fmt.Errorf("the key file %s is larger than %d bytes", path, maxKeyFile)
	}
	return b, info, nil
}

// ReadFile reads a private file of the key folder; it is empty if there is none.
func (k *Keys) ReadFile(name string) ([]byte, error) {
	b, _, err := readPrivate(filepath.Join(k.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// ChangeFile puts what change makes of a private file of the key folder in its
// place, if it makes no error. Changes of other processes wait.
func (k *Keys) ChangeFile(name string, change func([]byte) ([]byte, error)) error {
	unlock, err := lockDir(k.dir)
	if err != nil {
		return err
	}
	defer unlock()
	b, err := k.ReadFile(name)
	if err != nil {
		return err
	}
	if b, err = change(b); err != nil {
		return err
	}
	if len(b) > maxKeyFile {
		return fmt.Errorf("%s would be larger than %d bytes", name, maxKeyFile)
	}
	return writePrivate(filepath.Join(k.dir, name), b)
}

// writePrivate puts a file of mode 0600 in place with one rename, so that a
// crash leaves the old file or the new one. The caller holds the lock.
func writePrivate(path string, data []byte) (err error) {
	temp := path + ".tmp"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(temp)
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename in dir last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
