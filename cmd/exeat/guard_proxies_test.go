package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const proxySecret = "0123456789abcdef0123456789abcdef0123456789abcdef"

// fronted is a guard that a real proxy asks, with the configuration of examples/guard.
type fronted struct {
	*guarded
	front string // the proxy's address
	h2    string // of nginx, for HTTP/2 without TLS
}

// newFronted starts the guard and then the proxy, by its program and the flags that
// name the configuration. The ports of the example become free ones.
func newFronted(t *testing.T, program string, files []string, args func(dir string) []string, flags ...string) *fronted {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + program)
	}
	if err != nil && os.Getenv("EXEAT_PROXIES") != "" {
		t.Fatalf("EXEAT_PROXIES is set, and there is no %s here", program)
	}
	if err != nil {
		t.Skipf("there is no %s here: apt-get install %s", program, program)
	}
	t.Setenv("GUARD_CHECK_SECRET", proxySecret)
	f := &fronted{guarded: newGuarded(t, append([]string{"--check", "127.0.0.1:0", "--check-secret-env", "GUARD_CHECK_SECRET"}, flags...)...)}
	asked := regexp.MustCompile(`guard answers checks at (\S+);`).FindStringSubmatch(f.text())
	if asked == nil {
		t.Fatalf("the guard does not say where it is asked: %s", f.text())
	}
	f.front, f.h2 = "127.0.0.1:"+freePort(t), "127.0.0.1:"+freePort(t)
	ports := strings.NewReplacer("listen 127.0.0.1:8080;", "listen "+f.front+"; listen "+f.h2+" http2;", "127.0.0.1:8080", f.front, "127.0.0.1:8430", f.addr, "127.0.0.1:8431", asked[1],
		"127.0.0.1:9100", strings.TrimPrefix(f.args[2], "http://"), "events {}", "events {}\n"+tempPaths(t))
	dir := t.TempDir()
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join("..", "..", "examples", "guard", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(ports.Replace(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "exeat-secret.conf"), []byte("set $exeat_secret "+proxySecret+";\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	said := &bytes.Buffer{}
	cmd := exec.Command(path, args(dir)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, said, said
	cmd.Env = append(os.Environ(), "CHECK_SECRET="+proxySecret)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		<-ended
		if t.Failed() {
			t.Logf("%s says: %s", program, said)
		}
	})
	for deadline := time.Now().Add(time.Minute); ; {
		conn, err := net.Dial("tcp", f.front)
		if err == nil {
			conn.Close()
			return f
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v: %s", program, err, said)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen", program)
		}
	}
}

// tempPaths let nginx run as anybody: what it cannot know is where it may write.
func tempPaths(t *testing.T) string {
	if os.Geteuid() == 0 {
		return "user root;\n"
	}
	t.Skip("nginx writes to /var/lib/nginx, which takes root")
	return ""
}

func newNginx(t *testing.T, flags ...string) *fronted {
	t.Helper()
	return newFronted(t, "nginx", []string{"nginx.conf"}, func(dir string) []string {
		return []string{"-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr", "-g", "daemon off; pid " + filepath.Join(dir, "pid") + ";"}
	}, flags...)
}

func newHAProxy(t *testing.T, flags ...string) *fronted {
	t.Helper()
	return newFronted(t, "haproxy", []string{"haproxy.cfg", "exeat.lua"}, func(string) []string { return []string{"-db", "-f", "haproxy.cfg"} }, flags...)
}

// ask sends one request to the proxy, with a token for signed.
func (f *fronted) ask(method, signed, sent, body string, lines ...string) (string, http.Header) {
	f.t.Helper()
	contentType := ""
	if body != "" {
		contentType = "text/plain"
		lines = append(lines, "Content-Type: text/plain", fmt.Sprintf("Content-Length: %d", len(body)))
	}
	return f.askRaw(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\n%s\r\n%s",
		method, sent, f.token(method, signed, contentType, body), strings.Join(append(lines, ""), "\r\n"), body))
}

// askRaw is the first answer to text, as its status and the code of a refusal.
func (f *fronted) askRaw(text string) (string, http.Header) {
	f.t.Helper()
	conn, err := net.Dial("tcp", f.front)
	if err != nil {
		f.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	go io.WriteString(conn, text)
	all, _ := io.ReadAll(conn)
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(all)), nil)
	if err != nil {
		return "no answer", nil
	}
	b, _ := io.ReadAll(res.Body)
	verdict := fmt.Sprint(res.StatusCode)
	var p struct{ Type string }
	if json.Unmarshal(b, &p) == nil && p.Type != "" {
		verdict += " " + strings.TrimPrefix(p.Type, "urn:exeat:guard:")
	}
	return verdict, res.Header
}

// attacks are what a client may send to a proxy, with a token for another request.
// The API must see none of them.
func (f *fronted) attacks(bodies string) {
	t := f.t
	for _, c := range []struct {
		name, signed, sent, body string
		lines                    []string
	}{
		{name: "another path", signed: "/pets/1", sent: "/pets/2"},
		{name: "two slashes", signed: "/pets/1", sent: "//pets/1"},
		{name: "two slashes within", signed: "/pets/1", sent: "/pets//1"},
		{name: "dots", signed: "/pets/1", sent: "/x/../pets/1"},
		{name: "dots to what was signed", signed: "/x/../pets/1", sent: "/x/../pets/1"},
		{name: "encoded dots", signed: "/x/%2e%2e/pets/1", sent: "/x/%2e%2e/pets/1"},
		{name: "encoded slash", signed: "/pets/1", sent: "/pets%2F1"},
		{name: "encoded digit", signed: "/pets/1", sent: "/pets/%31"},
		{name: "a slash for an encoded one", signed: "/pets%2F1", sent: "/pets/1"},
		{name: "query added", signed: "/pets/1", sent: "/pets/1?force=true"},
		{name: "query encoded", signed: "/pets/1?a=b", sent: "/pets/1?%61=b"},
		{name: "a fragment", signed: "/pets/1", sent: "/pets/1#x"},
		{name: "a forged X-Original-URI", signed: "/pets/1", sent: "/pets/2", lines: []string{"X-Original-URI: /pets/1"}},
		{name: "a forged X-Rewrite-URL", signed: "/pets/1", sent: "/pets/1", lines: []string{"X-Rewrite-URL: /pets/2"}},
		{name: "a forged X-Forwarded-Uri", signed: "/pets/1", sent: "/pets/2", lines: []string{"X-Forwarded-Uri: /pets/1", "X-Forwarded-Method: GET"}},
		{name: "a forged check", signed: "/pets/1", sent: "/pets/2", lines: []string{"X-Exeat-Check: " + proxySecret + " GET  /pets/1"}},
		{name: "a method override", signed: "/pets/1", sent: "/pets/1", lines: []string{"X-HTTP-Method-Override: DELETE"}},
		{name: "a second token", signed: "/pets/1", sent: "/pets/1", lines: []string{"Authorization: Bearer x"}},
		{name: "a second token, folded name", signed: "/pets/1", sent: "/pets/1", lines: []string{"authorization: Basic eDp5"}},
		{name: "If-Match", signed: "/pets/1", sent: "/pets/1", lines: []string{"If-Match: *"}},
		{name: "a name for the API", signed: "/pets/1", sent: "/pets/1", lines: []string{"X-User: root"}},
		{name: "a cookie", signed: "/pets/1", sent: "/pets/1", lines: []string{"Cookie: a=1"}},
		{name: "a body that nobody signed", signed: "/pets/1", sent: "/pets/1", lines: []string{"Content-Length: 5\r\n\r\nhello"}},
		{name: "chunks that nobody signed", signed: "/pets/1", sent: "/pets/1", lines: []string{"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"}},
		{name: "length and chunks", signed: "/pets/1", sent: "/pets/1", lines: []string{"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"}},
		{name: "two lengths", signed: "/pets/1", sent: "/pets/1", lines: []string{"Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello"}},
		{name: "a hop that drops", signed: "/pets/1", sent: "/pets/1", lines: []string{"Connection: X-User", "X-User: root"}},
	} {
		got, _ := f.ask("GET", c.signed, c.sent, c.body, c.lines...)
		if seen := f.taken(); len(seen) != 0 || !strings.HasPrefix(got, "4") && !strings.HasPrefix(got, "5") && got != "no answer" {
			t.Errorf("%s: %s, and the API saw %q", c.name, got, seen)
		}
	}
	// The same for a body.
	for name, text := range map[string]string{
		"another body":   "Content-Length: 5\r\n\r\nworld",
		"a shorter body": "Content-Length: 4\r\n\r\nhell",
		"a longer body":  "Content-Length: 6\r\n\r\nhello!",
		"no body":        "\r\n",
		"a coding":       "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
		"other chunks":   "Transfer-Encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\nX-User: root\r\n\r\n",
	} {
		got, _ := f.askRaw("POST /pets HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\nAuthorization: Bearer " + f.token("POST", "/pets", "text/plain", "hello") + "\r\n" + text)
		if seen := f.taken(); len(seen) != 0 {
			t.Errorf("%s: %s, and the API saw %q", name, got, seen)
		}
	}
	f.logged()
	if got, _ := f.ask("POST", "/pets", "/pets", "hello"); got != "418" {
		t.Errorf("a body that was signed: %s", got)
	}
	if diff := cmp.Diff([]string{"POST /pets Bearer real-key [5] hello"}, f.taken()); diff != "" {
		t.Errorf("what the API saw of a body (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"passed"}, f.logged()); diff != "" {
		t.Errorf("how a body came %s (-want +got):\n%s", bodies, diff)
	}
}

// targets go through as they are.
func (f *fronted) targets() {
	for _, target := range []string{"/", "/pets/1", "/pets?a=1&b=%2F&a=2", "/pets%2F1", "/pets/%E2%82%AC", "//pets", "/pets//1", "/a;v=1/b", "/pets/a+b%20c?q=+%20"} {
		got, _ := f.ask("GET", target, target, "")
		if diff := cmp.Diff([]string{"GET " + target + " Bearer real-key [0] "}, f.taken()); diff != "" || got != "418" {
			f.t.Errorf("%s: %s, what the API saw (-want +got):\n%s", target, got, diff)
		}
	}
	for _, method := range []string{"HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"} {
		got, _ := f.ask(method, "/pets/1", "/pets/1", "")
		if seen := f.taken(); len(seen) != 1 || !strings.HasPrefix(seen[0], method+" /pets/1 Bearer real-key [0]") || got != "418" {
			f.t.Errorf("%s: %s, the API saw %q", method, got, seen)
		}
	}
	if got, _ := f.ask("POST", "/pets", "/pets", "hello", "Expect: 100-continue"); got != "100" && got != "418" || len(f.taken()) != 1 {
		f.t.Errorf("a client that asks whether it may: %s", got)
	}
	f.logged()
}

// once uses one token 32 times at once, half of them at the guard itself.
func (f *fronted) once() {
	request := "DELETE /pets/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + f.token("DELETE", "/pets/1", "", "") + "\r\n\r\n"
	statuses := make(chan int, 32)
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			addr := []string{f.front, f.addr}[i%2]
			for _, status := range f.rawTo(addr, request, false) {
				statuses <- status
			}
		})
	}
	all.Wait()
	close(statuses)
	count := map[int]int{}
	for status := range statuses {
		count[status]++
	}
	if diff := cmp.Diff(map[int]int{418: 1, 401: 31}, count); diff != "" {
		f.t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"DELETE /pets/1 Bearer real-key [0] "}, f.taken()); diff != "" {
		f.t.Errorf("what the API saw (-want +got):\n%s", diff)
	}
}

// TestNginxAsks runs Debian's nginx with examples/guard/nginx.conf.
func TestNginxAsks(t *testing.T) {
	f := newNginx(t)
	f.targets()
	f.attacks("through the guard")
	f.once()
	got, _ := f.ask("GET", "/pets/1", "/pets/2", "")
	if got != "403 wrong_target" {
		t.Errorf("a refusal: %s", got)
	}
	got, header := f.askRaw("GET /pets/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if got != "401 no_token" || header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("without a token: %s %v", got, header)
	}
	if got, _ := f.ask("GET", "/exeat-check", "/exeat-check", ""); got != "404" {
		t.Errorf("the way to the guard, from outside: %s", got)
	}
	f.stop()
	if got, header = f.ask("GET", "/pets/1", "/pets/1", ""); got != "500" {
		t.Errorf("without the guard: %s %v", got, header)
	}
	if seen := f.taken(); len(seen) != 0 {
		t.Errorf("without the guard the API saw %q", seen)
	}
}

// unannounced posts a body by HTTP/2, which need not say that it comes, with a token
// for another, and returns the status.
func (f *fronted) unannounced(addr, signed string) int {
	f.t.Helper()
	var h2 http.Protocols
	h2.SetUnencryptedHTTP2(true)
	client := &http.Transport{Protocols: &h2}
	defer client.CloseIdleConnections()
	r, err := http.NewRequest("POST", "http://"+addr+"/pets", io.MultiReader(strings.NewReader("hello"))) // of unknown length
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "text/plain")
	r.Header.Set("Authorization", "Bearer "+f.token("POST", "/pets", "text/plain", signed))
	res, err := client.RoundTrip(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

// TestNginxDropsUnannouncedBodies: nginx takes such a request for one without a body,
// and must not send the body on.
func TestNginxDropsUnannouncedBodies(t *testing.T) {
	f := newNginx(t)
	if got := f.unannounced(f.h2, "hello"); got != 403 {
		t.Errorf("a signed body that nginx does not announce: %d", got)
	}
	if seen := f.taken(); len(seen) != 0 {
		t.Errorf("the API saw %q", seen)
	}
	if got := f.unannounced(f.h2, ""); got != 418 {
		t.Errorf("a body that nobody signed, which nginx leaves out: %d", got)
	}
	if diff := cmp.Diff([]string{"POST /pets Bearer real-key [0] "}, f.taken()); diff != "" {
		t.Errorf("what the API saw (-want +got):\n%s", diff)
	}
}

// TestHAProxyRefusesUnannouncedBodies: HAProxy may have only the beginning of one.
func TestHAProxyRefusesUnannouncedBodies(t *testing.T) {
	f := newHAProxy(t)
	for _, signed := range []string{"hello", ""} {
		if got := f.unannounced(f.front, signed); got != 403 {
			t.Errorf("a body, with a token for %q: %d", signed, got)
		}
	}
	if seen := f.taken(); len(seen) != 0 {
		t.Errorf("the API saw %q", seen)
	}
}

// TestHAProxyAsks runs Debian's HAProxy with examples/guard/haproxy.cfg and exeat.lua.
func TestHAProxyAsks(t *testing.T) {
	f := newHAProxy(t)
	f.targets()
	f.attacks("by its digest")
	f.once()
	if got, header := f.ask("GET", "/pets/1", "/pets/2", ""); got != "403 wrong_target" {
		t.Errorf("a refusal: %s %v", got, header)
	}
	// More than HAProxy keeps is not shown, so it does not pass.
	if got, _ := f.ask("POST", "/pets", "/pets", strings.Repeat("x", 100<<10)); got != "403 body_unseen" {
		t.Errorf("a large body: %s", got)
	}
	f.stop()
	if got, header := f.ask("GET", "/pets/1", "/pets/1", ""); got != "503 not_checked" {
		t.Errorf("without the guard: %s %v", got, header)
	}
	if seen := f.taken(); len(seen) != 0 {
		t.Errorf("without the guard the API saw %q", seen)
	}
}
