/* cts_peer.c - see cts_peer.h. The parts, in order: platform, tables, codecs, JSON, requests and their checks, replies,
 * handles, running a request, the operations of the kit, lanes and the reader.
 *
 * Memory is fixed: a call record for every request that may be outstanding, a reply buffer for every lane, a table of
 * handles. One mutex guards what threads share (`state`); none is held while the library runs or a reply is written. */
#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#define _CRT_SECURE_NO_WARNINGS /* getenv and snprintf are used as they must be */
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0602 /* Windows 8 */
#endif
#elif !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* syscall, F_DUPFD_CLOEXEC; on systems other than Linux it means nothing */
#endif

#include "cts_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(_WIN32)
#include <winsock2.h>
/* After winsock2.h. */
#include <windows.h>
/* In any order. */
#include <io.h>
#include <process.h>
#else
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#elif defined(__FreeBSD__)
#include <pthread_np.h>
#endif
#endif

/* ---------------------------------------------------------------------------------------------------- platform
 * All that differs between systems, for POSIX and for Windows. Both define:
 *
 *   kit_mutex, kit_condition, kit_once    with KIT_MUTEX_INIT, KIT_CONDITION_INIT and KIT_ONCE_INIT
 *   kit_lock, kit_unlock, kit_wait, kit_wait_for, kit_wake_one, kit_wake_all, kit_call_once, kit_yield
 *   kit_result KIT_CALL body(void *)      what a thread runs
 *   KIT_THREAD_LOCAL                      a variable that each thread has for itself
 *   platform_begin                        before any thread: what the process began with is noted. False: it cannot
 *   platform_start_kit_thread             a thread of the kit's own, in which no handler of a signal runs
 *   platform_start_lane_thread            a thread that is a lane: to the library it is a thread like any other
 *   platform_enter_lane                   its first act, and that of the main thread
 *   platform_thread_id                    the calling thread's, as the system's tools show it
 *   platform_process_id                   as the runner's system knows it
 *   cts_open_channel, platform_read, platform_write, platform_wait_hangup, platform_end
 *   platform_spawn and what follows it    children of this peer that are peers
 *
 * kit_wait_for waits at most |slice_ms| and is false when that passed. platform_read reads at most |max| bytes of the
 * channel; 0 is its end, and so is an error, for nothing can follow. platform_write writes a whole line; with |reader|
 * it ends the process if input ends while nobody takes the line: the thread that reads must not miss that because it
 * writes. platform_wait_hangup waits until the other end of the channel's input is gone (at most |timeout_ms|, -1: no
 * limit), even if not everything that came before has been read. platform_end ends the process at once: no handlers of
 * exit, no flush, whatever other threads do.
 *
 * platform_spawn starts this program again with the same arguments and with |control| as CTS_CONTROL; it returns the
 * system's error number, or 0. platform_await waits for the child's end, as often as it is called, and adds `code` or
 * `signal` to |call|, unless that is NULL; the same. platform_kill kills it, and on POSIX its process group.
 * platform_forget waits for its end and lets go of it. platform_error is the outcome of such an error. */

enum { HANGUP_SLICE_MS = 50 }; /* how often the reader, while it waits for a lane, looks whether input has ended */

#if defined(_WIN32)

#define PLATFORM_OS "windows"

typedef SRWLOCK kit_mutex;
typedef CONDITION_VARIABLE kit_condition;
typedef INIT_ONCE kit_once;
typedef unsigned kit_result;
#define KIT_MUTEX_INIT SRWLOCK_INIT
#define KIT_CONDITION_INIT CONDITION_VARIABLE_INIT
#define KIT_ONCE_INIT INIT_ONCE_STATIC_INIT
#define KIT_CALL __stdcall
#if defined(_MSC_VER)
#define KIT_THREAD_LOCAL __declspec(thread)
#else
#define KIT_THREAD_LOCAL _Thread_local
#endif

static void kit_lock(kit_mutex *mutex) { AcquireSRWLockExclusive(mutex); }
static void kit_unlock(kit_mutex *mutex) { ReleaseSRWLockExclusive(mutex); }
static void kit_condition_init(kit_condition *condition) { InitializeConditionVariable(condition); }
static void kit_wake_one(kit_condition *condition) { WakeConditionVariable(condition); }
static void kit_wake_all(kit_condition *condition) { WakeAllConditionVariable(condition); }
static void kit_yield(void) { SwitchToThread(); }

static void kit_wait(kit_condition *condition, kit_mutex *mutex) {
  SleepConditionVariableSRW(condition, mutex, INFINITE, 0);
}

static bool kit_wait_for(kit_condition *condition, kit_mutex *mutex, int slice_ms) {
  return SleepConditionVariableSRW(condition, mutex, (DWORD)slice_ms, 0) != 0;
}

static void kit_call_once(kit_once *once, void (*function)(void)) {
  BOOL pending = FALSE;
  if (!InitOnceBeginInitialize(once, 0, &pending, NULL) || !pending) return;
  function();
  InitOnceComplete(once, 0, NULL);
}

static bool platform_start_kit_thread(kit_result(KIT_CALL *body)(void *), void *argument) {
  uintptr_t thread = _beginthreadex(NULL, 0, body, argument, 0, NULL);
  if (thread != 0) CloseHandle((HANDLE)thread);
  return thread != 0;
}

static bool platform_start_lane_thread(kit_result(KIT_CALL *body)(void *), void *argument) {
  return platform_start_kit_thread(body, argument);
}

static uint64_t platform_thread_id(void) { return GetCurrentThreadId(); }

/* The thread's description is `cts-` and its id. Under Wine that is also the name of the thread in the system below, by
 * which it can be found there (spec/peer_protocol.md, 4.6). */
static void platform_enter_lane(void) {
  typedef HRESULT(WINAPI * describe_function)(HANDLE, PCWSTR);
  HMODULE kernel = GetModuleHandleW(L"kernel32.dll");
  FARPROC symbol = kernel != NULL ? GetProcAddress(kernel, "SetThreadDescription") : NULL; /* since Windows 10 1607 */
  describe_function describe = (describe_function)(void (*)(void))symbol;
  WCHAR name[16] = L"cts-", digits[12];
  size_t num = 0, at = 4;
  for (uint64_t rest = platform_thread_id(); num == 0 || rest > 0; rest /= 10)
    digits[num++] = (WCHAR)(L'0' + rest % 10);
  while (num > 0) name[at++] = digits[--num];
  if (describe != NULL) describe(GetCurrentThread(), name);
}

static uint64_t platform_process_id(void) { return GetCurrentProcessId(); }

static void platform_end(int status) { TerminateProcess(GetCurrentProcess(), (UINT)status); }

/* The functions of winsock that a child's channel needs. They are looked up then, so that a program with this kit needs
 * nothing that its library does not need. */
static struct {
  int(WSAAPI *startup)(WORD, LPWSADATA);
  SOCKET(WSAAPI *make)(int, int, int, LPWSAPROTOCOL_INFOW, GROUP, DWORD);
  int(WSAAPI *connect)(SOCKET, const struct sockaddr *, int);
  int(WSAAPI *send)(SOCKET, const char *, int, int);
  int(WSAAPI *recv)(SOCKET, char *, int, int);
} winsock;

static bool winsock_load(void) {
  WSADATA data;
  HMODULE library = LoadLibraryExW(L"ws2_32.dll", NULL, LOAD_LIBRARY_SEARCH_SYSTEM32);
  if (library == NULL) return false;
  FARPROC startup = GetProcAddress(library, "WSAStartup"), make = GetProcAddress(library, "WSASocketW"),
          connect = GetProcAddress(library, "connect"), send = GetProcAddress(library, "send"),
          recv = GetProcAddress(library, "recv");
  if (startup == NULL || make == NULL || connect == NULL || send == NULL || recv == NULL) return false;
  winsock.startup = (int(WSAAPI *)(WORD, LPWSADATA))(void (*)(void))startup;
  winsock.make = (SOCKET(WSAAPI *)(int, int, int, LPWSAPROTOCOL_INFOW, GROUP, DWORD))(void (*)(void))make;
  winsock.connect = (int(WSAAPI *)(SOCKET, const struct sockaddr *, int))(void (*)(void))connect;
  winsock.send = (int(WSAAPI *)(SOCKET, const char *, int, int))(void (*)(void))send;
  winsock.recv = (int(WSAAPI *)(SOCKET, char *, int, int))(void (*)(void))recv;
  return winsock.startup(MAKEWORD(2, 2), &data) == 0;
}

/* The channel once it has been opened: two handles, or, in a child, a socket. */
static struct {
  HANDLE in, out;
  SOCKET socket;
  bool is_open;
} channel = {NULL, NULL, INVALID_SOCKET, false};

/* channel_get reads at most |max| bytes; 0: the end. */
static size_t channel_get(void *out, size_t max) {
  DWORD got = 0;
  if (channel.socket != INVALID_SOCKET) {
    int number = winsock.recv(channel.socket, out, (int)max, 0);
    return number > 0 ? (size_t)number : 0;
  }
  /* A read of nothing is the end, too: so Wine says it of a pipe of the system below. No runner writes no bytes. */
  return ReadFile(channel.in, out, (DWORD)max, &got, NULL) ? got : 0;
}

/* channel_put writes at most |len| bytes; 0: it cannot. */
static size_t channel_put(const char *data, size_t len) {
  DWORD put = 0;
  if (channel.socket != INVALID_SOCKET) {
    int number = winsock.send(channel.socket, data, (int)len, 0);
    return number > 0 ? (size_t)number : 0;
  }
  return WriteFile(channel.out, data, (DWORD)len, &put, NULL) ? put : 0;
}

/* channel_connect makes the channel of a child: |control| is `loopback:PORT:TOKEN`. */
static bool channel_connect(const char *control) {
  static const char scheme[] = "loopback:";
  const char *colon = NULL;
  unsigned long port = 0;
  if (strncmp(control, scheme, sizeof(scheme) - 1) == 0) {
    char *end = NULL;
    port = strtoul(control + sizeof(scheme) - 1, &end, 10);
    colon = *end == ':' ? end : NULL;
  }
  if (colon == NULL || port == 0 || port > 65535 || strlen(colon + 1) != 32) {
    errno = EINVAL;
    return false;
  }
  errno = ECONNREFUSED;
  if (!winsock_load()) return false;
  SOCKET s = winsock.make(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
  if (s == INVALID_SOCKET) return false;
  struct sockaddr_in address;
  memset(&address, 0, sizeof(address));
  address.sin_family = AF_INET;
  address.sin_port = (u_short)((port & 0xFF) << 8 | port >> 8);
  address.sin_addr.s_addr = 0x0100007Fu; /* 127.0.0.1; this system is little-endian everywhere */
  char line[33];
  memcpy(line, colon + 1, 32);
  line[32] = '\n';
  bool connected = winsock.connect(s, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
                   winsock.send(s, line, sizeof(line), 0) == (int)sizeof(line);
  if (connected) channel.socket = s; /* else the process ends and closes it */
  return connected;
}

/* channel_take gets the channel's ends: the connection that a child's environment names, else copies of the standard
 * handles. The variable goes: what this process starts in any other way is no peer. */
static bool channel_take(void) {
  const char *control = getenv("CTS_CONTROL");
  if (control != NULL) {
    bool connected = channel_connect(control);
    int error = errno;
    _putenv("CTS_CONTROL=");
    errno = error;
    return connected;
  }
  HANDLE self = GetCurrentProcess(), in = GetStdHandle(STD_INPUT_HANDLE), out = GetStdHandle(STD_OUTPUT_HANDLE);
  errno = EBADF;
  if (in == NULL || in == INVALID_HANDLE_VALUE || out == NULL || out == INVALID_HANDLE_VALUE) return false;
  return DuplicateHandle(self, in, self, &channel.in, 0, FALSE, DUPLICATE_SAME_ACCESS) &&
         DuplicateHandle(self, out, self, &channel.out, 0, FALSE, DUPLICATE_SAME_ACCESS);
}

/* std_set makes descriptor |to| of the C runtime, and the standard handle |which| of the system, what |from| is. That
 * closes what they were. A child inherits them, as it does those of any program. */
static bool std_set(int from, int to, DWORD which) {
  if (_dup2(from, to) != 0) return false;
  HANDLE handle = (HANDLE)_get_osfhandle(to);
  SetHandleInformation(handle, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
  return SetStdHandle(which, handle) != 0;
}

bool cts_open_channel(void) {
  if (channel.is_open) return true;
  if (!channel_take()) return false;
  int null_device = _open("NUL", _O_RDWR | _O_NOINHERIT);
  bool moved = null_device >= 0 && std_set(null_device, 0, STD_INPUT_HANDLE) &&
               (std_set(2, 1, STD_OUTPUT_HANDLE) || std_set(null_device, 1, STD_OUTPUT_HANDLE));
  int error = errno;
  if (null_device > 2) _close(null_device);
  channel.is_open = moved;
  errno = error;
  return moved;
}

/* What has come and has not been read yet. A pipe cannot be asked whether its other end is gone while somebody reads
 * it, and a write to one cannot be called off; so a thread of its own reads ahead. It has room for all that a runner
 * may send, and thus sees the end of input whatever the reader does. */
enum { INPUT_ROOM = CTS_OUTSTANDING_MAX * CTS_LINE_MAX };
static struct {
  kit_mutex mutex;
  kit_condition changed;
  size_t at;           /* of the first byte */
  size_t filled;       /* bytes from there on, around the end */
  bool ended;          /* nothing follows */
  bool reader_writes;  /* the reader is inside a write */
  uint64_t num_writes; /* that it has begun */
  uint8_t bytes[INPUT_ROOM];
} input = {KIT_MUTEX_INIT, KIT_CONDITION_INIT, 0, 0, false, false, 0, {0}};

/* end_with_input is the rest of the input thread's life: the reader ends the process when it comes to the end of input,
 * unless it is stuck in a write that nobody takes. */
static void end_with_input(void) {
  kit_lock(&input.mutex);
  input.ended = true;
  kit_wake_all(&input.changed);
  for (;;) {
    while (!input.reader_writes) kit_wait(&input.changed, &input.mutex);
    uint64_t same = input.num_writes;
    bool woken = kit_wait_for(&input.changed, &input.mutex, HANGUP_SLICE_MS);
    if (!woken && input.reader_writes && input.num_writes == same) platform_end(0);
  }
}

static kit_result KIT_CALL input_thread(void *unused) {
  (void)unused;
  for (;;) {
    kit_lock(&input.mutex);
    while (input.filled == INPUT_ROOM) kit_wait(&input.changed, &input.mutex);
    size_t to = (input.at + input.filled) % INPUT_ROOM;
    size_t room = to < input.at ? input.at - to : INPUT_ROOM - to;
    kit_unlock(&input.mutex);
    size_t got = channel_get(input.bytes + to, room < CTS_LINE_MAX ? room : CTS_LINE_MAX);
    if (got == 0) break;
    kit_lock(&input.mutex);
    input.filled += got;
    kit_unlock(&input.mutex);
    kit_wake_all(&input.changed);
  }
  end_with_input();
  return 0;
}

static bool platform_begin(void) { return platform_start_kit_thread(input_thread, NULL); }

static size_t platform_read(void *out, size_t max) {
  kit_lock(&input.mutex);
  while (input.filled == 0 && !input.ended) kit_wait(&input.changed, &input.mutex);
  size_t len = input.filled < max ? input.filled : max;
  if (len > INPUT_ROOM - input.at) len = INPUT_ROOM - input.at;
  memcpy(out, input.bytes + input.at, len);
  input.at = (input.at + len) % INPUT_ROOM;
  input.filled -= len;
  kit_unlock(&input.mutex);
  kit_wake_all(&input.changed);
  return len;
}

static void input_note_write(bool begins) {
  kit_lock(&input.mutex);
  input.reader_writes = begins;
  input.num_writes += begins;
  bool wake = input.ended;
  kit_unlock(&input.mutex);
  if (wake) kit_wake_all(&input.changed);
}

static void platform_write(const char *data, size_t len, bool reader) {
  if (reader) input_note_write(true);
  while (len > 0) {
    size_t put = channel_put(data, len);
    if (put == 0) platform_end(0); /* nobody reads replies any more: the runner is gone */
    data += put;
    len -= put;
  }
  if (reader) input_note_write(false);
}

static bool platform_wait_hangup(int timeout_ms) {
  kit_lock(&input.mutex);
  while (!input.ended && timeout_ms < 0) kit_wait(&input.changed, &input.mutex);
  bool ended = input.ended;
  kit_unlock(&input.mutex);
  return ended;
}

typedef HANDLE platform_process;

/* spawn_environment returns the environment with CTS_CONTROL in front, to be freed, or NULL. */
static WCHAR *spawn_environment(const char *control) {
  static const WCHAR name[] = L"CTS_CONTROL=";
  enum { NAME_LEN = sizeof(name) / sizeof(name[0]) - 1 };
  WCHAR *all = GetEnvironmentStringsW();
  if (all == NULL) return NULL;
  size_t all_len = 0, control_len = strlen(control);
  while (all[all_len] != 0) all_len += wcslen(all + all_len) + 1;
  WCHAR *copy = malloc((NAME_LEN + control_len + 1 + all_len + 1) * sizeof(*copy));
  if (copy != NULL) {
    memcpy(copy, name, NAME_LEN * sizeof(*copy));
    for (size_t i = 0; i <= control_len; i++) copy[NAME_LEN + i] = (WCHAR)(unsigned char)control[i];
    memcpy(copy + NAME_LEN + control_len + 1, all, (all_len + 1) * sizeof(*copy));
  }
  FreeEnvironmentStringsW(all);
  return copy;
}

/* A program of C starts another with everything that is inheritable. There are no process groups of Unix's kind; that
 * which the console has at least keeps its events away. */
static uint32_t spawn_self(WCHAR *environment, WCHAR *program, WCHAR *command, PROCESS_INFORMATION *out) {
  enum { PROGRAM_MAX = 32768 };
  STARTUPINFOW startup;
  memset(&startup, 0, sizeof(startup));
  startup.cb = sizeof(startup);
  startup.dwFlags = STARTF_USESTDHANDLES;
  startup.hStdInput = GetStdHandle(STD_INPUT_HANDLE);
  startup.hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE);
  startup.hStdError = GetStdHandle(STD_ERROR_HANDLE);
  DWORD len = GetModuleFileNameW(NULL, program, PROGRAM_MAX);
  if (len == 0 || len == PROGRAM_MAX) return GetLastError();
  DWORD flags = CREATE_UNICODE_ENVIRONMENT | CREATE_NEW_PROCESS_GROUP;
  if (CreateProcessW(program, command, NULL, NULL, TRUE, flags, environment, NULL, &startup, out)) return 0;
  return GetLastError();
}

static uint32_t platform_spawn(const char *control, char **argv, platform_process *out_process, uint64_t *out_pid) {
  PROCESS_INFORMATION started;
  WCHAR *environment = spawn_environment(control);
  WCHAR *program = malloc(CTS_LINE_MAX), *command = _wcsdup(GetCommandLineW());
  uint32_t error = ERROR_NOT_ENOUGH_MEMORY;
  (void)argv; /* the command line says the same, as it was given */
  if (environment != NULL && program != NULL && command != NULL) {
    error = spawn_self(environment, program, command, &started);
  }
  free(environment);
  free(program);
  free(command);
  if (error != 0) return error;
  CloseHandle(started.hThread);
  *out_process = started.hProcess;
  *out_pid = started.dwProcessId;
  return 0;
}

static uint32_t platform_await(platform_process process, cts_call *call) {
  DWORD code = 0;
  if (WaitForSingleObject(process, INFINITE) != WAIT_OBJECT_0) return GetLastError();
  if (!GetExitCodeProcess(process, &code)) return GetLastError();
  if (call != NULL) cts_add_u64(call, "code", code);
  return 0;
}

static void platform_kill(platform_process process) { TerminateProcess(process, 1); }
static void platform_forget(platform_process process) {
  WaitForSingleObject(process, INFINITE);
  CloseHandle(process);
}

static cts_outcome platform_error(uint32_t error, const char *why) { return cts_win32_error(error, why); }

#else /* POSIX */

#if defined(__APPLE__)
#define PLATFORM_OS "macos"
#elif defined(__FreeBSD__)
#define PLATFORM_OS "freebsd"
#else
#define PLATFORM_OS "linux"
#endif

typedef pthread_mutex_t kit_mutex;
typedef pthread_cond_t kit_condition;
typedef pthread_once_t kit_once;
typedef void *kit_result;
#define KIT_MUTEX_INIT PTHREAD_MUTEX_INITIALIZER
#define KIT_CONDITION_INIT PTHREAD_COND_INITIALIZER
#define KIT_ONCE_INIT PTHREAD_ONCE_INIT
#define KIT_CALL
#define KIT_THREAD_LOCAL _Thread_local

static void kit_lock(kit_mutex *mutex) { pthread_mutex_lock(mutex); }
static void kit_unlock(kit_mutex *mutex) { pthread_mutex_unlock(mutex); }
static void kit_condition_init(kit_condition *condition) { pthread_cond_init(condition, NULL); }
static void kit_wait(kit_condition *condition, kit_mutex *mutex) { pthread_cond_wait(condition, mutex); }
static void kit_wake_one(kit_condition *condition) { pthread_cond_signal(condition); }
static void kit_wake_all(kit_condition *condition) { pthread_cond_broadcast(condition); }
static void kit_yield(void) { sched_yield(); }
static void kit_call_once(kit_once *once, void (*function)(void)) { pthread_once(once, function); }

/* The clock is the realtime one because only that exists everywhere; the slices are short and a step of the clock only
 * makes one shorter or longer. */
static bool kit_wait_for(kit_condition *condition, kit_mutex *mutex, int slice_ms) {
  struct timespec until;
  timespec_get(&until, TIME_UTC);
  until.tv_nsec += (long)slice_ms * 1000000L;
  until.tv_sec += until.tv_nsec / 1000000000L;
  until.tv_nsec %= 1000000000L;
  return pthread_cond_timedwait(condition, mutex, &until) == 0;
}

/* The signal mask that the process began with. */
static sigset_t initial_signals;

static bool platform_begin(void) { return pthread_sigmask(SIG_SETMASK, NULL, &initial_signals) == 0; }

static bool start_thread(kit_result (*body)(void *), void *argument) {
  pthread_t thread;
  int error = pthread_create(&thread, NULL, body, argument);
  if (error == 0) pthread_detach(thread);
  return error == 0;
}

/* shield_thread keeps signals from being handled in a thread that is the kit's own: handlers run where the library's
 * callers are. */
static void shield_thread(sigset_t *out_before) {
  sigset_t all;
  sigfillset(&all);
  sigdelset(&all, SIGSEGV);
  sigdelset(&all, SIGBUS);
  sigdelset(&all, SIGFPE);
  sigdelset(&all, SIGILL);
  sigdelset(&all, SIGABRT);
  pthread_sigmask(SIG_SETMASK, &all, out_before);
}

static bool platform_start_kit_thread(kit_result (*body)(void *), void *argument) {
  sigset_t before;
  shield_thread(&before);
  bool started = start_thread(body, argument);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return started;
}

static bool platform_start_lane_thread(kit_result (*body)(void *), void *argument) {
  return start_thread(body, argument);
}

/* A lane has the signal mask that the process began with. It takes it on itself, because the reader, which starts it,
 * must not let a signal in even for a moment. */
static void platform_enter_lane(void) { pthread_sigmask(SIG_SETMASK, &initial_signals, NULL); }

static uint64_t platform_thread_id(void) {
#if defined(__linux__)
  return (uint64_t)syscall(SYS_gettid);
#elif defined(__APPLE__)
  uint64_t id = 0;
  pthread_threadid_np(NULL, &id);
  return id;
#elif defined(__FreeBSD__)
  return (uint64_t)pthread_getthreadid_np();
#else
  return 0;
#endif
}

static uint64_t platform_process_id(void) { return (uint64_t)getpid(); }

static void platform_end(int status) { _exit(status); }

/* The channel's descriptors once it has been moved; -1 before. */
static int channel_in = -1;
static int channel_out = -1;

/* channel_connect connects to the socket at |path|, and returns its descriptor (not below 3, not inherited) or -1. */
static int channel_connect(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof(address.sun_path)) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(address.sun_path, path, strlen(path) + 1);
  int low = socket(AF_UNIX, SOCK_STREAM, 0);
  int fd = low >= 0 ? fcntl(low, F_DUPFD_CLOEXEC, 3) : -1;
  int error = errno;
  if (low >= 0) close(low);
  while (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
    if (errno == EINTR) continue;
    error = errno;
    close(fd);
    fd = -1;
  }
  errno = error;
  return fd;
}

/* channel_take gets the channel's descriptors: those of the connection that a child's environment names, else copies of
 * standard input and output. The variable goes: what this process starts in any other way is no peer. */
static void channel_take(int *out_in, int *out_out) {
  const char *control = getenv("CTS_CONTROL");
  if (control == NULL) {
    *out_in = fcntl(0, F_DUPFD_CLOEXEC, 3);
    *out_out = fcntl(1, F_DUPFD_CLOEXEC, 3);
    return;
  }
  *out_in = channel_connect(control);
  *out_out = *out_in >= 0 ? fcntl(*out_in, F_DUPFD_CLOEXEC, 3) : -1;
  int error = errno;
  unsetenv("CTS_CONTROL");
  errno = error;
}

bool cts_open_channel(void) {
  if (channel_in >= 0) return true;
  int in, out;
  channel_take(&in, &out);
  int error = errno; /* of what is missing: to open the null device may succeed */
  int null_device = open("/dev/null", O_RDWR | O_CLOEXEC);
  bool moved = in >= 0 && out >= 0 && null_device >= 0 && dup2(null_device, 0) == 0 &&
               (dup2(2, 1) == 1 || dup2(null_device, 1) == 1);
  if (in >= 0 && out >= 0) error = errno;
  if (null_device >= 0) close(null_device);
  if (moved) {
    channel_in = in;
    channel_out = out;
    return true;
  }
  if (in >= 0) close(in);
  if (out >= 0) close(out);
  errno = error;
  return false;
}

static size_t platform_read(void *out, size_t max) {
  for (;;) {
    ssize_t got = read(channel_in, out, max);
    if (got >= 0) return (size_t)got;
    if (errno == EAGAIN || errno == EWOULDBLOCK) { /* the runner's end shares its description with ours */
      struct pollfd in = {channel_in, POLLIN, 0};
      poll(&in, 1, -1);
    } else if (errno != EINTR) {
      return 0;
    }
  }
}

/* The end of input on a socket, whose other direction the runner still reads: a pipe shows a hang-up by itself. */
#ifdef POLLRDHUP
enum { INPUT_ENDED = POLLRDHUP };
#else
enum { INPUT_ENDED = 0 };
#endif

static bool platform_wait_hangup(int timeout_ms) {
  struct pollfd in = {channel_in, INPUT_ENDED, 0};
  return poll(&in, 1, timeout_ms) > 0 && (in.revents & (POLLHUP | POLLERR | INPUT_ENDED)) != 0;
}

/* wait_writable waits until a line can be written without blocking, and ends the process if input ends before. */
static void wait_writable(void) {
  struct pollfd both[2] = {{channel_out, POLLOUT, 0}, {channel_in, INPUT_ENDED, 0}};
  while (poll(both, 1, 0) == 0) {
    if (poll(both, 2, -1) > 0 && both[0].revents == 0 && (both[1].revents & (POLLHUP | POLLERR | INPUT_ENDED)) != 0) {
      platform_end(0);
    }
  }
}

/* One write(2) where the system takes everything. SIGPIPE is
 * blocked around it in this thread alone: the library under test must find it as it always is. */
static void platform_write(const char *data, size_t len, bool reader) {
  sigset_t pipe_signal, before;
  if (reader) wait_writable();
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  while (len > 0) {
    ssize_t put = write(channel_out, data, len);
    if (put > 0) {
      data += put;
      len -= (size_t)put;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      struct pollfd out = {channel_out, POLLOUT, 0};
      poll(&out, 1, -1);
    } else if (errno != EINTR) {
      platform_end(0); /* nobody reads replies any more: the runner is gone */
    }
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

typedef pid_t platform_process; /* and its process group */

/* signal_name returns the name of |number| as operations.toml spells it, or NULL. */
static const char *signal_name(int number) {
  static const struct {
    int number;
    const char *name;
  } names[] = {
      {SIGABRT, "ABRT"}, {SIGALRM, "ALRM"}, {SIGBUS, "BUS"},   {SIGFPE, "FPE"},   {SIGHUP, "HUP"},   {SIGILL, "ILL"},
      {SIGINT, "INT"},   {SIGKILL, "KILL"}, {SIGPIPE, "PIPE"}, {SIGQUIT, "QUIT"}, {SIGSEGV, "SEGV"}, {SIGSYS, "SYS"},
      {SIGTERM, "TERM"}, {SIGTRAP, "TRAP"}, {SIGUSR1, "USR1"}, {SIGUSR2, "USR2"}, {SIGXCPU, "XCPU"}, {SIGXFSZ, "XFSZ"},
  };
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    if (names[i].number == number) return names[i].name;
  }
  return NULL;
}

extern char **environ;

/* spawn_environment returns the environment with |control| (`CTS_CONTROL=…`) in front, to be freed, or NULL. */
static char **spawn_environment(char *control) {
  size_t num = 0;
  while (environ[num] != NULL) num++;
  char **copy = malloc((num + 2) * sizeof(*copy));
  if (copy == NULL) return NULL;
  copy[0] = control;
  memcpy(copy + 1, environ, (num + 1) * sizeof(*copy));
  return copy;
}

/* spawn_self starts this program again, in a process group of its own, with everything that is inheritable. Standard
 * input is the null device and standard output is standard error here already, and so they are there. */
static int spawn_self(char **argv, char **envp, pid_t *out_pid) {
  posix_spawnattr_t attributes;
  int error = posix_spawnattr_init(&attributes);
  if (error != 0) return error;
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigmask(&attributes, &initial_signals);
#if defined(__linux__)
  error = posix_spawn(out_pid, "/proc/self/exe", NULL, &attributes, argv, envp);
#else
  error = posix_spawnp(out_pid, argv[0], NULL, &attributes, argv, envp);
#endif
  posix_spawnattr_destroy(&attributes);
  return error;
}

static uint32_t platform_spawn(const char *control, char **argv, platform_process *out_process, uint64_t *out_pid) {
  size_t max = sizeof("CTS_CONTROL=") + strlen(control);
  char *variable = malloc(max);
  char **envp = variable != NULL ? spawn_environment(variable) : NULL;
  int error = ENOMEM;
  if (envp != NULL) {
    snprintf(variable, max, "CTS_CONTROL=%s", control);
    error = spawn_self(argv, envp, out_process);
  }
  free(envp);
  free(variable);
  *out_pid = error == 0 ? (uint64_t)*out_process : 0;
  return (uint32_t)error;
}

/* The child stays a zombie until it is forgotten: its number means it and nothing else. */
static uint32_t platform_await(platform_process process, cts_call *call) {
  siginfo_t info;
  while (waitid(P_PID, (id_t)process, &info, WEXITED | WNOWAIT) != 0) {
    if (errno != EINTR) return (uint32_t)errno;
  }
  if (call == NULL) return 0;
  if (info.si_code == CLD_EXITED) {
    cts_add_u64(call, "code", (uint64_t)info.si_status);
  } else {
    const char *name = signal_name(info.si_status);
    char number[16];
    snprintf(number, sizeof(number), "%d", info.si_status);
    cts_add_text(call, "signal", name != NULL ? name : number);
  }
  return 0;
}

static void platform_kill(platform_process process) { kill(-process, SIGKILL); }

static void platform_forget(platform_process process) {
  while (waitpid(process, NULL, 0) < 0 && errno == EINTR) continue;
}

static cts_outcome platform_error(uint32_t error, const char *why) { return cts_error((int)error, why); }

#endif

/* ------------------------------------------------------------------------------------------------------ tables
 * Everything about operations comes from cts_operations.inc as rows, in its order. */

enum { ROW_OPERATION, ROW_MAKES, ROW_ARGUMENT, ROW_END };
enum {
  TYPE_none,
  TYPE_bool,
  TYPE_u32,
  TYPE_u64,
  TYPE_i64,
  TYPE_text,
  TYPE_bytes,
  TYPE_data,
  TYPE_enum,
  TYPE_raw,
  TYPE_list_u32,
  TYPE_list_u64,
  TYPE_list_text,
};

typedef struct row {
  uint8_t kind;        /* ROW_* */
  uint8_t type;        /* of an argument: TYPE_* */
  bool optional;       /* argument may be absent */
  bool consumes;       /* operation takes its handle away */
  const char *name;    /* operation, request key or argument */
  const char *handle;  /* kind of handle: acted on (NULL: none), or made */
  const char *feature; /* that must be offered for this argument; NULL: none */
  const char *values;  /* of an enumeration, joined by `|` */
} row;

static const row rows[] = {
#define CTS_OPERATION_BEGIN(identifier, name, on, consumes) \
  {ROW_OPERATION, TYPE_none, false, consumes, name, on, NULL, NULL},
#define CTS_MAKES(key, kind) {ROW_MAKES, TYPE_none, false, false, key, kind, NULL, NULL},
#define CTS_ARG(name, type, optional, feature, values) \
  {ROW_ARGUMENT, TYPE_##type, optional, false, name, NULL, feature, values},
#define CTS_OPERATION_END {ROW_END, TYPE_none, false, false, NULL, NULL, NULL, NULL},
#include "cts_operations.inc"
#undef CTS_OPERATION_BEGIN
#undef CTS_MAKES
#undef CTS_ARG
#undef CTS_OPERATION_END
};
enum { NUM_ROWS = sizeof(rows) / sizeof(rows[0]) };

static const char *const status_names[] = {
#define CTS_STATUS(name) name,
#include "cts_operations.inc"
#undef CTS_STATUS
};
static const char *const feature_names[] = {
#define CTS_FEATURE(name) name,
#include "cts_operations.inc"
#undef CTS_FEATURE
    NULL};
static const char *const trait_names[] = {
#define CTS_TRAIT(name) name,
#include "cts_operations.inc"
#undef CTS_TRAIT
    NULL};
typedef struct native_status {
  uint32_t error;
  const char *status;
} native_status;
static const native_status errno_table[] = {
#define CTS_ERRNO(error, status) {error, status},
#include "cts_errno.inc"
#undef CTS_ERRNO
    {0, NULL}};
#if defined(_WIN32)
static const native_status win32_table[] = {
#define CTS_WIN32(error, status) {error, status},
#include "cts_win32.inc"
#undef CTS_WIN32
    {0, NULL}};
#endif

/* A mistake in the peer itself, not in what the runner sent. */
static void peer_is_wrong(const char *what, const char *name) {
  fprintf(stderr, "cts_peer: %s: %s\n", what, name);
  abort();
}

static bool list_has(const char *const *list, const char *name) {
  for (; list != NULL && *list != NULL; list++) {
    if (strcmp(*list, name) == 0) return true;
  }
  return false;
}

bool cts_feature_known(const char *name) { return list_has(feature_names, name); }
bool cts_trait_known(const char *name) { return list_has(trait_names, name); }

const char *cts_status_name(int32_t value) {
  bool known = value >= 0 && (size_t)value < sizeof(status_names) / sizeof(status_names[0]);
  return known ? status_names[value] : NULL;
}

static bool status_known(const char *name) {
  for (size_t i = 0; i < sizeof(status_names) / sizeof(status_names[0]); i++) {
    if (name == status_names[i] || strcmp(name, status_names[i]) == 0) return true;
  }
  return false;
}

cts_outcome cts_ok(void) { return (cts_outcome){"ok", 0, NULL}; }
cts_outcome cts_status(const char *status, const char *why) { return (cts_outcome){status, 0, why}; }

static cts_outcome native_outcome(const native_status *table, uint32_t error, const char *why) {
  while (table->status != NULL && table->error != error) table++;
  return (cts_outcome){table->status != NULL ? table->status : "failed", error, why};
}

cts_outcome cts_error(int error, const char *why) { return native_outcome(errno_table, (uint32_t)error, why); }

#if defined(_WIN32)
cts_outcome cts_win32_error(uint32_t error, const char *why) { return native_outcome(win32_table, error, why); }
#endif

/* ------------------------------------------------------------------------------------------------------ codecs */

enum { PATTERN_PERIOD = 65521, CRC_LANES = 8 };

static uint32_t crc_table[CRC_LANES][256];
static uint8_t pattern_table[PATTERN_PERIOD];

/* codecs_init fills the tables of the CRC (eight bytes a step) and of the patterns. */
static void codecs_init(void) {
  for (uint32_t n = 0; n < 256; n++) {
    uint32_t crc = n;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
    crc_table[0][n] = crc;
  }
  for (uint32_t n = 0; n < 256; n++) {
    for (int lane = 1; lane < CRC_LANES; lane++) {
      uint32_t before = crc_table[lane - 1][n];
      crc_table[lane][n] = (before >> 8) ^ crc_table[0][before & 0xFFu];
    }
  }
  uint32_t x = 1;
  for (size_t n = 0; n < PATTERN_PERIOD; n++) {
    x = (uint32_t)((UINT64_C(1103515245) * x + 12345) & 0x7FFFFFFFu);
    pattern_table[n] = (uint8_t)(x >> 16);
  }
}

static kit_once codecs_once = KIT_ONCE_INIT;

uint32_t cts_crc32(uint32_t crc, const void *data, size_t len) {
  const uint8_t *p = data;
  kit_call_once(&codecs_once, codecs_init);
  crc = ~crc;
  for (; len >= 8; len -= 8, p += 8) {
    crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    crc = crc_table[7][crc & 0xFFu] ^ crc_table[6][crc >> 8 & 0xFFu] ^ crc_table[5][crc >> 16 & 0xFFu] ^
          crc_table[4][crc >> 24] ^ crc_table[3][p[4]] ^ crc_table[2][p[5]] ^ crc_table[1][p[6]] ^ crc_table[0][p[7]];
  }
  for (; len > 0; len--, p++) crc = (crc >> 8) ^ crc_table[0][(crc ^ *p) & 0xFFu];
  return ~crc;
}

void cts_data_copy(const cts_data *data, size_t offset, void *out, size_t len) {
  uint8_t *to = out;
  kit_call_once(&codecs_once, codecs_init);
  if (data->bytes != NULL) {
    if (len > 0) memcpy(to, data->bytes + offset, len);
    return;
  }
  size_t from = (data->seed + offset) % PATTERN_PERIOD;
  while (len > 0) {
    size_t run = PATTERN_PERIOD - from < len ? PATTERN_PERIOD - from : len;
    memcpy(to, pattern_table + from, run);
    to += run;
    len -= run;
    from = 0;
  }
}

void cts_digest_init(cts_digest *digest, uint32_t chunk) {
  digest->length = 0;
  digest->crc32 = 0;
  digest->chunk = chunk;
  digest->chunk_filled = 0;
  digest->num_chunks = 0;
}

static void digest_chunks(cts_digest *digest, const uint8_t *data, size_t len) {
  while (len > 0) {
    if (digest->num_chunks == 0 || digest->chunk_filled == digest->chunk) {
      if (digest->num_chunks == CTS_CHUNKS_MAX) return;
      digest->chunks[digest->num_chunks++] = 0;
      digest->chunk_filled = 0;
    }
    size_t run = digest->chunk - digest->chunk_filled;
    if (run > len) run = len;
    uint32_t *crc = &digest->chunks[digest->num_chunks - 1];
    *crc = cts_crc32(*crc, data, run);
    digest->chunk_filled += (uint32_t)run;
    data += run;
    len -= run;
  }
}

void cts_digest_update(cts_digest *digest, const void *data, size_t len) {
  if (len == 0) return;
  if (digest->length < CTS_INLINE_MAX) {
    size_t room = CTS_INLINE_MAX - (size_t)digest->length;
    memcpy(digest->data + digest->length, data, len < room ? len : room);
  }
  digest->length += len;
  digest->crc32 = cts_crc32(digest->crc32, data, len);
  if (digest->chunk > 0) digest_chunks(digest, data, len);
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* base64_value returns the value of a digit, or -1. */
static int base64_value(uint8_t c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* base64_decode decodes |len| bytes of |text| in place and returns the number of bytes, or -1 unless it is RFC 4648
 * with padding, with nothing else in it and no stray bits at its end. */
static ptrdiff_t base64_decode(uint8_t *text, size_t len) {
  if (len % 4 != 0) return -1;
  size_t padding = len > 0 && text[len - 1] == '=' ? (text[len - 2] == '=' ? 2 : 1) : 0;
  size_t put = 0;
  uint32_t bits = 0;
  for (size_t i = 0; i < len - padding; i++) {
    int value = base64_value(text[i]);
    if (value < 0) return -1;
    bits = bits << 6 | (uint32_t)value;
    if (i % 4 == 3) {
      text[put++] = (uint8_t)(bits >> 16);
      text[put++] = (uint8_t)(bits >> 8);
      text[put++] = (uint8_t)bits;
      bits = 0;
    }
  }
  if (padding == 1) {
    if ((bits & 3u) != 0) return -1;
    text[put++] = (uint8_t)(bits >> 10);
    text[put++] = (uint8_t)(bits >> 2);
  } else if (padding == 2) {
    if ((bits & 15u) != 0) return -1;
    text[put++] = (uint8_t)(bits >> 4);
  }
  return (ptrdiff_t)put;
}

/* utf8_length returns the length of the well-formed UTF-8 sequence at |p|, |room| bytes long at most, or 0. */
static size_t utf8_length(const uint8_t *p, size_t room) {
  if (room == 0) return 0;
  if (p[0] < 0x80) return 1;
  size_t len = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
  if (p[0] < 0xC2 || p[0] > 0xF4 || room < len) return 0;
  for (size_t i = 1; i < len; i++) {
    if ((p[i] & 0xC0) != 0x80) return 0;
  }
  bool overlong = (p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xF0 && p[1] < 0x90);
  bool surrogate = p[0] == 0xED && p[1] >= 0xA0;
  bool beyond = p[0] == 0xF4 && p[1] >= 0x90;
  return overlong || surrogate || beyond ? 0 : len;
}

/* -------------------------------------------------------------------------------------------------------- JSON
 * The subset of spec/peer_protocol.md, 1.1. A line becomes a flat list of nodes in order of appearance; strings are
 * unescaped in place (they never grow) and end in NUL where their closing quote was. */

enum { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_INTEGER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };
enum { JSON_DEPTH_MAX = 8, JSON_NODES_MAX = CTS_LINE_MAX / 2 + 2 };
static const int64_t json_integer_max = INT64_C(9007199254740991);

typedef struct node {
  uint8_t type;   /* JSON_* */
  uint32_t next;  /* index of the node after this one and all inside it */
  uint32_t start; /* of a string: offset of its bytes */
  uint32_t len;   /* of a string: bytes; of an array or object: elements or members */
  int64_t number; /* of an integer; of a key: its hash */
} node;

typedef struct json {
  uint8_t *text;
  size_t len;
  size_t at;
  node *nodes;
  uint32_t num_nodes;
  const char *why; /* what is wrong, static */
} json;

static bool json_wrong(json *j, const char *why) {
  j->why = why;
  return false;
}

static void json_skip_space(json *j) {
  while (j->at < j->len && strchr(" \t\r\n", j->text[j->at]) != NULL && j->text[j->at] != 0) j->at++;
}

static node *json_new_node(json *j, uint8_t type) {
  node *n = &j->nodes[j->num_nodes++]; /* a node takes two bytes of text at least, so that there is always one */
  memset(n, 0, sizeof(*n));
  n->type = type;
  n->next = j->num_nodes;
  return n;
}

/* json_hex4 reads four hexadecimal digits, or returns -1. */
static int32_t json_hex4(json *j) {
  if (j->len - j->at < 4) return -1;
  int32_t value = 0;
  for (int i = 0; i < 4; i++) {
    uint8_t c = j->text[j->at++];
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

/* utf8_put writes |code| as UTF-8 and returns the end of it. */
static size_t utf8_put(uint8_t *text, size_t put, uint32_t code) {
  if (code < 0x80) {
    text[put++] = (uint8_t)code;
  } else if (code < 0x800) {
    text[put++] = (uint8_t)(0xC0 | code >> 6);
    text[put++] = (uint8_t)(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    text[put++] = (uint8_t)(0xE0 | code >> 12);
    text[put++] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
    text[put++] = (uint8_t)(0x80 | (code & 0x3F));
  } else {
    text[put++] = (uint8_t)(0xF0 | code >> 18);
    text[put++] = (uint8_t)(0x80 | (code >> 12 & 0x3F));
    text[put++] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
    text[put++] = (uint8_t)(0x80 | (code & 0x3F));
  }
  return put;
}

/* json_escape unescapes what follows a backslash to |*put|. */
static bool json_escape(json *j, size_t *put) {
  static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  if (j->at == j->len) return json_wrong(j, "the line ends inside a string");
  uint8_t c = j->text[j->at++];
  const char *letter = c != 0 ? strchr(letters, c) : NULL;
  if (letter != NULL) {
    j->text[(*put)++] = (uint8_t)meanings[letter - letters];
    return true;
  }
  if (c != 'u') return json_wrong(j, "an unknown escape in a string");
  int32_t unit = json_hex4(j);
  if (unit < 0) return json_wrong(j, "\\u without four hexadecimal digits");
  uint32_t code = (uint32_t)unit;
  if (code >= 0xDC00 && code <= 0xDFFF) return json_wrong(j, "a lone surrogate in a string");
  if (code >= 0xD800 && code <= 0xDBFF) {
    bool escaped = j->len - j->at >= 2 && j->text[j->at] == '\\' && j->text[j->at + 1] == 'u';
    if (escaped) j->at += 2;
    int32_t low = escaped ? json_hex4(j) : -1;
    if (low < 0xDC00 || low > 0xDFFF) return json_wrong(j, "a lone surrogate in a string");
    code = 0x10000 + ((code - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
  }
  *put = utf8_put(j->text, *put, code);
  return true;
}

/* json_string reads a string whose opening quote has been seen. */
static bool json_string(json *j) {
  uint32_t index = j->num_nodes;
  size_t start = ++j->at, put = start;
  json_new_node(j, JSON_STRING);
  for (;;) {
    if (j->at == j->len) return json_wrong(j, "the line ends inside a string");
    uint8_t c = j->text[j->at];
    if (c == '"') break;
    if (c < 0x20) return json_wrong(j, "a control character in a string");
    if (c == '\\') {
      j->at++;
      if (!json_escape(j, &put)) return false;
      continue;
    }
    size_t run = utf8_length(j->text + j->at, j->len - j->at);
    if (run == 0) return json_wrong(j, "not valid UTF-8");
    for (; run > 0; run--) j->text[put++] = j->text[j->at++];
  }
  j->at++;
  j->text[put] = 0;
  j->nodes[index].start = (uint32_t)start;
  j->nodes[index].len = (uint32_t)(put - start);
  return true;
}

static bool json_integer(json *j) {
  bool negative = j->text[j->at] == '-';
  if (negative) j->at++;
  size_t first = j->at;
  int64_t value = 0;
  for (; j->at < j->len && j->text[j->at] >= '0' && j->text[j->at] <= '9'; j->at++) {
    value = value * 10 + (j->text[j->at] - '0');
    if (value > json_integer_max) return json_wrong(j, "a number beyond 2^53-1");
  }
  if (j->at == first) return json_wrong(j, "a value is missing or unknown");
  if (j->text[first] == '0' && j->at - first > 1) return json_wrong(j, "a number with a leading zero");
  if (j->at < j->len && (j->text[j->at] == '.' || j->text[j->at] == 'e' || j->text[j->at] == 'E')) {
    return json_wrong(j, "a number that is no integer");
  }
  json_new_node(j, JSON_INTEGER)->number = negative ? -value : value;
  return true;
}

static bool json_word(json *j, const char *word, uint8_t type) {
  size_t len = strlen(word);
  if (j->len - j->at < len || memcmp(j->text + j->at, word, len) != 0) {
    return json_wrong(j, "a value is missing or unknown");
  }
  j->at += len;
  json_new_node(j, type);
  return true;
}

static int64_t json_hash(const uint8_t *data, size_t len) {
  uint32_t hash = 2166136261u;
  for (; len > 0; len--) hash = (hash ^ *data++) * 16777619u;
  return hash;
}

/* json_key reads a member's key and its colon; |first| is the index of the first key of the same object. */
static bool json_key(json *j, uint32_t first) {
  uint32_t index = j->num_nodes;
  if (j->at == j->len || j->text[j->at] != '"') return json_wrong(j, "a key is missing");
  if (!json_string(j)) return false;
  node *key = &j->nodes[index];
  key->number = json_hash(j->text + key->start, key->len);
  for (uint32_t i = first; i < index; i = j->nodes[i + 1].next) {
    const node *other = &j->nodes[i];
    if (other->number == key->number && other->len == key->len &&
        memcmp(j->text + other->start, j->text + key->start, key->len) == 0) {
      return json_wrong(j, "a key appears twice");
    }
  }
  json_skip_space(j);
  if (j->at == j->len || j->text[j->at] != ':') return json_wrong(j, "a colon is missing");
  j->at++;
  return true;
}

static bool json_value(json *j, int depth);

/* json_container reads an array or object whose opening bracket has been seen. */
static bool json_container(json *j, int depth, bool object) {
  uint32_t index = j->num_nodes, count = 0;
  uint8_t closing = object ? '}' : ']';
  if (depth > JSON_DEPTH_MAX) return json_wrong(j, "nested more than 8 deep");
  json_new_node(j, object ? JSON_OBJECT : JSON_ARRAY);
  j->at++;
  json_skip_space(j);
  while (j->at == j->len || j->text[j->at] != closing) {
    if (count > 0) {
      if (j->at == j->len || j->text[j->at] != ',') return json_wrong(j, "a comma or closing bracket is missing");
      j->at++;
      json_skip_space(j);
    }
    if (object && !json_key(j, index + 1)) return false;
    if (!json_value(j, depth)) return false;
    json_skip_space(j);
    count++;
  }
  j->at++;
  j->nodes[index].len = count;
  j->nodes[index].next = j->num_nodes;
  return true;
}

static bool json_value(json *j, int depth) {
  json_skip_space(j);
  if (j->at == j->len) return json_wrong(j, "a value is missing or unknown");
  switch (j->text[j->at]) {
    case '{':
      return json_container(j, depth + 1, true);
    case '[':
      return json_container(j, depth + 1, false);
    case '"':
      return json_string(j);
    case 't':
      return json_word(j, "true", JSON_TRUE);
    case 'f':
      return json_word(j, "false", JSON_FALSE);
    case 'n':
      return json_word(j, "null", JSON_NULL);
    default:
      return json_integer(j);
  }
}

/* json_parse reads |text| (without its LF; one byte beyond it is writable) as one object; the root is node 0. On false
 * |j->why| says what is wrong. */
static bool json_parse(json *j, uint8_t *text, size_t len, node *nodes) {
  *j = (json){text, len, 0, nodes, 0, NULL};
  if (!json_value(j, 0)) return false;
  json_skip_space(j);
  if (j->at != j->len) return json_wrong(j, "something follows the object");
  if (nodes[0].type != JSON_OBJECT) return json_wrong(j, "the line is no object");
  return true;
}

/* json_member returns the value of |key| in |object|, or NULL. */
static const node *json_member(const json *j, const node *object, const char *key) {
  size_t len = strlen(key);
  uint32_t i = (uint32_t)(object - j->nodes) + 1;
  for (uint32_t n = 0; n < object->len; n++, i = j->nodes[i + 1].next) {
    const node *k = &j->nodes[i];
    if (k->len == len && memcmp(j->text + k->start, key, len) == 0) return &j->nodes[i + 1];
  }
  return NULL;
}

/* ---------------------------------------------------------------------------------------------------- requests */

enum { ARGUMENTS_MAX = 24, LISTS_MAX = 2, MAKES_MAX = 2, HANDLE_NAME_MAX = 63, LANES_MAX = 16, WHY_MAX = 500 };

typedef struct handle handle;

/* A checked argument. */
typedef struct value {
  bool present;
  bool flag;
  uint64_t number;
  cts_bytes bytes; /* bytes, text, enum */
  cts_data data;
  cts_raw raw;
  const uint64_t *list;     /* list_u32, list_u64 */
  const char *const *texts; /* list_text */
  size_t num;               /* elements of either */
} value;

/* What a lane brings to the calls that run in it. The reply is put together in place: the head goes right before
 * the results, which begin at HEAD_ROOM. */
enum { HEAD_ROOM = 96, WHY_ROOM = 6 * WHY_MAX + 16, RESULTS_MAX = CTS_LINE_MAX - HEAD_ROOM - WHY_ROOM };
typedef struct executor {
  uint64_t thread_id;
  char reply[CTS_LINE_MAX];
  uint8_t scratch[CTS_LINE_MAX];
} executor;

enum { CALL_FREE, CALL_QUEUED, CALL_RUNNING, CALL_REPLYING };
struct cts_call {
  int64_t id;
  int state;            /* CALL_*; guarded by state.mutex */
  const row *operation; /* its row, NULL if unknown */
  cts_handler handler;  /* NULL: not offered */
  const char *lane;     /* NULL: not given, or not valid */
  const char *on;       /* NULL: none */
  const char *makes[MAKES_MAX];
  bool watch;
  value arguments[ARGUMENTS_MAX];          /* in the order of its rows */
  uint64_t lists[LISTS_MAX][CTS_LIST_MAX]; /* of its lists of numbers, in their order */
  size_t num_lists;
  const char *texts[CTS_LIST_MAX]; /* of its one list of texts */
  cts_outcome refusal;             /* status NULL: none */
  char why[WHY_MAX / 2];           /* of the refusal */
  handle *target;                  /* behind `on`; a reference */
  handle *made[MAKES_MAX];         /* reserved entries */
  void *objects[MAKES_MAX];        /* what cts_make gave for them */
  bool retires;                    /* this call ends its target: it waits for the others and releases it */
  bool sleeps;                     /* tasks: its operation is under way; guarded by state.mutex, as the next */
  bool cancelled;                  /* tasks: it is to end as cancelled */
  bool repeats;                    /* it waits by asking again; guarded by state.mutex, as the next two */
  uint64_t turn;                   /* that held when its last attempt began */
  uint64_t tried;                  /* that held when the last attempt began that would have blocked */
  unsigned num_tries;              /* attempts that would have blocked */
  executor *executor;              /* while it runs */
  size_t results_len;              /* bytes of results in the reply */
  bool overflow;                   /* they did not fit */
  cts_call *next;                  /* in its lane's queue, or the free list */
  uint8_t line[CTS_LINE_MAX + 1];
};

static const cts_peer *peer;

/* refuse records why a call will not run. The first reason stays. */
static void refuse(cts_call *call, const char *status, const char *format, ...) {
  if (call->refusal.status != NULL) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(call->why, sizeof(call->why), format, arguments);
  va_end(arguments);
  call->refusal = cts_status(status, call->why);
}

/* handle_name_valid tells whether |len| bytes are a name of a handle or lane: [A-Za-z0-9_.-]{1,63}. */
static bool handle_name_valid(const char *name, size_t len) {
  if (len == 0 || len > HANDLE_NAME_MAX) return false;
  for (size_t i = 0; i < len; i++) {
    char c = name[i];
    bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!letter && !(c >= '0' && c <= '9') && c != '_' && c != '.' && c != '-') return false;
  }
  return true;
}

/* enum_has tells whether |values|, joined by `|`, has |len| bytes of |text|. */
static bool enum_has(const char *values, const char *text, size_t len) {
  while (values != NULL) {
    const char *bar = strchr(values, '|');
    size_t run = bar != NULL ? (size_t)(bar - values) : strlen(values);
    if (run == len && memcmp(values, text, len) == 0) return true;
    values = bar != NULL ? bar + 1 : NULL;
  }
  return false;
}

/* The reading of one type each. They return false when |n| is not of the type or out of range. */

static bool read_integer(const node *n, int64_t least, int64_t most, uint64_t *out) {
  if (n == NULL || n->type != JSON_INTEGER || n->number < least || n->number > most) return false;
  *out = (uint64_t)n->number;
  return true;
}

static bool read_text(const json *j, const node *n, cts_bytes *out) {
  if (n == NULL || n->type != JSON_STRING) return false;
  *out = (cts_bytes){j->text + n->start, n->len};
  return true;
}

static bool read_bytes(const json *j, const node *n, cts_bytes *out) {
  if (read_text(j, n, out)) return true;
  cts_bytes digits;
  if (n->type != JSON_OBJECT || n->len != 1 || !read_text(j, json_member(j, n, "b64"), &digits)) return false;
  uint8_t *text = j->text + (digits.data - j->text);
  ptrdiff_t len = base64_decode(text, digits.len);
  if (len < 0) return false;
  text[len] = 0;
  *out = (cts_bytes){text, (size_t)len};
  return true;
}

static bool read_data(const json *j, const node *n, cts_data *out) {
  cts_bytes bytes;
  if (read_bytes(j, n, &bytes)) {
    *out = (cts_data){bytes.data, 0, bytes.len};
    return bytes.len <= CTS_INLINE_MAX;
  }
  uint64_t seed, length;
  if (n->type != JSON_OBJECT || n->len != 2 || !read_integer(json_member(j, n, "seed"), 0, PATTERN_PERIOD - 1, &seed) ||
      !read_integer(json_member(j, n, "length"), 0, CTS_PATTERN_MAX, &length)) {
    return false;
  }
  *out = (cts_data){NULL, (uint32_t)seed, (size_t)length};
  return true;
}

/* read_decimal reads an unsigned decimal number without sign, space or leading zero. */
static bool read_decimal(cts_bytes text, uint64_t *out) {
  uint64_t value = 0;
  if (text.len == 0 || text.len > 20 || (text.data[0] == '0' && text.len > 1)) return false;
  for (size_t i = 0; i < text.len; i++) {
    if (text.data[i] < '0' || text.data[i] > '9') return false;
    uint64_t digit = (uint64_t)(text.data[i] - '0');
    if (value > (UINT64_MAX - digit) / 10) return false;
    value = value * 10 + digit;
  }
  *out = value;
  return true;
}

static bool read_raw(const json *j, const node *n, cts_raw *out) {
  cts_bytes kind, number;
  if (n->type != JSON_OBJECT || n->len != 2 || !read_text(j, json_member(j, n, "kind"), &kind) ||
      !read_text(j, json_member(j, n, "value"), &number) ||
      !enum_has("fd|handle|socket", (const char *)kind.data, kind.len)) {
    return false;
  }
  out->kind = (const char *)kind.data;
  return read_decimal(number, &out->value);
}

static bool read_list(const json *j, const node *n, int64_t most, cts_call *call, value *out) {
  if (n->type != JSON_ARRAY || n->len > CTS_LIST_MAX) return false;
  if (call->num_lists == LISTS_MAX) peer_is_wrong("the operation has more lists than the kit has room for", "lists");
  uint64_t *list = call->lists[call->num_lists++];
  uint32_t i = (uint32_t)(n - j->nodes) + 1;
  for (uint32_t k = 0; k < n->len; k++, i = j->nodes[i].next) {
    if (!read_integer(&j->nodes[i], 0, most, &list[k])) return false;
  }
  out->list = list;
  out->num = n->len;
  return true;
}

/* Texts in lists are names: a NUL inside would cut one. */
static bool read_texts(const json *j, const node *n, cts_call *call, value *out) {
  if (n->type != JSON_ARRAY || n->len > CTS_LIST_MAX) return false;
  uint32_t i = (uint32_t)(n - j->nodes) + 1;
  for (uint32_t k = 0; k < n->len; k++, i = j->nodes[i].next) {
    cts_bytes text;
    if (!read_text(j, &j->nodes[i], &text) || strlen((const char *)text.data) != text.len) return false;
    call->texts[k] = (const char *)text.data;
  }
  out->texts = call->texts;
  out->num = n->len;
  return true;
}

/* read_argument reads |n| by the type of |argument|. */
static bool read_argument(const json *j, const node *n, const row *argument, cts_call *call, value *out) {
  switch (argument->type) {
    case TYPE_bool:
      out->flag = n->type == JSON_TRUE;
      return n->type == JSON_TRUE || n->type == JSON_FALSE;
    case TYPE_u32:
      return read_integer(n, 0, UINT32_MAX, &out->number);
    case TYPE_u64:
      return read_integer(n, 0, json_integer_max, &out->number);
    case TYPE_i64:
      return read_integer(n, -json_integer_max, json_integer_max, &out->number);
    case TYPE_text:
      return read_text(j, n, &out->bytes);
    case TYPE_enum:
      return read_text(j, n, &out->bytes) && enum_has(argument->values, (const char *)out->bytes.data, out->bytes.len);
    case TYPE_bytes:
      return read_bytes(j, n, &out->bytes);
    case TYPE_data:
      return read_data(j, n, &out->data);
    case TYPE_raw:
      return read_raw(j, n, &out->raw);
    case TYPE_list_u32:
      return read_list(j, n, UINT32_MAX, call, out);
    case TYPE_list_u64:
      return read_list(j, n, json_integer_max, call, out);
    case TYPE_list_text:
      return read_texts(j, n, call, out);
    default:
      return false;
  }
}

/* check_argument checks one argument of |call| by its row. */
static void check_argument(const json *j, const row *argument, cts_call *call, value *out) {
  const node *n = json_member(j, j->nodes, argument->name);
  out->present = n != NULL;
  if (n == NULL) {
    if (!argument->optional) refuse(call, "invalid_argument", "%s is missing", argument->name);
  } else if (argument->feature != NULL && !list_has(peer->features, argument->feature)) {
    refuse(call, "unsupported", "%s needs the feature %s", argument->name, argument->feature);
  } else if (!read_argument(j, n, argument, call, out)) {
    refuse(call, "invalid_argument", "%s is of the wrong type or out of range", argument->name);
  }
}

/* check_handle_name reads the name of a handle or lane at |key|; an absent one is NULL. */
static const char *check_handle_name(const json *j, const char *key, bool optional, cts_call *call) {
  const node *n = json_member(j, j->nodes, key);
  if (n == NULL) {
    if (!optional) refuse(call, "invalid_argument", "%s is missing", key);
    return NULL;
  }
  const char *name = (const char *)j->text + n->start;
  if (n->type == JSON_STRING && handle_name_valid(name, n->len)) return name;
  refuse(call, "invalid_argument", "%s is no name", key);
  return NULL;
}

static cts_outcome operation_hello(cts_call *call);
static cts_outcome operation_configure(cts_call *call);
static cts_outcome operation_reset(cts_call *call);
static cts_outcome operation_pending(cts_call *call);
static cts_outcome operation_cancel(cts_call *call);
static const cts_operation kit_operations[] = {
    {"hello", operation_hello},     {"configure", operation_configure}, {"reset", operation_reset},
    {"pending", operation_pending}, {"cancel", operation_cancel},       {NULL, NULL},
};

/* lanes_are_tasks tells whether the mode that holds is one in which a loop carries requests out. */
static bool lanes_are_tasks(void) { return peer->tasks != NULL && peer->tasks->active(); }

/* kit_offers tells whether the kit's own operation |handler| is offered: only what a loop carries out can be called
 * off. */
static bool kit_offers(cts_handler handler) { return handler != operation_cancel || lanes_are_tasks(); }
static cts_outcome operation_process_spawn(cts_call *call);
static cts_outcome operation_process_wait(cts_call *call);
static const cts_operation no_operations[] = {{NULL, NULL}};
static const cts_operation process_operations[] = {
    {"process.spawn", operation_process_spawn},
    {"process.wait", operation_process_wait},
    {"process.close", cts_close},
    {NULL, NULL},
};

/* offered_process_operations returns those of the operations on processes that the kit offers for this peer. */
static const cts_operation *offered_process_operations(void) {
  return peer->argv != NULL ? process_operations : no_operations;
}

static cts_handler find_handler(const cts_operation *operations, const char *name) {
  for (; operations->name != NULL; operations++) {
    if (strcmp(operations->name, name) == 0) return operations->handler;
  }
  return NULL;
}

/* call_is_control tells whether the operation is one of the kit's own, which run in the lane `control`. */
static bool call_is_control(const cts_call *call) {
  return call->handler != NULL && find_handler(kit_operations, call->operation->name) != NULL;
}

/* check_operation finds the row and the handler of the operation that |j| asks for. */
static void check_operation(const json *j, cts_call *call) {
  cts_bytes name;
  if (!read_text(j, json_member(j, j->nodes, "op"), &name)) {
    refuse(call, "invalid_argument", "op is missing or no text");
    return;
  }
  const char *text = (const char *)name.data;
  for (size_t i = 0; i < NUM_ROWS && call->operation == NULL; i++) {
    if (rows[i].kind == ROW_OPERATION && strlen(rows[i].name) == name.len &&
        memcmp(rows[i].name, text, name.len) == 0) {
      call->operation = &rows[i];
    }
  }
  if (call->operation != NULL) {
    call->handler = find_handler(kit_operations, call->operation->name);
    if (call->handler == NULL) call->handler = find_handler(offered_process_operations(), call->operation->name);
    if (call->handler == NULL) call->handler = find_handler(peer->operations, call->operation->name);
    if (call->handler != NULL && !kit_offers(call->handler)) call->handler = NULL;
  }
  if (call->handler == NULL) refuse(call, "unsupported", "the operation is not offered");
}

/* call_begin_request makes |call| out of the request in |j|. It returns false, with |j->why|, if the line is no valid
 * request at all; what else is wrong is recorded as the call's refusal. */
static bool call_begin_request(json *j, cts_call *call) {
  uint64_t id;
  if (!read_integer(json_member(j, j->nodes, "id"), 1, json_integer_max, &id)) {
    return json_wrong(j, "id is missing or no positive integer");
  }
  call->id = (int64_t)id;
  call->operation = NULL;
  call->handler = NULL;
  call->on = NULL;
  call->refusal.status = NULL;
  call->target = NULL;
  call->retires = false;
  call->sleeps = false;
  call->cancelled = false;
  call->repeats = false;
  call->num_tries = 0;
  call->num_lists = 0;
  memset(call->makes, 0, sizeof(call->makes));
  memset(call->made, 0, sizeof(call->made));
  memset(call->objects, 0, sizeof(call->objects));
  call->lane = check_handle_name(j, "lane", true, call);
  check_operation(j, call);
  const node *watch = json_member(j, j->nodes, "watch");
  call->watch = watch != NULL && watch->type == JSON_TRUE;
  if (watch != NULL && watch->type != JSON_TRUE && watch->type != JSON_FALSE) {
    refuse(call, "invalid_argument", "watch is neither true nor false");
  }
  if (call->handler == NULL) return true;
  if (call->operation->handle != NULL) call->on = check_handle_name(j, "on", false, call);
  size_t num_makes = 0, num_arguments = 0;
  for (const row *r = call->operation + 1; r->kind != ROW_END; r++) {
    if (r->kind == ROW_MAKES && num_makes < MAKES_MAX) {
      call->makes[num_makes++] = check_handle_name(j, r->name, false, call);
    } else if (r->kind == ROW_ARGUMENT && num_arguments < ARGUMENTS_MAX) {
      memset(&call->arguments[num_arguments], 0, sizeof(call->arguments[0]));
      check_argument(j, r, call, &call->arguments[num_arguments]);
      num_arguments++;
    }
  }
  return true;
}

/* find_argument returns the argument |name| of |call|, or NULL if the operation has none of that name. */
static const value *find_argument(const cts_call *call, const char *name) {
  size_t index = 0;
  for (const row *r = call->operation + 1; r->kind != ROW_END; r++) {
    if (r->kind != ROW_ARGUMENT) continue;
    if (strcmp(r->name, name) == 0) return &call->arguments[index];
    index++;
  }
  return NULL;
}

/* argument is find_argument for one that the operation has. */
static const value *argument(const cts_call *call, const char *name) {
  const value *found = find_argument(call, name);
  if (found == NULL) peer_is_wrong("the operation has no such argument", name);
  return found;
}

bool cts_takes(const cts_call *call, const char *name) { return find_argument(call, name) != NULL; }

bool cts_has(const cts_call *call, const char *name) { return argument(call, name)->present; }

bool cts_bool_or(const cts_call *call, const char *name, bool otherwise) {
  const value *v = argument(call, name);
  return v->present ? v->flag : otherwise;
}

uint64_t cts_u64_or(const cts_call *call, const char *name, uint64_t otherwise) {
  const value *v = argument(call, name);
  return v->present ? v->number : otherwise;
}

int64_t cts_i64_or(const cts_call *call, const char *name, int64_t otherwise) {
  const value *v = argument(call, name);
  if (!v->present) return otherwise;
  return v->number <= INT64_MAX ? (int64_t)v->number : -(int64_t)~v->number - 1;
}

const char *cts_text_or(const cts_call *call, const char *name, const char *otherwise) {
  const value *v = argument(call, name);
  return v->present ? (const char *)v->bytes.data : otherwise;
}

cts_bytes cts_bytes_of(const cts_call *call, const char *name) { return argument(call, name)->bytes; }
cts_data cts_data_of(const cts_call *call, const char *name) { return argument(call, name)->data; }
cts_raw cts_raw_of(const cts_call *call, const char *name) { return argument(call, name)->raw; }

const uint64_t *cts_list_of(const cts_call *call, const char *name, size_t *out_num) {
  const value *v = argument(call, name);
  *out_num = v->num;
  return v->list;
}

const char *const *cts_texts_of(const cts_call *call, const char *name, size_t *out_num) {
  const value *v = argument(call, name);
  *out_num = v->num;
  return v->texts;
}

uint8_t *cts_scratch(cts_call *call) { return call->executor->scratch; }

/* ----------------------------------------------------------------------------------------------------- replies */

/* Text that grows up to a limit. */
typedef struct builder {
  char *text;
  size_t len;
  size_t max;
  bool overflow;
} builder;

static void put_bytes(builder *b, const char *data, size_t len) {
  if (b->overflow || b->max - b->len < len) {
    b->overflow = true;
    return;
  }
  memcpy(b->text + b->len, data, len);
  b->len += len;
}

static void put_text(builder *b, const char *text) { put_bytes(b, text, strlen(text)); }

static void put_u64(builder *b, uint64_t value) {
  char digits[20];
  size_t at = sizeof(digits);
  do {
    digits[--at] = (char)('0' + value % 10);
    value /= 10;
  } while (value > 0);
  put_bytes(b, digits + at, sizeof(digits) - at);
}

/* put_string writes |len| bytes as a JSON string; what is not UTF-8 becomes U+FFFD. */
static void put_string(builder *b, const uint8_t *data, size_t len) {
  put_bytes(b, "\"", 1);
  for (size_t i = 0; i < len;) {
    size_t run = utf8_length(data + i, len - i);
    if (run == 0) {
      put_text(b, "\\ufffd");
      i++;
    } else if (data[i] < 0x20 || data[i] == 0x7F) {
      char escape[7];
      snprintf(escape, sizeof(escape), "\\u%04x", data[i]);
      put_bytes(b, escape, 6);
      i++;
    } else {
      if (data[i] == '"' || data[i] == '\\') put_bytes(b, "\\", 1);
      put_bytes(b, (const char *)data + i, run);
      i += run;
    }
  }
  put_bytes(b, "\"", 1);
}

static void put_base64(builder *b, const uint8_t *data, size_t len) {
  for (size_t i = 0; i < len; i += 3) {
    size_t rest = len - i;
    uint32_t bits = (uint32_t)data[i] << 16;
    if (rest > 1) bits |= (uint32_t)data[i + 1] << 8;
    if (rest > 2) bits |= data[i + 2];
    char digits[4] = {base64_digits[bits >> 18], base64_digits[bits >> 12 & 63], base64_digits[bits >> 6 & 63],
                      base64_digits[bits & 63]};
    if (rest < 3) digits[3] = '=';
    if (rest < 2) digits[2] = '=';
    put_bytes(b, digits, 4);
  }
}

/* results_begin and results_end frame the adding of one result to a call's reply. A result that does not fit leaves no
 * half of itself behind. */
static builder results_begin(cts_call *call, const char *key) {
  builder b = {call->executor->reply + HEAD_ROOM, call->results_len, RESULTS_MAX, call->overflow};
  put_text(&b, ",\"");
  put_text(&b, key);
  put_text(&b, "\":");
  return b;
}

static void results_end(cts_call *call, const builder *b) {
  call->overflow = b->overflow;
  if (!b->overflow) call->results_len = b->len;
}

void cts_add_u64(cts_call *call, const char *key, uint64_t value) {
  builder b = results_begin(call, key);
  put_u64(&b, value);
  results_end(call, &b);
}

void cts_add_bool(cts_call *call, const char *key, bool value) {
  builder b = results_begin(call, key);
  put_text(&b, value ? "true" : "false");
  results_end(call, &b);
}

void cts_add_i64(cts_call *call, const char *key, int64_t value) {
  builder b = results_begin(call, key);
  if (value < 0) put_text(&b, "-");
  put_u64(&b, value < 0 ? ~(uint64_t)value + 1 : (uint64_t)value);
  results_end(call, &b);
}

void cts_add_text(cts_call *call, const char *key, const char *text) {
  builder b = results_begin(call, key);
  put_string(&b, (const uint8_t *)text, strlen(text));
  results_end(call, &b);
}

void cts_add_bytes(cts_call *call, const char *key, const void *data, size_t len) {
  const uint8_t *bytes = data;
  builder b = results_begin(call, key);
  size_t printable = 0;
  while (printable < len && bytes[printable] >= 0x20 && bytes[printable] < 0x7F) printable++;
  if (printable == len) {
    put_string(&b, bytes, len);
  } else {
    put_text(&b, "{\"b64\":\"");
    put_base64(&b, bytes, len);
    put_text(&b, "\"}");
  }
  results_end(call, &b);
}

void cts_add_raw(cts_call *call, const char *key, cts_raw raw) {
  builder b = results_begin(call, key);
  put_text(&b, "{\"kind\":\"");
  put_text(&b, raw.kind);
  put_text(&b, "\",\"value\":\"");
  put_u64(&b, raw.value);
  put_text(&b, "\"}");
  results_end(call, &b);
}

void cts_add_list_u64(cts_call *call, const char *key, const uint64_t *values, size_t num) {
  builder b = results_begin(call, key);
  put_text(&b, "[");
  for (size_t i = 0; i < num; i++) {
    if (i > 0) put_text(&b, ",");
    put_u64(&b, values[i]);
  }
  put_text(&b, "]");
  results_end(call, &b);
}

void cts_add_list_text(cts_call *call, const char *key, const char *const *texts) {
  builder b = results_begin(call, key);
  put_text(&b, "[");
  for (size_t i = 0; texts != NULL && texts[i] != NULL; i++) {
    if (i > 0) put_text(&b, ",");
    put_string(&b, (const uint8_t *)texts[i], strlen(texts[i]));
  }
  put_text(&b, "]");
  results_end(call, &b);
}

void cts_add_digest(cts_call *call, const cts_digest *digest) {
  cts_add_u64(call, "length", digest->length);
  cts_add_u64(call, "crc32", digest->crc32);
  if (digest->length <= CTS_INLINE_MAX) cts_add_bytes(call, "data", digest->data, (size_t)digest->length);
  if (digest->chunk == 0) return;
  builder b = results_begin(call, "chunks");
  put_text(&b, "[");
  for (size_t i = 0; i < digest->num_chunks; i++) {
    if (i > 0) put_text(&b, ",");
    put_u64(&b, digest->chunks[i]);
  }
  put_text(&b, "]");
  results_end(call, &b);
}

/* put_head writes the beginning of a reply. */
static void put_head(builder *b, uint64_t id, cts_outcome outcome) {
  put_text(b, "{\"id\":");
  put_u64(b, id);
  put_text(b, ",\"status\":\"");
  put_text(b, outcome.status);
  put_text(b, "\"");
  if (outcome.native != 0) {
    put_text(b, ",\"error\":");
    put_u64(b, outcome.native);
  }
}

/* put_tail writes `why`, cut at 500 bytes between two characters, and the end of a reply. */
static void put_tail(builder *b, const char *why) {
  if (why != NULL && why[0] != 0) {
    size_t all = strlen(why), len = 0;
    while (len < all) {
      size_t run = utf8_length((const uint8_t *)why + len, all - len);
      if (run == 0) run = 1;
      if (len + run > WHY_MAX) break;
      len += run;
    }
    put_text(b, ",\"why\":");
    put_string(b, (const uint8_t *)why, len);
  }
  put_text(b, "}\n");
}

/* The right to write to the channel. A lane that waits for a slow runner holds it for as long as that takes. */
static struct {
  kit_mutex mutex;
  kit_condition free;
  bool taken;
  unsigned num_waiting;
} output = {KIT_MUTEX_INIT, KIT_CONDITION_INIT, false, 0};

/* output_write writes one line. The reader (|reader|) never blocks without watching for the end of input. */
static void output_write(const char *line, size_t len, bool reader) {
  kit_lock(&output.mutex);
  output.num_waiting++;
  while (output.taken) {
    if (!reader) {
      kit_wait(&output.free, &output.mutex);
    } else if (!kit_wait_for(&output.free, &output.mutex, HANGUP_SLICE_MS) && platform_wait_hangup(0)) {
      platform_end(0);
    }
  }
  output.num_waiting--;
  output.taken = true;
  kit_unlock(&output.mutex);

  platform_write(line, len, reader);

  kit_lock(&output.mutex);
  output.taken = false;
  bool wake = output.num_waiting > 0;
  kit_unlock(&output.mutex);
  if (wake) kit_wake_one(&output.free);
}

/* executor_is_reader tells whether a call of this executor runs in the thread that reads requests. */
static executor reader_executor;
static bool executor_is_reader(const executor *e) { return e == &reader_executor; }

/* reply writes the one reply of |call|. */
static void reply(cts_call *call, cts_outcome outcome) {
  char head_text[HEAD_ROOM];
  builder head = {head_text, 0, sizeof(head_text), false};
  if (call->overflow) {
    outcome = cts_status("failed", "the reply would be longer than a line may be");
    call->results_len = 0;
  }
  put_head(&head, (uint64_t)call->id, outcome);
  char *line = call->executor->reply + HEAD_ROOM - head.len;
  memcpy(line, head_text, head.len);
  builder whole = {line, head.len + call->results_len, (size_t)(call->executor->reply + CTS_LINE_MAX - line), false};
  put_tail(&whole, outcome.why);
  output_write(whole.text, whole.len, executor_is_reader(call->executor));
}

/* reply_to_garbage answers a line that is no request. */
static void reply_to_garbage(const char *why) {
  char line[HEAD_ROOM + WHY_ROOM];
  builder b = {line, 0, sizeof(line), false};
  put_head(&b, 0, cts_status("invalid_argument", NULL));
  put_tail(&b, why);
  output_write(line, b.len, true);
}

/* announce writes the event `begun` of a watched call. */
static void announce(const cts_call *call) {
  char line[HEAD_ROOM];
  builder b = {line, 0, sizeof(line), false};
  put_text(&b, "{\"id\":");
  put_u64(&b, (uint64_t)call->id);
  put_text(&b, ",\"event\":\"begun\",\"tid\":");
  put_u64(&b, lanes_are_tasks() ? 0 : call->executor->thread_id);
  if (peer->repeats != NULL && peer->repeats()) put_text(&b, ",\"repeats\":true");
  put_text(&b, "}\n");
  output_write(line, b.len, executor_is_reader(call->executor));
}

/* ----------------------------------------------------------------------------------------------------- handles */

enum { HANDLES_MAX = 4096, BUCKETS = 1024, CALLS_MAX = 2 * CTS_OUTSTANDING_MAX };

/* A named handle. It leaves its bucket, and so its name, when it is closed, and lives on until nobody uses it. */
struct handle {
  char name[HANDLE_NAME_MAX + 1];
  const cts_kind *kind;
  void *object;       /* NULL while the name is only reserved */
  unsigned num_users; /* calls on it, and the one that closes it */
  bool closing;       /* somebody has begun to end it */
  bool named;         /* it is in its bucket */
  handle *next;       /* in its bucket, the free list, or a list of those that reset closes */
};

/* A lane: a queue, and a thread that runs its calls in order. */
typedef struct lane {
  char name[HANDLE_NAME_MAX + 1]; /* "" until it is made */
  cts_call *first, *last;
  kit_condition filled;
  executor executor;
} lane;

/* What threads share. */
static struct {
  kit_mutex mutex;
  kit_condition changed;    /* a call or a use of a handle ended; signalled only if somebody waits */
  unsigned num_waiting;     /* for `changed` */
  kit_condition again;      /* a new turn, or a handle that is being closed */
  uint64_t turn;            /* of those that ask again: each `pending` begins one */
  unsigned num_outstanding; /* requests read and not yet answered */
  unsigned num_running;     /* calls that run or write their reply, reset itself not counted */
  unsigned num_handles;     /* named, reserved ones included */
  unsigned num_lanes;
  cts_call *free_calls;
  handle *free_handles;
  handle *buckets[BUCKETS];
  bool configured;
  bool sweeping;   /* a sweep is under way that reset has stopped waiting for */
  bool hung_up;    /* single lanes: the other end of input is gone */
  bool in_handler; /* single lanes: a call runs */
} state = {.mutex = KIT_MUTEX_INIT, .changed = KIT_CONDITION_INIT, .again = KIT_CONDITION_INIT};

static cts_call calls[CALLS_MAX];
static handle handles[HANDLES_MAX];
static lane lanes[LANES_MAX + 1]; /* the first is `main` */

/* state_notify tells those who wait that something ended. state.mutex is held. */
static void state_notify(void) {
  if (state.num_waiting > 0) kit_wake_all(&state.changed);
}

/* state_wait waits for a notification. state.mutex is held. */
static void state_wait(void) {
  state.num_waiting++;
  kit_wait(&state.changed, &state.mutex);
  state.num_waiting--;
}

static handle **bucket_of(const char *name) {
  return &state.buckets[(uint64_t)json_hash((const uint8_t *)name, strlen(name)) % BUCKETS];
}

/* The following hold state.mutex. */

static handle *handle_find(const char *name) {
  handle *h = *bucket_of(name);
  while (h != NULL && strcmp(h->name, name) != 0) h = h->next;
  return h;
}

static handle *handle_reserve(const char *name, const cts_kind *kind) {
  handle *h = state.free_handles;
  if (h == NULL) return NULL;
  state.free_handles = h->next;
  handle **bucket = bucket_of(name);
  memset(h, 0, sizeof(*h));
  memcpy(h->name, name, strlen(name) + 1);
  h->kind = kind;
  h->named = true;
  h->next = *bucket;
  *bucket = h;
  state.num_handles++;
  return h;
}

/* handle_unname takes the handle's name away: the next request may give it to another. */
static void handle_unname(handle *h) {
  if (!h->named) return;
  handle **at = bucket_of(h->name);
  while (*at != h) at = &(*at)->next;
  *at = h->next;
  h->named = false;
  state.num_handles--;
}

static void handle_forget(handle *h) {
  handle_unname(h);
  h->next = state.free_handles;
  state.free_handles = h;
}

/* handle_begin_closing takes the name of a handle that nobody closes yet, and ends the waits of those who ask again. */
static void handle_begin_closing(handle *h) {
  h->closing = true;
  handle_unname(h);
  kit_wake_all(&state.again);
}

/* handle_leave ends one use of |h|. */
static void handle_leave(handle *h) {
  h->num_users--;
  if (h->num_users == 0 && !h->named) handle_forget(h);
  state_notify();
}

/* handle_release waits until the caller is the only user of a handle being closed, and releases its object.
 * state.mutex is not held. */
static void handle_release(handle *h) {
  kit_lock(&state.mutex);
  while (h->num_users > 1) state_wait();
  kit_unlock(&state.mutex);
  if (h->kind->release != NULL) h->kind->release(h->object);
}

static cts_outcome process_close(void *object);
static void process_release(void *object);
static const cts_kind process_kind = {"process", process_close, process_release};

static const cts_kind *find_kind(const char *name) {
  if (strcmp(name, process_kind.name) == 0) return &process_kind;
  for (const cts_kind *kind = peer->kinds; kind != NULL && kind->name != NULL; kind++) {
    if (strcmp(kind->name, name) == 0) return kind;
  }
  peer_is_wrong("no such kind of handle is declared", name);
  return NULL;
}

/* ------------------------------------------------------------------------------------------- running a request */

/* call_enter finds the handle that |call| acts on and reserves the names of those it makes. state.mutex is held. */
static void call_enter(cts_call *call) {
  if (call->on != NULL) {
    handle *h = handle_find(call->on);
    if (h == NULL || h->object == NULL) {
      refuse(call, "invalid_argument", "no handle has the name in on");
    } else if (strcmp(h->kind->name, call->operation->handle) != 0) {
      refuse(call, "invalid_argument", "the handle in on is a %s", h->kind->name);
    } else {
      h->num_users++;
      call->target = h;
    }
  }
  size_t index = 0;
  for (const row *r = call->operation + 1; r->kind != ROW_END && call->refusal.status == NULL; r++) {
    if (r->kind != ROW_MAKES || index >= MAKES_MAX) continue;
    if (handle_find(call->makes[index]) != NULL) {
      refuse(call, "invalid_argument", "the name in %s is taken", r->name);
    } else {
      call->made[index] = handle_reserve(call->makes[index], find_kind(r->handle));
      if (call->made[index] == NULL) refuse(call, "out_of_resources", "too many handles");
    }
    index++;
  }
}

/* call_publish makes the handles of a call that succeeded known, and collects to |doomed| those of one that did not.
 * state.mutex is held. */
static void call_publish(cts_call *call, bool succeeded, handle *doomed[MAKES_MAX]) {
  for (size_t i = 0; i < MAKES_MAX; i++) {
    handle *h = call->made[i];
    doomed[i] = NULL;
    if (h == NULL) continue;
    h->object = call->objects[i];
    if (succeeded && h->object != NULL) continue;
    handle_unname(h);
    doomed[i] = h;
  }
}

/* call_discard closes what a call made although it did not succeed. */
static void call_discard(handle *const doomed[MAKES_MAX]) {
  for (size_t i = 0; i < MAKES_MAX; i++) {
    handle *h = doomed[i];
    if (h == NULL) continue;
    if (h->object != NULL) {
      h->kind->close(h->object);
      if (h->kind->release != NULL) h->kind->release(h->object);
    }
    kit_lock(&state.mutex);
    handle_forget(h);
    kit_unlock(&state.mutex);
  }
}

/* call_settle does with the handles of |call| what its outcome means. */
static void call_settle(cts_call *call, cts_outcome outcome) {
  bool succeeded = strcmp(outcome.status, "ok") == 0;
  handle *doomed[MAKES_MAX];
  kit_lock(&state.mutex);
  call_publish(call, succeeded, doomed);
  if (succeeded && call->operation != NULL && call->operation->consumes && call->target != NULL &&
      !call->target->closing) {
    call->retires = true;
    handle_begin_closing(call->target);
  }
  kit_unlock(&state.mutex);
  call_discard(doomed);
  if (call->retires) handle_release(call->target);
}

static KIT_THREAD_LOCAL cts_call *current;

cts_call *cts_current(void) { return current; }

uint64_t cts_id(const cts_call *call) { return (uint64_t)call->id; }

bool cts_sleeps(cts_call *call) {
  kit_lock(&state.mutex);
  bool goes_on = !call->cancelled;
  call->sleeps = true;
  kit_unlock(&state.mutex);
  return goes_on;
}

void cts_awake(cts_call *call) {
  kit_lock(&state.mutex);
  call->sleeps = false;
  kit_unlock(&state.mutex);
}

/* The first pauses are only a chance for others to run; then they grow, one millisecond each, to AGAIN_MAX_MS. */
enum { AGAIN_YIELDS = 16, AGAIN_MAX_MS = 5 };

bool cts_again(cts_call *call) {
  if (call->target == NULL) peer_is_wrong("cts_again is for operations on a handle, unlike", call->operation->name);
  kit_lock(&state.mutex);
  call->repeats = true;
  call->tried = call->turn;
  unsigned pause = call->num_tries++;
  state_notify();
  bool stays = call->turn == state.turn && !call->target->closing;
  if (stays && pause >= AGAIN_YIELDS) {
    pause -= AGAIN_YIELDS - 1;
    kit_wait_for(&state.again, &state.mutex, pause < AGAIN_MAX_MS ? (int)pause : AGAIN_MAX_MS);
  } else if (stays) {
    kit_unlock(&state.mutex);
    kit_yield();
    kit_lock(&state.mutex);
  }
  call->turn = state.turn;
  bool open = !call->target->closing;
  kit_unlock(&state.mutex);
  return open;
}

/* call_run performs |call|, which is in state CALL_RUNNING, with |e|, and replies. Then the call is free. */
static void call_run(cts_call *call, executor *e) {
  bool counted = call->handler != operation_reset;
  call->executor = e;
  call->results_len = 0;
  call->overflow = false;
  cts_outcome outcome = call->refusal;
  if (outcome.status == NULL) {
    if (call->watch) announce(call);
    current = call;
    outcome = call->handler(call);
    current = NULL;
    if (!status_known(outcome.status)) peer_is_wrong("no such status", outcome.status);
  }
  if (call->target != NULL || call->made[0] != NULL) call_settle(call, outcome);

  /* From here the runner may count the request as answered: it may send another at once. */
  kit_lock(&state.mutex);
  call->state = CALL_REPLYING;
  state.num_outstanding--;
  kit_unlock(&state.mutex);
  reply(call, outcome);

  kit_lock(&state.mutex);
  call->state = CALL_FREE;
  if (call->target != NULL) handle_leave(call->target);
  if (counted) state.num_running--;
  call->next = state.free_calls;
  state.free_calls = call;
  state_notify();
  kit_unlock(&state.mutex);
}

/* call_start takes |call| from its queue: its handles are looked up now, not when it was read. state.mutex is held. */
static void call_start(cts_call *call) {
  call->state = CALL_RUNNING;
  call->turn = state.turn;
  if (call->handler != operation_reset) state.num_running++;
  if (call->refusal.status == NULL && call->operation != NULL) call_enter(call);
}

void *cts_object(const cts_call *call) { return call->target->object; }

void cts_make(cts_call *call, const char *key, void *object) {
  size_t index = 0;
  for (const row *r = call->operation + 1; r->kind != ROW_END; r++) {
    if (r->kind != ROW_MAKES) continue;
    if (strcmp(r->name, key) == 0) {
      call->objects[index] = object;
      return;
    }
    index++;
  }
  peer_is_wrong("the operation makes no such handle", key);
}

cts_outcome cts_close(cts_call *call) {
  handle *h = call->target;
  kit_lock(&state.mutex);
  bool closing = h->closing;
  bool can_end = h->kind == &process_kind || list_has(peer->features, "close_while_in_use");
  bool in_use = !closing && h->num_users > 1 && !can_end;
  if (!closing && !in_use) {
    call->retires = true;
    handle_begin_closing(h);
  }
  kit_unlock(&state.mutex);
  if (closing) return cts_status("closed", "another request closes it");
  if (in_use) return cts_status("busy", "another lane uses the handle");
  return h->kind->close(h->object);
}

/* --------------------------------------------------------------------------------------- operations of the kit */

enum { PROTOCOL_VERSION = 1, RESET_WAIT_MS = 2000 };
static const char *const default_modes[] = {"blocking", NULL};

static const char *const *peer_modes(void) { return peer->modes != NULL ? peer->modes : default_modes; }
static const char *lanes_name(void) { return !peer->threads ? "single" : lanes_are_tasks() ? "task" : "thread"; }

static cts_outcome operation_hello(cts_call *call) {
  uint64_t asked = cts_u64_or(call, "protocol", 0);
  if (asked == 0) return cts_status("invalid_argument", "there is no protocol version 0");
  const char *names[NUM_ROWS];
  size_t num = 0;
  for (const cts_operation *o = kit_operations; o->name != NULL; o++) {
    if (kit_offers(o->handler)) names[num++] = o->name;
  }
  for (const cts_operation *o = offered_process_operations(); o->name != NULL; o++) names[num++] = o->name;
  for (const cts_operation *o = peer->operations; o->name != NULL && num + 1 < NUM_ROWS; o++) names[num++] = o->name;
  names[num] = NULL;
  cts_add_u64(call, "protocol", asked < PROTOCOL_VERSION ? asked : PROTOCOL_VERSION);
  cts_add_text(call, "implementation", peer->implementation);
  cts_add_text(call, "version", peer->version);
  cts_add_text(call, "os", PLATFORM_OS);
  cts_add_u64(call, "pid", platform_process_id());
  cts_add_text(call, "lanes", lanes_name());
  cts_add_list_text(call, "modes", peer_modes());
  cts_add_list_text(call, "operations", names);
  cts_add_list_text(call, "features", peer->features);
  cts_add_list_text(call, "traits", peer->traits);
  return cts_ok();
}

static cts_outcome operation_configure(cts_call *call) {
  const char *mode = cts_text_or(call, "mode", "");
  if (!list_has(peer_modes(), mode)) return cts_status("unsupported", "the mode is not offered");
  kit_lock(&state.mutex);
  bool late = state.configured || state.num_handles > 0;
  if (!late) state.configured = true;
  kit_unlock(&state.mutex);
  if (late) return cts_status("invalid_argument", "a mode is chosen once, before any handle exists");
  if (peer->configure != NULL) peer->configure(mode);
  cts_add_text(call, "lanes", lanes_name());
  return cts_ok();
}

static int compare_ids(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

/* begin_turn has every request that asks again make one more attempt, and waits until all have, but for a bounded time:
 * an attempt should not wait, and a library may be wrong. Returns the turn's number. state.mutex is held. */
static uint64_t begin_turn(void) {
  uint64_t turn = ++state.turn;
  bool late = true;
  kit_wake_all(&state.again);
  state.num_waiting++;
  for (int waited_ms = 0; late && waited_ms < RESET_WAIT_MS;) {
    late = false;
    for (size_t i = 0; i < CALLS_MAX; i++) {
      late = late || (calls[i].state == CALL_RUNNING && calls[i].repeats && calls[i].tried < turn);
    }
    if (!late || kit_wait_for(&state.changed, &state.mutex, HANGUP_SLICE_MS)) continue;
    if (platform_wait_hangup(0)) platform_end(0);
    waited_ms += HANGUP_SLICE_MS;
  }
  state.num_waiting--;
  return turn;
}

/* Of tasks only those are listed whose operation is under way after the turn: one that has got its completion and has
 * not answered yet does not wait any more. Of those that ask again, those that did in this turn, and in vain. */
static cts_outcome operation_pending(cts_call *call) {
  uint64_t ids[CALLS_MAX], in_vain[CALLS_MAX];
  size_t num = 0, num_in_vain = 0;
  bool tasks = lanes_are_tasks();
  if (tasks) peer->tasks->turn();
  kit_lock(&state.mutex);
  uint64_t turn = begin_turn();
  for (size_t i = 0; i < CALLS_MAX; i++) {
    const cts_call *other = &calls[i];
    if (other->state != CALL_RUNNING || other == call) continue;
    if (!tasks || other->sleeps) ids[num++] = (uint64_t)other->id;
    if (other->repeats && other->tried >= turn) in_vain[num_in_vain++] = (uint64_t)other->id;
  }
  kit_unlock(&state.mutex);
  qsort(ids, num, sizeof(ids[0]), compare_ids);
  qsort(in_vain, num_in_vain, sizeof(in_vain[0]), compare_ids);
  cts_add_list_u64(call, "ids", ids, num);
  if (num_in_vain > 0) cts_add_list_u64(call, "would_block", in_vain, num_in_vain);
  return cts_ok();
}

/* call_cancel makes |call| end as cancelled: at once if it still waits in its lane, with its operation if that is under
 * way, before its next one otherwise. state.mutex is held. */
static void call_cancel(cts_call *call) {
  if (call->state == CALL_QUEUED) refuse(call, "cancelled", "it was cancelled before it began");
  call->cancelled = true;
}

static cts_outcome operation_cancel(cts_call *call) {
  uint64_t target = cts_u64_or(call, "target", 0);
  bool found = false;
  kit_lock(&state.mutex);
  for (size_t i = 0; i < CALLS_MAX; i++) {
    cts_call *other = &calls[i];
    if ((uint64_t)other->id != target || call_is_control(other)) continue;
    if (other->state != CALL_QUEUED && other->state != CALL_RUNNING) continue;
    call_cancel(other);
    found = true;
  }
  kit_unlock(&state.mutex);
  if (!found) return cts_status("not_found", "no such request is under way");
  peer->tasks->cancel(target);
  return cts_ok();
}

/* cancel_running ends every operation under way: also those that no close of a handle would end. */
static void cancel_running(void) {
  uint64_t ids[CALLS_MAX];
  size_t num = 0;
  kit_lock(&state.mutex);
  for (size_t i = 0; i < CALLS_MAX; i++) {
    if (calls[i].state != CALL_RUNNING || call_is_control(&calls[i])) continue;
    call_cancel(&calls[i]);
    ids[num++] = (uint64_t)calls[i].id;
  }
  kit_unlock(&state.mutex);
  for (size_t i = 0; i < num; i++) peer->tasks->cancel(ids[i]);
}

/* doom_handles takes every handle that nobody closes yet from its name. Returns them as a list, each with one more
 * user: the sweep. state.mutex is held. */
static handle *doom_handles(void) {
  handle *doomed = NULL;
  for (size_t i = 0; i < BUCKETS; i++) {
    handle *h = state.buckets[i];
    while (h != NULL) {
      handle *next = h->next;
      if (h->object != NULL && !h->closing) {
        handle_begin_closing(h);
        h->num_users++;
        h->next = doomed;
        doomed = h;
      }
      h = next;
    }
  }
  return doomed;
}

/* sweep closes every handle, those included that calls in flight make meanwhile, and returns when no call runs. */
static void sweep(void) {
  for (;;) {
    kit_lock(&state.mutex);
    handle *doomed = doom_handles();
    while (doomed == NULL && state.num_running > 0) {
      state_wait();
      doomed = doom_handles();
    }
    kit_unlock(&state.mutex);
    if (doomed == NULL) return;
    for (handle *h = doomed; h != NULL; h = h->next) h->kind->close(h->object);
    while (doomed != NULL) {
      handle *h = doomed;
      doomed = h->next;
      handle_release(h);
      kit_lock(&state.mutex);
      handle_leave(h);
      kit_unlock(&state.mutex);
    }
  }
}

static kit_result KIT_CALL sweep_thread(void *unused) {
  (void)unused;
  sweep();
  kit_lock(&state.mutex);
  state.sweeping = false;
  state_notify();
  kit_unlock(&state.mutex);
  return 0;
}

/* cancel_queued answers the requests that wait in their lanes. */
static void cancel_queued(void) {
  static const cts_outcome cancelled = {"cancelled", 0, "reset came first"};
  for (size_t i = 0; i <= LANES_MAX; i++) {
    kit_lock(&state.mutex);
    cts_call *call = lanes[i].first;
    lanes[i].first = lanes[i].last = NULL;
    for (cts_call *c = call; c != NULL; c = c->next) {
      c->refusal = cancelled;
      call_start(c);
    }
    kit_unlock(&state.mutex);
    while (call != NULL) {
      cts_call *next = call->next;
      call_run(call, &reader_executor);
      call = next;
    }
  }
}

/* sweep_or_give_up sweeps in a thread of its own, because a library may hang in a close, and waits for it for a
 * bounded time; meanwhile it watches for the end of input, which nobody else reads. */
static bool sweep_or_give_up(void) {
  kit_lock(&state.mutex);
  bool start = !state.sweeping;
  state.sweeping = true;
  kit_unlock(&state.mutex);
  if (start && !platform_start_kit_thread(sweep_thread, NULL)) {
    kit_lock(&state.mutex);
    state.sweeping = false;
    kit_unlock(&state.mutex);
    return false;
  }
  kit_lock(&state.mutex);
  state.num_waiting++;
  for (int waited_ms = 0; state.sweeping && waited_ms < RESET_WAIT_MS;) {
    if (kit_wait_for(&state.changed, &state.mutex, HANGUP_SLICE_MS)) continue;
    if (platform_wait_hangup(0)) platform_end(0);
    waited_ms += HANGUP_SLICE_MS;
  }
  state.num_waiting--;
  bool done = !state.sweeping;
  kit_unlock(&state.mutex);
  return done;
}

/* any_call_in_library tells whether a call runs that is not merely writing its reply, and is not one that the kit
 * itself can end. state.mutex is held. */
static bool any_call_in_library(void) {
  for (size_t i = 0; i < CALLS_MAX; i++) {
    bool own = calls[i].handler == operation_reset || calls[i].handler == operation_process_wait;
    if (calls[i].state == CALL_RUNNING && !own) return true;
  }
  return false;
}

static cts_outcome operation_reset(cts_call *call) {
  (void)call;
  if (peer->before_reset != NULL) peer->before_reset();
  cancel_queued();
  if (lanes_are_tasks()) cancel_running();
  kit_lock(&state.mutex);
  bool in_library = any_call_in_library();
  bool running = state.num_running > 0 || state.sweeping;
  kit_unlock(&state.mutex);
  if (in_library && !list_has(peer->features, "close_while_in_use")) {
    return cts_status("busy", "operations are in flight that the library cannot end");
  }
  if (!running) {
    sweep();
  } else if (!sweep_or_give_up()) {
    return cts_status("busy", "an operation in flight did not end");
  }
  if (peer->after_reset != NULL) peer->after_reset();
  return cts_ok();
}

/* --------------------------------------------------------------------------------------- processes
 * Children of this peer that are peers. */

typedef struct process {
  platform_process system;
  bool closing; /* guarded by state.mutex */
} process;

static cts_outcome operation_process_spawn(cts_call *call) {
  uint64_t pid = 0;
  process *p = calloc(1, sizeof(*p));
  if (p == NULL) return cts_status("out_of_resources", "no memory for a process");
  uint32_t error = platform_spawn(cts_text_or(call, "control", ""), peer->argv, &p->system, &pid);
  if (error != 0) {
    free(p);
    return platform_error(error, "to start a process");
  }
  cts_make(call, "as", p);
  cts_add_u64(call, "pid", pid);
  return cts_ok();
}

static cts_outcome operation_process_wait(cts_call *call) {
  process *p = cts_object(call);
  (void)cts_sleeps(call); /* here and not in a loop, but asleep: only the child, or process.close, ends it */
  uint32_t error = platform_await(p->system, NULL);
  cts_awake(call);
  kit_lock(&state.mutex);
  bool closing = p->closing;
  kit_unlock(&state.mutex);
  if (error == 0 && closing) return cts_status("cancelled", "the process was closed");
  if (error == 0) error = platform_await(p->system, call); /* it has ended: this does not wait */
  return error == 0 ? cts_ok() : platform_error(error, "to wait for a process");
}

static cts_outcome process_close(void *object) {
  process *p = object;
  kit_lock(&state.mutex);
  p->closing = true;
  kit_unlock(&state.mutex);
  platform_kill(p->system);
  return cts_ok();
}

static void process_release(void *object) {
  process *p = object;
  platform_forget(p->system);
  free(p);
}

/* --------------------------------------------------------------------------------------- lanes and the reader */

/* lane_serve runs the calls of a lane in order, for ever. */
static void lane_serve(lane *l) {
  platform_enter_lane();
  l->executor.thread_id = platform_thread_id();
  for (;;) {
    kit_lock(&state.mutex);
    while (l->first == NULL) kit_wait(&l->filled, &state.mutex);
    cts_call *call = l->first;
    l->first = call->next;
    if (l->first == NULL) l->last = NULL;
    call_start(call);
    kit_unlock(&state.mutex);
    call_run(call, &l->executor);
  }
}

static kit_result KIT_CALL lane_thread(void *argument) {
  lane_serve(argument);
  return 0;
}

/* lane_find returns the lane |name|, making it if need be, or NULL if there are too many. Only the reader calls it. */
static lane *lane_find(const char *name) {
  if (strcmp(name, "main") == 0) return &lanes[0];
  for (size_t i = 1; i <= state.num_lanes; i++) {
    if (strcmp(lanes[i].name, name) == 0) return &lanes[i];
  }
  if (state.num_lanes == LANES_MAX) return NULL;
  lane *l = &lanes[state.num_lanes + 1];
  if (!platform_start_lane_thread(lane_thread, l)) return NULL;
  memcpy(l->name, name, strlen(name) + 1);
  state.num_lanes++;
  return l;
}

/* call_route decides where |call| runs: its lane, or NULL for the reader's thread, where control runs and what is wrong
 * with the lane itself is answered. */
static lane *call_route(cts_call *call) {
  bool control = call->lane != NULL && strcmp(call->lane, "control") == 0;
  if (call_is_control(call)) {
    if (call->lane != NULL && !control) refuse(call, "invalid_argument", "%s runs in control", call->operation->name);
    return NULL;
  }
  if (control) refuse(call, "invalid_argument", "this operation does not run in control");
  if (control || !peer->threads) return NULL;
  lane *l = lane_find(call->lane != NULL ? call->lane : "a");
  if (l == NULL) refuse(call, "out_of_resources", "there are too many lanes");
  return l;
}

/* call_take returns a free call record. There always is one: at most 64 requests are outstanding, and no more than
 * one a lane is writing its reply. */
static cts_call *call_take(void) {
  kit_lock(&state.mutex);
  cts_call *call = state.free_calls;
  state.free_calls = call->next;
  kit_unlock(&state.mutex);
  return call;
}

static void call_give_back(cts_call *call) {
  kit_lock(&state.mutex);
  call->next = state.free_calls;
  state.free_calls = call;
  kit_unlock(&state.mutex);
}

/* call_run_here runs |call| in the reader's thread. With single lanes the watcher must know when the library is in. */
static void call_run_here(cts_call *call) {
  kit_lock(&state.mutex);
  call_start(call);
  state.in_handler = !peer->threads && !call_is_control(call);
  if (state.in_handler && state.hung_up) platform_end(0);
  kit_unlock(&state.mutex);
  call_run(call, &reader_executor);
  if (peer->threads) return;
  kit_lock(&state.mutex);
  state.in_handler = false;
  kit_unlock(&state.mutex);
}

/* accept_line handles one line, LF taken off. */
static void accept_line(const uint8_t *line, size_t len) {
  static node nodes[JSON_NODES_MAX];
  json j;
  cts_call *call = call_take();
  memcpy(call->line, line, len);
  if (!json_parse(&j, call->line, len, nodes) || !call_begin_request(&j, call)) {
    call_give_back(call);
    reply_to_garbage(j.why);
    return;
  }
  lane *l = call_route(call);
  kit_lock(&state.mutex);
  if (++state.num_outstanding > CTS_OUTSTANDING_MAX) {
    refuse(call, "out_of_resources", "more than 64 requests are outstanding");
    l = NULL;
  }
  call->state = CALL_QUEUED;
  call->next = NULL;
  if (l != NULL) {
    if (l->last != NULL) l->last->next = call;
    if (l->first == NULL) l->first = call;
    l->last = call;
  }
  kit_unlock(&state.mutex);
  if (l != NULL) {
    kit_wake_one(&l->filled);
  } else {
    call_run_here(call);
  }
}

/* read_requests reads lines until the end of input and ends the process there. A line that does not fit is answered
 * once and skipped up to its LF, so that memory stays bounded. */
static void read_requests(void) {
  static uint8_t buffer[CTS_LINE_MAX];
  size_t filled = 0;
  bool skipping = false;
  reader_executor.thread_id = platform_thread_id();
  for (;;) {
    size_t got = platform_read(buffer + filled, sizeof(buffer) - filled);
    if (got == 0) platform_end(0);
    uint8_t *line = buffer, *end = buffer + filled + got, *search = buffer + filled, *lf;
    while ((lf = memchr(search, '\n', (size_t)(end - search))) != NULL) {
      if (!skipping) accept_line(line, (size_t)(lf - line));
      skipping = false;
      line = search = lf + 1;
    }
    filled = (size_t)(end - line);
    if (skipping) {
      filled = 0;
    } else if (filled == sizeof(buffer)) {
      reply_to_garbage("the line is longer than 65536 bytes");
      skipping = true;
      filled = 0;
    } else if (filled > 0 && line != buffer) {
      memmove(buffer, line, filled);
    }
  }
}

static kit_result KIT_CALL reader_thread(void *unused) {
  (void)unused;
  read_requests();
  return 0;
}

/* watcher_thread exists with single lanes: it ends the process when input ends while the only thread that could read
 * that is inside the library. It calls nothing of the library. */
static kit_result KIT_CALL watcher_thread(void *unused) {
  (void)unused;
  while (!platform_wait_hangup(-1)) continue;
  kit_lock(&state.mutex);
  state.hung_up = true;
  if (state.in_handler) platform_end(0);
  kit_unlock(&state.mutex);
  return 0;
}

/* check_peer ends a peer whose declaration has a mistake. */
static void check_peer(const cts_peer *declared) {
  for (const cts_operation *o = declared->operations; o->name != NULL; o++) {
    bool known = false;
    for (size_t i = 0; i < NUM_ROWS; i++) known |= rows[i].kind == ROW_OPERATION && strcmp(rows[i].name, o->name) == 0;
    if (!known || o->handler == NULL) peer_is_wrong("no such operation, or no handler for it", o->name);
  }
  for (const char *const *f = declared->features; f != NULL && *f != NULL; f++) {
    if (!cts_feature_known(*f)) peer_is_wrong("no such feature", *f);
  }
  for (const char *const *t = declared->traits; t != NULL && *t != NULL; t++) {
    if (!cts_trait_known(*t)) peer_is_wrong("no such trait", *t);
  }
  if (declared->threads != list_has(declared->features, "lanes")) {
    peer_is_wrong("the feature goes with lanes that are threads, and only with them", "lanes");
  }
}

/* state_init fills the free lists. */
static void state_init(const cts_peer *declared) {
  peer = declared;
  for (size_t i = CALLS_MAX; i > 0; i--) {
    calls[i - 1].next = state.free_calls;
    state.free_calls = &calls[i - 1];
  }
  for (size_t i = HANDLES_MAX; i > 0; i--) {
    handles[i - 1].next = state.free_handles;
    state.free_handles = &handles[i - 1];
  }
  for (size_t i = 0; i <= LANES_MAX; i++) kit_condition_init(&lanes[i].filled);
}

int cts_run(const cts_peer *declared) {
  check_peer(declared);
  if (!cts_open_channel()) {
    perror("cts_peer: cannot move the channel off descriptors 0 and 1");
    return 2;
  }
  kit_call_once(&codecs_once, codecs_init);
  state_init(declared);
  if (!platform_begin() || !platform_start_kit_thread(declared->threads ? reader_thread : watcher_thread, NULL)) {
    fprintf(stderr, "cts_peer: cannot start a thread\n");
    return 2;
  }
  if (declared->threads) {
    lane_serve(&lanes[0]);
  } else {
    platform_enter_lane();
    read_requests();
  }
  return 2;
}
