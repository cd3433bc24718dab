//go:build unix

package ctspeer

import (
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
)

// controlVariable names the socket on which a child of another peer opens its channel.
const controlVariable = "CTS_CONTROL"

// processOperations are the kit's: children of this peer that are peers (peer_protocol.md, 6.3 and 6.4).
func processOperations() []string {
	return []string{"process.spawn", "process.wait", "process.close"}
}

// child is a process that this peer started, in a process group of its own. Package os/exec hands nothing down but the
// standard streams.
type child struct {
	command *exec.Cmd
	ended   chan struct{} // closed when it has been reaped
	closing atomic.Bool
}

func startChild(control string) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	started := &child{command: exec.Command(program, os.Args[1:]...), ended: make(chan struct{})}
	started.command.Env = append(os.Environ(), controlVariable+"="+control)
	started.command.Stdout, started.command.Stderr = os.Stderr, os.Stderr
	started.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := started.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = started.command.Wait() // how it ended is in ProcessState
		close(started.ended)
	}()
	return started, nil
}

// close kills the child with its group and waits until it has been reaped.
func (c *child) close() {
	c.closing.Store(true)
	select {
	case <-c.ended: // its number may be another's by now
	default:
		_ = syscall.Kill(-c.command.Process.Pid, syscall.SIGKILL)
	}
	<-c.ended
}

var signalNames = map[syscall.Signal]string{
	syscall.SIGABRT: "ABRT", syscall.SIGALRM: "ALRM", syscall.SIGBUS: "BUS", syscall.SIGFPE: "FPE",
	syscall.SIGHUP: "HUP", syscall.SIGILL: "ILL", syscall.SIGINT: "INT", syscall.SIGKILL: "KILL",
	syscall.SIGPIPE: "PIPE", syscall.SIGQUIT: "QUIT", syscall.SIGSEGV: "SEGV", syscall.SIGSYS: "SYS",
	syscall.SIGTERM: "TERM", syscall.SIGTRAP: "TRAP", syscall.SIGUSR1: "USR1", syscall.SIGUSR2: "USR2",
}

func (c *call[L, S]) processSpawn() error {
	control, _ := c.arguments["control"].(string)
	c.begin(false)
	started, err := startChild(control)
	if err != nil {
		return err
	}
	c.make("as", "process", started)
	c.results["pid"] = started.command.Process.Pid
	return nil
}

// processWait is no wait inside the library: closing the process ends it.
func (c *call[L, S]) processWait(waited *child) error {
	c.begin(false)
	<-waited.ended
	if waited.closing.Load() {
		return &Failure{"cancelled", "the process was closed"}
	}
	status, _ := waited.command.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() {
		c.results["code"] = status.ExitStatus()
		return nil
	}
	name, known := signalNames[status.Signal()]
	if !known {
		name = strconv.Itoa(int(status.Signal()))
	}
	c.results["signal"] = name
	return nil
}
