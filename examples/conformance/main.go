// Conformance runs a command, such as one of the conformance suites of MCP,
// against the real exeat: it starts a small REST API, exeat in front of it with a
// database of its own, and in front of that a proxy that adds the bearer token.
// It ends with the exit code of the command. README.md says how to use it.
package main

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/exeat/exeat/examples/petstore"
)

//go:embed openapi.yaml
var document []byte

//go:embed policy.cedar
var policy []byte

func main() {
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), `usage: conformance --exeat PROGRAM [--api petstore] -- COMMAND...

Runs COMMAND with MCP_URL (exeat, without its bearer token), API_URL (the REST
API behind it) and DOCUMENT (the file that describes it) in its environment.

`)
		flag.PrintDefaults()
	}
	program := flag.String("exeat", "exeat", "start the exeat `PROGRAM`")
	api := flag.String("api", "conformance", "serve the API `NAME`: conformance or petstore")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx, *program, *api, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// run starts everything, runs the command and returns its exit code.
func run(ctx context.Context, program, api string, command []string) (int, error) {
	if len(command) == 0 {
		return 2, errors.New("no command given; put one after --")
	}
	dir, err := os.MkdirTemp("", "exeat-conformance-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	handler, spec, args := newAPI(), filepath.Join(dir, "openapi.yaml"), []string{"--policy", filepath.Join(dir, "policy.cedar")}
	text := document
	switch api {
	case "conformance":
	case "petstore":
		handler, text, args = petstore.New(), petstore.Document, nil
	default:
		return 2, fmt.Errorf("there is no API %q; it can be conformance or petstore", api)
	}
	if err := errors.Join(os.WriteFile(spec, text, 0o600), os.WriteFile(filepath.Join(dir, "policy.cedar"), policy, 0o600)); err != nil {
		return 1, err
	}
	apiL, apiURL, err := listen()
	if err != nil {
		return 1, err
	}
	defer serve(apiL, handler)()
	args = append([]string{"http", "--listen", "127.0.0.1:0", "--inbox-listen", "127.0.0.1:0",
		"--db", filepath.Join(dir, "exeat.db"), "--keys", filepath.Join(dir, "keys"), "--base-url", apiURL.String(), spec}, args...)
	g, err := start(ctx, program, args)
	if err != nil {
		return 1, err
	}
	proxyL, own, err := listen()
	if err != nil {
		return 1, errors.Join(err, g.end())
	}
	closeProxy := serve(proxyL, newProxy(own, g.url, g.token))
	code, err := play(ctx, command, "MCP_URL="+own.JoinPath(g.url.Path).String(), "API_URL="+apiURL.String(), "DOCUMENT="+spec)
	closeProxy()
	return code, errors.Join(err, g.end())
}

// play runs the command with what it needs to know in its environment.
func play(ctx context.Context, command []string, env ...string) (int, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// gateway is a running exeat.
type gateway struct {
	cmd   *exec.Cmd
	url   *url.URL // where it serves MCP
	token string
	read  chan struct{} // closed once stderr has been read to its end
}

var served = regexp.MustCompile(`MCP at (\S+) with a bearer token, kept in (\S+)/bearer\.secret`)

// start runs exeat until it says where it serves. What it writes before that has
// secrets in it and is shown only if it does not get so far.
func start(ctx context.Context, program string, args []string) (*gateway, error) {
	g := &gateway{cmd: exec.CommandContext(ctx, program, args...), read: make(chan struct{})}
	g.cmd.Cancel = func() error { return g.cmd.Process.Signal(syscall.SIGTERM) }
	g.cmd.WaitDelay = 30 * time.Second
	out, err := g.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := g.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start exeat: %w", err)
	}
	lines := bufio.NewReader(out)
	var said strings.Builder
	for {
		line, err := lines.ReadString('\n')
		said.WriteString(line)
		if err != nil {
			return nil, fmt.Errorf("exeat ended before it served (%v), saying:\n%s", g.cmd.Wait(), said.String())
		}
		if m := served.FindStringSubmatch(line); m != nil {
			var token []byte
			token, err = exec.CommandContext(ctx, program, "keys", "bearer", "--keys", m[2]).Output()
			g.token = strings.TrimSpace(string(token))
			if err == nil {
				g.url, err = url.Parse(m[1])
			}
			if err != nil {
				g.cmd.Process.Kill()
				return nil, errors.Join(err, g.cmd.Wait())
			}
			break
		}
	}
	go func() {
		defer close(g.read)
		io.Copy(os.Stderr, lines)
	}()
	return g, nil
}

// end asks exeat to stop and waits until it has; an unclean end is an error.
func (g *gateway) end() error {
	g.cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(30*time.Second, func() { g.cmd.Process.Kill() })
	defer late.Stop()
	<-g.read
	if err := g.cmd.Wait(); err != nil {
		return fmt.Errorf("exeat did not end as it should: %w", err)
	}
	return nil
}

// listen takes a free port on loopback.
func listen() (net.Listener, *url.URL, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	return l, &url.URL{Scheme: "http", Host: l.Addr().String()}, nil
}

// serve serves on l until the function that it returns is called.
func serve(l net.Listener, h http.Handler) (stop func() error) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go s.Serve(l) // ends with Close
	return s.Close
}
