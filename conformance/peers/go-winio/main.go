//go:build windows

// The peer of go-winio: named pipes of Windows as net.Listener and net.Conn, as a Go program uses them. main.go has the
// local sockets, which are named pipes; pipes.go has them as such.
//
// What the package has not got is not offered, and nothing here makes up for it:
//
//   - A listener has no deadline, no switch and no handle; there is no single attempt (wait: false).
//   - A name is a path below \\.\pipe\.
//   - Ends cannot be split, released or adopted; a handle can be asked for (Fd).
//   - Messages are read as bytes ("this package presents all named pipes as byte streams").
//
// For one thing of Wine's it does make up: guardedListener.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"ctspeer"

	"github.com/Microsoft/go-winio"
)

const (
	module = "github.com/Microsoft/go-winio"
	// bufferSize is what a pipe holds in each direction unless a request says it. The package's own choice, 0, makes every
	// write wait for its reader; a program that wants a socket gives sizes.
	bufferSize = 65536
)

func main() {
	library := ctspeer.Library[net.Listener, net.Conn]{
		Implementation: "go-winio",
		Version:        version(),
		Features: []string{
			"lanes", "close_while_in_use", "stream.duplex", "name.namespaced",
			"local.connect.timeout", "stream.read.timeout", "stream.write.timeout",
			"named_pipe.connect.timeout", "named_pipe.read.timeout", "named_pipe.write.timeout",
		},
		Listen:         listen,
		Connect:        connect,
		Accept:         accept,
		ListenerNative: func(l net.Listener) ([]byte, error) { return []byte(l.Addr().String()), nil },
		ListenerClose:  net.Listener.Close,
		Read:           read,
		Write:          write,
		StreamRaw:      func(c net.Conn) (uintptr, error) { return c.(interface{ Fd() uintptr }).Fd(), nil },
		StreamClose:    net.Conn.Close,
		Others:         map[string]ctspeer.Operation{},
	}
	addNamedPipes(&library)
	err := ctspeer.Run(library)
	fmt.Fprintln(os.Stderr, "go-winio:", err)
	os.Exit(1)
}

// version is that of the module that this program was built with.
func version() string {
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range build.Deps {
			if dependency.Path == module {
				return dependency.Version
			}
		}
	}
	return "unknown"
}

// spell gives a name as the package takes it: the path of a pipe.
func spell(name ctspeer.Name) (string, error) {
	switch name.Kind {
	case ctspeer.Namespaced:
		return `\\.\pipe\` + name.Bytes, nil
	case ctspeer.Native:
		return name.Bytes, nil
	}
	return "", ctspeer.Unsupported("a pipe has no name of the kind " + string(name.Kind))
}

func listen(name ctspeer.Name, _ ctspeer.ListenOptions) (net.Listener, []byte, error) {
	return listenWith(name, &winio.PipeConfig{InputBufferSize: bufferSize, OutputBufferSize: bufferSize})
}

func listenWith(name ctspeer.Name, config *winio.PipeConfig) (net.Listener, []byte, error) {
	path, err := spell(name)
	if err != nil {
		return nil, nil, err
	}
	listener, err := winio.ListenPipe(path, config)
	if err != nil {
		return nil, nil, err
	}
	if onWine() {
		if listener, err = guarded(listener, path); err != nil {
			return nil, nil, err
		}
	}
	return listener, []byte(listener.Addr().String()), nil
}

// onWine says whether this is Wine, whose ntdll tells its version.
func onWine() bool { return syscall.NewLazyDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil }

// guardedListener has a client of its own at the first instance of its pipe. That is one without access, which the package
// keeps so that the name is its own, and which no client can connect to on Windows. On Wine 8.0 the first client does,
// and meets nobody.
type guardedListener struct {
	net.Listener
	first net.Conn
}

func guarded(listener net.Listener, path string) (net.Listener, error) {
	first, err := winio.DialPipeContext(context.Background(), path)
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	return &guardedListener{listener, first}, nil
}

func (l *guardedListener) Close() error {
	err := l.Listener.Close()
	_ = l.first.Close()
	return err
}

func connect(ctx context.Context, name ctspeer.Name, options ctspeer.CallOptions) (net.Conn, error) {
	path, err := spell(name)
	if err != nil {
		return nil, err
	}
	if options.Timeout != nil {
		limited, cancel := context.WithTimeout(ctx, *options.Timeout)
		defer cancel()
		ctx = limited
	}
	return winio.DialPipeContext(ctx, path)
}

func accept(listener net.Listener, _ ctspeer.CallOptions) (net.Conn, error) { return listener.Accept() }

// withDeadline makes a call with the package's kind of timeout: a deadline set before and taken off after it.
func withDeadline(options ctspeer.CallOptions, set func(time.Time) error, act func() (int, error)) (int, error) {
	if options.Timeout == nil {
		return act()
	}
	if err := set(time.Now().Add(*options.Timeout)); err != nil {
		return 0, err
	}
	length, err := act()
	if reset := set(time.Time{}); err == nil && reset != nil {
		err = reset
	}
	return length, err
}

func read(conn net.Conn, buffer []byte, options ctspeer.CallOptions) (int, error) {
	return withDeadline(options, conn.SetReadDeadline, func() (int, error) { return conn.Read(buffer) })
}

func write(conn net.Conn, data []byte, options ctspeer.CallOptions) (int, error) {
	return withDeadline(options, conn.SetWriteDeadline, func() (int, error) { return conn.Write(data) })
}
