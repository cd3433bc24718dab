module gowinio

go 1.26.0

require (
	ctspeer v0.0.0
	github.com/Microsoft/go-winio v0.6.4
)

require golang.org/x/sys v0.49.0 // indirect

replace ctspeer => ../../kits/go
