package main

import (
	"os"
	"syscall"

	"ctspeer"
)

func addPipes(library *peerLibrary) {
	library.Others["pipe.create"] = createPipe
	library.Others["fifo.create"] = createFifo
	library.Others["fifo.open"] = openFifo
}

func createPipe(call ctspeer.Call) error {
	call.Begin(ctspeer.Never)
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	call.Make("read_as", reader)
	call.Make("write_as", writer)
	return nil
}

func createFifo(call ctspeer.Call) error {
	call.Begin(ctspeer.Never)
	return syscall.Mkfifo(string(call.Bytes("path")), uint32(call.Unsigned("mode")))
}

// openFifo waits in open(2), out of the runtime's reach.
func openFifo(call ctspeer.Call) error {
	access := os.O_RDONLY
	if call.Text("direction") == "write" {
		access = os.O_WRONLY
	}
	call.Begin(ctspeer.Unendable)
	file, err := os.OpenFile(string(call.Bytes("path")), access, 0)
	if err == nil {
		call.Make("as", file)
	}
	return err
}
