package ctspeer

import "syscall"

// replaceFD makes to a duplicate of from. dup2 does not exist on every Linux architecture.
func replaceFD(from, to int) error {
	return syscall.Dup3(from, to, 0)
}
