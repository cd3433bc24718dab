// The peer of Go's package net: Unix stream sockets, as a Go program uses them.
//
// What the package has not got is not offered, and nothing here makes up for it:
//
//   - CloseWrite is a half close, not a split into two handles.
//   - There is no single attempt (wait: false) and no nonblocking switch: the runtime has both to itself.
//   - There is no vectored read; net.Buffers is the vectored write.
//   - A listener's Close removes the socket file, the default of net.Listen.
//   - A descriptor can be had as a duplicate only (File). To release is therefore to duplicate and to close the
//     original; to adopt is FileConn or FileListener and to close what was handed in, as their documentation asks for.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"

	"ctspeer"
)

func main() {
	err := ctspeer.Run(ctspeer.Library[*net.UnixListener, *net.UnixConn]{
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
		PeerCredentials: peerCredentials,
		StreamRaw:       func(c *net.UnixConn) (uintptr, error) { return raw(c) },
		StreamRelease:   releaseStream,
		StreamAdopt:     adoptStream,
		StreamClose:     (*net.UnixConn).Close,
	})
	fmt.Fprintln(os.Stderr, "go-net:", err)
	os.Exit(1)
}

// spell gives a name as the package takes it: a leading @ or NUL means the abstract namespace, anything else is a path.
func spell(name ctspeer.Name) string {
	if name.Kind == ctspeer.Namespaced {
		return "@" + name.Bytes
	}
	return name.Bytes
}

func listen(name ctspeer.Name, _ ctspeer.ListenOptions) (*net.UnixListener, []byte, error) {
	listener, err := net.Listen("unix", spell(name))
	if err != nil {
		return nil, nil, err
	}
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

func connect(ctx context.Context, name ctspeer.Name, options ctspeer.CallOptions) (*net.UnixConn, error) {
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

func accept(listener *net.UnixListener, options ctspeer.CallOptions) (conn *net.UnixConn, err error) {
	err = withDeadline(options, listener.SetDeadline, func() error {
		conn, err = listener.AcceptUnix()
		return err
	})
	return conn, err
}

func read(conn *net.UnixConn, buffer []byte, options ctspeer.CallOptions) (length int, err error) {
	err = withDeadline(options, conn.SetReadDeadline, func() error {
		length, err = conn.Read(buffer)
		return err
	})
	return length, err
}

func write(conn *net.UnixConn, data []byte, options ctspeer.CallOptions) (length int, err error) {
	err = withDeadline(options, conn.SetWriteDeadline, func() error {
		length, err = conn.Write(data)
		return err
	})
	return length, err
}

func writeVectored(conn *net.UnixConn, data [][]byte, options ctspeer.CallOptions) (length int, err error) {
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

func peerCredentials(conn *net.UnixConn) (ctspeer.Credentials, error) {
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

func releaseStream(conn *net.UnixConn) (uintptr, error) {
	file, err := conn.File()
	if err != nil {
		return 0, err
	}
	fd, err := detach(file)
	if err != nil {
		return 0, err
	}
	return fd, conn.Close()
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

func adoptStream(fd uintptr) (*net.UnixConn, error) {
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
	if !ok {
		return nil, errors.Join(&ctspeer.Failure{Status: "invalid_argument", Why: "no Unix socket"}, conn.Close())
	}
	return local, syscall.Close(int(fd))
}
