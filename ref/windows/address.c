/* address.c - WTF-8 to UTF-16 and back. */
#include "ref/windows/address.h"

#include <string.h>

#include "ref/common/platform.h"

static const wchar_t pipe_prefix[] = L"\\\\.\\pipe\\";

enum { PREFIX_UNITS = sizeof pipe_prefix / sizeof *pipe_prefix - 1 };

/* Decodes the sequence at |data|, which ipc_name_native has found to be whole and shortest. Returns its length. */
static size_t decode(const unsigned char *data, uint32_t *out_code_point) {
  unsigned char first = data[0];
  size_t len = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  uint32_t code_point = len == 1 ? first : first & (0x7Fu >> len);
  for (size_t i = 1; i < len; i++) code_point = code_point << 6 | (data[i] & 0x3Fu);
  *out_code_point = code_point;
  return len;
}

static void to_utf16(ipc_address *address) {
  size_t units = 0;
  for (size_t at = 0; at < address->native_len && units + 2 <= ADDRESS_UNITS_MAX + 1;) {
    uint32_t code_point;
    at += decode(address->native + at, &code_point);
    if (code_point >= 0x10000) {
      address->text[units++] = (wchar_t)(0xD800 + ((code_point - 0x10000) >> 10));
      code_point = 0xDC00 + ((code_point - 0x10000) & 0x3FF);
    }
    address->text[units++] = (wchar_t)code_point;
  }
  address->text[units] = L'\0';
}

ipc_status ipc_address_init(ipc_address *out_address, const ipc_name *name) {
  ipc_status status =
      ipc_name_native(name, IPC_OS_WINDOWS, out_address->native, sizeof out_address->native, &out_address->native_len);
  if (status.code == IPC_MESSAGE_TRUNCATED) status.code = IPC_NAME_TOO_LONG;
  if (status.code == IPC_OK) to_utf16(out_address);
  return status;
}

static size_t encode(uint32_t code_point, unsigned char *out) {
  if (code_point < 0x80) {
    out[0] = (unsigned char)code_point;
    return 1;
  }
  size_t len = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
  for (size_t i = len - 1; i > 0; i--, code_point >>= 6) out[i] = (unsigned char)(0x80 | (code_point & 0x3F));
  out[0] = (unsigned char)((0xF00u >> len & 0xFFu) | code_point);
  return len;
}

static void to_wtf8(ipc_address *address) {
  size_t len = 0;
  for (const wchar_t *at = address->text; *at != L'\0'; at++) {
    uint32_t code_point = (uint32_t)*at;
    if (code_point >= 0xD800 && code_point <= 0xDBFF && at[1] >= 0xDC00 && at[1] <= 0xDFFF) {
      code_point = 0x10000 + ((code_point - 0xD800) << 10) + ((uint32_t)at[1] - 0xDC00);
      at++;
    }
    len += encode(code_point, address->native + len);
  }
  address->native_len = len;
}

/* The system says `\NAME`. */
DWORD ipc_address_of_pipe(ipc_address *out_address, HANDLE pipe) {
  union {
    FILE_NAME_INFO info;
    unsigned char room[sizeof(FILE_NAME_INFO) + ADDRESS_UNITS_MAX * sizeof(wchar_t)];
  } found;
  if (!GetFileInformationByHandleEx(pipe, FileNameInfo, &found, sizeof found)) return GetLastError();
  size_t units = found.info.FileNameLength / sizeof(wchar_t);
  if (units < 2 || found.info.FileName[0] != L'\\' || units - 1 > ADDRESS_UNITS_MAX - PREFIX_UNITS) {
    return ERROR_INVALID_NAME;
  }
  memcpy(out_address->text, pipe_prefix, sizeof pipe_prefix);
  memcpy(out_address->text + PREFIX_UNITS, found.info.FileName + 1, (units - 1) * sizeof(wchar_t));
  out_address->text[PREFIX_UNITS + units - 1] = L'\0';
  to_wtf8(out_address);
  return 0;
}
