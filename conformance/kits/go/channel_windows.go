package ctspeer

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// rawKind is what the protocol calls a handle of this system.
const rawKind = "handle"

// closeRaw closes a handle of this system that was given away.
func closeRaw(handle uintptr) { _ = syscall.CloseHandle(syscall.Handle(handle)) }

// takeStandardStreams moves the channel away from the standard handles, to duplicates that no child inherits; standard
// input becomes the null device and standard output standard error, so that nothing that a library reads or prints there
// can meet the channel.
func takeStandardStreams() (input, output *os.File, err error) {
	if err = describeThread(); err != nil {
		return nil, nil, err
	}
	if input, err = moved(os.Stdin, "requests"); err != nil {
		return nil, nil, err
	}
	if output, err = moved(os.Stdout, "replies"); err != nil {
		return nil, nil, err
	}
	null, err := os.Open(os.DevNull) // stays open: it is standard input
	if err != nil {
		return nil, nil, err
	}
	os.Stdin, os.Stdout = null, os.Stderr
	syscall.Stdin, syscall.Stdout = syscall.Handle(null.Fd()), syscall.Stderr
	setStdHandle := syscall.NewLazyDLL("kernel32.dll").NewProc("SetStdHandle")
	for which, handle := range map[int]syscall.Handle{
		syscall.STD_INPUT_HANDLE: syscall.Stdin, syscall.STD_OUTPUT_HANDLE: syscall.Stdout,
	} {
		if done, _, err := setStdHandle.Call(uintptr(uint32(which)), uintptr(handle)); done == 0 {
			return nil, nil, os.NewSyscallError("SetStdHandle", err)
		}
	}
	return input, output, nil
}

// moved gives a duplicate that no child inherits, and closes the original: by its file, which would close whatever has
// the same number when it is collected.
func moved(from *os.File, name string) (*os.File, error) {
	self, _ := syscall.GetCurrentProcess()
	var to syscall.Handle
	err := syscall.DuplicateHandle(self, syscall.Handle(from.Fd()), self, &to, 0, false, syscall.DUPLICATE_SAME_ACCESS)
	if err != nil {
		return nil, os.NewSyscallError("DuplicateHandle", err)
	}
	if err = from.Close(); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(to), name), nil
}

// describeThread gives the calling thread, which is the main one, the description by which a runner finds the process
// on Wine (peer_protocol.md, 4.6). A system without descriptions is none on which that is asked for.
func describeThread() error {
	kernel := syscall.NewLazyDLL("kernel32.dll")
	describe, current, number := kernel.NewProc("SetThreadDescription"), kernel.NewProc("GetCurrentThread"),
		kernel.NewProc("GetCurrentThreadId")
	if describe.Find() != nil {
		return nil
	}
	id, _, _ := number.Call()
	thread, _, _ := current.Call()
	text, err := syscall.UTF16PtrFromString(fmt.Sprintf("cts-%d", uint32(id)))
	if err != nil {
		return err
	}
	_, _, _ = describe.Call(thread, uintptr(unsafe.Pointer(text)))
	return nil
}
