//go:build unix

package ctspeer

import "syscall"

// nativeStatuses is the specification's table for this system.
func nativeStatuses() map[string]string { return spec().Errno }

// errnoNumbers gives the symbolic names of the table this system's numbers.
var errnoNumbers = map[string]syscall.Errno{
	"EAGAIN": syscall.EAGAIN, "EWOULDBLOCK": syscall.EWOULDBLOCK, "EINPROGRESS": syscall.EINPROGRESS,
	"ETIMEDOUT": syscall.ETIMEDOUT, "ECANCELED": syscall.ECANCELED, "EINTR": syscall.EINTR, "EINVAL": syscall.EINVAL,
	"EFAULT": syscall.EFAULT, "EBADF": syscall.EBADF, "ENOTSOCK": syscall.ENOTSOCK,
	"ENAMETOOLONG": syscall.ENAMETOOLONG, "ENOENT": syscall.ENOENT, "ENOTDIR": syscall.ENOTDIR, "ENXIO": syscall.ENXIO,
	"ECONNREFUSED": syscall.ECONNREFUSED, "EPROTOTYPE": syscall.EPROTOTYPE, "EADDRINUSE": syscall.EADDRINUSE,
	"EEXIST": syscall.EEXIST, "EACCES": syscall.EACCES, "EPERM": syscall.EPERM, "EROFS": syscall.EROFS,
	"ELOOP": syscall.ELOOP, "EBUSY": syscall.EBUSY, "EPIPE": syscall.EPIPE, "ESHUTDOWN": syscall.ESHUTDOWN,
	"ECONNRESET": syscall.ECONNRESET, "ECONNABORTED": syscall.ECONNABORTED, "ENOTCONN": syscall.ENOTCONN,
	"EDESTADDRREQ": syscall.EDESTADDRREQ, "EISCONN": syscall.EISCONN, "EMSGSIZE": syscall.EMSGSIZE,
	"EPROTO": syscall.EPROTO, "EBADMSG": syscall.EBADMSG, "ESRCH": syscall.ESRCH, "ENOSYS": syscall.ENOSYS,
	"EOPNOTSUPP": syscall.EOPNOTSUPP, "ENOTSUP": syscall.ENOTSUP, "EAFNOSUPPORT": syscall.EAFNOSUPPORT,
	"EPROTONOSUPPORT": syscall.EPROTONOSUPPORT, "EMFILE": syscall.EMFILE, "ENFILE": syscall.ENFILE,
	"ENOMEM": syscall.ENOMEM, "ENOBUFS": syscall.ENOBUFS, "ENOSPC": syscall.ENOSPC,
	"ETOOMANYREFS": syscall.ETOOMANYREFS,
}
