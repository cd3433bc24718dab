package ctspeer

// Children of this peer are not offered here.
func processOperations() []string { return nil }

type child struct{}

func (*child) close() {}

func (c *call[L, S]) processSpawn() error {
	return Unsupported("this kit starts no children on Windows")
}

func (c *call[L, S]) processWait(*child) error { return c.processSpawn() }
