package ctspeer

import (
	"context"
	"strings"
)

// Operation performs an operation that Library has no field for. It makes the library's call and nothing else, as the
// functions there do; a handle of another kind than listener, stream and process is an io.Closer.
type Operation func(Call) error

// Call is a request that an Operation performs: its checked arguments, its handle, its results.
type Call interface {
	Operation() string             // as in operations.toml
	On() (any, error)              // the handle in `on`, which the call is inside of from now on
	Consume(func(any) error) error // takes the handle in `on` away, and gives it back if the function fails
	Options() CallOptions
	Context() context.Context // ends with a reset
	Begin(waits Waits)        // the last act before the library is called

	Has(argument string) bool
	Bool(argument string) bool // false if it was not given
	Text(argument string) string
	Bytes(argument string) []byte // also of data, a pattern among them
	Unsigned(argument string) uint64
	Signed(argument string) int64
	Numbers(argument string) []uint64
	Texts(argument string) []string
	Name(kind, name string) Name // of the arguments with these names
	FD() (uintptr, error)        // the descriptor in `raw`

	Set(result string, value any)
	SetBytes(result string, value []byte)
	SetConsumed(data []byte) // length, crc32 and data
	SetRaw(fd uintptr)
	Make(key string, value any) // gives a new handle the name in the request under key
	Own(fd uintptr)             // a descriptor that was given away: a reset closes it
	Disown(fd uintptr)          // that belongs to a handle again
	Leaves(path string)         // a file that the library does not remove by itself: a reset does
}

// Waits says how long a call may take.
type Waits int

// Unendable: it may wait, and neither a close nor a reset ends it; a reset answers `busy` then.
const (
	Never Waits = iota
	Endable
	Unendable
)

func (c *call[L, S]) Operation() string { return c.request.op }

func (c *call[L, S]) On() (any, error) {
	target, err := c.enter()
	if err != nil {
		return nil, err
	}
	return target.value, nil
}

func (c *call[L, S]) Consume(use func(any) error) error {
	target, err := c.take()
	if err != nil {
		return err
	}
	c.begin(false)
	if err := use(target.value); err != nil {
		c.make("on", target.kind, target.value)
		return err
	}
	c.emptied(target)
	return nil
}

func (c *call[L, S]) Options() CallOptions     { return c.options() }
func (c *call[L, S]) Context() context.Context { return c.context }

func (c *call[L, S]) Begin(waits Waits) {
	c.peer.mutex.Lock()
	c.running.unendable = waits == Unendable
	c.peer.mutex.Unlock()
	c.begin(waits != Never)
}

func (c *call[L, S]) Has(argument string) bool {
	_, given := c.arguments[argument]
	return given
}

func (c *call[L, S]) Bool(argument string) bool { return c.arguments[argument] == true }

func (c *call[L, S]) Text(argument string) string {
	text, _ := c.arguments[argument].(string)
	return text
}

func (c *call[L, S]) Bytes(argument string) []byte {
	switch value := c.arguments[argument].(type) {
	case []byte:
		return value
	case data:
		return value.slice(0, value.len())
	}
	return nil
}

func (c *call[L, S]) Unsigned(argument string) uint64 {
	value, _ := c.arguments.unsigned(argument)
	return value
}

func (c *call[L, S]) Signed(argument string) int64 {
	value, _ := c.arguments[argument].(int64)
	return value
}

func (c *call[L, S]) Numbers(argument string) []uint64 {
	numbers, _ := c.arguments[argument].([]uint64)
	return numbers
}

func (c *call[L, S]) Texts(argument string) []string {
	texts, _ := c.arguments[argument].([]string)
	return texts
}

func (c *call[L, S]) Name(kind, name string) Name {
	return Name{NameKind(c.Text(kind)), string(c.Bytes(name))}
}

func (c *call[L, S]) FD() (uintptr, error) {
	raw, _ := c.arguments["raw"].(rawHandle)
	if raw.kind != rawKind || raw.value > 1<<31-1 {
		return 0, invalid("raw is no descriptor of this system")
	}
	return uintptr(raw.value), nil
}

func (c *call[L, S]) Set(result string, value any)         { c.results[result] = value }
func (c *call[L, S]) SetBytes(result string, value []byte) { c.results[result] = bytesJSON(value) }
func (c *call[L, S]) SetRaw(fd uintptr)                    { c.results["raw"] = rawJSON(fd) }

func (c *call[L, S]) SetConsumed(data []byte) {
	consumed := &digest{}
	consumed.add(data)
	consumed.results(c.results)
}

func (c *call[L, S]) Make(key string, value any) {
	c.make(key, spec().Operations[c.request.op].Makes[key], value)
}

func (c *call[L, S]) Own(fd uintptr) {
	c.peer.mutex.Lock()
	defer c.peer.mutex.Unlock()
	c.peer.released[fd] = true
}

func (c *call[L, S]) Leaves(path string) {
	c.peer.mutex.Lock()
	defer c.peer.mutex.Unlock()
	c.peer.left = append(c.peer.left, path)
}

func (c *call[L, S]) Disown(fd uintptr) {
	c.peer.mutex.Lock()
	defer c.peer.mutex.Unlock()
	delete(c.peer.released, fd)
}

// isClose says whether an operation closes its handle, which the kit does itself.
func isClose(operation string) bool { return strings.HasSuffix(operation, ".close") }
