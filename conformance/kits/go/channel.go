package ctspeer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
)

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
