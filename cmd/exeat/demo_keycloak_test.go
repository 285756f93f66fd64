package main

import (
	"archive/zip"
	"bytes"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The demo with Keycloak: a held write goes with a token that Keycloak minted for it,
// which is refused for anything else.
func TestDemoWithKeycloak(t *testing.T) {
	dir := os.Getenv("EXEAT_KEYCLOAK_DIR")
	if dir == "" {
		t.Skip("EXEAT_KEYCLOAK_DIR is the folder of a Keycloak: .ci/keycloak has one")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "demo", "--with", "keycloak", "--keycloak", dir, "--approve-after", "10ms")
	cmd.Args[0] = "exeat" // TestMain sees the name
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{`"aud": "petshop"`, `"scope": "pets:delete"`, "the shop counts 1 write", "another API that Keycloak knows → 401", "adding a pet → 403", "calling exeat → 401",
		"revoke the token → 401", "ok: "} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}

func TestDemoWithOther(t *testing.T) {
	var out bytes.Buffer
	if code := execute(t.Context(), []string{"demo", "--with", "okta"}, strings.NewReader(""), &out, &out); code == 0 || !strings.Contains(out.String(), "it can be keycloak") {
		t.Errorf("%d %s", code, &out)
	}
}

// What Maven brings is looked at, and without it the way out is said.
func TestDownloadOfAnother(t *testing.T) {
	for name, tt := range map[string]struct{ script, want string }{
		"another Keycloak": {"for a; do case $a in -DoutputDirectory=*) echo other >${a#*=}/keycloak-quarkus-dist-" + keycloakVersion + ".zip;; esac; done", "not what this demo was made with"},
		"it fails":         {"echo there is no network; exit 1", "there is no network"},
		"nothing":          {"exit 0", "no such file"},
		"no Maven":         {"", "that needs Maven"},
	} {
		t.Run(name, func(t *testing.T) {
			bin := t.TempDir()
			if tt.script != "" {
				if err := os.WriteFile(filepath.Join(bin, "mvn"), []byte("#!/bin/sh\n"+tt.script+"\n"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("PATH", bin)
			if err := fetchKeycloak(t.Context(), filepath.Join(t.TempDir(), "keycloak")); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "--keycloak DIR") {
				t.Errorf("%v", err)
			}
		})
	}
}

// An archive writes into its folder and nowhere else.
func TestUnpackStaysInside(t *testing.T) {
	for name, want := range map[string]bool{"keycloak/bin/kc.sh": true, "../outside": false, "keycloak/../../outside": false, "/outside": false} {
		t.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) {
			var packed bytes.Buffer
			w := zip.NewWriter(&packed)
			header := &zip.FileHeader{Name: name}
			header.SetMode(0o755)
			f, err := w.CreateHeader(header)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(f, "#!/bin/sh\n")
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			parent := t.TempDir()
			dir := filepath.Join(parent, "in")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			err = unpack(bytes.NewReader(packed.Bytes()), int64(packed.Len()), dir)
			if (err == nil) != want {
				t.Errorf("%v", err)
			}
			err = filepath.WalkDir(parent, func(path string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() && !strings.HasPrefix(path, dir+string(filepath.Separator)) {
					t.Errorf("it wrote %s", path)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}
