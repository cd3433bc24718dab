/* platform_windows.c - platform.h for Windows: LoadLibrary, events as wakes, and no readiness. */
#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/peer/platform.h"

/* ------------------------------------------------------------------------------------------------------- WTF-8
 * The system's strings are 16-bit units, also unpaired surrogates; WTF-8 is UTF-8 that has those, too. */

/* wtf8_put writes |code| at |out| and returns how many bytes it takes, at most 4. */
static size_t wtf8_put(char *out, uint32_t code) {
  if (code < 0x80) {
    out[0] = (char)code;
    return 1;
  }
  size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (size_t i = len - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3F));
  out[0] = (char)((0xF00u >> len & 0xF0) | code);
  return len;
}

/* wtf8_of returns |text| as WTF-8, to be freed; NULL: no memory. */
static char *wtf8_of(const WCHAR *text) {
  size_t put = 0;
  char *out = malloc(3 * wcslen(text) + 1);
  for (; out != NULL && *text != 0; text++) {
    uint32_t code = *text;
    bool pair = code >= 0xD800 && code <= 0xDBFF && text[1] >= 0xDC00 && text[1] <= 0xDFFF;
    if (pair) code = 0x10000 + ((code - 0xD800) << 10) + (*++text - 0xDC00u);
    put += wtf8_put(out + put, code);
  }
  if (out != NULL) out[put] = 0;
  return out;
}

/* utf16_of returns WTF-8 as the system takes it, to be freed; NULL: no memory, or no WTF-8. */
static WCHAR *utf16_of(const char *text) {
  const uint8_t *p = (const uint8_t *)text;
  size_t put = 0;
  WCHAR *out = malloc((strlen(text) + 1) * sizeof(*out));
  while (out != NULL && *p != 0) {
    size_t len = *p < 0x80 ? 1 : *p >= 0xC2 && *p < 0xE0 ? 2 : *p >= 0xE0 && *p < 0xF0 ? 3 : *p >= 0xF0 ? 4 : 0;
    uint32_t code = len == 1 ? *p : *p & (0x7Fu >> len);
    bool valid = len > 0;
    for (size_t i = 1; valid && i < len; i++) {
      valid = (p[i] & 0xC0) == 0x80;
      code = code << 6 | (p[i] & 0x3F);
    }
    if (!valid || code > 0x10FFFF || (len == 3 && code < 0x800) || (len == 4 && code < 0x10000)) {
      free(out);
      return NULL;
    }
    p += len;
    if (code >= 0x10000) {
      out[put++] = (WCHAR)(0xD800 + ((code - 0x10000) >> 10));
      code = 0xDC00 + (code & 0x3FF);
    }
    out[put++] = (WCHAR)code;
  }
  if (out != NULL) out[put] = 0;
  return out;
}

/* The start of a program without -municode's wmain would have the arguments in some code page. */
int wmain(int argc, WCHAR **arguments) {
  char **argv = calloc((size_t)argc + 1, sizeof(*argv));
  for (int i = 0; argv != NULL && i < argc; i++) {
    argv[i] = wtf8_of(arguments[i]);
    if (argv[i] == NULL) return 2;
  }
  return argv != NULL ? peer_main(argc, argv) : 2; /* what it holds is needed until the process ends */
}

/* ----------------------------------------------------------------------------------------------------- threads */

void platform_mutex_init(platform_mutex *mutex) { InitializeSRWLock(mutex); }
void platform_mutex_destroy(platform_mutex *mutex) { (void)mutex; }
void platform_lock(platform_mutex *mutex) { AcquireSRWLockExclusive(mutex); }
void platform_unlock(platform_mutex *mutex) { ReleaseSRWLockExclusive(mutex); }

void platform_condition_init(platform_condition *condition) { InitializeConditionVariable(condition); }
void platform_condition_destroy(platform_condition *condition) { (void)condition; }
void platform_wake_one(platform_condition *condition) { WakeConditionVariable(condition); }
void platform_wake_all(platform_condition *condition) { WakeAllConditionVariable(condition); }

void platform_wait(platform_condition *condition, platform_mutex *mutex) {
  SleepConditionVariableSRW(condition, mutex, INFINITE, 0);
}

static void __cdecl run_body(void *argument) {
  platform_body *body = argument;
  (*body)();
}

/* A handler of a signal runs in the thread that raised it, or in one that the system starts for it. */
bool platform_start_thread(platform_body *body) { return _beginthread(run_body, 0, body) != (uintptr_t)-1; }

/* --------------------------------------------------------------------------------------------------- libraries */

/* describe_error says what |error| means: static, until the next call. */
static const char *describe_error(DWORD error) {
  static char text[300];
  WCHAR wide[200];
  DWORD flags = FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS | FORMAT_MESSAGE_MAX_WIDTH_MASK;
  DWORD len = FormatMessageW(flags, NULL, error, 0, wide, sizeof(wide) / sizeof(wide[0]), NULL);
  while (len > 0 && wide[len - 1] == L' ') len--;
  wide[len < sizeof(wide) / sizeof(wide[0]) ? len : 0] = 0;
  char *words = wtf8_of(wide);
  snprintf(text, sizeof(text), "%s (error %lu)", words != NULL ? words : "", (unsigned long)error);
  free(words);
  return text;
}

/* The full path, so that it alone is tried, and what the library needs is looked for beside it. */
static HMODULE load_file(const WCHAR *path) {
  HMODULE library = NULL;
  DWORD room = GetFullPathNameW(path, 0, NULL, NULL);
  WCHAR *full = room > 0 ? malloc(room * sizeof(*full)) : NULL;
  if (full != NULL && GetFullPathNameW(path, room, full, NULL) > 0) {
    library = LoadLibraryExW(full, NULL, LOAD_WITH_ALTERED_SEARCH_PATH);
  }
  free(full);
  return library;
}

get_table_function platform_load(const char *path, const char **out_why) {
  WCHAR *wide = utf16_of(path);
  if (wide == NULL) {
    *out_why = "its name is no WTF-8";
    return NULL;
  }
  HMODULE library = load_file(wide);
  DWORD error = GetLastError();
  free(wide);
  if (library == NULL) {
    *out_why = describe_error(error);
    return NULL;
  }
  FARPROC symbol = GetProcAddress(library, "ipc_get_table"); /* if there is none, the caller knows what to say */
  return (get_table_function)(void (*)(void))symbol;
}

/* ------------------------------------------------------------------------------------------- waiting and handles */

bool platform_wake_open(platform_wake *wake) {
  wake->event = CreateEventW(NULL, FALSE, FALSE, NULL);
  return wake->event != NULL;
}

void platform_wake_set(const platform_wake *wake) {
  if (wake->event != NULL) SetEvent(wake->event);
}

void platform_wake_take(const platform_wake *wake) { WaitForSingleObject(wake->event, INFINITE); }

void platform_wake_close(platform_wake *wake) {
  if (wake->event != NULL) CloseHandle(wake->event);
  wake->event = NULL;
}

const bool platform_asks_again = true;

void platform_wait_ready(const ipc_raw *raw, int direction, const platform_wake *wake) {
  (void)raw;
  (void)direction;
  (void)wake;
  abort(); /* nothing tells readiness here */
}

const char *platform_raw_kind_name(uint32_t kind) {
  return kind == IPC_RAW_FD ? "fd" : kind == IPC_RAW_SOCKET ? "socket" : "handle";
}

uint32_t platform_raw_kind(const char *name) {
  return strcmp(name, "fd") == 0 ? IPC_RAW_FD : strcmp(name, "socket") == 0 ? IPC_RAW_SOCKET : IPC_RAW_HANDLE;
}

void platform_close_raw(const ipc_raw *raw) {
  if (raw->kind == IPC_RAW_HANDLE) CloseHandle((HANDLE)(uintptr_t)raw->value);
}
