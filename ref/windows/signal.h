/* signal.h - what the signals of ipc/signal.h are on Windows.
 *
 * They are those of the C run-time library: ABRT, FPE, ILL, INT, SEGV, TERM, and BREAK. The system itself has none. It
 * turns Ctrl+C and Ctrl+Break on the console into INT and BREAK, in a new thread each time, and faults of the processor
 * into FPE, ILL and SEGV in the thread that made them; the rest comes from raise(). Dispositions are the run-time
 * library's that this library is linked with, so a program with another one sees none of its raise() here.
 *
 * Before it calls a handler the run-time library sets the signal back to its default. That is hidden: the handler is
 * set again first. Between the two a second Ctrl+C still ends the process; no program of C can help that.
 *
 * Flags: IPC_SIGNAL_RESTART changes nothing, for no signal here interrupts a call. IPC_SIGNAL_RESET leaves the default
 * that the run-time library has set. Without IPC_SIGNAL_NESTED a signal that comes while its own hook runs, in whatever
 * thread, is kept and the hook runs once more when it returns, however many came meanwhile; those that a processor's
 * fault raises are always nested, because their hook does not return. IPC_SIGNAL_NO_CHILD_STOP is IPC_UNSUPPORTED. An
 * event knows its signal and nothing else.
 *
 * Sources: ISO C11 7.14; Microsoft, "signal", "SetConsoleCtrlHandler function".
 */
#ifndef REF_WINDOWS_SIGNAL_H
#define REF_WINDOWS_SIGNAL_H

#include "ipc/signal.h"

#endif /* REF_WINDOWS_SIGNAL_H */
