package ctspeer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"unicode/utf8"
)

const whyMax = 500 // bytes

// Failure is an error whose status a peer knows itself.
type Failure struct {
	Status string // one of the statuses of operations.toml, not ok
	Why    string // for people
}

func (f *Failure) Error() string { return f.Why }

// Unsupported is the error of what neither the library nor its peer offers.
func Unsupported(why string) error { return &Failure{"unsupported", why} }

func invalid(format string, values ...any) error {
	return &Failure{"invalid_argument", fmt.Sprintf(format, values...)}
}

// statusOf maps an error: the kit's and the standard library's classes first, then the system's number by the table.
// native is that number, or 0.
func statusOf(err error) (status string, native int) {
	var failure *Failure
	var errno syscall.Errno
	if errors.As(err, &errno) {
		native = int(errno)
	}
	switch {
	case err == nil:
		return "ok", 0
	case errors.As(err, &failure):
		return failure.Status, native
	case errors.Is(err, io.EOF):
		return "end", native
	case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrClosed), errors.Is(err, context.Canceled):
		// The handle's name goes before the handle, so that only operations under way can meet this.
		return "cancelled", native
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "timed_out", native
	case native != 0:
		return statusOfErrno(errno), native
	}
	return "failed", 0
}

// statusOfErrno looks in the table; what is not listed is failed.
func statusOfErrno(errno syscall.Errno) string {
	if status, listed := errnoTable()[errno]; listed {
		return status
	}
	return "failed"
}

var errnoTable = sync.OnceValue(func() map[syscall.Errno]string {
	table := map[syscall.Errno]string{}
	for name, status := range nativeStatuses() {
		if errno, known := errnoNumbers[name]; known {
			table[errno] = status
		}
	}
	return table
})

// cutWhy keeps a text valid UTF-8 and within its limit.
func cutWhy(text string) string {
	text = strings.ToValidUTF8(text, "?")
	for len(text) > whyMax {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}
