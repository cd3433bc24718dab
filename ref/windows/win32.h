/* win32.h - the system's headers, the same way everywhere. */
#ifndef REF_WINDOWS_WIN32_H
#define REF_WINDOWS_WIN32_H

#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0A00
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#endif /* REF_WINDOWS_WIN32_H */
