//go:build unix

package ctspeer

import (
	"os"
	"syscall"
)

// channelFDMin is the lowest descriptor the channel moves to: what a library opens first stays where it would be
// without the channel.
const channelFDMin = 64

// takeStandardStreams moves the channel away from descriptors 0 and 1, close-on-exec; 0 becomes the null device and 1
// standard error, so that nothing that a library reads or prints there can meet the channel. In a child of another peer
// the channel is the connection to the socket that the environment names.
func takeStandardStreams() (input, output *os.File, err error) {
	from, to := 0, 1
	if control, isChild := os.LookupEnv(controlVariable); isChild {
		if from, err = connectControl(control); err != nil {
			return nil, nil, err
		}
		defer syscall.Close(from)
		to = from
		_ = os.Unsetenv(controlVariable)
	}
	if input, err = moved(uintptr(from), "requests"); err != nil {
		return nil, nil, err
	}
	if output, err = moved(uintptr(to), "replies"); err != nil {
		return nil, nil, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, nil, err
	}
	defer null.Close()
	if err = replaceFD(int(null.Fd()), 0); err == nil {
		err = replaceFD(2, 1)
	}
	return input, output, err
}

// connectControl gives a descriptor that is connected to the Unix stream socket at path.
func connectControl(path string) (fd int, err error) {
	syscall.ForkLock.RLock()
	if fd, err = syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0); err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		_ = syscall.Close(fd)
		return -1, os.NewSyscallError("connect", err)
	}
	return fd, nil
}

// moved gives a close-on-exec duplicate out of the way of low descriptors.
func moved(fd uintptr, name string) (*os.File, error) {
	duplicate, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_DUPFD_CLOEXEC, channelFDMin)
	if errno != 0 {
		return nil, os.NewSyscallError("fcntl", errno)
	}
	return os.NewFile(duplicate, name), nil
}

// rawKind is what the protocol calls a handle of this system.
const rawKind = "fd"

// closeRaw closes a handle of this system that was given away.
func closeRaw(fd uintptr) { _ = syscall.Close(int(fd)) }
