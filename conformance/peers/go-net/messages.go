package main

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"

	"ctspeer"
)

// networks are the package's names of the types of sockets.
var networks = map[string]string{"stream": "unix", "datagram": "unixgram", "seqpacket": "unixpacket"}

// socket is a socket that moves messages. A seqpacket is nil until it is connected: the package makes no other.
type socket struct {
	network string
	*net.UnixConn
}

func (s *socket) Close() error {
	if s.UnixConn == nil {
		return nil
	}
	return s.UnixConn.Close()
}

func addMessages(library *peerLibrary) {
	library.Features = append(library.Features, "unix.seqpacket", "unix.abstract", "unix.autobind", "stream.half_close",
		"stream.shutdown.read", "local.listen.keep_name", "socket.send.timeout", "socket.receive.timeout", "socket.connect.timeout")
	library.Closes = append(library.Closes, "socket.close")
	for name, operation := range map[string]ctspeer.Operation{
		"unix.listen":             unixListen,
		"listener.accept_socket":  acceptSocket,
		"socket.open":             openSocket,
		"socket.bind":             bindSocket,
		"socket.connect":          connectSocket,
		"socket.native":           socketNative,
		"socket.send":             send,
		"socket.receive":          receive,
		"socket.shutdown":         shutdownSocket,
		"socket.peer_credentials": socketCredentials,
		"socket.raw":              socketRaw,
		"socket.release":          releaseSocket,
		"socket.adopt":            adoptSocket,
	} {
		library.Others[name] = operation
	}
}

// socketOn is the socket that a request acts on.
func socketOn(call ctspeer.Call) (*socket, error) {
	value, err := call.On()
	if err != nil {
		return nil, err
	}
	target := value.(*socket)
	if target.UnixConn == nil && call.Operation() != "socket.connect" {
		return nil, ctspeer.Unsupported("the package makes no unixpacket that is not connected")
	}
	return target, nil
}

// address is the name in a request; autobind is the empty one.
func address(call ctspeer.Call, network string) (*net.UnixAddr, error) {
	if call.Bool("autobind") {
		return &net.UnixAddr{Net: network}, nil
	}
	if !call.Has("kind") || !call.Has("name") {
		return nil, &ctspeer.Failure{Status: "invalid_argument", Why: "neither a name nor autobind"}
	}
	return &net.UnixAddr{Name: spell(call.Name("kind", "name")), Net: network}, nil
}

// nativeOf is an address as the system has it: the package shows the NUL of an abstract one as @.
func nativeOf(address net.Addr) []byte {
	local, ok := address.(*net.UnixAddr)
	if !ok || local == nil {
		return nil
	}
	bytes := []byte(local.Name)
	if len(bytes) > 0 && bytes[0] == '@' {
		bytes[0] = 0
	}
	return bytes
}

func unixListen(call ctspeer.Call) error {
	network := networks[call.Text("type")]
	where, err := address(call, network)
	if err != nil {
		return err
	}
	call.Begin(ctspeer.Never)
	listener, err := net.ListenUnix(network, where)
	if err != nil {
		return err
	}
	listener.SetUnlinkOnClose(!call.Bool("keep_name"))
	call.Make("as", listener)
	call.SetBytes("native", nativeOf(listener.Addr()))
	return nil
}

func acceptSocket(call ctspeer.Call) error {
	value, err := call.On()
	if err != nil {
		return err
	}
	listener := value.(*net.UnixListener)
	if listener.Addr().Network() != "unixpacket" {
		return ctspeer.Unsupported("a listener of the network " + listener.Addr().Network())
	}
	call.Begin(ctspeer.Endable)
	conn, err := acceptAny(listener, call.Options())
	if err == nil {
		call.Make("as", &socket{"unixpacket", conn})
	}
	return err
}

// openSocket makes what the package has no function for, a datagram socket without a name, in the way that its
// documentation points to: a descriptor of package syscall, and net.FileConn.
func openSocket(call ctspeer.Call) error {
	network := networks[call.Text("type")]
	call.Begin(ctspeer.Never)
	if network == "unixpacket" {
		call.Make("as", &socket{network, nil})
		return nil
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	conn, err := adoptConn(uintptr(fd), network)
	if err != nil {
		return errors.Join(err, syscall.Close(fd))
	}
	call.Make("as", &socket{network, conn})
	return nil
}

func bindSocket(call ctspeer.Call) error {
	where, err := address(call, "unixgram")
	if err != nil {
		return err
	}
	call.Begin(ctspeer.Never)
	conn, err := net.ListenUnixgram("unixgram", where)
	if err != nil {
		return err
	}
	if where.Name != "" && where.Name[0] != '@' {
		call.Leaves(where.Name) // the package removes the files of listeners alone
	}
	call.Make("as", &socket{"unixgram", conn})
	call.SetBytes("native", nativeOf(conn.LocalAddr()))
	return nil
}

// connectSocket dials a seqpacket. Datagram sockets are connected when they are made in this package; one that exists is
// connected with connect(2) itself.
func connectSocket(call ctspeer.Call) error {
	target, err := socketOn(call)
	if err != nil {
		return err
	}
	where := spell(call.Name("kind", "name"))
	if target.network == "unixpacket" {
		return dialSocket(call, target, where)
	}
	control, err := target.SyscallConn()
	if err != nil {
		return err
	}
	call.Begin(ctspeer.Never)
	var failed error
	err = control.Control(func(fd uintptr) {
		failed = syscall.Connect(int(fd), &syscall.SockaddrUnix{Name: where})
	})
	return errors.Join(err, os.NewSyscallError("connect", failed))
}

func dialSocket(call ctspeer.Call, target *socket, where string) error {
	if target.UnixConn != nil {
		return ctspeer.Unsupported("the package connects a unixpacket once, when it is made")
	}
	ctx := call.Context()
	if timeout := call.Options().Timeout; timeout != nil {
		limited, cancel := context.WithTimeout(ctx, *timeout)
		defer cancel()
		ctx = limited
	}
	call.Begin(ctspeer.Endable)
	conn, err := new(net.Dialer).DialContext(ctx, target.network, where)
	if err == nil {
		target.UnixConn = conn.(*net.UnixConn)
	}
	return err
}

func socketNative(call ctspeer.Call) error {
	target, err := socketOn(call)
	if err != nil {
		return err
	}
	call.Begin(ctspeer.Never)
	call.SetBytes("native", nativeOf(target.LocalAddr()))
	return nil
}

func send(call ctspeer.Call) error {
	target, err := socketOn(call)
	if err != nil {
		return err
	}
	beside, err := controlOf(call)
	if err != nil {
		return err
	}
	var to *net.UnixAddr
	if call.Has("to") {
		to = &net.UnixAddr{Name: spell(call.Name("to_kind", "to")), Net: target.network}
	}
	message := call.Bytes("data")
	call.Begin(ctspeer.Endable)
	sent := 0
	err = withDeadline(call.Options(), target.SetWriteDeadline, func() error {
		var failed error
		sent, _, failed = target.WriteMsgUnix(message, beside, to)
		return failed
	})
	call.Set("length", sent)
	if errors.Is(err, net.ErrWriteToConnected) {
		return &ctspeer.Failure{Status: "already_connected", Why: err.Error()}
	}
	return err
}

func receive(call ctspeer.Call) error {
	target, err := socketOn(call)
	if err != nil {
		return err
	}
	buffer := make([]byte, call.Unsigned("max"))
	beside := make([]byte, roomFor(call, target))
	call.Begin(ctspeer.Endable)
	var length, besideLength, flags int
	var from *net.UnixAddr
	err = withDeadline(call.Options(), target.SetReadDeadline, func() (failed error) {
		length, besideLength, flags, from, failed = target.ReadMsgUnix(buffer, beside)
		return failed
	})
	call.SetConsumed(buffer[:min(max(length, 0), len(buffer))]) // -1 beside an error
	if err != nil {
		return err
	}
	if from != nil && from.Name != "" {
		call.SetBytes("from", nativeOf(from))
	}
	if err := setBeside(call, beside[:besideLength], flags); err != nil {
		return err
	}
	if flags&syscall.MSG_TRUNC != 0 {
		return &ctspeer.Failure{Status: "message_truncated", Why: "MSG_TRUNC"}
	}
	return nil
}

func shutdownSocket(call ctspeer.Call) error {
	target, err := socketOn(call)
	if err != nil {
		return err
	}
	call.Begin(ctspeer.Never)
	return shutdown(target.UnixConn, call.Text("how"))
}

func shutdown(conn *net.UnixConn, how string) error {
	var reading, writing error
	if how != "write" {
		reading = conn.CloseRead()
	}
	if how != "read" {
		writing = conn.CloseWrite()
	}
	return errors.Join(reading, writing)
}

// addShutdown offers the half closes of streams.
func addShutdown(library *peerLibrary) {
	library.Others["stream.shutdown"] = func(call ctspeer.Call) error {
		value, err := call.On()
		if err != nil {
			return err
		}
		conn, err := connOf(value)
		if err != nil {
			return err
		}
		call.Begin(ctspeer.Never)
		return shutdown(conn, call.Text("how"))
	}
}

func socketCredentials(call ctspeer.Call) error {
	target, err := socketOn(call)
	if err != nil {
		return err
	}
	call.Begin(ctspeer.Never)
	found, err := peerCredentials(target.UnixConn)
	if err != nil {
		return err
	}
	call.Set("pid", *found.PID)
	call.Set("uid", *found.UID)
	call.Set("gid", *found.GID)
	return nil
}

func socketRaw(call ctspeer.Call) error {
	target, err := socketOn(call)
	if err != nil {
		return err
	}
	call.Begin(ctspeer.Never)
	fd, err := raw(target)
	if err == nil {
		call.SetRaw(fd)
	}
	return err
}

func releaseSocket(call ctspeer.Call) error {
	return call.Consume(func(value any) error {
		fd, err := release(value.(*socket))
		if err == nil {
			call.Own(fd)
			call.SetRaw(fd)
		}
		return err
	})
}

func adoptSocket(call ctspeer.Call) error {
	fd, err := call.FD()
	if err != nil {
		return err
	}
	call.Begin(ctspeer.Never)
	conn, err := adoptConn(fd, "unixgram", "unixpacket")
	if err != nil {
		return err
	}
	call.Disown(fd)
	call.Make("as", &socket{conn.LocalAddr().Network(), conn})
	return nil
}
