package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"

	"github.com/rs/zerolog"
	"go.yaml.in/yaml/v3"
)

// TestSecretDoesNotPrint sends one secret down every way that could print it.
func TestSecretDoesNotPrint(t *testing.T) {
	const canary = "canary-4711"
	s := NewSecret(canary)
	static := Bearer(s)
	hidden := struct{ s Secret }{s}
	deep := map[string]any{"a": []any{&hidden, static, s, &s}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%10.3s"} {
		for _, v := range []any{s, &s, static, *static, hidden, &hidden, deep, fmt.Errorf("x: %v", s), errors.Join(fmt.Errorf("%+v", static))} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	fmt.Fprintln(&out, s, s.String(), s.GoString())
	for _, v := range []any{s, static, hidden, deep} {
		j, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(j)
		y, err := yaml.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(y)
	}
	z := zerolog.New(&out)
	z.Info().Interface("a", s).Interface("b", static).Stringer("c", s).Any("d", deep).Msg(s.String())
	for _, h := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(h).Info("x", "a", s, "b", static, "c", deep)
	}
	if err := template.Must(template.New("").Parse("{{.}} {{.Secret}}")).Execute(&out, static); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), "99 97 110"} {
		if i := strings.Index(text, form); i >= 0 {
			t.Errorf("the secret is printed as %s: …%s", form, text[max(0, i-60):min(len(text), i+40)])
		}
	}
	if !strings.Contains(text, redacted) {
		t.Error("nothing stands for the secret")
	}
	if s.Reveal() != canary || (Secret{}).Reveal() != "" || !(Secret{}).IsZero() || s.IsZero() {
		t.Error("the secret is not what it was")
	}
}

func TestSecretFromEnv(t *testing.T) {
	t.Setenv("EXEAT_TEST_SECRET", "k\n")
	s, err := SecretFromEnv("EXEAT_TEST_SECRET")
	if err != nil || s.Reveal() != "k\n" {
		t.Errorf("%v", err)
	}
	t.Setenv("EXEAT_TEST_SECRET", "")
	if _, err := SecretFromEnv("EXEAT_TEST_SECRET"); err == nil || !strings.Contains(err.Error(), "EXEAT_TEST_SECRET") {
		t.Errorf("an empty variable: %v", err)
	}
}

func TestSecretFromFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	for text, want := range map[string]string{"k": "k", "k\n": "k", "k\r\n": "k", "k\n\n": "k\n", " k ": " k "} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := SecretFromFile(path)
		if err != nil || s.Reveal() != want {
			t.Errorf("%q is read as %q (%v)", text, s.Reveal(), err)
		}
	}
	for _, text := range []string{"", "\n", strings.Repeat("x", maxSecret+1)} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := SecretFromFile(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("a file of %d bytes: %v", len(text), err)
		}
	}
	for _, path := range []string{path + ".missing", t.TempDir()} {
		if _, err := SecretFromFile(path); err == nil {
			t.Errorf("%s is a secret", path)
		}
	}
}
