package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The guard's key comes from one of two places, and is what is there.
func TestGuardInjection(t *testing.T) {
	t.Setenv("API_KEY", "of-the-environment")
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("of-the-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ env, file, want, err string }{
		{"API_KEY", "", "of-the-environment", ""},
		{"", file, "of-the-file", ""},
		{"API_KEY", file, "", "--inject-env and --inject-file are given; keep one"},
		{"", file + ".none", "", "cannot read the secret"},
		{"", "", "", ""},
	} {
		got, err := (&guardOptions{inject: tt.env, injectFile: tt.file, injectHeader: "X-Key:"}).injection()
		switch {
		case tt.err != "":
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%+v: %v", tt, err)
			}
		case tt.want == "":
			if got != nil || err != nil {
				t.Errorf("%+v: %v, %v", tt, got, err)
			}
		case err != nil || got.Secret.Reveal() != tt.want || got.Placement.Name != "X-Key":
			t.Errorf("%+v: %v, %v", tt, got, err)
		}
	}
}
