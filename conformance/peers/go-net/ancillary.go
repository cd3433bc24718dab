package main

import (
	"net"
	"os"
	"syscall"

	"ctspeer"
)

func addAncillary(library *peerLibrary) {
	library.Features = append(library.Features, "ancillary.descriptors", "ancillary.credentials")
	library.Others["stream.write_ancillary"] = writeAncillary
	library.Others["stream.read_ancillary"] = readAncillary
	library.Others["stream.set_pass_credentials"] = setPassCredentials
	library.Others["socket.set_pass_credentials"] = setPassCredentials
	library.Others["ancillary.encode"] = encodeAncillary
	library.Others["ancillary.decode"] = decodeAncillary
}

// controlOf makes the control messages that a request asks for.
func controlOf(call ctspeer.Call) ([]byte, error) {
	control := []byte(nil)
	if numbers := call.Numbers("descriptors"); len(numbers) > 0 {
		descriptors := make([]int, len(numbers))
		for i, number := range numbers {
			if number > 1<<31-1 {
				return nil, syscall.EBADF
			}
			descriptors[i] = int(number)
		}
		control = append(control, syscall.UnixRights(descriptors...)...)
	}
	if call.Bool("credentials") || call.Has("pid") || call.Has("uid") || call.Has("gid") {
		own := syscall.Ucred{Pid: int32(os.Getpid()), Uid: uint32(os.Geteuid()), Gid: uint32(os.Getegid())}
		if call.Has("pid") {
			own.Pid = int32(call.Unsigned("pid"))
		}
		if call.Has("uid") {
			own.Uid = uint32(call.Unsigned("uid"))
		}
		if call.Has("gid") {
			own.Gid = uint32(call.Unsigned("gid"))
		}
		control = append(control, syscall.UnixCredentials(&own)...)
	}
	return control, nil
}

// roomFor is the room that a request leaves for what travels beside bytes; for credentials if the socket asks for them.
func roomFor(call ctspeer.Call, conn syscall.Conn) int {
	room := 0
	if passes, err := getPassCredentials(conn); err == nil && passes {
		room += syscall.CmsgSpace(syscall.SizeofUcred)
	}
	if descriptors := int(call.Unsigned("descriptors_max")); descriptors > 0 {
		room += syscall.CmsgLen(4 * descriptors)
	}
	return room
}

func getPassCredentials(conn syscall.Conn) (passes bool, err error) {
	control, err := conn.SyscallConn()
	if err != nil {
		return false, err
	}
	value := 0
	var failed error
	err = control.Control(func(fd uintptr) {
		value, failed = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_PASSCRED)
	})
	if err == nil {
		err = failed
	}
	return value != 0, err
}

// parse takes a control buffer apart.
func parse(control []byte) (descriptors []int, sender *syscall.Ucred, err error) {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return nil, nil, err
	}
	for _, message := range messages {
		if message.Header.Type == syscall.SCM_RIGHTS {
			came, err := syscall.ParseUnixRights(&message)
			if err != nil {
				return nil, nil, err
			}
			descriptors = append(descriptors, came...)
		}
		if message.Header.Type == syscall.SCM_CREDENTIALS {
			if sender, err = syscall.ParseUnixCredentials(&message); err != nil {
				return nil, nil, err
			}
		}
	}
	return descriptors, sender, nil
}

// setFound notes what parse has found.
func setFound(call ctspeer.Call, descriptors []int, sender *syscall.Ucred) {
	if sender != nil && sender.Pid != 0 { // Linux's word for bytes sent before anybody asked who sends
		call.Set("pid", sender.Pid)
		call.Set("uid", sender.Uid)
		call.Set("gid", sender.Gid)
	}
	if len(descriptors) > 0 {
		call.Set("descriptors", descriptors)
	}
}

// setBeside notes what came beside bytes. The descriptors are this process's own until a reset.
func setBeside(call ctspeer.Call, control []byte, flags int) error {
	if flags&syscall.MSG_CTRUNC != 0 {
		call.Set("cut", true)
	}
	descriptors, sender, err := parse(control)
	if err != nil {
		return err
	}
	for _, descriptor := range descriptors {
		call.Own(uintptr(descriptor))
	}
	setFound(call, descriptors, sender)
	return nil
}

// encodeAncillary makes a control buffer without a socket.
func encodeAncillary(call ctspeer.Call) error {
	control, err := controlOf(call)
	if err == nil {
		call.SetBytes("control", control)
	}
	return err
}

// decodeAncillary takes one apart. Package syscall finds everything; the room is the program's.
func decodeAncillary(call ctspeer.Call) error {
	descriptors, sender, err := parse(call.Bytes("control"))
	if err == syscall.EINVAL {
		return &ctspeer.Failure{Status: "malformed", Why: "EINVAL is the package's word for it"}
	}
	if err != nil {
		return err
	}
	if room := int(call.Unsigned("descriptors_max")); len(descriptors) > room {
		descriptors = descriptors[:room]
		call.Set("cut", true)
	}
	setFound(call, descriptors, sender)
	return nil
}

// connOn is the connection that a request acts on, whether it moves bytes or messages.
func connOn(call ctspeer.Call) (*net.UnixConn, error) {
	value, err := call.On()
	if err != nil {
		return nil, err
	}
	if messages, ok := value.(*socket); ok {
		return messages.UnixConn, nil
	}
	return connOf(value)
}

func writeAncillary(call ctspeer.Call) error {
	conn, err := connOn(call)
	if err != nil {
		return err
	}
	beside, err := controlOf(call)
	if err != nil {
		return err
	}
	bytes := call.Bytes("data")
	call.Begin(ctspeer.Endable)
	length := 0
	err = withDeadline(call.Options(), conn.SetWriteDeadline, func() error {
		for {
			sent, _, failed := conn.WriteMsgUnix(bytes[length:], beside, nil)
			if length += sent; failed != nil || length == len(bytes) {
				return failed
			}
			beside = nil // beside the first byte alone
		}
	})
	call.Set("length", length)
	return err
}

func readAncillary(call ctspeer.Call) error {
	conn, err := connOn(call)
	if err != nil {
		return err
	}
	buffer := make([]byte, min(call.Unsigned("max"), 1<<20))
	beside := make([]byte, roomFor(call, conn))
	call.Begin(ctspeer.Endable)
	var length, besideLength, flags int
	err = withDeadline(call.Options(), conn.SetReadDeadline, func() (failed error) {
		length, besideLength, flags, _, failed = conn.ReadMsgUnix(buffer, beside)
		return failed
	})
	call.SetConsumed(buffer[:max(length, 0)]) // -1 beside an error
	if err != nil {
		return err
	}
	return setBeside(call, beside[:besideLength], flags)
}

func setPassCredentials(call ctspeer.Call) error {
	conn, err := connOn(call)
	if err != nil {
		return err
	}
	control, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	pass := 0
	if call.Bool("pass") {
		pass = 1
	}
	call.Begin(ctspeer.Never)
	var failed error
	err = control.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_PASSCRED, pass)
	})
	if err == nil {
		err = os.NewSyscallError("setsockopt", failed)
	}
	return err
}
