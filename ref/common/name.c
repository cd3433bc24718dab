/* name.c - names of local sockets: parsing, formatting, and each system's rules. Pure: asks no system anything.
 *
 * No two different (kind, name) pairs give one native address on one system, so that two programs cannot meet by
 * accident: a path never begins with NUL and an abstract address always does; on Windows every spelling that the
 * system would fold into another (a slash, a dot or space at the end, two encodings of one character) is refused. What
 * stays is Windows' own: it compares pipe names without regard to case.
 */
#include "ipc/name.h"

#include <string.h>

#include "ref/common/platform.h"

/* What a system makes of each kind of name. A limit of 0: there are no such names. */
typedef struct name_rules {
  size_t path_max;       /* bytes */
  size_t namespaced_max; /* bytes of name; on Windows UTF-16 units */
  bool abstract;         /* namespaced names are NUL and bytes */
} name_rules;

/* Every native pipe name begins with this; the system ignores the case of `pipe`. */
static const char pipe_prefix[] = "\\\\.\\pipe\\";

enum {
  PIPE_PREFIX_LEN = sizeof(pipe_prefix) - 1,
  PIPE_NATIVE_MAX = 256, /* UTF-16 units, prefix included: "CreateNamedPipeA function", lpName */
  LINUX_SUN_PATH = 108,  /* bytes of sockaddr_un.sun_path: unix(7) */
  BSD_SUN_PATH = 104,    /* XNU and FreeBSD: unix(4), sys/un.h */
};

/* A path keeps a byte of sun_path for its NUL; an abstract name spends it on the NUL in front. */
static const name_rules linux_rules = {LINUX_SUN_PATH - 1, LINUX_SUN_PATH - 1, true};
static const name_rules bsd_rules = {BSD_SUN_PATH - 1, 0, false};
static const name_rules windows_rules = {0, PIPE_NATIVE_MAX - PIPE_PREFIX_LEN, false};

/* The rules of |os| (IPC_OS_*), or NULL if there is no such system. */
static const name_rules *rules_of(uint32_t os) {
  switch (os == IPC_OS_THIS ? ipc_platform_os : os) {
    case IPC_OS_LINUX:
      return &linux_rules;
    case IPC_OS_MACOS:
    case IPC_OS_FREEBSD:
      return &bsd_rules;
    case IPC_OS_WINDOWS:
      return &windows_rules;
    default:
      return NULL;
  }
}

static bool has_nul(const unsigned char *data, size_t len) { return len != 0 && memchr(data, 0, len) != NULL; }

/* Writes |prefix| and |data| to |out|, whole or not at all: IPC_OK or IPC_MESSAGE_TRUNCATED. |*out_len| is the room
 * needed either way. |out| may overlap |data|. */
static ipc_status put(const char *prefix, size_t prefix_len, const void *data, size_t len, void *out, size_t out_max,
                      size_t *out_len) {
  if (len > SIZE_MAX - prefix_len) return ipc_status_of(IPC_NAME_TOO_LONG);
  *out_len = prefix_len + len;
  if (*out_len > out_max) return ipc_status_of(IPC_MESSAGE_TRUNCATED);
  memmove((unsigned char *)out + prefix_len, data, len);
  memcpy(out, prefix, prefix_len);
  return ipc_status_of(IPC_OK);
}

/* Decodes the WTF-8 sequence at the start of |data|: generalised UTF-8, in which a lone surrogate is three bytes.
 * Returns its length in bytes and the code point, or 0 for what is no shortest form of any code point. */
static size_t decode_wtf8(const unsigned char *data, size_t len, uint32_t *out_code_point) {
  unsigned char first = data[0];
  if (first < 0x80) {
    *out_code_point = first;
    return 1;
  }
  size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  /* 0x80..0xBF continue a sequence, 0xC0 and 0xC1 begin only overlong ones, from 0xF5 on lies beyond U+10FFFF. */
  if (first < 0xC2 || first > 0xF4 || size > len) return 0;
  uint32_t code_point = first & (0x7Fu >> size);
  for (size_t i = 1; i < size; i++) {
    if ((data[i] & 0xC0) != 0x80) return 0;
    code_point = code_point << 6 | (data[i] & 0x3Fu);
  }
  static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code_point < smallest[size] || code_point > 0x10FFFF) return 0;
  *out_code_point = code_point;
  return size;
}

/* Counts the UTF-16 units of |data|. False if it is not WTF-8: also when a high surrogate is followed by a low one,
 * which has to be written as the one code point that they are; else two names would be one to the system. */
static bool count_utf16(const unsigned char *data, size_t len, size_t *out_units) {
  bool after_high = false;
  *out_units = 0;
  for (size_t at = 0; at < len;) {
    uint32_t code_point;
    size_t size = decode_wtf8(data + at, len - at, &code_point);
    if (size == 0) return false;
    if (after_high && code_point >= 0xDC00 && code_point <= 0xDFFF) return false;
    after_high = code_point >= 0xD800 && code_point <= 0xDBFF;
    *out_units += code_point >= 0x10000 ? 2 : 1;
    at += size;
  }
  return true;
}

/* Checks a pipe name without its prefix. A dot or space at the end includes the names `.` and `..`. */
static int32_t check_pipe_name(const unsigned char *name, size_t len) {
  size_t units;
  if (len == 0 || has_nul(name, len)) return IPC_INVALID_NAME;
  if (memchr(name, '/', len) != NULL || memchr(name, '\\', len) != NULL) return IPC_INVALID_NAME;
  if (name[len - 1] == '.' || name[len - 1] == ' ') return IPC_INVALID_NAME;
  if (!count_utf16(name, len, &units)) return IPC_INVALID_NAME;
  return units > windows_rules.namespaced_max ? IPC_NAME_TOO_LONG : IPC_OK;
}

/* True if |name| begins with the prefix of pipes, which only has letters of ASCII. */
static bool has_pipe_prefix(const unsigned char *name, size_t len) {
  if (len < PIPE_PREFIX_LEN) return false;
  for (size_t i = 0; i < PIPE_PREFIX_LEN; i++) {
    unsigned char c = name[i];
    if (c >= 'A' && c <= 'Z') c = (unsigned char)(c - 'A' + 'a');
    if (c != (unsigned char)pipe_prefix[i]) return false;
  }
  return true;
}

static int32_t check_path(const name_rules *rules, const unsigned char *name, size_t len) {
  if (rules->path_max == 0) return IPC_UNSUPPORTED;
  if (len == 0 || has_nul(name, len)) return IPC_INVALID_NAME;
  return len > rules->path_max ? IPC_NAME_TOO_LONG : IPC_OK;
}

static int32_t check_namespaced(const name_rules *rules, const unsigned char *name, size_t len) {
  if (rules->namespaced_max == 0) return IPC_UNSUPPORTED;
  if (!rules->abstract) return check_pipe_name(name, len);
  if (len == 0 || has_nul(name, len)) return IPC_INVALID_NAME;
  return len > rules->namespaced_max ? IPC_NAME_TOO_LONG : IPC_OK;
}

/* A native abstract address may hold NULs behind the first: the system has such names, and another program may have
 * bound one. NUL alone is none: the system would make up a name. */
static int32_t check_native(const name_rules *rules, const unsigned char *name, size_t len) {
  if (len == 0) return IPC_INVALID_NAME;
  if (rules->path_max == 0) {
    return has_pipe_prefix(name, len) ? check_pipe_name(name + PIPE_PREFIX_LEN, len - PIPE_PREFIX_LEN)
                                      : IPC_INVALID_NAME;
  }
  if (!rules->abstract || name[0] != 0) return check_path(rules, name, len);
  if (len == 1) return IPC_INVALID_NAME;
  return len - 1 > rules->namespaced_max ? IPC_NAME_TOO_LONG : IPC_OK;
}

ipc_status ipc_name_native(const ipc_name *name, uint32_t os, void *out_native, size_t native_max, size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (name == NULL || name->data == NULL || out_native == NULL || out_len == NULL)
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  const name_rules *rules = rules_of(os);
  if (rules == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);

  const char *prefix = "";
  size_t prefix_len = 0;
  int32_t code;
  switch (name->kind) {
    case IPC_NAME_PATH:
      code = check_path(rules, name->data, name->len);
      break;
    case IPC_NAME_NAMESPACED:
      code = check_namespaced(rules, name->data, name->len);
      prefix = rules->abstract ? "\0" : pipe_prefix;
      prefix_len = rules->abstract ? 1 : PIPE_PREFIX_LEN;
      break;
    case IPC_NAME_NATIVE:
      code = check_native(rules, name->data, name->len);
      break;
    default:
      code = IPC_INVALID_ARGUMENT;
  }
  if (code != IPC_OK) return ipc_status_of(code);
  return put(prefix, prefix_len, name->data, name->len, out_native, native_max, out_len);
}

ipc_status ipc_name_limit(uint32_t kind, uint32_t os, size_t *out_max) {
  if (out_max != NULL) *out_max = 0;
  const name_rules *rules = rules_of(os);
  if (out_max == NULL || rules == NULL || (kind != IPC_NAME_PATH && kind != IPC_NAME_NAMESPACED)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  *out_max = kind == IPC_NAME_PATH ? rules->path_max : rules->namespaced_max;
  return ipc_status_of(*out_max == 0 ? IPC_UNSUPPORTED : IPC_OK);
}

ipc_status ipc_name_parse(const void *text, size_t text_len, uint32_t *out_kind, void *out_name, size_t name_max,
                          size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (text == NULL || out_kind == NULL || out_name == NULL || out_len == NULL)
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  const unsigned char *name = text;
  size_t len = text_len;
  uint32_t kind = IPC_NAME_PATH;
  if (len != 0 && name[0] == '@') {
    kind = IPC_NAME_NAMESPACED;
    name++;
    len--;
  }
  if (len == 0 || has_nul(name, len)) return ipc_status_of(IPC_INVALID_NAME);
  ipc_status status = put("", 0, name, len, out_name, name_max, out_len);
  if (status.code == IPC_OK) *out_kind = kind;
  return status;
}

ipc_status ipc_name_format(const ipc_name *name, void *out_text, size_t text_max, size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (name == NULL || name->data == NULL || out_text == NULL || out_len == NULL)
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (name->kind != IPC_NAME_PATH && name->kind != IPC_NAME_NAMESPACED) return ipc_status_of(IPC_INVALID_ARGUMENT);
  const unsigned char *data = name->data;
  if (name->len == 0 || has_nul(data, name->len)) return ipc_status_of(IPC_INVALID_NAME);
  const char *prefix = name->kind == IPC_NAME_NAMESPACED ? "@" : data[0] == '@' ? "./" : "";
  return put(prefix, strlen(prefix), data, name->len, out_text, text_max, out_len);
}
