/* address.h - names of pipes, as the library gives them and as the system takes them. */
#ifndef REF_WINDOWS_ADDRESS_H
#define REF_WINDOWS_ADDRESS_H

#include "ipc/name.h"
#include "ref/windows/win32.h"

enum {
  ADDRESS_UNITS_MAX = 256,                   /* UTF-16 units of a whole pipe name */
  ADDRESS_BYTES_MAX = 3 * ADDRESS_UNITS_MAX, /* of the same in WTF-8 */
};

typedef struct ipc_address {
  wchar_t text[ADDRESS_UNITS_MAX + 1]; /* `\\.\pipe\` and the name; ends in NUL */
  unsigned char native[ADDRESS_BYTES_MAX];
  size_t native_len;
} ipc_address;

/* ipc_address_init makes the address of |name|. IPC_OK, or a status of ipc_name_native. */
ipc_status ipc_address_init(ipc_address *out_address, const ipc_name *name);

/* ipc_address_of_pipe asks the system for the name of |pipe|. A Win32 error, 0 if there is none. */
DWORD ipc_address_of_pipe(ipc_address *out_address, HANDLE pipe);

#endif /* REF_WINDOWS_ADDRESS_H */
