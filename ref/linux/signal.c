/* signal.c - the signals of Linux: names, real-time range, where one comes from. */
#define _GNU_SOURCE

#ifndef IPC_WITHOUT_SIGNALS

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ref/posix/system.h"

const ipc_system_signal ipc_system_signals[] = {
    {"HUP", SIGHUP},       {"INT", SIGINT},     {"QUIT", SIGQUIT}, {"ILL", SIGILL},   {"TRAP", SIGTRAP},
    {"ABRT", SIGABRT},     {"BUS", SIGBUS},     {"FPE", SIGFPE},   {"KILL", SIGKILL}, {"USR1", SIGUSR1},
    {"SEGV", SIGSEGV},     {"USR2", SIGUSR2},   {"PIPE", SIGPIPE}, {"ALRM", SIGALRM}, {"TERM", SIGTERM},
    {"CHLD", SIGCHLD},     {"CONT", SIGCONT},   {"STOP", SIGSTOP}, {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN},
    {"TTOU", SIGTTOU},     {"URG", SIGURG},     {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM},
    {"PROF", SIGPROF},     {"WINCH", SIGWINCH}, {"POLL", SIGPOLL}, {"PWR", SIGPWR},   {"SYS", SIGSYS},
#ifdef SIGSTKFLT /* not on every processor */
    {"STKFLT", SIGSTKFLT},
#endif
#ifdef SIGEMT
    {"EMT", SIGEMT},
#endif
    {"IOT", SIGIOT},       {"CLD", SIGCHLD},    {"IO", SIGIO},     {NULL, 0},
};

/* The C library keeps the kernel's lowest for itself, how many it says at run time. */
void ipc_system_realtime_signals(int32_t *out_lowest, int32_t *out_highest) {
  *out_lowest = SIGRTMIN;
  *out_highest = SIGRTMAX;
}

int ipc_system_signal_queue(pid_t pid, int32_t signal, int32_t value) {
  union sigval sent = {.sival_int = value};
  return sigqueue(pid, signal, sent) == 0 ? 0 : errno;
}

/* The kernel's own signals have other members in the place of these; CHLD names the child. Pid 0: the sender lives in a
 * PID namespace that this process cannot see. */
void ipc_system_signal_origin(const siginfo_t *info, ipc_signal_event *out_event) {
  int code = info->si_code;
  bool sent = code == SI_USER || code == SI_QUEUE || code == SI_TKILL || code == SI_MESGQ;
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

ssize_t ipc_system_signal_write(int fd, const void *data, size_t len) {
  ssize_t n;
  do {
    n = syscall(SYS_write, fd, data, len);
  } while (n < 0 && errno == EINTR);
  return n;
}

#else

typedef int ipc_linux_signal_is_gated_off; /* ISO C has no empty translation unit */

#endif /* IPC_WITHOUT_SIGNALS */
