package token

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// redacted stands for a secret wherever one would be printed.
const redacted = "[secret]"

// Secret is a string that does not print, log or marshal.
type Secret struct {
	// A pointer, since fmt prints the unexported fields of a foreign struct
	// without asking their methods; of a pointer it prints the address.
	value *string
}

// NewSecret wraps a secret.
func NewSecret(s string) Secret { return Secret{&s} }

// maxSecret bounds the bytes of a secret that is read from a file.
const maxSecret = 8 << 10

// SecretFromEnv reads a secret from the environment variable name. One that is
// unset or empty is an error.
func SecretFromEnv(name string) (Secret, error) {
	value := os.Getenv(name)
	if value == "" {
		return Secret{}, fmt.Errorf("the environment variable %s, which should hold a secret, is not set", name)
	}
	return NewSecret(value), nil
}

// SecretFromFile reads a secret of at most 8 KiB from a file, without the one
// line end that editors leave behind it. The file's mode is not looked at:
// orchestrators mount secrets readable by all of a container, by symlink.
func SecretFromFile(path string) (Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return Secret{}, fmt.Errorf("cannot read the secret: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return Secret{}, fmt.Errorf("cannot read the secret: %w", err)
	}
	if len(b) > maxSecret {
		return Secret{}, fmt.Errorf("the secret file %s is larger than %d bytes", path, maxSecret)
	}
	b = bytes.TrimSuffix(b, []byte("\n"))
	b = bytes.TrimSuffix(b, []byte("\r"))
	if len(b) == 0 {
		return Secret{}, fmt.Errorf("the secret file %s is empty", path)
	}
	return NewSecret(string(b)), nil
}

// Reveal returns the secret; its callers are the few places that send it.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// Equal reports whether two secrets are the same, in a time that does not tell where
// they differ.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// Format prints the same for every verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// String returns a placeholder.
func (s Secret) String() string { return redacted }

// GoString returns a placeholder.
func (s Secret) GoString() string { return redacted }

// LogValue logs a placeholder.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText writes a placeholder: JSON, YAML and zerolog use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// headerSafe tells whether the secret can stand in a header value.
func (s Secret) headerSafe() bool {
	return !strings.ContainsFunc(s.Reveal(), func(r rune) bool { return r < ' ' || r == 0x7f })
}
