// Package ctspeer is the kit for a peer of IPC-CTS in Go.
//
// A peer is a process that performs operations of one implementation when the runner asks it to, over the peer protocol
// (spec/peer_protocol.md). This package has everything of it that is not the library under test: the channel, strict
// JSON, argument checks from operations.json, handles, lanes, patterns and digests, errors.
//
// An author fills in a Library with single calls of the library under test and gives it to Run. What is left nil is not
// offered; operations beyond local sockets stand in Library.Others. Lanes are goroutines (the protocol's kind "task");
// the lane main is the main goroutine, locked to the main thread. The kit has the mode blocking only: that is how Go
// programs see a library, whatever its runtime does.
package ctspeer
