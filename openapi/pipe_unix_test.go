//go:build unix

package openapi

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// References stay in the document's folder, by links too.
func TestReferencesStayInside(t *testing.T) {
	dir := t.TempDir()
	sub := filepath.Join(dir, "sub")
	if err := errors.Join(os.Mkdir(sub, 0o700), os.WriteFile(filepath.Join(dir, "secret.yaml"), []byte("get: {operationId: leaked}"), 0o600),
		os.WriteFile(filepath.Join(sub, "in.yaml"), []byte("get: {operationId: fine}"), 0o600),
		os.Symlink("../secret.yaml", filepath.Join(sub, "link.yaml")), os.Symlink("in.yaml", filepath.Join(sub, "near.yaml"))); err != nil {
		t.Fatal(err)
	}
	for ref, served := range map[string]bool{
		"../secret.yaml": false, "link.yaml": false, "file://" + dir + "/secret.yaml": false, dir + "/secret.yaml": false, "http://127.0.0.1:1/x": false,
		"%2e%2e/secret.yaml": false, "//h/x": false, "x/../../secret.yaml": false, "in.yaml": true, "near.yaml": true, "./in.yaml#": true,
	} {
		doc := filepath.Join(sub, "openapi.yaml")
		if err := os.WriteFile(doc, []byte(v30+"paths: {/a: {$ref: '"+ref+"'}}"), 0o600); err != nil {
			t.Fatal(err)
		}
		api, err := Load(context.Background(), sub, Options{})
		if err != nil || (len(api.Operations) == 1) != served || (len(api.Findings) == 1) == served {
			t.Errorf("%s: %v %+v", ref, err, api)
		}
	}
}

func TestPipesAreNotRead(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"openapi.yaml": v30 + "paths: {/a: {$ref: 'pipe.yaml'}, /ok: {$ref: 'dir'}}", "other/doc.yaml": v30 + "paths: {}"} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"pipe.yaml", "other/pipe.yaml"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Skip(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	api, err := Load(context.Background(), dir, Options{})
	if err != nil || len(api.Findings) != 2 || !strings.Contains(api.Findings[0].Message, "no regular file") || !strings.Contains(api.Findings[1].Message, "no regular file") {
		t.Errorf("%v %+v", err, api)
	}
	if _, err := Load(context.Background(), filepath.Join(dir, "pipe.yaml"), Options{}); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Error(err)
	}
	if api, err := Load(context.Background(), filepath.Join(dir, "other"), Options{}); err != nil || api.Title != "Test" {
		t.Error(err)
	}
}
