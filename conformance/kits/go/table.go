package ctspeer

import (
	_ "embed" // operations.json
	"encoding/json"
	"fmt"
	"slices"
	"sync"
)

//go:embed operations.json
var operationsJSON []byte

// argument is one argument of an operation.
type argument struct {
	Name     string
	Type     string
	Optional bool
	Feature  string   // may be sent only if this feature is offered
	Values   []string // of an enum
}

// operation is one operation of the specification.
type operation struct {
	Args  []argument
	On    string            // kind of the handle in `on`
	Makes map[string]string // request key -> kind of the handle it names
}

// specification is what operations.json says, made from spec/operations.toml.
type specification struct {
	Protocol struct {
		Version        uint32
		LineBytesMax   int `json:"line_bytes_max"`
		InlineBytesMax int `json:"inline_bytes_max"`
	}
	Statuses   []string
	Errno      map[string]string
	Win32      map[string]string
	Features   []string
	Traits     []string
	Operations map[string]operation
}

var spec = sync.OnceValue(func() *specification {
	parsed := new(specification)
	if err := json.Unmarshal(operationsJSON, parsed); err != nil {
		panic(fmt.Sprintf("operations.json: %v", err))
	}
	return parsed
})

// controlOperations are about the peer, not about the library; they run in the lane control.
var controlOperations = []string{"hello", "configure", "reset", "pending"}

func isControl(name string) bool {
	return slices.Contains(controlOperations, name)
}

func inlineBytesMax() int {
	return spec().Protocol.InlineBytesMax
}
