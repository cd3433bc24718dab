//go:build windows

package main

import (
	"math"
	"net"

	"ctspeer"

	"github.com/Microsoft/go-winio"
)

// notConfigured are the arguments of named_pipe.listen that PipeConfig has nothing for, with what they are by default.
var notConfigured = map[string]string{
	"type": "bytes", "read_mode": "bytes", "direction": "duplex", "instances_max": "", "backlog": "", "share_name": "",
}

func addNamedPipes(library *ctspeer.Library[net.Listener, net.Conn]) {
	library.Others["named_pipe.listen"] = listenNamed
	library.Others["listener.accept_named_pipe"] = acceptNamed
	library.Others["named_pipe.connect"] = connectNamed
	library.Others["named_pipe.read"] = readNamed
	library.Others["named_pipe.write"] = writeNamed
	library.Others["named_pipe.flush"] = flushNamed
	library.Others["named_pipe.disconnect"] = disconnectNamed
	library.Closes = append(library.Closes, "named_pipe.close")
}

func unsupportedArgument(call ctspeer.Call, refused map[string]string) error {
	for argument, usual := range refused {
		if call.Has(argument) && (usual == "" || call.Text(argument) != usual) {
			return ctspeer.Unsupported("the package has no such choice: " + argument)
		}
	}
	return nil
}

func listenNamed(call ctspeer.Call) error {
	if err := unsupportedArgument(call, notConfigured); err != nil {
		return err
	}
	size := func(argument string) int32 {
		if !call.Has(argument) {
			return bufferSize
		}
		return int32(min(call.Unsigned(argument), math.MaxInt32))
	}
	call.Begin(ctspeer.Never)
	listener, native, err := listenWith(call.Name("kind", "name"),
		&winio.PipeConfig{InputBufferSize: size("in_size"), OutputBufferSize: size("out_size")})
	if err != nil {
		return err
	}
	call.Make("as", listener)
	call.SetBytes("native", native)
	return nil
}

func acceptNamed(call ctspeer.Call) error {
	listener, err := call.On()
	if err != nil {
		return err
	}
	call.Begin(ctspeer.Endable)
	conn, err := accept(listener.(net.Listener), call.Options())
	if err == nil {
		call.Make("as", conn)
	}
	return err
}

func connectNamed(call ctspeer.Call) error {
	if err := unsupportedArgument(call, map[string]string{"direction": "duplex", "read_mode": "bytes"}); err != nil {
		return err
	}
	call.Begin(ctspeer.Endable)
	conn, err := connect(call.Context(), call.Name("kind", "name"), call.Options())
	if err == nil {
		call.Make("as", conn)
	}
	return err
}

func readNamed(call ctspeer.Call) error {
	conn, err := call.On()
	if err != nil {
		return err
	}
	if call.Bool("whole") {
		return ctspeer.Unsupported("the package reads bytes")
	}
	buffer := make([]byte, min(call.Unsigned("max"), 1<<20))
	call.Begin(ctspeer.Endable)
	length, err := read(conn.(net.Conn), buffer, call.Options())
	call.SetConsumed(buffer[:length])
	return err
}

func writeNamed(call ctspeer.Call) error {
	conn, err := call.On()
	if err != nil {
		return err
	}
	data := call.Bytes("data")
	call.Begin(ctspeer.Endable)
	length, err := write(conn.(net.Conn), data, call.Options())
	call.Set("length", length)
	return err
}

// flushNamed waits in FlushFileBuffers, out of the package's reach.
func flushNamed(call ctspeer.Call) error {
	conn, err := call.On()
	if err != nil {
		return err
	}
	if call.Has("timeout_ms") {
		return ctspeer.Unsupported("Flush has no deadline")
	}
	call.Begin(ctspeer.Unendable)
	return conn.(winio.PipeConn).Flush()
}

func disconnectNamed(call ctspeer.Call) error {
	conn, err := call.On()
	if err != nil {
		return err
	}
	if call.Bool("flush") {
		return ctspeer.Unsupported("Disconnect does not wait")
	}
	call.Begin(ctspeer.Never)
	return conn.(winio.PipeConn).Disconnect()
}
