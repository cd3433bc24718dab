package ctspeer

import (
	"encoding/base64"
	"hash/crc32"
	"sync"
)

const patternPeriod = 65521 // one more than the largest seed

var patternTable = sync.OnceValue(func() []byte {
	table := make([]byte, patternPeriod)
	x := uint32(1)
	for n := range table {
		x = (1103515245*x + 12345) & 0x7fffffff
		table[n] = byte(x >> 16)
	}
	return table
})

// data is what a write carries: bytes, or a pattern that is made when it is needed.
type data struct {
	bytes        []byte
	pattern      bool
	seed, length int // of the pattern: byte i is T[(seed + i) mod 65521]
}

func (d data) len() int {
	if d.pattern {
		return d.length
	}
	return len(d.bytes)
}

// slice gives length bytes from offset on; both lie within the data.
func (d data) slice(offset, length int) []byte {
	if !d.pattern {
		return d.bytes[offset : offset+length]
	}
	table := patternTable()
	made := make([]byte, 0, length)
	for position := (d.seed + offset) % patternPeriod; len(made) < length; position = 0 {
		run := min(length-len(made), patternPeriod-position)
		made = append(made, table[position:position+run]...)
	}
	return made
}

// bytesJSON gives bytes as a reply carries them: a string if all of them are printable ASCII, else {"b64": …}.
func bytesJSON(bytes []byte) any {
	for _, b := range bytes {
		if b < 0x20 || b > 0x7e {
			return object{"b64": base64.StdEncoding.EncodeToString(bytes)}
		}
	}
	return string(bytes)
}

// digest collects what a read has consumed.
type digest struct {
	length      uint64
	crc32       uint32
	inline      []byte // the first bytes, one more than may travel
	chunk       uint64 // length of a chunk; 0: no digests of chunks
	chunkCRC32  uint32
	chunkLength uint64
	chunks      []uint32
}

const chunksMax = 4096

func (d *digest) add(bytes []byte) {
	d.length += uint64(len(bytes))
	d.crc32 = crc32.Update(d.crc32, crc32.IEEETable, bytes)
	room := inlineBytesMax() + 1 - len(d.inline)
	d.inline = append(d.inline, bytes[:min(room, len(bytes))]...)
	if d.chunk == 0 {
		return
	}
	for len(bytes) > 0 {
		part := int(min(uint64(len(bytes)), d.chunk-d.chunkLength))
		d.chunkCRC32 = crc32.Update(d.chunkCRC32, crc32.IEEETable, bytes[:part])
		d.chunkLength += uint64(part)
		bytes = bytes[part:]
		if d.chunkLength == d.chunk {
			d.endChunk()
		}
	}
}

func (d *digest) endChunk() {
	if len(d.chunks) < chunksMax {
		d.chunks = append(d.chunks, d.chunkCRC32)
	}
	d.chunkCRC32, d.chunkLength = 0, 0
}

// results adds what a reply says about the bytes consumed.
func (d *digest) results(into object) {
	into["length"], into["crc32"] = d.length, d.crc32
	if len(d.inline) <= inlineBytesMax() {
		into["data"] = bytesJSON(d.inline)
	}
	if d.chunk > 0 {
		if d.chunkLength > 0 {
			d.endChunk()
		}
		into["chunks"] = append([]uint32{}, d.chunks...)
	}
}
