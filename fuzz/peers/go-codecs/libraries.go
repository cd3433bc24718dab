package main

import (
	"errors"
	"io"

	"github.com/creachadair/jrpc2/channel"
	"github.com/libp2p/go-msgio"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/runtime/protoiface"
)

// msgioFrames are github.com/libp2p/go-msgio's: 4 bytes, then the message.
type msgioFrames struct{}

func (msgioFrames) plays(_ [][]byte, max uint64) bool { return max <= announcedMax }

func (msgioFrames) frames(stream *source, max uint64) func() ([]byte, error) {
	return msgio.NewReaderSize(stream, int(max)).ReadMsg
}

func (msgioFrames) status(err error) byte {
	if errors.Is(err, msgio.ErrMsgTooLarge) {
		return statusTooLarge
	}
	return statusMalformed
}

func (msgioFrames) write(to io.Writer, body []byte) error { return msgio.NewWriter(to).WriteMsg(body) }

// announcedMax is the longest body that a stream may announce: these libraries take the memory before the body comes.
const announcedMax = 1 << 26

// raw is a message whose encoding is any bytes, so that protodelim delivers frames as they are.
type raw struct {
	protoreflect.Message
	body []byte
}

func (r *raw) ProtoReflect() protoreflect.Message   { return r }
func (r *raw) Interface() protoreflect.ProtoMessage { return r }
func (r *raw) Reset()                               { r.body = nil }

var rawMethods = protoiface.Methods{
	Size: func(in protoiface.SizeInput) protoiface.SizeOutput {
		return protoiface.SizeOutput{Size: len(in.Message.(*raw).body)}
	},
	Marshal: func(in protoiface.MarshalInput) (protoiface.MarshalOutput, error) {
		return protoiface.MarshalOutput{Buf: append(in.Buf, in.Message.(*raw).body...)}, nil
	},
	Unmarshal: func(in protoiface.UnmarshalInput) (protoiface.UnmarshalOutput, error) {
		in.Message.(*raw).body = in.Buf
		return protoiface.UnmarshalOutput{Flags: protoiface.UnmarshalInitialized}, nil
	},
}

func (*raw) IsValid() bool                     { return true }
func (*raw) ProtoMethods() *protoiface.Methods { return &rawMethods }

// protodelimFrames are google.golang.org/protobuf/encoding/protodelim's: a varint, then the message.
type protodelimFrames struct{}

func (protodelimFrames) plays(_ [][]byte, max uint64) bool { return 0 < max && max <= announcedMax }

func (protodelimFrames) frames(stream *source, max uint64) func() ([]byte, error) {
	options := protodelim.UnmarshalOptions{
		UnmarshalOptions: proto.UnmarshalOptions{AllowPartial: true}, MaxSize: int64(max),
	}
	return func() ([]byte, error) {
		var message raw
		err := options.UnmarshalFrom(stream, &message)
		return message.body, err
	}
}

func (protodelimFrames) status(err error) byte {
	var large *protodelim.SizeTooLargeError
	switch {
	case errors.As(err, &large):
		return statusTooLarge
	case errors.Is(err, io.ErrUnexpectedEOF):
		return statusTruncated
	}
	return statusMalformed
}

func (protodelimFrames) write(to io.Writer, body []byte) error {
	options := protodelim.MarshalOptions{MarshalOptions: proto.MarshalOptions{AllowPartial: true}}
	_, err := options.MarshalTo(to, &raw{body: body})
	return err
}

// jrpc2Frames are those of github.com/creachadair/jrpc2/channel: header lines, an empty one, then the message.
type jrpc2Frames struct{}

// plays refuses streams with a number of 9 digits or more: the library has no limit and takes twice the memory that is
// announced before a byte of the body has come (docs/findings/jrpc2.md).
func (jrpc2Frames) plays(pieces [][]byte, _ uint64) bool {
	digits := 0
	for _, piece := range pieces {
		for _, byte := range piece {
			if byte < '0' || byte > '9' {
				digits = 0
			} else if digits++; digits == 9 {
				return false
			}
		}
	}
	return true
}

type closer struct{ io.Writer }

func (closer) Close() error { return nil }

func (jrpc2Frames) frames(stream *source, _ uint64) func() ([]byte, error) {
	receive := channel.Header("")(stream, nil).Recv
	return func() ([]byte, error) {
		body, err := receive()
		var other *channel.ContentTypeMismatchError
		if errors.As(err, &other) { // the message is there all the same
			err = nil
		}
		return body, err
	}
}

// status: it has one error for all.
func (jrpc2Frames) status(error) byte { return statusUntold }

func (jrpc2Frames) write(to io.Writer, body []byte) error {
	return channel.Header("")(nil, closer{to}).Send(body)
}
