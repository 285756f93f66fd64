package main

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// What is downloaded is pinned: a Keycloak that somebody else packed is refused.
const (
	keycloakVersion = "26.7.3"
	keycloakPackage = "org.keycloak:keycloak-quarkus-dist:" + keycloakVersion + ":zip"
	keycloakSHA256  = "27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f"
	keycloakBytes   = 176710367
	keycloakUnpacks = 1 << 30 // more than it ever is, in bytes
)

var javaVersion = regexp.MustCompile(`version "(\d+)`)

// findJava reports what is wrong with the Java of this machine for Keycloak.
func findJava(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "java", "-version").CombinedOutput()
	if m := javaVersion.FindSubmatch(out); err == nil && m != nil {
		if n, _ := strconv.Atoi(string(m[1])); n >= 17 {
			return nil
		}
	}
	return errors.New("this Keycloak needs Java 17 or newer, and java -version finds none: install it (Debian: apt install openjdk-17-jre-headless, macOS: brew install openjdk), then start this again")
}

// keycloakFolder is where Keycloak is kept for the next demo.
func keycloakFolder() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", errors.New("there is no folder to keep Keycloak in: set HOME or XDG_CACHE_HOME, or pass --keycloak DIR")
	}
	return filepath.Join(dir, "exeat", "keycloak-"+keycloakVersion), nil
}

// fetchKeycloak has Maven download Keycloak, checks it, and unpacks it as dir.
func fetchKeycloak(ctx context.Context, dir string) error {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(parent, "keycloak-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	packed, err := download(ctx, scratch)
	if err != nil {
		return fmt.Errorf("cannot download Keycloak: %w. With one that is unpacked already: exeat demo --with keycloak --keycloak DIR", err)
	}
	defer packed.Close()
	unpacked := filepath.Join(scratch, "unpacked")
	if err := os.Mkdir(unpacked, 0o700); err != nil {
		return err
	}
	if err := unpack(packed, keycloakBytes, unpacked); err != nil {
		return fmt.Errorf("cannot unpack Keycloak: %w", err)
	}
	return os.Rename(filepath.Join(unpacked, "keycloak-"+keycloakVersion), dir)
}

// download has Maven, which knows where packages come from on this machine, put the
// Keycloak that is pinned into dir, and opens it.
func download(ctx context.Context, dir string) (*os.File, error) {
	cmd := exec.CommandContext(ctx, "mvn", "-B", "-q", "dependency:copy", "-Dartifact="+keycloakPackage, "-DoutputDirectory="+dir)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); errors.Is(err, exec.ErrNotFound) {
		return nil, errors.New("that needs Maven (Debian: apt install maven, macOS: brew install maven)")
	} else if err != nil {
		return nil, fmt.Errorf("the command mvn: %w: %s", err, lastLines(string(out), 5))
	}
	packed, err := os.Open(filepath.Join(dir, "keycloak-quarkus-dist-"+keycloakVersion+".zip"))
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	if _, err = io.Copy(sum, packed); err == nil {
		if got := hex.EncodeToString(sum.Sum(nil)); got != keycloakSHA256 {
			err = fmt.Errorf("what Maven brought has the SHA-256 %s, and not %s: it is not what this demo was made with", got, keycloakSHA256)
		}
	}
	if err != nil {
		packed.Close()
		return nil, err
	}
	return packed, nil
}

// unpack writes the files of an archive into dir, and nowhere else.
func unpack(packed io.ReaderAt, size int64, dir string) error {
	archive, err := zip.NewReader(packed, size)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	left := int64(keycloakUnpacks)
	for _, f := range archive.File {
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		n, err := unpackFile(root, f, left)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		left -= n
	}
	return nil
}

func unpackFile(root *os.Root, f *zip.File, most int64) (int64, error) {
	if err := root.MkdirAll(filepath.Dir(f.Name), 0o700); err != nil {
		return 0, err
	}
	in, err := f.Open()
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := root.OpenFile(f.Name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600|f.Mode().Perm()&0o100)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(out, io.LimitReader(in, most))
	if err == nil && n == most {
		err = errors.New("the archive is larger than it can be")
	}
	return n, errors.Join(err, out.Close())
}
