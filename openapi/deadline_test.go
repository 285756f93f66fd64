package openapi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// endsAfter is a context that ends when it was asked n times.
type endsAfter struct {
	context.Context
	n   *int
	err error
}

func (c endsAfter) Err() error {
	if *c.n--; *c.n < 0 {
		return c.err
	}
	return nil
}

// A load that is out of time is no document, whatever file it was at.
func TestLoadEnds(t *testing.T) {
	dir := t.TempDir()
	paths := "paths:\n"
	for i := range 5 {
		paths += fmt.Sprintf("  /%d: {$ref: 'p%d.yaml'}\n", i, i)
		item := fmt.Sprintf("get: {operationId: op%d, responses: {'200': {description: ok}}}\n", i)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("p%d.yaml", i)), []byte(item), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "openapi.yaml")
	if err := os.WriteFile(file, []byte(v30+paths), 0o600); err != nil {
		t.Fatal(err)
	}
	whole, ended := 0, 0
	for n := range 30 {
		left := n
		api, err := load(endsAfter{t.Context(), &left, context.DeadlineExceeded}, file, Options{})
		var bad *Error
		switch {
		case err == nil && len(api.Operations) == 5:
			whole++
		case errors.As(err, &bad) && strings.Contains(bad.Message, "took too long"):
			ended++
		default:
			t.Errorf("after %d: %v, %v", n, api, err)
		}
	}
	// Root, five paths, five files and the end ask it.
	if ended < 10 || whole == 0 {
		t.Errorf("%d loads ended, %d came through", ended, whole)
	}
	left := 0
	if _, err := load(endsAfter{t.Context(), &left, context.Canceled}, file, Options{}); err == nil || !strings.HasSuffix(err.Error(), "reading it was stopped") {
		t.Error(err)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Load(stopped, file, Options{}); err == nil || !strings.HasSuffix(err.Error(), "reading it was stopped") {
		t.Error(err)
	}
}
