package token

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpenKeysRefuses(t *testing.T) {
	write := func(t *testing.T, path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// edit changes keys.json by text.
	edit := func(change func(string) string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, "keys.json")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			changed := change(string(b))
			if changed == string(b) {
				t.Fatal("the edit changed nothing")
			}
			write(t, path, changed)
		}
	}
	replace := func(old, new string, n int) func(*testing.T, string) {
		return edit(func(s string) string { return strings.Replace(s, old, new, n) })
	}
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		want   string // DIR stands for the directory
	}{
		"open directory": {func(t *testing.T, dir string) { os.Chmod(dir, 0o755) }, "DIR is open to other users (mode 0755); run: chmod 0700 DIR"},
		"open file":      {func(t *testing.T, dir string) { os.Chmod(dir+"/keys.json", 0o640) }, "DIR/keys.json is open to other users (mode 0640); run: chmod 0600 DIR/keys.json"},
		"linked file": {func(t *testing.T, dir string) {
			os.Rename(dir+"/keys.json", dir+"/real.json")
			os.Symlink("real.json", dir+"/keys.json")
		}, "DIR/keys.json is a symbolic link"},
		"linked directory": {func(t *testing.T, dir string) {
			os.Rename(dir, dir+".real")
			os.Symlink(dir+".real", dir)
		}, "DIR is a symbolic link"},
		"directory is a file": {func(t *testing.T, dir string) { os.RemoveAll(dir); write(t, dir, "") }, "DIR is not a directory"},
		"file is a directory": {func(t *testing.T, dir string) {
			os.Remove(dir + "/keys.json")
			os.Mkdir(dir+"/keys.json", 0o700)
		}, "not a regular file"},
		"too large":         {func(t *testing.T, dir string) { write(t, dir+"/keys.json", strings.Repeat(" ", maxKeyFile+1)) }, "larger than 65536 bytes"},
		"empty":             {func(t *testing.T, dir string) { write(t, dir+"/keys.json", "") }, "DIR/keys.json is damaged"},
		"not JSON":          {func(t *testing.T, dir string) { write(t, dir+"/keys.json", "{") }, "DIR/keys.json is damaged"},
		"trailing text":     {edit(func(s string) string { return s + "{}" }), "something follows"},
		"unknown member":    {replace(`"version"`, `"extra": 1, "version"`, 1), "unknown field"},
		"other version":     {replace(`"version": 1`, `"version": 2`, 1), "version 2 is not one"},
		"unknown status":    {replace(`"status": "next"`, `"status": "spare"`, 1), `unknown status "spare"`},
		"two active":        {replace(`"status": "next"`, `"status": "active"`, 1), "exactly one active and one next"},
		"retired, private":  {replace(`"status": "next"`, `"status": "retired"`, 1), "still has its private half"},
		"kid of another":    {replace(`"kid": "`, `"kid": "x`, 1), "its kid is not its thumbprint"},
		"other use":         {replace(`"use": "sig"`, `"use": "enc"`, 1), "its use is not sig"},
		"alg of other keys": {replace(`"alg": "EdDSA"`, `"alg": "ES256"`, 1), "does not fit the key"},
		"halves swapped": {edit(func(s string) string {
			parts := strings.Split(s, `"d": "`)
			parts[1], parts[2] = parts[2][:43]+parts[1][43:], parts[1][:43]+parts[2][43:]
			return strings.Join(parts, `"d": "`)
		}), "does not match"},
		"same key twice": {edit(func(s string) string {
			var f struct {
				Version int              `json:"version"`
				Keys    []map[string]any `json:"keys"`
			}
			json.Unmarshal([]byte(s), &f)
			f.Keys[1]["jwk"] = f.Keys[0]["jwk"]
			b, _ := json.Marshal(f)
			return string(b)
		}), "is there twice"},
		"no private half": {edit(func(s string) string {
			i := strings.Index(s, `"d": "`)
			return strings.TrimRight(strings.TrimRight(s[:i], " \n"), ",") + s[i+len(`"d": "`)+44:]
		}), "has no private half"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "keys")
			openKeys(t, dir, "EdDSA")
			c.change(t, dir)
			_, err := OpenKeys(dir, "EdDSA")
			if err == nil {
				t.Fatal("the keys were opened")
			}
			if want := strings.ReplaceAll(c.want, "DIR", dir); !strings.Contains(err.Error(), want) {
				t.Errorf("got error %q, want it to say %q", err, want)
			}
		})
	}
	t.Run("algorithm", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "keys")
		if _, err := OpenKeys(dir, "RS256"); err == nil || !strings.Contains(err.Error(), "use EdDSA or ES256") {
			t.Errorf("RS256: %v", err)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Error("a refused algorithm left a directory behind")
		}
	})
	t.Run("parent is a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		write(t, file, "")
		if _, err := OpenKeys(filepath.Join(file, "keys"), ""); err == nil {
			t.Error("keys were made below a file")
		}
	})
}
