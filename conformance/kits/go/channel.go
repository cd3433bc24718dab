package ctspeer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
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

// lines cuts the input into lines. It never holds more than one block and one line of the longest kind.
type lines struct {
	input io.Reader
	max   int // bytes of a line with its LF
	block []byte
	rest  []byte // of the block
}

func newLines(input io.Reader, max int) *lines {
	return &lines{input: input, max: max, block: make([]byte, 65536)}
}

// next gives the next line without its end; tooLong says that it was longer than allowed and is gone. An unfinished
// last line is no line: io.EOF.
func (l *lines) next() (line []byte, tooLong bool, err error) {
	for {
		if len(l.rest) == 0 {
			read, err := l.input.Read(l.block)
			if l.rest = l.block[:read]; read == 0 {
				if err == nil {
					continue
				}
				return nil, false, err
			}
		}
		part, rest, ended := bytes.Cut(l.rest, []byte{'\n'})
		l.rest = rest
		// The LF counts, so that a line of exactly the limit has one byte less beside it.
		if tooLong = tooLong || len(line)+len(part) >= l.max; tooLong {
			line = nil
		} else {
			line = append(line, part...)
		}
		if ended {
			return bytes.TrimSuffix(line, []byte{'\r'}), tooLong, nil
		}
	}
}

// lineWriter is the writing side, used by every lane.
type lineWriter struct {
	mutex  sync.Mutex
	output io.Writer
}

// write sends one object in one piece. A runner that has gone is noticed at the end of input, not here.
func (w *lineWriter) write(message object) {
	line, err := json.Marshal(message)
	if err != nil {
		panic(fmt.Sprintf("a reply that is no JSON: %v", err))
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if _, err := w.output.Write(append(line, '\n')); err != nil {
		fmt.Fprintln(os.Stderr, "peer: cannot write a reply:", err)
	}
}
