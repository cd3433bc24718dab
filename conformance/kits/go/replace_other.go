//go:build unix && !linux

package ctspeer

import "syscall"

// replaceFD makes to a duplicate of from.
func replaceFD(from, to int) error {
	return syscall.Dup2(from, to)
}
