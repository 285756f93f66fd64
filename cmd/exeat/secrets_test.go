package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// script writes a program for a test.
func script(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tell")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

// A command prints a secret. What it says on stderr is told when it fails, and never
// with the secret in it.
func TestSecretsOfCommands(t *testing.T) {
	for _, tt := range []struct {
		name, script, want string
		err                []string
	}{
		{"a secret", "echo s3cret-of-mine", "s3cret-of-mine", nil},
		{"another line end", `printf 's3cret-of-mine\r\n'`, "s3cret-of-mine", nil},
		{"spaces within are its own", `printf ' s3cret  of mine '`, " s3cret  of mine ", nil},
		{"what it says beside", "echo warning >&2; echo s3cret-of-mine", "s3cret-of-mine", nil},
		{"arguments are no shell's", `echo "$1"`, "", []string{"tell printed nothing on stdout"}},
		{"nothing", "echo locked >&2", "", []string{"tell printed nothing on stdout, and said: locked"}},
		{"it fails", `echo s3cret-of-mine; echo 'no session for s3cret-of-mine' >&2; exit 3`, "", []string{"command: tell failed (exit status 3), and said: no session for [secret]; run it by hand"}},
		{"it fails in another way of writing", `printf 'user s3cret-of-mine\n'; printf 'have s3cret-of-mine\033[31m' >&2; exit 1`, "", []string{`have [secret]\x1b[31m`}},
		{"too much", "while :; do echo s3cret-of-mine; done", "", []string{"printed more than 8192 bytes"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			secret, err := secretSource{command: []string{script(t, tt.script)}}.readNeeded("")
			if tt.err == nil {
				if err != nil || secret.Reveal() != tt.want {
					t.Errorf("%q, %v", secret.Reveal(), err)
				}
				return
			}
			for _, want := range tt.err {
				if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
					t.Errorf("%v, want %q", err, want)
				}
			}
		})
	}
	if _, err := (secretSource{command: []string{"/nowhere/op", "read"}}).read("client_secret_"); err == nil || !strings.Contains(err.Error(), "client_secret_command: op cannot be run: ") {
		t.Error(err)
	}
	if _, err := (secretSource{command: []string{"true"}, env: "A"}).read("token_"); err == nil || err.Error() != "token_env and token_command are given; keep one" {
		t.Error(err)
	}
}

// A command is asked once at a start, which looks at the configuration twice, and
// again when its secret is refused.
func TestSecretsOfCommandsAreReadAgain(t *testing.T) {
	count := filepath.Join(t.TempDir(), "count")
	s := secretSource{command: []string{script(t, `echo x >> "$1"; wc -l < "$1"`), count}}
	for range 2 {
		if secret, err := s.read(""); err != nil || strings.TrimSpace(secret.Reveal()) != "1" {
			t.Errorf("%q, %v", secret.Reveal(), err)
		}
	}
	if secret, err := s.readAgain(t.Context()); err != nil || strings.TrimSpace(secret.Reveal()) != "2" {
		t.Errorf("%q, %v", secret.Reveal(), err)
	}
}

// TestSecretsWithin has paths relative to the configuration, and programs of PATH as
// they are.
func TestSecretsWithin(t *testing.T) {
	if got := (secretSource{command: []string{"./tell"}}).within(".").command[0]; got != "./tell" {
		t.Error(got)
	}
	for given, want := range map[string]string{"op": "op", "./tell": "/etc/exeat/tell", "bin/tell": "/etc/exeat/bin/tell", "/usr/bin/op": "/usr/bin/op"} {
		if got := (secretSource{command: []string{given, "./x"}}).within("/etc/exeat").command; got[0] != want || got[1] != "./x" {
			t.Errorf("%s: %v", given, got)
		}
	}
}
