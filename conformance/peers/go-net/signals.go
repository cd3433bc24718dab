package main

import (
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"ctspeer"
)

// signals are those of package syscall by their portable names.
var signals = map[string]syscall.Signal{
	"ABRT": syscall.SIGABRT, "ALRM": syscall.SIGALRM, "BUS": syscall.SIGBUS, "CHLD": syscall.SIGCHLD,
	"CONT": syscall.SIGCONT, "FPE": syscall.SIGFPE, "HUP": syscall.SIGHUP, "ILL": syscall.SIGILL,
	"INT": syscall.SIGINT, "IO": syscall.SIGIO, "KILL": syscall.SIGKILL, "PIPE": syscall.SIGPIPE,
	"PROF": syscall.SIGPROF, "QUIT": syscall.SIGQUIT, "SEGV": syscall.SIGSEGV, "STOP": syscall.SIGSTOP,
	"SYS": syscall.SIGSYS, "TERM": syscall.SIGTERM, "TRAP": syscall.SIGTRAP, "TSTP": syscall.SIGTSTP,
	"TTIN": syscall.SIGTTIN, "TTOU": syscall.SIGTTOU, "URG": syscall.SIGURG, "USR1": syscall.SIGUSR1,
	"USR2": syscall.SIGUSR2, "VTALRM": syscall.SIGVTALRM, "WINCH": syscall.SIGWINCH, "XCPU": syscall.SIGXCPU,
	"XFSZ": syscall.SIGXFSZ,
}

// The real-time signals that the C library leaves to programs. Package syscall has no names for them; os/signal takes
// their numbers.
const (
	realTimeMin = 34
	realTimeMax = 64
)

// channelRoom is the buffer of a channel. Notify drops what finds no room, so that programs choose one that holds.
const channelRoom = 64

func addSignals(library *peerLibrary) {
	library.Closes = append(library.Closes, "watcher.close")
	library.Others["signal.number"] = signalNumber
	library.Others["signal.send"] = sendSignal
	library.Others["signal.send_group"] = sendSignalToGroup
	library.Others["signal.watch"] = watchSignals
	library.Others["watcher.next"] = nextSignal
	hooks := &hooks{counts: map[syscall.Signal]uint64{}, channels: map[syscall.Signal]chan os.Signal{}}
	hooks.changed.L = &hooks.mutex
	library.Others["signal.set_handler"] = hooks.setHandler
	library.Others["signal.hooked"] = hooks.hooked
}

func signalOf(name string) (syscall.Signal, error) {
	if number, known := signals[name]; known {
		return number, nil
	}
	index, err := strconv.Atoi(strings.TrimPrefix(name, "RT"))
	if err == nil && name == "RT"+strconv.Itoa(index) && 0 <= index && index <= realTimeMax-realTimeMin {
		return syscall.Signal(realTimeMin + index), nil
	}
	return 0, &ctspeer.Failure{Status: "not_found", Why: "there is no such signal"}
}

func nameOf(number syscall.Signal) string {
	for name, known := range signals {
		if known == number {
			return name
		}
	}
	return "RT" + strconv.Itoa(int(number)-realTimeMin)
}

func signalNumber(call ctspeer.Call) error {
	number, err := signalOf(call.Text("signal"))
	if err == nil {
		call.Set("number", int(number))
	}
	return err
}

// sent is the signal in a request; 0 if none is given.
func sent(call ctspeer.Call) (syscall.Signal, error) {
	if !call.Has("signal") {
		return 0, nil
	}
	return signalOf(call.Text("signal"))
}

func sendSignal(call ctspeer.Call) error {
	number, err := sent(call)
	if err != nil {
		return err
	}
	call.Begin(ctspeer.Never)
	return os.NewSyscallError("kill", syscall.Kill(int(call.Unsigned("pid")), number))
}

func sendSignalToGroup(call ctspeer.Call) error {
	number, err := sent(call)
	if err != nil {
		return err
	}
	call.Begin(ctspeer.Never)
	return os.NewSyscallError("kill", syscall.Kill(-int(call.Unsigned("group")), number))
}

// watcher is a channel that signals are relayed to.
type watcher struct{ channel chan os.Signal }

// Close ends the relaying and closes the channel, which a receiver that waits is told.
func (w *watcher) Close() error {
	signal.Stop(w.channel)
	close(w.channel)
	return nil
}

func watchSignals(call ctspeer.Call) error {
	watched := []os.Signal{}
	for _, name := range call.Texts("signals") {
		number, err := signalOf(name)
		if err != nil {
			return err
		}
		watched = append(watched, number)
	}
	if len(watched) == 0 {
		return &ctspeer.Failure{Status: "invalid_argument", Why: "Notify without signals means all of them"}
	}
	call.Begin(ctspeer.Never)
	made := &watcher{make(chan os.Signal, channelRoom)}
	signal.Notify(made.channel, watched...)
	call.Make("as", made)
	return nil
}

func nextSignal(call ctspeer.Call) error {
	value, err := call.On()
	if err != nil {
		return err
	}
	call.Begin(ctspeer.Endable)
	came, open := <-value.(*watcher).channel
	if !open {
		return &ctspeer.Failure{Status: "cancelled", Why: "the channel was closed"}
	}
	call.Set("signal", nameOf(came.(syscall.Signal)))
	return nil
}

// hooks are goroutines that count, one a signal: what a program has in place of handlers.
type hooks struct {
	mutex    sync.Mutex
	changed  sync.Cond
	counts   map[syscall.Signal]uint64
	channels map[syscall.Signal]chan os.Signal
}

func (h *hooks) setHandler(call ctspeer.Call) error {
	number, err := signalOf(call.Text("signal"))
	if err != nil {
		return err
	}
	call.Begin(ctspeer.Never)
	h.mutex.Lock()
	defer h.mutex.Unlock()
	former := h.channels[number]
	delete(h.channels, number)
	h.counts[number] = 0
	switch call.Text("action") {
	case "default":
		signal.Reset(number)
	case "ignore":
		signal.Ignore(number)
	default:
		channel := make(chan os.Signal, channelRoom)
		h.channels[number] = channel
		signal.Notify(channel, number)
		go h.count(number, channel, call.Bool("reset"))
	}
	// Not before: the signal would have its default in between.
	if former != nil {
		signal.Stop(former)
		close(former)
	}
	return nil
}

// count counts what is relayed to a channel until it is closed.
func (h *hooks) count(number syscall.Signal, channel chan os.Signal, reset bool) {
	for range channel {
		h.mutex.Lock()
		if h.channels[number] == channel {
			h.counts[number]++
			if reset {
				signal.Reset(number)
			}
		}
		h.changed.Broadcast()
		h.mutex.Unlock()
	}
}

func (h *hooks) hooked(call ctspeer.Call) error {
	number, err := signalOf(call.Text("signal"))
	if err != nil {
		return err
	}
	call.Begin(ctspeer.Unendable)
	h.mutex.Lock()
	defer h.mutex.Unlock()
	for h.counts[number] < call.Unsigned("at_least") {
		h.changed.Wait()
	}
	call.Set("count", h.counts[number])
	if h.counts[number] > 0 {
		call.Set("signal", call.Text("signal"))
	}
	return nil
}
