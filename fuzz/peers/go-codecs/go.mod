module peer

go 1.26.0

require (
	github.com/creachadair/jrpc2 v1.3.6
	github.com/libp2p/go-msgio v0.3.0
	google.golang.org/protobuf v1.36.12
)

require (
	github.com/libp2p/go-buffer-pool v0.0.2 // indirect
	github.com/multiformats/go-varint v0.0.6 // indirect
)
