// The peer of Go's standard library: the Unix sockets of net, pipes and FIFOs of os, signals of os/signal, as a Go program
// uses them. main.go has the local sockets, messages.go datagrams and seqpackets, ancillary.go what travels beside bytes,
// pipes.go and signals.go the rest.
//
// What the package has not got is not offered, and nothing here makes up for it:
//
//   - CloseWrite is a half close, not a split into two handles.
//   - There is no single attempt (wait: false) and no nonblocking switch: the runtime has both to itself.
//   - There is no vectored read; net.Buffers is the vectored write.
//   - A listener's Close removes the socket file, the default of net.Listen.
//   - A descriptor can be had as a duplicate only (File). To release is therefore to duplicate and to close the
//     original; to adopt is FileConn or FileListener and to close what was handed in, as their documentation asks for.
//   - Children inherit nothing; os removes no FIFO but any file; os/signal is told neither the sender nor a value.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"ctspeer"
)

func main() {
	library := ctspeer.Library[*net.UnixListener, stream]{
		Implementation: "go-net",
		Version:        runtime.Version(),
		Features: []string{
			"lanes", "close_while_in_use", "stream.duplex", "name.path", "name.namespaced",
			"local.connect.timeout", "listener.accept.timeout", "stream.read.timeout", "stream.write.timeout",
			"stream.peer_credentials.pid", "stream.peer_credentials.uid", "stream.peer_credentials.gid",
		},
		Listen:          listen,
		Connect:         connect,
		Accept:          accept,
		ListenerNative:  native,
		ListenerRaw:     func(l *net.UnixListener) (uintptr, error) { return raw(l) },
		ListenerRelease: releaseListener,
		ListenerAdopt:   adoptListener,
		ListenerClose:   (*net.UnixListener).Close,
		Read:            read,
		Write:           write,
		WriteVectored:   writeVectored,
		PeerCredentials: func(s stream) (ctspeer.Credentials, error) { return peerCredentials(s) },
		StreamRaw:       func(s stream) (uintptr, error) { return raw(s) },
		StreamRelease:   func(s stream) (uintptr, error) { return release(s) },
		StreamAdopt:     adoptStream,
		StreamClose:     func(s stream) error { return s.Close() },
		Others:          map[string]ctspeer.Operation{},
	}
	for _, group := range []func(*peerLibrary){addShutdown, addMessages, addAncillary, addPipes, addSignals} {
		group(&library)
	}
	err := ctspeer.Run(library)
	fmt.Fprintln(os.Stderr, "go-net:", err)
	os.Exit(1)
}

type peerLibrary = ctspeer.Library[*net.UnixListener, stream]

// stream is what a connection (*net.UnixConn) and the end of a pipe (*os.File) have in common.
type stream interface {
	io.ReadWriteCloser
	syscall.Conn
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// conn gives the connection of a stream: package os has no such function for a pipe.
func connOf(value any) (*net.UnixConn, error) {
	if conn, ok := value.(*net.UnixConn); ok {
		return conn, nil
	}
	return nil, ctspeer.Unsupported("an os.File has no such method")
}

// spell gives a name as the package takes it: a leading @ or NUL means the abstract namespace, anything else is a path.
func spell(name ctspeer.Name) string {
	if name.Kind == ctspeer.Namespaced {
		return "@" + name.Bytes
	}
	return name.Bytes
}

func listen(name ctspeer.Name, options ctspeer.ListenOptions) (*net.UnixListener, []byte, error) {
	listener, err := net.Listen("unix", spell(name))
	if err != nil {
		return nil, nil, err
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(!options.KeepName)
	address, err := native(listener.(*net.UnixListener))
	return listener.(*net.UnixListener), address, err
}

// native is the address bound. The package shows the NUL of an abstract one as @.
func native(listener *net.UnixListener) ([]byte, error) {
	address := []byte(listener.Addr().String())
	if len(address) > 0 && address[0] == '@' {
		address[0] = 0
	}
	return address, nil
}

func connect(ctx context.Context, name ctspeer.Name, options ctspeer.CallOptions) (stream, error) {
	if options.Timeout != nil {
		limited, cancel := context.WithTimeout(ctx, *options.Timeout)
		defer cancel()
		ctx = limited
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", spell(name))
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// withDeadline makes a call with the package's kind of timeout: a deadline set before and taken off after it.
func withDeadline(options ctspeer.CallOptions, set func(time.Time) error, act func() error) error {
	if options.Timeout == nil {
		return act()
	}
	if err := set(time.Now().Add(*options.Timeout)); err != nil {
		return err
	}
	err := act()
	if reset := set(time.Time{}); err == nil && reset != nil && !errors.Is(reset, net.ErrClosed) {
		err = reset
	}
	return err
}

func accept(listener *net.UnixListener, options ctspeer.CallOptions) (stream, error) {
	if listener.Addr().Network() != "unix" {
		return nil, ctspeer.Unsupported("a listener of the network " + listener.Addr().Network())
	}
	return acceptAny(listener, options)
}

func acceptAny(listener *net.UnixListener, options ctspeer.CallOptions) (conn *net.UnixConn, err error) {
	err = withDeadline(options, listener.SetDeadline, func() error {
		conn, err = listener.AcceptUnix()
		return err
	})
	return conn, err
}

func read(conn stream, buffer []byte, options ctspeer.CallOptions) (length int, err error) {
	err = withDeadline(options, conn.SetReadDeadline, func() error {
		length, err = conn.Read(buffer)
		return err
	})
	return length, err
}

func write(conn stream, data []byte, options ctspeer.CallOptions) (length int, err error) {
	err = withDeadline(options, conn.SetWriteDeadline, func() error {
		length, err = conn.Write(data)
		return err
	})
	return length, err
}

func writeVectored(conn stream, data [][]byte, options ctspeer.CallOptions) (length int, err error) {
	err = withDeadline(options, conn.SetWriteDeadline, func() error {
		buffers := net.Buffers(data)
		written, err := buffers.WriteTo(conn)
		length = int(written)
		return err
	})
	return length, err
}

// raw lends the descriptor.
func raw(socket syscall.Conn) (fd uintptr, err error) {
	control, err := socket.SyscallConn()
	if err == nil {
		err = control.Control(func(lent uintptr) { fd = lent })
	}
	return fd, err
}

func peerCredentials(socket any) (ctspeer.Credentials, error) {
	conn, err := connOf(socket)
	if err != nil {
		return ctspeer.Credentials{}, err
	}
	control, err := conn.SyscallConn()
	if err != nil {
		return ctspeer.Credentials{}, err
	}
	var found *syscall.Ucred
	var failed error
	err = control.Control(func(fd uintptr) {
		found, failed = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err = errors.Join(err, failed); err != nil {
		return ctspeer.Credentials{}, err
	}
	pid := uint64(found.Pid)
	return ctspeer.Credentials{PID: &pid, UID: &found.Uid, GID: &found.Gid}, nil
}

// detach takes the descriptor out of an os.File, which would close it some day.
func detach(file *os.File) (uintptr, error) {
	defer file.Close()
	return duplicate(file.Fd())
}

// duplicate makes a close-on-exec duplicate.
func duplicate(fd uintptr) (uintptr, error) {
	copied, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		return 0, os.NewSyscallError("fcntl", errno)
	}
	return copied, nil
}

func releaseListener(listener *net.UnixListener) (uintptr, error) {
	file, err := listener.File()
	if err != nil {
		return 0, err
	}
	fd, err := detach(file)
	if err != nil {
		return 0, err
	}
	listener.SetUnlinkOnClose(false)
	return fd, listener.Close()
}

// release duplicates the descriptor and closes the original.
func release(socket interface {
	syscall.Conn
	io.Closer
}) (uintptr, error) {
	lent, err := raw(socket)
	if err != nil {
		return 0, err
	}
	fd, err := duplicate(lent)
	if err != nil {
		return 0, err
	}
	return fd, socket.Close()
}

// borrowedFile is an os.File of a duplicate, so that closing it leaves the caller's descriptor alone.
func borrowedFile(fd uintptr) (*os.File, error) {
	copied, err := duplicate(fd)
	if err != nil {
		return nil, err
	}
	return os.NewFile(copied, "adopted"), nil
}

func adoptListener(fd uintptr) (*net.UnixListener, error) {
	file, err := borrowedFile(fd)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	local, ok := listener.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(&ctspeer.Failure{Status: "invalid_argument", Why: "no Unix socket"}, listener.Close())
	}
	return local, syscall.Close(int(fd))
}

func adoptStream(fd uintptr) (stream, error) {
	var status syscall.Stat_t
	if err := syscall.Fstat(int(fd), &status); err != nil {
		return nil, err
	}
	if status.Mode&syscall.S_IFMT == syscall.S_IFIFO {
		return os.NewFile(fd, "adopted"), nil
	}
	return adoptConn(fd, "unix")
}

// adoptConn makes a connection of a descriptor; the networks are those that it may be of.
func adoptConn(fd uintptr, networks ...string) (*net.UnixConn, error) {
	file, err := borrowedFile(fd)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	local, ok := conn.(*net.UnixConn)
	if !ok || !slices.Contains(networks, local.LocalAddr().Network()) {
		return nil, errors.Join(&ctspeer.Failure{Status: "invalid_argument", Why: "another kind of socket"}, conn.Close())
	}
	return local, syscall.Close(int(fd))
}
