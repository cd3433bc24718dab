// Codecs of Go libraries as a peer of the differential fuzz targets. What travels is in fuzz/README.md.
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
)

const (
	decode = 1
	encode = 2

	u32           = 1
	varint        = 3
	contentLength = 5

	acceptOverlong = 2

	statusFrame     = 0
	statusEnd       = 1
	statusWouldWait = 2
	statusTruncated = 20
	statusTooLarge  = 21
	statusMalformed = 22
	statusUntold    = 0xFE
	notOffered      = 0xFF

	codecLen = 31
	// Bodies that are encoded are made: longer ones are not.
	encodedMax = 1 << 17
)

var offers = []string{
	"decode u32", "encode u32", "decode varint", "encode varint", "decode content_length", "encode content_length",
}

// A codec of a request, as far as these libraries have it.
type codec struct {
	number, flags, varintBytes byte
	max                        uint64
}

// library returns what plays this codec; nil if none does.
func (c codec) library(encodes bool) library {
	switch {
	case c.number == u32:
		return msgioFrames{}
	case c.number == varint && c.varintBytes == 10 && (encodes || c.flags&acceptOverlong != 0):
		return protodelimFrames{} // it reads 10 bytes and overlong lengths, always
	case c.number == contentLength:
		return jrpc2Frames{}
	}
	return nil
}

// A library reads and writes frames.
type library interface {
	// frames returns a function that gives the next frame of the stream, with bodies of at most max bytes.
	frames(stream *source, max uint64) func() ([]byte, error)
	// plays says whether the library can be asked for this stream.
	plays(pieces [][]byte, max uint64) bool
	// status is that of an error which is neither the end of the stream nor that of what has come of it.
	status(err error) byte
	write(to io.Writer, body []byte) error
}

// errWaits is what a stream says when all of it that has come is read, and more may come.
var errWaits = fmt.Errorf("no more has come")

// A source is a stream that comes in pieces: a read never gets more than the rest of one.
type source struct {
	pieces [][]byte
	ends   bool
}

func (s *source) Read(to []byte) (int, error) {
	if len(to) == 0 {
		return 0, nil
	}
	for len(s.pieces) > 0 && len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
	}
	if len(s.pieces) == 0 {
		if s.ends {
			return 0, io.EOF
		}
		return 0, errWaits
	}
	n := copy(to, s.pieces[0])
	s.pieces[0] = s.pieces[0][n:]
	return n, nil
}

func (s *source) ReadByte() (byte, error) {
	var one [1]byte
	_, err := s.Read(one[:])
	return one[0], err
}

func appendFinal(answer []byte, status byte) []byte {
	return binary.BigEndian.AppendUint64(append(answer, status), 0)
}

func answerDecode(answer, rest []byte, l library, max uint64) []byte {
	if len(rest) == 0 {
		return append(answer, notOffered)
	}
	stream := source{ends: rest[0] != 0}
	for rest = rest[1:]; len(rest) >= 4; {
		length := binary.BigEndian.Uint32(rest)
		stream.pieces = append(stream.pieces, rest[4:4+length])
		rest = rest[4+length:]
	}
	if !l.plays(stream.pieces, max) {
		return append(answer, notOffered)
	}
	next := l.frames(&stream, max)
	for {
		body, err := next()
		switch {
		case err == nil:
			answer = append(answer, statusFrame)
			answer = binary.BigEndian.AppendUint32(answer, uint32(len(body)))
			answer = append(answer, body...)
		case err == errWaits:
			return appendFinal(answer, statusWouldWait)
		case err == io.EOF:
			return appendFinal(answer, statusEnd)
		case err == io.ErrUnexpectedEOF:
			return appendFinal(answer, statusTruncated)
		default:
			return appendFinal(answer, l.status(err))
		}
	}
}

type written []byte

func (w *written) Write(bytes []byte) (int, error) {
	*w = append(*w, bytes...)
	return len(bytes), nil
}

func answerEncode(answer, rest []byte, l library) []byte {
	if len(rest) < 8 || binary.BigEndian.Uint64(rest) > encodedMax {
		return append(answer, notOffered)
	}
	length := int(binary.BigEndian.Uint64(rest))
	var out written
	if err := l.write(&out, make([]byte, length)); err != nil {
		return append(answer, l.status(err))
	}
	header := len(out) - length
	answer = binary.BigEndian.AppendUint32(append(answer, statusFrame), uint32(header))
	return append(answer, out[:header]...)
}

func appendAnswer(answer, request []byte) []byte {
	if len(request) < 1+codecLen {
		return append(answer, notOffered)
	}
	what, rest := request[0], request[1:]
	c := codec{number: rest[0], flags: rest[1], varintBytes: rest[2], max: binary.BigEndian.Uint64(rest[23:])}
	l := c.library(what == encode)
	switch {
	case l == nil:
		return append(answer, notOffered)
	case what == decode:
		return answerDecode(answer, rest[codecLen:], l, c.max)
	case what == encode:
		return answerEncode(answer, rest[codecLen:], l)
	}
	return append(answer, notOffered)
}

// appendElement appends what fill appends, with its length before it.
func appendElement(list []byte, fill func([]byte) []byte) []byte {
	at := len(list)
	list = fill(append(list, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(list[at:], uint32(len(list)-at-4))
	return list
}

// appendAnswers appends the list of answers to the list of requests: to one of none, what there is.
func appendAnswers(list, batch []byte) []byte {
	requests := binary.BigEndian.Uint32(batch)
	if requests == 0 {
		list = binary.BigEndian.AppendUint32(list, uint32(len(offers)))
		for _, offer := range offers {
			list = appendElement(list, func(to []byte) []byte { return append(to, offer...) })
		}
		return list
	}
	list = binary.BigEndian.AppendUint32(list, requests)
	for batch = batch[4:]; len(batch) >= 4; {
		length := binary.BigEndian.Uint32(batch)
		request := batch[4 : 4+length]
		batch = batch[4+length:]
		list = appendElement(list, func(to []byte) []byte { return appendAnswer(to, request) })
	}
	return list
}

func run() error {
	in := bufio.NewReaderSize(os.Stdin, 1<<16)
	var batch, told []byte
	for {
		var head [4]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		length := int(binary.BigEndian.Uint32(head[:]))
		if cap(batch) < length {
			batch = make([]byte, length)
		}
		batch = batch[:length]
		if _, err := io.ReadFull(in, batch); err != nil {
			return err
		}
		told = appendElement(told[:0], func(to []byte) []byte { return appendAnswers(to, batch) })
		if _, err := os.Stdout.Write(told); err != nil {
			return err
		}
	}
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
