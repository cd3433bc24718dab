package ctspeer

import (
	"context"
	"slices"
	"time"
)

// NameKind is the kind of a local socket name.
type NameKind string

// The kinds of names. A native name is an address as the system binds it; on Linux an abstract one begins with a NUL.
const (
	Path       NameKind = "path"
	Namespaced NameKind = "namespaced"
	Native     NameKind = "native"
)

// Name is a local socket name; its bytes need be no UTF-8.
type Name struct {
	Kind  NameKind
	Bytes string
}

// ListenOptions are the options of listening. Those whose feature is not offered are never set.
type ListenOptions struct {
	Reclaim  bool
	Mode     *uint32 // permission bits
	Backlog  *uint32
	KeepName bool
}

// CallOptions are the options of calls that may wait.
type CallOptions struct {
	Timeout *time.Duration // the library's own
	Once    bool           // wait: false
}

// Credentials say who is at the other end, as far as the library does.
type Credentials struct {
	PID      *uint64
	UID, GID *uint32
}

// Library is the library under test: its calls, with L its listener and S its stream. What is nil is not offered.
// Functions make the library's call and nothing else: no retry, no waiting, no wake-up that the library does not do.
// An error is mapped by its class or its error number; io.EOF is the end.
type Library[L, S any] struct {
	Implementation, Version string
	Features, Traits        []string

	NameParse  func(text []byte) (NameKind, []byte, error)
	NameFormat func(name Name) ([]byte, error)
	NameNative func(name Name, os string) ([]byte, error)          // os: "" is this system
	NameLimit  func(kind NameKind, os string) (uint64, error)      // os: "" is this system
	Listen     func(Name, ListenOptions) (L, []byte, error)        // the address bound
	Connect    func(context.Context, Name, CallOptions) (S, error) // the context ends with a reset

	Accept                 func(L, CallOptions) (S, error)
	ListenerNative         func(L) ([]byte, error)
	ListenerSetNonblocking func(L, bool) error
	ListenerRaw            func(L) (fd uintptr, err error)
	ListenerRelease        func(L) (fd uintptr, err error)
	ListenerAdopt          func(fd uintptr) (L, error) // takes fd over if it succeeds, else leaves it alone
	ListenerClose          func(L) error

	Read                 func(S, []byte, CallOptions) (int, error)
	Write                func(S, []byte, CallOptions) (int, error)
	ReadVectored         func(S, [][]byte, CallOptions) (int, error)
	WriteVectored        func(S, [][]byte, CallOptions) (int, error) // must not keep or change the slices
	Flush                func(S) error
	Split                func(S) (reader, writer S, err error)
	PeerCredentials      func(S) (Credentials, error)
	StreamSetNonblocking func(S, bool) error
	StreamRaw            func(S) (fd uintptr, err error)
	StreamRelease        func(S) (fd uintptr, err error)
	StreamAdopt          func(fd uintptr) (S, error) // takes fd over if it succeeds, else leaves it alone
	StreamClose          func(S) error

	// Others are operations beside these, by name: stream.shutdown, socket.send, signal.send, ... One that closes a handle
	// (socket.close) stands in Closes instead: the kit calls the handle's Close.
	Others map[string]Operation
	Closes []string
}

// offered lists the operations whose calls are there, beside the control operations.
func (l *Library[L, S]) offered() []string {
	operations := []string{}
	for _, entry := range []struct {
		name   string
		exists bool
	}{
		{"name.parse", l.NameParse != nil}, {"name.format", l.NameFormat != nil},
		{"name.native", l.NameNative != nil}, {"name.limit", l.NameLimit != nil},
		{"local.listen", l.Listen != nil}, {"local.connect", l.Connect != nil},
		{"listener.accept", l.Accept != nil}, {"listener.native", l.ListenerNative != nil},
		{"listener.set_nonblocking", l.ListenerSetNonblocking != nil}, {"listener.raw", l.ListenerRaw != nil},
		{"listener.release", l.ListenerRelease != nil}, {"listener.adopt", l.ListenerAdopt != nil},
		{"listener.close", l.ListenerClose != nil},
		{"stream.read", l.Read != nil}, {"stream.write", l.Write != nil},
		{"stream.read_vectored", l.ReadVectored != nil}, {"stream.write_vectored", l.WriteVectored != nil},
		{"stream.flush", l.Flush != nil}, {"stream.split", l.Split != nil},
		{"stream.peer_credentials", l.PeerCredentials != nil},
		{"stream.set_nonblocking", l.StreamSetNonblocking != nil}, {"stream.raw", l.StreamRaw != nil},
		{"stream.release", l.StreamRelease != nil}, {"stream.adopt", l.StreamAdopt != nil},
		{"stream.close", l.StreamClose != nil},
	} {
		if entry.exists {
			operations = append(operations, entry.name)
		}
	}
	for name := range l.Others {
		operations = append(operations, name)
	}
	operations = append(operations, l.Closes...)
	slices.Sort(operations)
	return operations
}
