/* signal.c - the signals of macOS and FreeBSD. What differs, the real-time ones, is in the folders of the two.
 *
 * Sources: signal(3), sigaction(2) of both.
 */
#ifndef IPC_WITHOUT_SIGNALS

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "ref/posix/system.h"

const ipc_system_signal ipc_system_signals[] = {
    {"HUP", SIGHUP},       {"INT", SIGINT},   {"QUIT", SIGQUIT},   {"ILL", SIGILL},   {"TRAP", SIGTRAP},
    {"ABRT", SIGABRT},     {"EMT", SIGEMT},   {"FPE", SIGFPE},     {"KILL", SIGKILL}, {"BUS", SIGBUS},
    {"SEGV", SIGSEGV},     {"SYS", SIGSYS},   {"PIPE", SIGPIPE},   {"ALRM", SIGALRM}, {"TERM", SIGTERM},
    {"URG", SIGURG},       {"STOP", SIGSTOP}, {"TSTP", SIGTSTP},   {"CONT", SIGCONT}, {"CHLD", SIGCHLD},
    {"TTIN", SIGTTIN},     {"TTOU", SIGTTOU}, {"IO", SIGIO},       {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ},
    {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH}, {"INFO", SIGINFO}, {"USR1", SIGUSR1},
    {"USR2", SIGUSR2},
#ifdef SIGTHR
    {"THR", SIGTHR},
#endif
#ifdef SIGLIBRT
    {"LIBRT", SIGLIBRT},
#endif
    {"IOT", SIGIOT},       {NULL, 0},
};

void ipc_system_signal_origin(const siginfo_t *info, ipc_signal_event *out_event) {
  int code = info->si_code;
  bool sent = code == SI_USER || code == SI_QUEUE;
  bool child = info->si_signo == SIGCHLD && code >= CLD_EXITED && code <= CLD_CONTINUED;
  if ((sent || child) && info->si_pid > 0) {
    out_event->fields |= IPC_SIGNAL_HAS_SENDER;
    out_event->pid = (uint64_t)info->si_pid;
    out_event->uid = info->si_uid;
  }
  if (code == SI_QUEUE) {
    out_event->fields |= IPC_SIGNAL_HAS_VALUE;
    out_event->value = info->si_value.sival_int;
  }
}

/* Here switching cancellation off is no more than a mark on the thread, also in a signal handler. */
ssize_t ipc_system_signal_write(int fd, const void *data, size_t len) {
  int before;
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
  ssize_t n;
  do {
    n = write(fd, data, len);
  } while (n < 0 && errno == EINTR);
  (void)pthread_setcancelstate(before, &before);
  return n;
}

#else

typedef int ipc_bsd_signal_is_gated_off; /* ISO C has no empty translation unit */

#endif /* IPC_WITHOUT_SIGNALS */
