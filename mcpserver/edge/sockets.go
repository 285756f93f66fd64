package edge

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
)

// firstSocket is the first descriptor that a service manager passes on, and
// mostSockets how many are looked at (sd_listen_fds(3)).
const (
	firstSocket = 3
	mostSockets = 16
)

// Sockets are the listeners that a service manager opened for this process
// (sd_listen_fds(3)), by their names, which must be among known. The environment
// says so once: a second call finds none, and neither does a child.
func Sockets(known ...string) (map[string]net.Listener, error) {
	pid, count, labels := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	if pid != strconv.Itoa(os.Getpid()) {
		return nil, nil // meant for another process
	}
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		os.Unsetenv(name)
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > mostSockets {
		return nil, fmt.Errorf("LISTEN_FDS is %q; it is a number of sockets, at most %d", count, mostSockets)
	}
	all := map[string]net.Listener{}
	for i, name := range named(labels, n) {
		fd := firstSocket + i
		l, err := socketAt(fd, name)
		switch {
		case err != nil:
		case !slices.Contains(known, name):
			err = fmt.Errorf("the socket %q is for nothing here: set FileDescriptorName= in its unit to %s", name, strings.Join(known, " or "))
		case all[name] != nil:
			err = fmt.Errorf("there are two sockets with the name %s: keep one ListenStream= of that name", name)
		}
		if err != nil {
			if l != nil {
				l.Close()
			}
			closeAll(all)
			return nil, err
		}
		all[name] = l
	}
	return all, nil
}

// named are the names of n sockets: all of them are without one if the list does
// not fit.
func named(labels string, n int) []string {
	names := strings.Split(labels, ":")
	if len(names) != n {
		names = make([]string, n)
	}
	return names
}

// socketAt is the listener at a descriptor, which it takes over.
func socketAt(fd int, name string) (net.Listener, error) {
	f := os.NewFile(uintptr(fd), name)
	if f == nil {
		return nil, fmt.Errorf("the socket %q, descriptor %d, is not open", name, fd)
	}
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("the socket %q, descriptor %d, cannot be listened on: %w", name, fd, err)
	}
	if _, tcp := l.Addr().(*net.TCPAddr); !tcp {
		l.Close()
		return nil, fmt.Errorf("the socket %q is not TCP: write its ListenStream= as an address and a port", name)
	}
	return l, nil
}

func closeAll(all map[string]net.Listener) {
	for _, l := range all {
		l.Close()
	}
}
