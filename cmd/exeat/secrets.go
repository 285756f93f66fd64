package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/exeat/exeat/authz/token"
)

// secretSource says where a secret is: in an environment variable, in a file, or in
// what a command prints. Secrets are in no flag and in no configuration.
type secretSource struct {
	env, file string
	command   []string // a program and its arguments; no shell
}

func (s secretSource) isZero() bool { return s.env == "" && s.file == "" && len(s.command) == 0 }

// changes reports whether reading again can give another secret.
func (s secretSource) changes() bool { return s.file != "" || len(s.command) > 0 }

// within makes the paths those of files in dir.
func (s secretSource) within(dir string) secretSource {
	s.file = relative(dir, s.file)
	if len(s.command) > 0 && strings.ContainsRune(s.command[0], filepath.Separator) {
		program := relative(dir, s.command[0])
		if !strings.ContainsRune(program, filepath.Separator) {
			program = "." + string(filepath.Separator) + program // and not one of PATH
		}
		s.command = append([]string{program}, s.command[1:]...)
	}
	return s
}

// read reads the secret. Without a source there is none. prefix is what the keys of the
// configuration begin with, such as client_secret_.
func (s secretSource) read(prefix string) (token.Secret, error) {
	var given []string
	for _, k := range []struct {
		name string
		is   bool
	}{{"env", s.env != ""}, {"file", s.file != ""}, {"command", len(s.command) > 0}} {
		if k.is {
			given = append(given, prefix+k.name)
		}
	}
	switch {
	case len(given) > 1:
		return token.Secret{}, fmt.Errorf("%s are given; keep one", strings.Join(given, " and "))
	case s.env != "":
		return token.SecretFromEnv(s.env)
	case s.file != "":
		return token.SecretFromFile(s.file)
	case len(s.command) > 0:
		secret, err := firstPrinted(s.command)
		if err != nil {
			err = fmt.Errorf("%s: %w", given[0], err)
		}
		return secret, err
	}
	return token.Secret{}, nil
}

// readNeeded is read for a secret that has to be there.
func (s secretSource) readNeeded(prefix string) (token.Secret, error) {
	if s.isZero() {
		return token.Secret{}, fmt.Errorf("name the environment variable (%[1]senv), the file (%[1]sfile) or the command (%[1]scommand) that holds the key", prefix)
	}
	return s.read(prefix)
}

// readAgain reads a secret that may be another by now.
func (s secretSource) readAgain(ctx context.Context) (token.Secret, error) {
	if len(s.command) > 0 {
		return printed(ctx, s.command)
	}
	return s.read("")
}

// Bounds of a command that prints a secret.
const (
	commandTimeout = 30 * time.Second // a person may have to unlock something
	commandSecret  = 8 << 10          // bytes, as of a file
	commandStderr  = 1 << 10          // of which this much is shown
)

// printedFirst are secrets that commands printed at the start of this process: what
// is configured is looked at twice, and asking a person twice would be once too often.
var printedFirst sync.Map // from the command to a func() (token.Secret, error)

func firstPrinted(command []string) (token.Secret, error) {
	read, _ := printedFirst.LoadOrStore(strings.Join(command, "\x00"), sync.OnceValues(func() (token.Secret, error) {
		return printed(context.Background(), command)
	}))
	return read.(func() (token.Secret, error))()
}

// printed runs a command and returns what it prints, without the one line end behind
// it. The error says what the command said, but not the secret.
func printed(ctx context.Context, command []string) (token.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	program := printable(filepath.Base(command[0]))
	out, said := &bounded{limit: commandSecret, more: cancel}, &bounded{limit: commandStderr, more: func() {}}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = out, said
	cmd.WaitDelay = time.Second // for what it left running with its output open
	err := cmd.Run()
	secret := strings.TrimSuffix(strings.TrimSuffix(string(out.kept), "\n"), "\r")
	var ended *exec.ExitError
	switch {
	case out.full:
		return token.Secret{}, fmt.Errorf("%s printed more than %d bytes; it should print the secret and nothing else", program, commandSecret)
	case ctx.Err() != nil:
		return token.Secret{}, fmt.Errorf("%s did not end within %s%s; run it by hand: it must need no terminal", program, commandTimeout, quoteStderr(said, secret))
	case errors.As(err, &ended):
		return token.Secret{}, fmt.Errorf("%s failed (%s)%s; run it by hand to see why", program, ended.ProcessState, quoteStderr(said, secret))
	case err != nil:
		return token.Secret{}, fmt.Errorf("%s cannot be run: %w; it is a list, a program and its arguments: [program, argument], without a shell", program, err)
	case secret == "":
		return token.Secret{}, fmt.Errorf("%s printed nothing on stdout%s; it should print the secret", program, quoteStderr(said, ""))
	}
	return token.NewSecret(secret), nil
}

// quoteStderr is what a command said, without the secret that it printed.
func quoteStderr(said *bounded, secret string) string {
	text := strings.TrimSpace(string(said.kept))
	for _, line := range append([]string{secret}, strings.Fields(secret)...) {
		if len(line) > 3 {
			text = strings.ReplaceAll(text, line, "[secret]")
		}
	}
	if text == "" {
		return ""
	}
	return ", and said: " + printableLine(text)
}

// bounded keeps so many bytes, and drops what is more.
type bounded struct {
	kept  []byte
	limit int
	more  func() // is called when there is more
	full  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	left := b.limit - len(b.kept)
	b.kept = append(b.kept, p[:min(left, len(p))]...)
	if len(p) > left {
		b.full = true
		b.more()
	}
	return len(p), nil
}
