package ctspeer

import (
	"errors"
	"io"
	"strconv"
	"syscall"
	"time"
)

const bufferDefault = 65536 // bytes of a read's buffer if the request does not say

// perform does what the request asks, and fills in the results, which count whatever the error is.
func (c *call[L, S]) perform() error {
	if other, exists := c.peer.library.Others[c.request.op]; exists {
		return other(c)
	}
	if isClose(c.request.op) {
		return c.close()
	}
	switch c.request.op {
	case "name.parse", "name.format", "name.native", "name.limit":
		return c.name()
	case "local.listen":
		return c.listen()
	case "local.connect":
		return c.connect()
	case "listener.accept":
		return c.accept()
	case "listener.adopt":
		return adopt(c, "listener", c.peer.library.ListenerAdopt)
	case "stream.adopt":
		return adopt(c, "stream", c.peer.library.StreamAdopt)
	case "listener.release":
		return release(c, c.peer.library.ListenerRelease)
	case "stream.release":
		return release(c, c.peer.library.StreamRelease)
	case "process.spawn":
		return c.processSpawn()
	case "stream.split":
		return c.split()
	}
	target, err := c.enter()
	if err != nil {
		return err
	}
	switch target.kind {
	case "listener":
		return c.onListener(target.value.(L))
	case "process":
		return c.processWait(target.value.(*child))
	}
	return c.onStream(target.value.(S))
}

func (c *call[L, S]) onListener(listener L) error {
	library := &c.peer.library
	switch c.request.op {
	case "listener.native":
		c.begin(false)
		native, err := library.ListenerNative(listener)
		return c.result(err, "native", bytesJSON(native))
	case "listener.set_nonblocking":
		c.begin(false)
		return library.ListenerSetNonblocking(listener, c.arguments["nonblocking"] == true)
	case "listener.raw":
		c.begin(false)
		fd, err := library.ListenerRaw(listener)
		return c.result(err, "raw", rawJSON(fd))
	}
	return Unsupported("the kit does not know " + c.request.op)
}

func (c *call[L, S]) onStream(stream S) error {
	library := &c.peer.library
	switch c.request.op {
	case "stream.read":
		return c.read(stream)
	case "stream.write":
		return c.write(stream)
	case "stream.read_vectored":
		return c.readVectored(stream)
	case "stream.write_vectored":
		return c.writeVectored(stream)
	case "stream.flush":
		c.begin(true)
		return library.Flush(stream)
	case "stream.peer_credentials":
		return c.peerCredentials(stream)
	case "stream.set_nonblocking":
		c.begin(false)
		return library.StreamSetNonblocking(stream, c.arguments["nonblocking"] == true)
	case "stream.raw":
		c.begin(false)
		fd, err := library.StreamRaw(stream)
		return c.result(err, "raw", rawJSON(fd))
	}
	return Unsupported("the kit does not know " + c.request.op)
}

// begin says that the library is called next: the last act before it. Only the first call is announced. waits: the
// call may wait.
func (c *call[L, S]) begin(waits bool) {
	c.peer.mutex.Lock()
	first := !c.running.begun
	c.running.begun = true
	if waits && !c.running.waits {
		c.running.waits = true
		c.peer.ended.Broadcast()
	}
	c.peer.mutex.Unlock()
	if first && c.request.fields["watch"] == true {
		// A goroutine has no thread of its own: 0.
		c.peer.output.write(object{"id": c.request.id, "event": "begun", "tid": 0})
	}
}

// result notes a result if there was no error.
func (c *call[L, S]) result(err error, key string, value any) error {
	if err == nil {
		c.results[key] = value
	}
	return err
}

func (c *call[L, S]) options() CallOptions {
	options := CallOptions{Once: c.arguments["wait"] == false}
	if milliseconds, given := c.arguments.unsigned("timeout_ms"); given {
		// A longer one than a Duration holds never expires in practice; it is not wrapped into a short one.
		timeout := time.Duration(min(milliseconds, uint64(1<<63-1)/uint64(time.Millisecond))) * time.Millisecond
		options.Timeout = &timeout
	}
	return options
}

// nameArgument is the name in the request.
func (c *call[L, S]) nameArgument() Name {
	kind, _ := c.arguments["kind"].(string)
	bytes, _ := c.arguments["name"].([]byte)
	return Name{NameKind(kind), string(bytes)}
}

// enter finds the handle in `on`.
func (c *call[L, S]) enter() (*handle, error) {
	c.peer.mutex.Lock()
	defer c.peer.mutex.Unlock()
	name, _ := c.request.fields["on"].(string)
	target := c.peer.names[name]
	if target == nil {
		return nil, invalid("the handle is gone")
	}
	c.running.handle = target
	return target, nil
}

// take finds the handle in `on` and takes its name away.
func (c *call[L, S]) take() (*handle, error) {
	c.peer.mutex.Lock()
	defer c.peer.mutex.Unlock()
	name, _ := c.request.fields["on"].(string)
	target := c.peer.names[name]
	if target == nil {
		return nil, invalid("the handle is gone")
	}
	if c.peer.inside(target) && !c.peer.canClose(target) {
		return nil, &Failure{"busy", "another lane is inside of the handle, and the library cannot close it then"}
	}
	delete(c.peer.names, name)
	return target, nil
}

// emptied waits until nobody is inside of a handle any more.
func (c *call[L, S]) emptied(target *handle) {
	c.peer.mutex.Lock()
	defer c.peer.mutex.Unlock()
	for c.peer.inside(target) {
		c.peer.ended.Wait()
	}
}

// make gives a new handle the name under key.
func (c *call[L, S]) make(key, kind string, value any) {
	c.peer.mutex.Lock()
	defer c.peer.mutex.Unlock()
	name, _ := c.request.fields[key].(string)
	c.peer.names[name] = &handle{kind, value}
}

func (c *call[L, S]) name() error {
	library := &c.peer.library
	os, _ := c.arguments["os"].(string)
	c.begin(false)
	switch c.request.op {
	case "name.parse":
		text, _ := c.arguments["text"].([]byte)
		kind, name, err := library.NameParse(text)
		if err == nil {
			c.results["kind"] = string(kind)
		}
		return c.result(err, "name", bytesJSON(name))
	case "name.format":
		text, err := library.NameFormat(c.nameArgument())
		return c.result(err, "text", bytesJSON(text))
	case "name.native":
		native, err := library.NameNative(c.nameArgument(), os)
		return c.result(err, "native", bytesJSON(native))
	}
	longest, err := library.NameLimit(c.nameArgument().Kind, os)
	return c.result(err, "max", longest)
}

func (c *call[L, S]) listen() error {
	options := ListenOptions{Reclaim: c.arguments["reclaim"] == true, KeepName: c.arguments["keep_name"] == true}
	if mode, given := c.arguments.unsigned("mode"); given {
		bits := uint32(mode)
		options.Mode = &bits
	}
	if backlog, given := c.arguments.unsigned("backlog"); given {
		hint := uint32(backlog)
		options.Backlog = &hint
	}
	c.begin(false)
	listener, native, err := c.peer.library.Listen(c.nameArgument(), options)
	if err == nil {
		c.make("as", "listener", listener)
	}
	return c.result(err, "native", bytesJSON(native))
}

func (c *call[L, S]) connect() error {
	c.begin(true)
	stream, err := c.peer.library.Connect(c.context, c.nameArgument(), c.options())
	if err == nil {
		c.make("as", "stream", stream)
	}
	return err
}

func (c *call[L, S]) accept() error {
	target, err := c.enter()
	if err != nil {
		return err
	}
	c.begin(true)
	stream, err := c.peer.library.Accept(target.value.(L), c.options())
	if err == nil {
		c.make("as", "stream", stream)
	}
	return err
}

func (c *call[L, S]) close() error {
	target, err := c.take()
	if err != nil {
		return err
	}
	c.begin(false)
	err = c.peer.close(target)
	c.emptied(target)
	return err
}

func (c *call[L, S]) split() error {
	c.peer.mutex.Lock()
	name, _ := c.request.fields["on"].(string)
	busy := c.peer.names[name] != nil && c.peer.inside(c.peer.names[name])
	c.peer.mutex.Unlock()
	if busy {
		return &Failure{"busy", "an operation is under way on the stream"}
	}
	target, err := c.take()
	if err != nil {
		return err
	}
	c.begin(false)
	reader, writer, err := c.peer.library.Split(target.value.(S))
	if err != nil {
		c.make("on", target.kind, target.value)
		return err
	}
	c.make("read_as", "stream", reader)
	c.make("write_as", "stream", writer)
	return nil
}

func rawJSON(fd uintptr) object {
	return object{"kind": rawKind, "value": strconv.FormatUint(uint64(fd), 10)}
}

// release gives a descriptor away: the peer owns it from then on, until it is adopted or a reset closes it.
func release[L, S, H any](c *call[L, S], give func(H) (uintptr, error)) error {
	target, err := c.take()
	if err != nil {
		return err
	}
	c.begin(false)
	fd, err := give(target.value.(H))
	if err != nil {
		c.make("on", target.kind, target.value)
		return err
	}
	c.emptied(target)
	c.peer.mutex.Lock()
	c.peer.released[fd] = true
	c.peer.mutex.Unlock()
	return c.result(nil, "raw", rawJSON(fd))
}

// adopt makes a handle of a descriptor; whether that is a socket of the right kind is the library's business.
func adopt[L, S, H any](c *call[L, S], kind string, take func(uintptr) (H, error)) error {
	raw, _ := c.arguments["raw"].(rawHandle)
	if raw.kind != rawKind || raw.value > 1<<31-1 {
		return invalid("raw is no descriptor of this system")
	}
	fd := uintptr(raw.value)
	c.begin(false)
	made, err := take(fd)
	if err != nil {
		return err
	}
	c.peer.mutex.Lock()
	delete(c.peer.released, fd)
	c.peer.mutex.Unlock()
	c.make("as", kind, made)
	return nil
}

func (c *call[L, S]) peerCredentials(stream S) error {
	c.begin(false)
	credentials, err := c.peer.library.PeerCredentials(stream)
	if err == nil && credentials.PID != nil {
		c.results["pid"] = *credentials.PID
	}
	if err == nil && credentials.UID != nil {
		c.results["uid"] = *credentials.UID
	}
	if err == nil && credentials.GID != nil {
		c.results["gid"] = *credentials.GID
	}
	return err
}

// read repeats the library's read until `until` holds, or it says something else than ok.
func (c *call[L, S]) read(stream S) error {
	consumed := &digest{}
	consumed.chunk, _ = c.arguments.unsigned("chunk")
	defer func() { consumed.results(c.results) }()
	most, given := c.arguments.unsigned("max")
	if !given {
		most = bufferDefault
		if c.arguments["until"] == "end" {
			most = 1<<64 - 1
		}
	}
	size, given := c.arguments.unsigned("buffer")
	if !given {
		size = bufferDefault
	}
	buffer := make([]byte, min(size, most))
	for {
		room := buffer[:min(uint64(len(buffer)), most-consumed.length)]
		c.begin(true)
		length, err := c.peer.library.Read(stream, room, c.options())
		if length < 0 || length > len(room) {
			return &Failure{"failed", "the library's read gave an impossible length"}
		}
		consumed.add(room[:length])
		done := consumed.length >= most || (c.arguments["until"] == "some" && (length > 0 || len(room) == 0))
		// io.Reader may give bytes together with an error: the bytes decide, and the error comes again.
		if done && (err == nil || length > 0) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (c *call[L, S]) readVectored(stream S) error {
	consumed := &digest{}
	defer func() { consumed.results(c.results) }()
	lengths, _ := c.arguments["lengths"].([]uint64)
	buffers := make([][]byte, len(lengths))
	for i, length := range lengths {
		buffers[i] = make([]byte, length)
	}
	c.begin(true)
	left, err := c.peer.library.ReadVectored(stream, buffers, c.options())
	for _, buffer := range buffers {
		part := min(left, len(buffer))
		consumed.add(buffer[:part])
		left -= part
	}
	if consumed.length > 0 && errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// writeAll repeats attempt, which gets the number of bytes accepted so far and tells how many more were, until all are.
func (c *call[L, S]) writeAll(total int, attempt func(from int) (int, error)) error {
	accepted := 0
	defer func() { c.results["length"] = accepted }()
	for {
		c.begin(true)
		length, err := attempt(accepted)
		if length < 0 || length > total-accepted {
			return &Failure{"failed", "the library's write gave an impossible length"}
		}
		accepted += length
		if once := c.arguments["wait"] == false; once && accepted > 0 && errors.Is(err, syscall.EAGAIN) {
			return nil
		}
		if err != nil || accepted == total {
			return err
		}
		if length == 0 {
			return &Failure{"failed", "the library's write accepted nothing and said so without an error"}
		}
	}
}

func (c *call[L, S]) write(stream S) error {
	what, _ := c.arguments["data"].(data)
	size, given := c.arguments.unsigned("buffer")
	if !given {
		size = uint64(what.len())
	}
	// Made before the library is called, once if the calls are not cut.
	whole := []byte(nil)
	if size >= uint64(what.len()) {
		whole = what.slice(0, what.len())
	}
	return c.writeAll(what.len(), func(from int) (int, error) {
		if whole != nil {
			return c.peer.library.Write(stream, whole[from:], c.options())
		}
		return c.peer.library.Write(stream, what.slice(from, int(min(size, uint64(what.len()-from)))), c.options())
	})
}

func (c *call[L, S]) writeVectored(stream S) error {
	what, _ := c.arguments["data"].(data)
	lengths, _ := c.arguments["lengths"].([]uint64)
	whole := what.slice(0, what.len())
	return c.writeAll(what.len(), func(from int) (int, error) {
		buffers := [][]byte{}
		offset := 0
		for _, length := range lengths {
			end := offset + int(length)
			if start := max(offset, from); start < end || (length == 0 && offset >= from) {
				buffers = append(buffers, whole[start:end])
			}
			offset = end
		}
		return c.peer.library.WriteVectored(stream, buffers, c.options())
	})
}
