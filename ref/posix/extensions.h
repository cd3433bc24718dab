/* extensions.h - comes first in a file of ref/posix/ that needs more of the system than POSIX has, but what every
 * system here has: flock(2), CMSG_SPACE.
 *
 * The GNU C library shows it when asked. FreeBSD shows everything unless POSIX alone is asked for; macOS is told by
 * _DARWIN_C_SOURCE, which the build defines.
 */
#ifndef REF_POSIX_EXTENSIONS_H
#define REF_POSIX_EXTENSIONS_H

#if defined(__linux__)
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#elif defined(__APPLE__)
#define st_ctim st_ctimespec /* of struct stat */
#endif

#endif /* REF_POSIX_EXTENSIONS_H */
