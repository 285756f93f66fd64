package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestDemoWithASlowPerson runs the real program with somebody who takes 25 s to
// read before they approve: nothing in the demo is in more of a hurry.
func TestDemoWithASlowPerson(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for 25 s")
	}
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	asked := &watched{want: regexp.MustCompile(`log in \(once\): +(\S+)\s+then decide at: (\S+)`), found: make(chan []string, 1)}
	var said bytes.Buffer
	cmd := exec.Command(self, "demo")
	cmd.Args[0] = "exeat" // TestMain sees the name
	cmd.Stdout, cmd.Stderr, cmd.Env = asked, &said, append(os.Environ(), "HOME="+t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var links []string
	select {
	case links = <-asked.found:
	case err := <-ended:
		t.Fatalf("it ended before it asked: %v: %s", err, said.String())
	}
	select {
	case <-time.After(25 * time.Second):
	case err := <-ended:
		t.Fatalf("it did not wait: %v: %s", err, said.String())
	}
	if err := approveAs(t.Context(), links[1], links[2]); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	if out := asked.text.String(); !strings.Contains(out, "the shop counts 1 write\n") || !strings.Contains(out, "That was exeat.") {
		t.Error(out)
	}
}
